"""The door under attack: what somebody tries who knows the rules, and what a wrong clock does."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from aggregates.errors import TradeBotError
from aggregates.users import user_stream
from eventstore import mapper
from runtime.custody import Custody
from runtime.people import People
from security import vault
from web import links
from web.door import door
from web.sessions import Limits, Sessions, Throttle
from web.users import seen

NEW, OTHER = "granite meadow pelican", "velvet harpoon cinnamon"
NUMBER = "d" * 32
GOOD = {role: f"lantern orchid {role[::-1]} walnut" for role in ("admin", "viewer", "operator")}


def enter(client: Any, name: str, password: str, address: str = "127.0.0.1") -> int:
    answer = client.post(
        "/sign-in",
        data={"name": name, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )
    return int(answer.status_code)


def failures(bot: Any) -> list[dict[str, Any]]:
    found = bot.app.extensions["tradebot"].queries.events(topics=("User.SignInFailed",))
    return [event.payload for event in found]


# -- a form's number that comes again with something else --------------------------------------


def change(client: Any, present: str, new: str) -> Any:
    return client.post(
        "/account/password",
        data={"present": present, "new": new, "again": new, "command_id": NUMBER},
    )


def test_a_second_password_under_one_number_is_said_not_to_be_set(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    assert change(client, GOOD["viewer"], NEW).status_code == 303
    client.get("/account")
    refused = change(client, NEW, OTHER)
    assert refused.status_code == 409
    assert "carried out before with other content" in refused.text
    assert "is changed. Every other" not in client.get("/account").text
    with provisioned.people() as people:
        assert people.proven("viewer", NEW)
        assert people.proven("viewer", OTHER) is None


def test_a_factor_enrolled_anew_is_removed_anew_under_one_number(provisioned: Any) -> None:
    for number in ("one", "two"):
        enrolled(provisioned, "viewer", number)
        client = provisioned.client("viewer")
        typed = {"proof": GOOD["viewer"], "command_id": NUMBER}
        assert client.post("/account/second-factor/remove", data=typed).status_code == 303
        with provisioned.people() as people:
            assert not people.users.people[provisioned.ids["viewer"]].second_factor


def test_a_recovery_code_opens_once_whatever_number_comes_with_it(provisioned: Any) -> None:
    codes = enrolled(provisioned, "operator")
    for code, answer in ((codes[0], 303), (codes[1], 303), (codes[1], 401), (codes[0], 401)):
        client = provisioned.client(None)
        enter(client, "operator", GOOD["operator"])
        typed = {"code": code, "command_id": NUMBER}
        assert client.post("/sign-in/code", data=typed).status_code == answer
    with provisioned.people() as people:
        assert people.recovery_codes_left(provisioned.ids["operator"]) == 8


def enrolled(bot: Any, role: str, number: str = "enrol") -> list[str]:
    """Recovery codes of a second factor."""
    with bot.people() as people:
        user_id, secret = bot.ids[role], people.new_factor()
        code = pyotp.TOTP(secret).at(bot.clock.now())
        return people.enrol(user_id, secret, code, actor=user_id, command_id=number)


# -- counting tries ----------------------------------------------------------------------------


def test_a_name_counts_as_one_however_it_is_written(provisioned: Any) -> None:
    client = provisioned.client(None)
    spelt = ["admin" + " " * 60 + f"x{n}" for n in range(2)] + [" Admin", "ＡＤＭＩＮ", "admin "]
    codes = [enter(client, name, "wrong", f"10.0.0.{n}") for n, name in enumerate(spelt)]
    assert codes == [401] * 5
    assert enter(client, "admin" + " " * 60 + "y", GOOD["admin"], "10.0.1.1") == 429
    assert enter(client, "admin", GOOD["admin"], "10.0.1.2") == 429


def test_a_home_with_many_ipv6_addresses_counts_as_one(provisioned: Any) -> None:
    client = provisioned.client(None)
    codes = [enter(client, f"name{n}", "wrong", f"2001:db8::{n:x}:1") for n in range(21)]
    assert codes == [401] * 20 + [429]
    assert enter(client, "name", "wrong", "2001:db8:0:1::1") == 401  # the neighbours' home
    assert enter(client, "name", "wrong", "::ffff:10.0.0.1") == 401  # IPv4, each for itself
    assert enter(client, "viewer", GOOD["viewer"], "not an address") == 303


def test_strangers_cannot_fill_the_history(provisioned: Any, caplog: Any) -> None:
    client = provisioned.client(None)
    door_of(provisioned).visitors_an_hour = 3
    for n in range(5):
        assert enter(client, f"name{n}", "wrong", f"10.0.0.{n}") == 401
    assert len(failures(provisioned)) == 3
    assert "names that nobody has" in caplog.text
    enter(client, "viewer", "wrong", "10.0.1.1")
    assert failures(provisioned)[-1]["cause"] == "password"  # of a user each one is recorded
    provisioned.later(hours=1)
    enter(client, "name9", "wrong", "10.0.1.2")
    assert len(failures(provisioned)) == 5


def door_of(bot: Any) -> Any:
    with bot.app.app_context():
        return door()


def test_a_long_past_at_the_door_is_not_read_for_one_more_try(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of an answer told which names have users, and grew without end."""
    client = provisioned.client(None)
    for _ in range(2):
        assert enter(client, "viewer", "wrong") == 401
    opened: list[Any] = []
    real = mapper.open_row
    monkeypatch.setattr(mapper, "open_row", lambda *a: (opened.append(a[1][1]), real(*a))[1])
    assert enter(client, "viewer", "wrong") == 401
    assert user_stream(provisioned.ids["viewer"]) not in opened
    assert len(failures(provisioned)) == 3


# -- rights that end, and admins who stay ------------------------------------------------------


def test_the_last_admin_who_can_sign_in_stays(provisioned: Any) -> None:
    client, me = provisioned.client("admin"), provisioned.ids["admin"]
    client.post("/users/new", data={"name": "bob", "role": "admin", "email": ""})
    with provisioned.people() as people:
        bob = people.users.named("bob")
        form = {"seen": seen(people.users.people[me]), "reason": "leaving"}
    refused = client.post(f"/users/{me}/deactivate", data=form)
    assert refused.status_code == 422
    assert "no other admin who can sign in" in refused.text
    with provisioned.people() as people:
        people.set_password(bob.id, NEW, actor=bob.id, command_id="bob")
    assert client.post(f"/users/{me}/deactivate", data=form).status_code == 303


def test_nobody_lifts_the_own_factor_or_password_as_an_admin(provisioned: Any) -> None:
    enrolled(provisioned, "admin")
    client, me = provisioned.client("admin"), provisioned.ids["admin"]
    with provisioned.people() as people:
        form = {"seen": seen(people.users.people[me]), "reason": "x"}
    for place in ("second-factor/remove", "reset"):
        refused = client.post(f"/users/{me}/{place}", data=form)
        assert refused.status_code == 403
        assert "your account page" in refused.text
    with provisioned.people() as people:
        assert people.users.people[me].second_factor
    page = client.get(f"/users/{me}").text
    assert "/reset" not in page
    assert "second-factor/remove" not in page


CHANGES = {
    "/users/new": {"name": "mallory", "role": "admin", "email": ""},
    "/settings": {"seen": "1", "MAX_TRADES": "5"},
    "/accounts/edit/rename": {"seen": "1", "code": "5020", "name": "Fees", "reason": "shorter"},
}
ENDS = {"deactivate": ("fired",), "change_role": ("viewer", "less"), "sign_out_everywhere": ()}


@pytest.mark.parametrize(
    ("place", "ends"),
    [
        *((place, "deactivate") for place in CHANGES),
        ("/users/new", "change_role"),
        ("/users/new", "sign_out_everywhere"),
    ],
)
def test_a_change_that_waited_is_refused_when_its_right_has_ended(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch, place: str, ends: str
) -> None:
    client = bob_of(provisioned)
    data = CHANGES[place] | {"csrf": client.token(), "command_id": NUMBER}
    with provisioned.people() as people:
        custody, change = people.custody, people.custody.change

    def held_up(*commands: Any, **more: Any) -> Any:
        """As if this request had waited for another one's change."""
        monkeypatch.undo()
        end_right(provisioned, ends)
        return change(*commands, **more)

    before = custody.generation().number
    monkeypatch.setattr(custody, "change", held_up)
    refused = client.post(place, data=data)
    assert refused.status_code == 403
    assert "Nothing was changed" in refused.text
    rotations = 0 if ends == "sign_out_everywhere" else 1  # that of what ended the right
    assert custody.generation().number == before + rotations


@pytest.mark.parametrize("place", CHANGES)
def test_who_still_may_is_not_held_up(provisioned: Any, place: str) -> None:
    client = bob_of(provisioned)
    assert client.post(place, data=CHANGES[place]).status_code == 303


def test_who_may_no_longer_gets_no_link(provisioned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = bob_of(provisioned)
    real = links.forms

    def held_up() -> Any:
        monkeypatch.undo()
        end_right(provisioned, "deactivate")
        return real()

    token = client.token()
    monkeypatch.setattr(links, "forms", held_up)
    data = {"csrf": token, "command_id": NUMBER}
    refused = client.post(f"/users/{provisioned.ids['viewer']}/reset", data=data)
    assert refused.status_code == 403
    with sqlite3.connect(provisioned.folder.sessions) as file:
        assert file.execute("SELECT count(*) FROM links").fetchone() == (0,)


def bob_of(bot: Any) -> Any:
    """A second admin, signed in."""
    with bot.people() as people:
        bot.ids["bob"] = people.register("bob", NEW, "admin", actor="x", command_id="bob")
    return bot.client("bob")


def end_right(bot: Any, how: str) -> None:
    """As another process does it, at the command line or on another server."""
    other = Custody.open(bot.folder, bot.clock)
    getattr(People(other, cost=4), how)(bot.ids["bob"], *ENDS[how], actor="x", command_id="end")
    other.close()


# -- links -------------------------------------------------------------------------------------


def test_a_link_is_not_burnt_by_a_failure(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, client = f"/reset/{link_for(provisioned, 'viewer')}", provisioned.client(None)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vault, "write_generation", full)
    assert client.post(place, data={"new": NEW, "again": NEW}).status_code >= 500
    monkeypatch.undo()
    assert client.post(place, data={"new": NEW, "again": NEW}).status_code == 303
    assert client.post(place, data={"new": OTHER, "again": OTHER}).status_code == 410
    assert enter(client, "viewer", NEW) == 303


def test_of_two_passwords_by_one_link_the_first_holds(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, client = f"/reset/{link_for(provisioned, 'viewer')}", provisioned.client(None)
    other = provisioned.client(None)
    token = other.token()
    with provisioned.people() as people:
        custody, change = people.custody, people.custody.change

        def held_up(*commands: Any, **more: Any) -> Any:
            monkeypatch.undo()
            form = {"new": OTHER, "again": OTHER, "csrf": token, "command_id": NUMBER}
            assert other.post(place, data=form, guarded=False).status_code == 303
            return change(*commands, **more)

    monkeypatch.setattr(custody, "change", held_up)
    assert client.post(place, data={"new": NEW, "again": NEW}).status_code == 410
    assert enter(client, "viewer", OTHER) == 303


def link_for(bot: Any, role: str) -> str:
    with bot.people() as people:
        person, until = people.users.named(role), bot.clock.now() + timedelta(minutes=30)
        door().sessions().keep_link("L" * 43, person.id, person.era, until)
    return "L" * 43


# -- the second factor's enrolment, and a clock that was wrong ----------------------------------


def test_the_code_of_the_enrolment_does_not_sign_in(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    page = client.get("/account/second-factor").text
    secret = page.split('<code class="once">')[1].split("</code>")[0].replace(" ", "")
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    assert client.post("/account/second-factor", data={"code": code}).status_code == 303
    thief = provisioned.client(None)
    enter(thief, "viewer", GOOD["viewer"])
    assert thief.post("/sign-in/code", data={"code": code}).status_code == 401
    provisioned.later(seconds=30)
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    assert thief.post("/sign-in/code", data={"code": code}).status_code == 303


LIMITS = Limits(timedelta(minutes=30), timedelta(hours=12))
TRIES = Throttle(1, timedelta(minutes=15))


@pytest.fixture
def sessions(tmp_path: Any) -> Any:
    made = Sessions(tmp_path / "sessions.db")
    yield made
    made.close()


def test_a_session_begun_under_a_clock_ahead_is_over(sessions: Sessions, start: Any) -> None:
    sessions.begin("t", "u", 0, start + timedelta(days=365), whole=True)
    assert sessions.find("t", start, LIMITS) is None
    assert sessions.find("t", start + timedelta(days=365), LIMITS) is None
    sessions.begin("t", "u", 0, start + timedelta(seconds=1), whole=True)
    assert sessions.find("t", start, LIMITS)  # a clock that is put right by a second is no fault


def test_a_wait_from_a_clock_ahead_lasts_as_long_as_it_was_to(
    sessions: Sessions, start: Any
) -> None:
    sessions.attempt({"name:z": TRIES}, start + timedelta(days=365))
    assert sessions.waiting("name:z", start) == timedelta(minutes=15)
    later = start + timedelta(minutes=15)
    assert sessions.attempt({"name:z": TRIES}, later) == timedelta()
    assert sessions.waiting("name:z", later) == timedelta(minutes=30)  # and counts on


def test_a_step_from_a_clock_ahead_does_not_shut_out(sessions: Sessions, start: Any) -> None:
    present = int(start.timestamp()) // 30
    assert sessions.take_step("u", present + 1_000_000, start + timedelta(days=365))
    assert sessions.take_step("u", present, start)
    assert not sessions.take_step("u", present, start)
    assert sessions.take_step("u", present + 1, start)
    assert not sessions.take_step("u", present, start)


def test_a_link_from_a_clock_ahead_does_not_hold_for_years(sessions: Sessions, start: Any) -> None:
    sessions.keep_link("t", "u", 0, start + timedelta(days=365))
    assert sessions.link("t", start) is None


@pytest.fixture
def start(provisioned: Any) -> Any:
    return provisioned.clock.now()


def test_the_number_of_a_command_that_went_wrong_tells_no_secret(provisioned: Any) -> None:
    with provisioned.people() as people:
        me = provisioned.ids["viewer"]
        people.set_password(me, NEW, actor=me, command_id="one")
        with pytest.raises(TradeBotError) as refused:
            people.set_password(me, OTHER, actor=me, command_id="one")
    assert OTHER not in str(refused.value)
