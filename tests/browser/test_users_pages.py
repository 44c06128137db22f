"""One's own account and everybody's: who is let change what, and what is said of bad input."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pyotp
import pytest

from aggregates.configuration import STREAM, Configuration
from runtime.mail import MailNotSent
from runtime.settings_change import change_settings
from web import links
from web.shared import shared

GOOD = "harbour violin compass"
BAD_NAMES = [
    "", " ", "x", "x" * 33, "x" * 5000, "<script>alert(1)</script>", "ann\0", "аdmin", "ａｄｍｉｎ",
    "ADMIN", "a b", "../etc", "'; drop table users --", "\u202eadmin",
]  # fmt: skip


def form(client: Any, address: str, at: str, **fields: Any) -> Any:
    """Send a form of a user's page as that page gave it."""
    seen = re.search(r'name="seen" value="([^"]*)"', client.get(address).text)
    return client.post(f"{address}/{at}", data={"seen": seen[1] if seen else "", **fields})


def link_in(page: str) -> str:
    found = re.search(r"https://localhost(/reset/[\w-]{43})", page)
    return found[1] if found else ""


def named(provisioned: Any, name: str) -> Any:
    with provisioned.people() as people:
        return people.users.named(name)


def place_of(provisioned: Any, role: str) -> str:
    return f"/users/{provisioned.ids[role]}"


def test_a_new_user_sets_the_first_password_by_a_link_shown_once(provisioned: Any) -> None:
    admin = provisioned.client("admin")
    assert '<option value="viewer" selected' in admin.get("/users/new").text  # DEFAULT_USER_ROLE
    made = admin.post("/users/new", data={"name": "Eve", "role": "accountant", "email": ""})
    assert made.status_code == 303
    page = admin.get(made.headers["Location"]).text
    link = link_in(page)
    assert link
    assert "eve" in page
    assert not link_in(admin.get(made.headers["Location"]).text)
    eve = provisioned.client(None)
    assert "User name eve" in eve.get(link).text
    faulty = eve.post(link, data={"new": GOOD, "again": "other"})
    assert (faulty.status_code, "not the same" in faulty.text) == (422, True)
    assert "at least 12" in eve.post(link, data={"new": "short", "again": "short"}).text
    assert eve.post(link, data={"new": GOOD, "again": GOOD}).status_code == 303
    assert eve.get(link).status_code == 410  # once
    assert eve.post(link, data={"new": GOOD, "again": GOOD}).status_code == 410
    assert eve.post("/sign-in", data={"name": "eve", "password": GOOD}).status_code == 303
    assert eve.get("/users").status_code == 403


def test_nobody_signs_in_before_the_link_was_used(provisioned: Any) -> None:
    provisioned.client("admin").post("/users/new", data={"name": "eve", "role": "viewer"})
    client = provisioned.client(None)
    for password in ("", "eve", GOOD):
        answer = client.post("/sign-in", data={"name": "eve", "password": password})
        assert answer.status_code in (401, 422)


def test_a_link_expires_and_a_newer_one_ends_an_older(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    links = []
    for _ in range(2):
        form(admin, place, "reset")
        links.append(link_in(admin.get(place).text))
    visitor = provisioned.client(None)
    assert [visitor.get(link).status_code for link in links] == [410, 200]
    provisioned.later(minutes=30)
    gone = visitor.post(links[1], data={"new": GOOD, "again": GOOD})
    assert gone.status_code == 410
    assert "your password is what it was" in gone.text
    assert visitor.get("/reset/" + "x" * 43).status_code == 410


def test_a_link_ends_with_a_deactivation_and_signs_out_everywhere(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    viewer = provisioned.client("viewer")
    form(admin, place, "reset")
    link = link_in(admin.get(place).text)
    done = provisioned.client(None).post(link, data={"new": GOOD, "again": GOOD})
    assert done.status_code == 303
    assert viewer.get("/ledger").status_code == 303
    form(admin, place, "reset")
    link = link_in(admin.get(place).text)
    form(admin, place, "deactivate", reason="left")
    assert provisioned.client(None).get(link).status_code == 410


def test_the_same_form_sent_twice_counts_once(provisioned: Any) -> None:
    admin = provisioned.client("admin")
    twice = {"name": "eve", "role": "viewer", "email": "", "command_id": "ab" * 16}
    first, second = (admin.post("/users/new", data=twice) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert link_in(admin.get(first.headers["Location"]).text)  # that of the first still stands
    assert admin.get("/users").text.count(">eve<") == 1


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_is_said_beside_its_field(provisioned: Any, name: str) -> None:
    admin = provisioned.client("admin")
    answer = admin.post("/users/new", data={"name": name, "role": "viewer", "email": "e@b.org"})
    assert answer.status_code == 422
    assert 'id="name-fault"' in answer.text
    assert "<script>alert" not in answer.text
    assert 'value="e@b.org"' in answer.text  # what was typed stays
    assert len(provisioned.client("admin").get("/users").text.split("<tr>")) == 7


@pytest.mark.parametrize(
    ("field", "text"),
    [("role", ""), ("role", "root"), ("role", "ADMIN"), ("role", "<b>"), ("email", "x"),
     ("email", "a@b\r\nBcc: c@d.org"), ("email", "x" * 300 + "@b.org")],
)  # fmt: skip
def test_a_role_or_address_that_cannot_be_is_said(provisioned: Any, field: str, text: str) -> None:
    data = {"name": "eve", "role": "viewer", "email": "", field: text}
    answer = provisioned.client("admin").post("/users/new", data=data)
    assert (answer.status_code, f'id="{field}-fault"' in answer.text) == (422, True)
    assert named(provisioned, "eve") is None


def test_a_form_without_its_fields_is_refused_not_failed(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    for address in ("/users/new", "/account/password", "/account/second-factor/remove"):
        assert admin.post(address).status_code == 422, address
    for at in ("role", "deactivate"):
        assert admin.post(f"{place}/{at}").status_code == 409  # without what the form was made for
    nameless = admin.post("/users/new", data={"name": "eve", "role": "viewer", "command_id": "x"})
    assert nameless.status_code == 400
    assert named(provisioned, "eve") is None


def test_a_role_changes_with_a_reason_and_ends_the_sessions(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    viewer = provisioned.client("viewer")
    refused = form(admin, place, "role", role="operator", reason=" ")
    assert (refused.status_code, "A reason is needed" in refused.text) == (422, True)
    assert '<option value="operator" selected' in refused.text
    assert viewer.get("/ledger").status_code == 200
    form(admin, place, "role", role="operator", reason="new work <b>")
    assert named(provisioned, "viewer").role == "operator"
    assert viewer.get("/ledger").status_code == 303
    shown = admin.get("/activity").text
    assert "role viewer → operator: new work &lt;b&gt;" in shown


def test_nobody_changes_his_own_role_and_the_last_admin_stays(provisioned: Any) -> None:
    admin, mine = provisioned.client("admin"), place_of(provisioned, "admin")
    assert "change_role-role" not in admin.get(mine).text
    assert "own role" in form(admin, mine, "role", role="viewer", reason="r").text
    left = form(admin, mine, "deactivate", reason="r")
    assert (left.status_code, "last active admin" in left.text) == (422, True)
    assert named(provisioned, "admin").active


def test_the_second_of_two_admins_is_told_and_loses_nothing(provisioned: Any) -> None:
    first, second = provisioned.client("admin"), provisioned.client("admin")
    place = place_of(provisioned, "viewer")
    seen = re.search(r'name="seen" value="([^"]*)"', second.get(place).text)
    assert seen
    form(first, place, "role", role="operator", reason="first")
    data = {"role": "accountant", "reason": "second thoughts", "seen": seen[1]}
    late = second.post(f"{place}/role", data=data)
    assert late.status_code == 409
    assert "changed meanwhile" in late.text
    assert "second thoughts" in late.text
    assert '<option value="accountant" selected' in late.text
    assert named(provisioned, "viewer").role == "operator"


@pytest.mark.parametrize("user_id", ["x", "0" * 16, "%00", "x" * 3000])
def test_a_user_that_is_not_there_is_not_there(provisioned: Any, user_id: str) -> None:
    admin = provisioned.client("admin")
    assert admin.get(f"/users/{user_id}").status_code == 404
    assert admin.post(f"/users/{user_id}/role", data={"role": "admin"}).status_code == 404


def test_another_users_id_changes_nothing_for_who_may_not(provisioned: Any) -> None:
    viewer, place = provisioned.client("viewer"), place_of(provisioned, "operator")
    for at in ("role", "deactivate", "reset", "second-factor/remove"):
        assert (
            viewer.post(f"{place}/{at}", data={"role": "viewer", "reason": "r"}).status_code == 403
        )
    operator = named(provisioned, "operator")
    assert (operator.role, operator.active) == ("operator", True)
    # one's own pages take no id at all: what is sent along is not looked at
    data = {"user_id": provisioned.ids["operator"]}
    viewer.post("/account/sign-out-everywhere", data=data)
    assert named(provisioned, "operator").era == 0


def test_a_deactivated_user_is_out_and_may_come_back(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    viewer = provisioned.client("viewer")
    form(admin, place, "deactivate", reason="on leave")
    assert viewer.get("/ledger").status_code == 303
    page = admin.get(place).text
    assert "deactivated" in page
    assert "Make a one-time link" not in page
    assert form(admin, place, "reset").status_code == 409
    form(admin, place, "reactivate", reason="is back")
    assert provisioned.client("viewer").get("/ledger").status_code == 200
    assert viewer.get("/ledger").status_code == 303


def test_in_the_past_nobody_is_changed(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    answer = admin.post(f"{place}/deactivate?as_of=2026-01-31", data={"reason": "r"})
    assert answer.status_code == 409
    assert named(provisioned, "viewer").active


def test_in_the_past_users_are_as_they_were_known_then(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    with provisioned.app.app_context():
        ask = partial(shared().queries.events, topics=("User.Registered",))
        second, before = ask()[1].position, shared().queries.newest()
    form(admin, place, "deactivate", reason="left")
    then = admin.get(f"/users?known_at={before}").text
    assert "<td>deactivated" not in then
    assert "<td>deactivated" in admin.get("/users").text
    few = admin.get(f"/users?known_at={second}").text
    assert ">admin</a>" in few
    assert ">operator</a>" not in few
    assert "New user" not in few
    assert "Nobody was registered" in admin.get("/users?known_at=1").text
    listed = admin.get(f"/activity?known_at={second}").text
    assert provisioned.ids["admin"] in listed
    assert provisioned.ids["operator"] not in listed
    one = admin.get(f"{place}?known_at={before}").text
    assert "deactivated" not in one
    assert 'method="post"' not in one.partition("<main")[2]
    assert admin.get(f"{place}?known_at={second - 1}").status_code == 404


def test_ones_own_account_in_the_past_says_that_it_shows_the_present(provisioned: Any) -> None:
    page = provisioned.client("viewer").get("/account?known_at=5").text.partition("<main")[2]
    assert "as it is now" in page
    assert 'method="post"' not in page
    assert 'href="/account"' in page


def test_events_name_people_and_say_what_was_done_to_whom(provisioned: Any) -> None:
    admin, place = provisioned.client("admin"), place_of(provisioned, "viewer")
    form(admin, place, "deactivate", reason="left")
    history = admin.get("/history?type=User.Deactivated").text
    assert "viewer · left" in history
    event = re.search(r'class="event" href="([^"]+)"', history)
    assert event
    assert f"<dd>admin <small>{provisioned.ids['admin']}</small></dd>" in admin.get(event[1]).text


def test_activity_tells_of_the_keys_too(provisioned: Any) -> None:
    with provisioned.people() as people:
        people.custody.change(actor="recovery", command_id="restored")
    everything = provisioned.client("compliance").get("/activity").text
    assert "all keys rotated" in everything
    assert "keys restored with the recovery key" in everything


def test_activity_is_filtered_by_person_and_kind_and_shown_to_reviewers(provisioned: Any) -> None:
    provisioned.client(None).post("/sign-in", data={"name": "viewer", "password": "wrong lantern"})
    provisioned.client("viewer").get("/users")
    client = provisioned.client("compliance")
    everything = client.get("/activity").text
    assert "failed to sign in from 127.0.0.1: password" in everything
    assert "was refused GET users.every as viewer" in everything
    assert "registered admin as admin" in everything
    failures = client.get("/activity?kind=failures").text
    assert "failed to sign in" in failures
    assert "was refused" not in failures
    other = client.get(f"/activity?user={provisioned.ids['operator']}").text
    assert "failed to sign in" not in other
    assert "registered operator as operator" in other
    for bad in ("kind=%3Cb%3E", "user=x", "before=x", "before=0"):
        assert client.get(f"/activity?{bad}").status_code == 400
    assert "Nothing to show" in client.get("/activity?kind=accounts&before=1").text


def set_settings(provisioned: Any, **texts: str) -> None:
    with provisioned.people() as people:
        revision = people.custody.store.load(Configuration, STREAM).revision
        change_settings(
            people.custody, texts, seen=revision, actor="x", reason="test", command_id="settings"
        )


def test_who_must_have_a_second_factor_gets_no_further_without(provisioned: Any) -> None:
    admin, viewer = provisioned.client("admin"), provisioned.client("viewer")
    set_settings(provisioned, REQUIRE_SECOND_FACTOR="true")
    assert viewer.get("/ledger").status_code == 200  # asked of admin and operator alone
    led = admin.get("/users")
    assert (led.status_code, led.headers["Location"]) == (303, "/account")
    assert "needs a second factor" in admin.get("/account").text
    post = admin.post("/users/new", data={"name": "eve", "role": "viewer"})
    assert post.headers["Location"] == "/account"
    assert named(provisioned, "eve") is None
    page = admin.get("/account/second-factor").text
    secret = page.split('<code class="once">')[1].split("</code>")[0].replace(" ", "")
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    wrong = admin.post("/account/second-factor", data={"code": "000000"})
    assert (wrong.status_code, "present code" in wrong.text) == (422, True)
    assert admin.post("/account/second-factor", data={"code": code}).status_code == 303
    assert admin.get("/users").status_code == 200


def test_a_link_goes_by_mail_where_there_is_one(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(links, "send", lambda _s, to, _subject, text: sent.append((to, text)))
    set_settings(provisioned, SMTP_HOST="mail.example.org", SMTP_SENDER="bot@example.org")
    admin = provisioned.client("admin")
    data = {"name": "eve", "role": "viewer", "email": "eve@example.org"}
    page = admin.get(admin.post("/users/new", data=data).headers["Location"]).text
    assert "mailed to eve@example.org" in page
    assert not link_in(page)  # not even the admin sees it
    ((to, text),) = sent
    assert to == "eve@example.org"
    done = provisioned.client(None).post(link_in(text), data={"new": GOOD, "again": GOOD})
    assert done.status_code == 303


def test_a_link_that_cannot_be_mailed_is_shown_instead(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MailNotSent("The mail server x did not take the mail (down).")

    monkeypatch.setattr(links, "send", fail)
    set_settings(provisioned, SMTP_HOST="mail.example.org", SMTP_SENDER="bot@example.org")
    admin = provisioned.client("admin")
    data = {"name": "eve", "role": "viewer", "email": "eve@example.org"}
    page = admin.get(admin.post("/users/new", data=data).headers["Location"]).text
    assert "did not take the mail (down)" in page
    assert link_in(page)
