"""Settings: every key round-trips, every fault is told at once, and no secret is ever shown."""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.reference import reference
from config.setting_forms import (
    Choice,
    Form,
    Number,
    Secret,
    SecretText,
    Switch,
    Text,
    WallTime,
    Whole,
    Words,
)
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import IN_EFFECT, KEYS, Settings
from config.setting_rules import RULES
from config.setting_rules import shown as quoted_in_rules
from config.settings import demo_settings, settings_from

ROOT = Path(__file__).parents[2]
D = Decimal
BOT = {n: key.default_text for n, key in KEYS.items() if key.required}
quick = settings(max_examples=60, deadline=None)
each_key = settings(max_examples=12, deadline=None)  # times the number of keys


def told(values: dict[str, str]) -> list[str]:
    """The lines of the refusal, without the first, which counts them."""
    with pytest.raises(ConfigError) as refused:
        settings_from(values)
    first, *lines = str(refused.value).splitlines()
    assert first == f"{len(lines)} setting(s) cannot be used; nothing was started:"
    return [line.strip() for line in lines]


def good(form: Form) -> st.SearchStrategy[str]:
    """Texts that the table allows, made without the code that reads them."""
    match form:
        case Switch():
            return st.sampled_from(("true", "false"))
        case Whole():
            return st.integers(int(form.low), int(form.high)).map(str)
        case Number():
            places = st.integers(4, 9)
            return places.flatmap(
                lambda p: st.decimals(form.low, form.high, places=p).map(lambda d: f"{abs(d):f}")
            )
        case WallTime():
            return st.times().map(lambda t: t.strftime(form.shape))
        case Choice():
            return st.sampled_from(form.choices)
        case Text() if form.known is not None:
            exist = [n for n in sorted(form.known()) if re.fullmatch(form.pattern, n)]
            return st.sampled_from(exist)
        case Text():
            return st.from_regex(re.compile(form.pattern, re.ASCII), fullmatch=True).filter(
                lambda text: len(text) < 200
            )
        case Words():
            word = st.from_regex(re.compile(form.pattern, re.ASCII), fullmatch=True)
            few = st.lists(word, min_size=form.least, max_size=min(form.most, 4), unique=True)
            return few.map(",".join)
        case SecretText():
            letters = st.characters(codec="ascii", exclude_categories=("Cc",))
            return st.just("") | st.text(letters, min_size=form.least, max_size=80)
    raise AssertionError(form)


def bad(form: Form) -> st.SearchStrategy[str]:
    """Texts that mean nothing for such a key."""
    nonsense = st.sampled_from(("\x00", "\n", "ｔｒｕｅ", " 1", "1 ", "+1", "../../etc/passwd\x00"))
    match form:
        case Number():
            edges = (f"{form.low - 1:f}", f"{form.high + 1:f}", "NaN", "Infinity", "1e1", "５", "")
            step = D(1) if isinstance(form, Whole) else D("0.000000001")
            return nonsense | st.sampled_from(
                (*edges, f"{form.low - step:f}", f"{form.high + step:f}", "1_0", "01", "1,0", "-0")
            )
        case Switch():
            return nonsense | st.sampled_from(("", "True", "yes", "1", "on"))
        case WallTime():
            return nonsense | st.sampled_from(("", "24:00", "9:30", "2400", "09:60", "09:30:00"))
        case Choice():
            return nonsense | st.sampled_from(("", "naked", "InverseEtf", "csv"))
        case Words():
            return nonsense | st.sampled_from((",", "a,,b", "mon, tue", "SPY,SPY", "OPEN,OPEN"))
        case SecretText():
            return st.sampled_from(("\x00" * 40, "a\nb" * 20, "x" * 513))
    return st.sampled_from(("\x00", "a\n", "ｔｒｕｅ", " a", "a ", "x" * 600))


@pytest.mark.parametrize("name", KEYS)
def test_every_key_says_what_it_is_and_its_default_is_allowed(name: str) -> None:
    key = KEYS[name]
    assert key.help.strip()
    assert key.help[0].isupper()
    assert key.help[-1] not in ".;"
    assert key.form.allowed
    assert key.group
    assert key.file in (ENV, ENV_BOT)
    assert key.form.parse(key.default_text) == key.default == getattr(Settings(), name)
    assert key.secret <= (key.file == ENV), "secrets are kept apart from how the bot trades"


def test_every_switch_says_what_off_means() -> None:
    for name, key in KEYS.items():
        if isinstance(key.form, Switch):
            assert key.off.startswith(("false: ", "true: ")), name
        if isinstance(key.form, Choice) and {"disabled", "none", "off"} & set(key.form.choices):
            assert key.off.split(": ")[0] in key.form.choices, name


def test_the_identity_must_be_given_and_the_rest_has_defaults() -> None:
    assert [line.split(":")[0] for line in told({})] == [
        *("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE", "BOT_ID"),
        *("CURRENCY_CODE", "TIMEZONE", "EXCHANGE_CALENDAR"),
    ]
    assert settings_from(BOT) == demo_settings() == Settings()
    assert settings_from(BOT).identity == "DEMO_USA_SIM_01"


def test_values_have_the_types_that_arithmetic_needs() -> None:
    found = settings_from(BOT | {"TRADING_TRAILING_STOP_PCT": "0.1", "START_TIME_OPEN": "10:05"})
    assert D("0.1") == found.TRADING_TRAILING_STOP_PCT
    assert time(10, 5) == found.START_TIME_OPEN
    assert time(6) == found.TBOT_SUPERVISOR_UTC_HHMM
    kinds = {type(getattr(found, f.name)) for f in fields(found)}
    assert kinds == {bool, int, Decimal, str, tuple, time, Secret}


@pytest.mark.parametrize("name", KEYS)
@each_key
@given(data=st.data())
def test_every_key_round_trips_from_text_to_value_to_text(name: str, data: st.DataObject) -> None:
    form = KEYS[name].form
    text = data.draw(good(form))
    value = form.parse(text)
    assert form.text(value) == text
    assert form.parse(form.text(value)) == value


@pytest.mark.parametrize("name", KEYS)
@each_key
@given(data=st.data())
def test_a_value_outside_its_range_is_refused_by_name(name: str, data: st.DataObject) -> None:
    (line,) = told(BOT | {name: data.draw(bad(KEYS[name].form))})
    assert line.startswith(f"{name} = ")
    assert f"allowed: {KEYS[name].form.allowed}" in line
    assert line.isprintable()


@quick
@given(data=st.data())
def test_as_many_bad_keys_as_many_lines(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(KEYS)), min_size=1, max_size=40))
    values = {name: data.draw(bad(KEYS[name].form)) for name in names}
    lines = told(BOT | values | {"TYPO": "1"})
    assert sorted(line.split(" = ")[0] for line in lines if "TYPO" not in line) == sorted(names)
    assert len(lines) == len(names) + 1


RANGED = [name for name, key in KEYS.items() if isinstance(key.form, Number)]


@pytest.mark.parametrize("name", RANGED)
def test_a_range_includes_its_ends_and_nothing_beyond(name: str) -> None:
    form = KEYS[name].form
    assert isinstance(form, Number)
    for end in (form.low, form.high):
        assert form.parse(f"{end:f}") == end
    assert "below the least" in told(BOT | {name: f"{form.low - 1:f}"})[0]
    assert "above the most" in told(BOT | {name: f"{form.high + 1:f}"})[0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ENTITY_CODE", "../etc", "not of that form"), ("ENTITY_CODE", "", "empty"),
        ("ENTITY_CODE", "demo", "1 to 16 of A-Z"), ("BOT_ID", "A" * 17, "not of that form"),
        ("CURRENCY_CODE", "usd", "not of that form"), ("CURRENCY_CODE", "XTS", "does not exist"),
        ("TIMEZONE", "US/Estern", "did you mean US/Eastern?"),
        ("EXCHANGE_CALENDAR", "XNYZ", "XNYS"), ("LOG_FORMAT", "json", "did you mean JSON?"),
        ("SHORT_TYPE_OPEN", "longput", "did you mean LongPut?"),
        ("DISABLE_ALL_TRADES", "True", "allowed: true, false"),
        ("MAX_TRADES", "1.5", "not a whole number"), ("MAX_TRADES", "010", "write it as 10"),
        ("TOTAL_ALLOCATION", "50%", "not a number of"), ("TRADING_DAYS", "monday", "word 1"),
        ("TRADING_DAYS", "mon,mon", "stands there twice"), ("TRADING_DAYS", "", "0 words"),
        ("MAX_TRADES", "１０", r"'\uff11\uff10'"),  # full-width digits show as what they are
        ("SMTP_HOST", "x" * 600, "(600 characters)"),
        ("TRUSTED_HOSTS", "a.example," * 600, "longer than 4000 characters"),
    ],
)  # fmt: skip
def test_the_reason_says_what_to_do(name: str, text: str, words: str) -> None:
    (line,) = told(BOT | {name: text})
    assert line.startswith(f"{name} = ")
    assert words in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MAX_TRADS", "MAX_TRADS: no such setting (did you mean MAX_TRADES?)"),
        ("max_trades", "'max_trades': no such setting (did you mean MAX_TRADES?)"),
        ("МAX_TRADES", r"'\u041cAX_TRADES': no such setting, it holds U+041C CYRILLIC"),
        ("MAX_TRADES\u200b", "U+200B ZERO WIDTH SPACE (did you mean MAX_TRADES?)"),
        ("HOLDINGS_TAX_RESERVE_PCT", "in the holdings plan"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_what_was_meant(name: str, words: str) -> None:
    (line,) = told(BOT | {name: "hunter2hunter2"})
    assert words in line
    assert "hunter2" not in line, "it may be a secret under a wrong name"


SECRETS = [name for name, key in KEYS.items() if key.secret]
a_secret = st.text("abcdefgh0123456789!$#", min_size=40, max_size=60)


def test_the_secrets_are_those_of_the_services() -> None:
    apart = [
        *("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "FINNHUB_API_KEY", "SMTP_PASSWORD"),
        "FLASK_SECRET_KEY",
    ]
    assert apart == SECRETS


@quick
@given(st.lists(a_secret, min_size=len(SECRETS), max_size=len(SECRETS), unique=True))
def test_no_secret_is_shown_whatever_is_right_or_wrong(texts: list[str]) -> None:
    secrets = dict(zip(SECRETS, texts, strict=True))
    held = settings_from(BOT | secrets | {"SMTP_USERNAME": "bot"})
    assert [getattr(held, name).reveal() for name in SECRETS] == texts
    shown = [repr(held), str(held), f"{held}", repr(vars(held)), repr(held.as_text())]
    shown += [quoted_in_rules(held, *SECRETS)]
    shown += told(BOT | secrets | {"SMTP_USERNAME": "bot", "BROKER_NAME": "IBKR"})
    shown += told(BOT | secrets | {"ALPACA_ENABLED": "true", "NOTIFY_ON_FILL": "true"})
    shown += told(BOT | {name: text + "\x00" for name, text in secrets.items()})
    shown += told(BOT | {f"{name}S": text for name, text in secrets.items()})
    shown += told(BOT | dict.fromkeys(texts, ""))
    for text in texts:
        assert not any(text in words for words in shown)


@quick
@given(data=st.data())
def test_what_is_recorded_gives_the_same_settings_but_for_secrets(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(set(KEYS) - set(SECRETS))), max_size=30))
    held = demo_settings({name: data.draw(good(KEYS[name].form)) for name in names})
    assert demo_settings(held.as_text()) == held


def test_a_new_key_at_its_default_leaves_histories_as_they_were() -> None:
    assert "STRAT_MID_ENABLED" not in Settings().as_text()
    assert Settings(WEB_ENABLED=False).as_text()["WEB_ENABLED"] == "false"
    assert Settings().as_text()["MAX_TRADES"] == "10"


def source_of_other_rooms() -> Iterator[str]:
    for room in "brokers exporters projections runtime screeners strategies web".split():
        for module in sorted((ROOT / room).rglob("*.py")):
            yield module.read_text()


def test_what_the_reference_calls_in_effect_is_what_the_code_reads() -> None:
    """A key that nothing reads must not look as if it did something, nor the other way round."""
    words = {word for code in source_of_other_rooms() for word in re.findall(r"\w+", code)}
    # one that does not fit BROKER_NAME keeps the bot from starting: a rule alone reads it
    by_rule = {key for rule in RULES if "BROKER_NAME" in rule.keys for key in rule.keys}
    assert (words & set(KEYS)) | by_rule == IN_EFFECT


def test_the_reference_is_that_of_the_tables() -> None:
    written = (ROOT / "docs/reference/settings.md").read_text()
    assert written == reference(), "run: python -m config.reference > docs/reference/settings.md"
    rows = [line for line in written.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(KEYS)
    assert all(key.help in row for key, row in zip(KEYS.values(), rows, strict=True))
