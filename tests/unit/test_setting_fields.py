"""The settings as a form: every field made from the model, every text read back without trust."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from config.env_file import Reading, file_content, line, read_text
from config.errors import ConfigError
from config.setting_check import findings
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import KEYS
from config.settings import settings_from
from web.setting_drafts import KEPT_S, MOST, Drafts
from web.setting_fields import field_groups, read_form

BOT = {n: key.default_text for n, key in KEYS.items() if key.required}
SECRETS = [name for name, key in KEYS.items() if key.secret]
some = settings(max_examples=80, deadline=None)
texts = st.text(max_size=20) | st.sampled_from(("true", "10", "0.5", "09:30", "", "\x00", "１０"))
given_texts = st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=12), texts)


def fields() -> dict[str, object]:
    return {f.name: f for group in field_groups({}) for f in group.fields}


# What is wrong, by key


@some
@given(given_texts)
def test_there_are_findings_exactly_when_the_settings_are_refused(values: dict[str, str]) -> None:
    found = findings(BOT | values)
    try:
        settings_from(BOT | values)
    except ConfigError as e:
        lines = str(e).splitlines()[1:]
        assert len(found) == len(lines)
        across = [each.text for each in found if each.across]
        assert [each.strip() for each in lines if each.strip() in across] == across
    else:
        assert found == []


def test_a_contradiction_names_the_keys_that_it_is_about() -> None:
    (found,) = findings(BOT | {"MIN_PRICE": "50", "MAX_PRICE": "10"})
    assert found.keys == ("MIN_PRICE", "MAX_PRICE")
    assert found.across
    assert "MIN_PRICE = 50" in found.text


def test_beside_its_field_a_fault_says_what_is_allowed_and_shows_look_alikes() -> None:
    short, twin = findings(BOT | {"MAX_TRADES": "501", "MAX_OPEN_POSITIONS": "１０"})
    assert short.text == "above the most allowed; allowed: 0 to 500 trades"
    assert r"'\uff11\uff10'" in twin.text


def test_a_missing_required_key_is_found() -> None:
    assert [each.keys for each in findings({})] == [(name,) for name in BOT]


# Fields


def test_every_setting_has_one_field_in_a_group_of_its_own_title() -> None:
    groups = field_groups({})
    assert sorted(f.name for g in groups for f in g.fields) == sorted(KEYS)
    assert len({g.id for g in groups}) == len(groups)
    assert all(f.key.group == g.title for g in groups for f in g.fields)


def test_no_field_ever_holds_a_secret() -> None:
    canary = dict.fromkeys(KEYS, "hunter2-hunter2-hunter2-hunter2-hunter2")
    secret = [f for g in field_groups(canary, canary) for f in g.fields if f.key.secret]
    assert len(secret) == len(SECRETS)
    assert not any("hunter2" in repr(f) for f in secret)


def test_what_was_typed_stays_and_control_characters_show_as_such() -> None:
    typed = {"MAX_TRADES": "<b>ten</b>", "LOG_FORMAT": "XML", "SMTP_HOST": "a\x00b"}
    held = {f.name: f for g in field_groups({}, typed) for f in g.fields}
    assert held["MAX_TRADES"].text == "<b>ten</b>"
    assert held["LOG_FORMAT"].choices[-1] == "XML"
    assert held["SMTP_HOST"].text == "a\ufffdb"
    assert {name for name, f in held.items() if f.changed} == set(typed)


def test_off_is_said_in_the_words_of_the_page() -> None:
    held = fields()
    assert "Off: no page is served" in held["WEB_ENABLED"].help  # type: ignore[attr-defined]
    assert "0: nothing is bought." in held["TOTAL_ALLOCATION"].help  # type: ignore[attr-defined]


# What comes back


def sent(*pairs: tuple[str, str]) -> MultiDict[str, str]:
    return MultiDict(pairs)


def test_a_form_is_read_as_sent_and_what_it_leaves_out_stays() -> None:
    read = read_form(
        sent(
            ("csrf", "x"), ("seen", "1"), ("MAX_TRADES", "5"), ("WEB_ENABLED", "false"),
            ("FRACTIONAL", "false"), ("FRACTIONAL", "true"), ("SMTP_PASSWORD", ""),
        )
    )  # fmt: skip
    assert read.texts == {"MAX_TRADES": "5", "WEB_ENABLED": "false", "FRACTIONAL": "true"}
    assert read.faults == []


@pytest.mark.parametrize(
    ("pairs", "keys", "words"),
    [
        ((("MAX_TRADES", "5"), ("MAX_TRADES", "6")), ("MAX_TRADES",), "more than once"),
        ((("FRACTIONAL", "true"), ("FRACTIONAL", "false")), ("FRACTIONAL",), "more than once"),
        ((("MAX_TRADS", "hunter2"),), ("MAX_TRADS",), "did you mean MAX_TRADES?"),
        ((("<script>", "hunter2"),), ("<script>",), "not the name of a setting"),
        ((("clear", "MAX_TRADES"),), (), "only secrets can be cleared"),
        ((("clear", "nothing"),), (), "only secrets can be cleared"),
        ((("SMTP_PASSWORD", "hunter2"), ("clear", "SMTP_PASSWORD")), ("SMTP_PASSWORD",), "one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_fault(
    pairs: tuple[tuple[str, str], ...], keys: tuple[str, ...], words: str
) -> None:
    (found,) = read_form(sent(*pairs)).faults
    assert found.keys == keys
    assert words in found.text
    assert "hunter2" not in found.text


def test_a_secret_is_replaced_by_typing_and_cleared_by_its_box() -> None:
    read = read_form(sent(("SMTP_PASSWORD", "new one"), ("clear", "FINNHUB_API_KEY")))
    assert read.texts == {"SMTP_PASSWORD": "new one", "FINNHUB_API_KEY": ""}
    assert read.secrets == {"SMTP_PASSWORD": "new one"}
    assert read.cleared == {"FINNHUB_API_KEY"}


# Files of the vault


@some
@given(
    st.dictionaries(st.sampled_from(sorted(SECRETS)), st.text(max_size=60).filter(str.isprintable))
)
def test_what_is_written_is_what_is_read(values: dict[str, str]) -> None:
    if any("'" in text and '"' in text for text in values.values()):
        return  # may need quotes and hold both kinds; refused below
    content = file_content(values)
    reading = Reading()
    read_text(reading, ENV, content)
    assert reading.faults == []
    assert {name: given.text for name, given in reading.given.items()} == values


def test_what_needs_quotes_and_holds_both_kinds_is_refused() -> None:
    assert line("K", "a'\"b") == "K=a'\"b"
    for text in ("'\"b", " a'\"", "\"a' #"):
        with pytest.raises(ValueError, match="holds both kinds") as said:
            line("K", text)
        assert text not in str(said.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "K=plain"), ("", "K="), ("a b", "K=a b"), (" a", 'K=" a"'), ("a #b", 'K="a #b"'),
        ('"a', "K='\"a'"), ("a'\"b", "K=a'\"b"),
    ],
)  # fmt: skip
def test_quotes_only_where_they_are_needed(text: str, written: str) -> None:
    assert line("K", text) == written


def test_every_default_can_be_written() -> None:
    for file in (ENV, ENV_BOT):
        assert file_content({n: k.default_text for n, k in KEYS.items() if k.file == file})


# Secrets that were typed


def test_a_draft_is_its_owners_for_some_minutes() -> None:
    clock = [0.0]
    kept = Drafts(now=lambda: clock[0])
    token = kept.keep("ann", {"SMTP_PASSWORD": "hunter2"})
    assert kept.find("ann", token) == {"SMTP_PASSWORD": "hunter2"}
    assert kept.find("bob", token) is None
    assert kept.find("ann", "made up") is None
    assert kept.find("ann", "") == {}
    clock[0] = KEPT_S
    assert kept.find("ann", token) is None


def test_drafts_are_few_and_say_nothing_of_themselves() -> None:
    kept = Drafts()
    tokens = [kept.keep("ann", {"SMTP_PASSWORD": f"hunter{n}"}) for n in range(MOST + 1)]
    assert kept.find("ann", tokens[0]) is None
    assert kept.find("ann", tokens[-1])
    assert "hunter" not in repr(vars(kept))
    kept.drop(tokens[-1])
    assert kept.find("ann", tokens[-1]) is None
    assert kept.keep("ann", {}) == ""
