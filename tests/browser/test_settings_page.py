"""The settings page for each role: two steps, two admins, the past, and every bad input."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from aggregates.configuration import AdoptSettings
from config.setting_model import KEYS
from runtime.queries import Queries
from runtime.settings_change import current_settings
from web.app import create_app

CANARY = "hunter2-hunter2-canary"
SECRETS = [name for name, key in KEYS.items() if key.secret]


@pytest.fixture
def admin(provisioned: Any) -> Any:
    return provisioned.client("admin")


def held(provisioned: Any) -> Any:
    with provisioned.people() as people:
        return current_settings(people.custody)


def fields_of(html: str) -> dict[str, list[str]]:
    """What a browser would send of the form on the page."""
    form = html[html.index('<form class="form"') :]
    form = form[: form.index("</form>")]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<(?:input|select.*?</select)[^>]*>?", form, re.DOTALL):
        name = re.search(r'name="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name is None or ("checkbox" in tag and " checked" not in tag):
            continue
        if tag.startswith("<select"):
            value = re.search(r'<option value="([^"]*)" selected', tag)
        sent.setdefault(unescape(name[1]), []).append(unescape(value[1] if value else ""))
    return sent


def opened(client: Any, address: str = "/settings", **typed: str | list[str]) -> dict[str, Any]:
    """The form as it stands, with some fields typed anew."""
    page = client.get(address)
    assert page.status_code == 200
    return own(page.text) | typed


def own(html: str) -> dict[str, Any]:
    sent = fields_of(html)
    return {name: values for name, values in sent.items() if name not in ("csrf", "command_id")}


def reviewed(client: Any, form: dict[str, Any]) -> dict[str, Any]:
    """Through the first step: the form of the difference."""
    page = client.post("/settings/review", data=form)
    assert page.status_code == 200, page.text
    assert "What would change" in page.text
    return own(page.text)


def save(client: Any, **typed: str | list[str]) -> Any:
    return client.post("/settings", data=dict(reviewed(client, opened(client, **typed))))


# Looking


def test_every_setting_is_there_with_all_that_one_must_know(admin: Any) -> None:
    html = admin.get("/settings").text
    for name in KEYS:
        assert f'id="{name}"' in html
        assert f'id="{name}-help"' in html
        assert html.count(f'id="{name}"') == 1
    assert 'href="#group-risk-limits"' in html
    assert "Allowed: 0 to 500 trades" in html
    assert "needs restart" in html
    assert re.search(r'id="START_TIME_OPEN"[^>]*type="time" value="09:30"', html)
    assert re.search(r'<select id="LOG_FORMAT".*?<option value="JSON" selected>', html, re.DOTALL)


def test_the_form_as_it_stands_changes_nothing(admin: Any) -> None:
    page = admin.post("/settings/review", data=dict(opened(admin)))
    assert page.status_code == 200
    assert "Nothing differs from what is in force" in page.text
    assert 'class="faults"' not in page.text


@pytest.mark.parametrize("role", ["viewer", "accountant", "compliance", "operator"])
def test_others_read_what_is_no_secret(provisioned: Any, role: str) -> None:
    client = provisioned.client(role)
    html = client.get("/settings").text
    assert "MAX_TRADES" in html
    assert "secret, not shown" in html
    assert "/settings/review" not in html
    assert "not set" not in html
    for address in ("/settings", "/settings/review", "/settings/check", "/settings/edit"):
        assert client.post(address, data={"seen": "1", "MAX_TRADES": "5"}).status_code == 403
    assert held(provisioned).MAX_TRADES == 10


def test_a_demo_shows_its_settings_and_changes_none(client: Any) -> None:
    assert "No settings were in force" in client.get("/settings").text  # the sample adopts none
    assert client.get("/settings/history").status_code == 200


# Changing


def test_a_change_goes_through_the_difference_to_the_history(provisioned: Any, admin: Any) -> None:
    form = opened(admin, MAX_TRADES="5", WEB_PORT="7000", FRACTIONAL=["false"])
    page = admin.post("/settings/review", data=form).text
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", page)]
    assert [cells[i : i + 3] for i in range(0, 12, 4)] == [
        ["true", "false", "the next session"], ["10", "5", "the next session"],
        ["6900", "7000", "the next restart"],
    ]  # fmt: skip
    assert held(provisioned).MAX_TRADES == 10, "nothing is saved yet"
    answer = admin.post("/settings", data=dict(own(page) | {"reason": "a calm week"}))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings")
    assert "The settings are saved" in admin.get("/settings").text
    assert "The settings are saved" not in admin.get("/settings").text
    found = held(provisioned)
    assert (found.MAX_TRADES, found.WEB_PORT, found.FRACTIONAL) == (5, 7000, False)
    history = admin.get("/settings/history").text
    assert "Revision 2" in history
    assert "by admin" in history
    assert "Why: a calm week." in history


def test_a_form_that_is_sent_twice_counts_once(admin: Any) -> None:
    form = reviewed(admin, opened(admin, MAX_TRADES="5", SMTP_USERNAME="b", SMTP_PASSWORD=CANARY))
    form |= {"command_id": "ab" * 16}
    answers = [admin.post("/settings", data=form) for _ in range(3)]
    assert [a.status_code for a in answers] == [303] * 3
    assert "Revision 3" not in admin.get("/settings/history").text


def test_going_on_editing_keeps_what_was_typed(admin: Any) -> None:
    form = reviewed(admin, opened(admin, MAX_TRADES="5", SMTP_USERNAME="b", SMTP_PASSWORD=CANARY))
    page = admin.post("/settings/edit", data=form)
    assert 'id="MAX_TRADES" name="MAX_TRADES" type="text" value="5"' in page.text
    assert "new value typed: kept until you save" in page.text
    assert "SMTP_PASSWORD" in admin.post("/settings/review", data=own(page.text)).text


def test_going_back_fills_the_form_with_older_values(provisioned: Any, admin: Any) -> None:
    save(admin, MAX_TRADES="5", WEB_PORT="7000")
    assert "/settings?from=1" in admin.get("/settings/history").text
    form = opened(admin, "/settings?from=1")
    assert (form["MAX_TRADES"], form["WEB_PORT"]) == (["10"], ["6900"])
    admin.post("/settings", data=dict(reviewed(admin, form)))
    assert (held(provisioned).MAX_TRADES, held(provisioned).WEB_PORT) == (10, 6900)
    assert admin.get("/settings?from=9").status_code == 404
    assert admin.get("/settings?from=x").status_code == 400


# Secrets


def test_a_secret_is_typed_replaced_and_cleared_and_never_shown(
    provisioned: Any, admin: Any
) -> None:
    form = opened(admin, SMTP_USERNAME="bot", SMTP_PASSWORD=CANARY)
    pages = [admin.post("/settings/review", data=form)]
    pages += [admin.post("/settings/check", data=form)]
    pages += [admin.post("/settings/review", data=dict(form | {"MAX_TRADES": "x"}))]
    pages += [admin.post("/settings/edit", data=dict(own(pages[0].text)))]
    pages += [admin.post("/settings", data=dict(own(pages[0].text)))]
    assert held(provisioned).SMTP_PASSWORD.reveal() == CANARY
    pages += [admin.get(a) for a in ("/settings", "/settings/history", "/history", "/history/4")]
    newest = held_events(admin)
    pages += [admin.get(f"/history/{n}") for n in range(4, newest + 1)]
    assert not any(CANARY in page.text for page in pages)
    assert "clear SMTP_PASSWORD" in pages[5].text
    save(admin, SMTP_USERNAME="", clear="SMTP_PASSWORD")
    assert not held(provisioned).SMTP_PASSWORD
    told = admin.get("/settings/history").text
    assert [told.count(f'<td class="after">{word}</td>') for word in ("set", "cleared")] == [1, 1]


def held_events(client: Any) -> int:
    found = re.search(r"newest event (\d+)", client.get("/history").text)
    assert found
    return int(found[1])


def test_what_another_admin_typed_is_not_to_be_had(provisioned: Any, admin: Any) -> None:
    form = reviewed(admin, opened(admin, SMTP_USERNAME="bot", SMTP_PASSWORD=CANARY))
    with provisioned.people() as people:
        people.register("eve", "lantern orchid walnut table", "admin", actor="u", command_id="eve")
    eve = provisioned.client("eve")
    page = eve.post("/settings", data=form)
    assert page.status_code == 422
    assert "were not kept" in page.text
    assert not held(provisioned).SMTP_PASSWORD


# Two admins, the past


def test_the_second_of_two_sees_the_difference_and_loses_nothing(
    provisioned: Any, admin: Any
) -> None:
    mine = opened(admin, MAX_TRADES="7", MAX_OPEN_POSITIONS="3")
    late = reviewed(admin, mine)
    save(provisioned.client("admin"), MAX_TRADES="5", WEB_PORT="7000")
    for page in (
        admin.post("/settings/review", data=mine),
        admin.post("/settings", data=late),
    ):
        assert page.status_code == 409
        assert "The settings were changed while you were editing" in page.text
        assert "yours will replace theirs" in page.text
        form = own(page.text)
        assert form["MAX_TRADES"] == ["7"]
        assert form["MAX_OPEN_POSITIONS"] == ["3"]
        assert form["WEB_PORT"] == ["7000"], "what the other changed alone stays"
        assert form["seen"] == ["2"]
    assert held(provisioned).MAX_TRADES == 5
    admin.post("/settings", data=dict(reviewed(admin, form)))
    found = held(provisioned)
    assert (found.MAX_TRADES, found.MAX_OPEN_POSITIONS, found.WEB_PORT) == (7, 3, 7000)


def test_the_past_shows_what_was_in_force_and_changes_nothing(provisioned: Any, admin: Any) -> None:
    before = held_events(admin)
    form = reviewed(admin, opened(admin, MAX_TRADES="5"))
    admin.post("/settings", data=form)
    then = admin.get(f"/settings?known_at={before}").text
    assert "read only" in then
    assert "Secrets have no past" in then
    assert "/settings/review" not in then
    row = re.search(r"<code>MAX_TRADES</code>.*?</tr>", then, re.DOTALL)
    assert row
    assert "10" in row[0]
    answer = admin.post(f"/settings?known_at={before}", data=dict(form | {"MAX_TRADES": "9"}))
    assert answer.status_code in (400, 409)
    assert held(provisioned).MAX_TRADES == 5
    assert "No settings were in force" in admin.get("/settings?known_at=1").text


# Bad input

BAD = [
    ("MAX_TRADES", "", "not a number"), ("MAX_TRADES", "9" * 5000, "not a number"),
    ("MAX_TRADES", "１０", r"&#39;\uff11\uff10&#39;"),
    ("MAX_TRADES", "<script>x</script>", "not a number"),
    ("MAX_TRADES", "5\x00", "not a number"), ("MAX_TRADES", ["5", "6"], "more than once"),
    ("LOG_FORMAT", "XML", "no such choice"), ("FRACTIONAL", "maybe", "neither true nor false"),
    ("START_TIME_OPEN", "25:00", "not a time"), ("SMTP_HOST", "a b", "not of that form"),
    ("TRADING_DAYS", "mon,mon", "stands there twice"), ("ENTITY_CODE", "EVIL", "fixed once"),
    ("SMTP_PASSWORD", "x" * 600, "too short or too long"), ("MAX_TRADS", "5", "did you mean"),
    ("FLASK_SECRET_KEY", "'\"" + "x" * 40, "holds both kinds"), ("clear", "MAX_TRADES", "secrets"),
    ("<img src=x>", "1", "not the name of a setting"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_bad_input_is_told_and_kept_and_changes_nothing(
    provisioned: Any, admin: Any, name: str, value: str | list[str], words: str
) -> None:
    form = opened(admin, MAX_RISK_PER_TRADE="0.004") | {name: value}
    for address in ("/settings/review", "/settings"):
        page = admin.post(address, data=form)
        assert page.status_code == 422
        assert words in page.text
        assert "<script>x" not in page.text
        assert "<img" not in page.text
        assert "\x00" not in page.text
        assert own(page.text)["MAX_RISK_PER_TRADE"] == ["0.004"], "what was typed stays"
    checked = admin.post("/settings/check", data=form)
    assert checked.status_code == 200
    assert words in checked.text
    assert f"{held(provisioned).MAX_RISK_PER_TRADE}" == "0.005"


@pytest.mark.parametrize("seen", ["", "0", "2", "-1", "１", "1.0", "x" * 300, "\x00"])
def test_a_form_that_was_opened_on_no_revision_is_refused(admin: Any, seen: str) -> None:
    for address in ("/settings/review", "/settings/check", "/settings/edit", "/settings"):
        page = admin.post(address, data={"MAX_TRADES": "5", "seen": seen})
        assert page.status_code == 400
        assert "Nothing was changed" in page.text


def test_a_form_may_leave_settings_out(provisioned: Any, admin: Any) -> None:
    admin.post("/settings", data={"seen": "1", "MAX_TRADES": "5"})
    assert (held(provisioned).MAX_TRADES, held(provisioned).FRACTIONAL) == (5, True)


@pytest.mark.parametrize("reason", ["x" * 501, "a\x00b"])
def test_a_reason_that_cannot_be_kept_is_told_beside_it(
    provisioned: Any, admin: Any, reason: str
) -> None:
    form = reviewed(admin, opened(admin, MAX_TRADES="5")) | {"reason": reason}
    page = admin.post("/settings", data=form)
    assert page.status_code == 422
    assert 'id="reason-fault"' in page.text
    assert own(page.text)["MAX_TRADES"] == ["5"]
    assert held(provisioned).MAX_TRADES == 10


def test_a_contradiction_stands_beside_both_fields_while_one_types(admin: Any) -> None:
    page = admin.post(
        "/settings/check", data={"seen": "1", "MIN_PRICE": "50", "MAX_PRICE": "10"}
    ).text
    said = re.findall(r'id="(\w+)-faults"[^>]*><p class="fault">', page)
    assert said == ["MIN_PRICE", "MAX_PRICE"]
    assert page.count('hx-swap-oob="true"') == len(KEYS)
    fine = admin.post("/settings/check", data={"seen": "1", "MIN_PRICE": "6"}).text
    assert "1 changed, and nothing is wrong: MIN_PRICE" in fine
    assert "Nothing is changed yet" in admin.post("/settings/check", data={"seen": "1"}).text


def test_a_folder_without_a_vault_shows_its_settings_and_changes_none(growing: Any) -> None:
    growing.do(AdoptSettings, values={"MAX_TRADES": "17", "LOG_FORMAT": "CSV"}, reason="made")
    client = create_app(Queries(growing.folder)).test_client()
    page = client.get("/settings").text
    assert re.search(r"<code>MAX_TRADES</code>.*?>17<.*?</tr>", page, re.DOTALL)
    assert "Show the difference" not in page
    assert "2 settings were adopted" in client.get("/settings/history").text
    assert client.post("/settings", data={"seen": "1", "MAX_TRADES": "5"}).status_code == 403
