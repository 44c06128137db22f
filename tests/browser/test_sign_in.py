"""The door: who is let in, who has to wait, and when one is out again."""

from __future__ import annotations

import sqlite3
from typing import Any

import bcrypt
import pyotp
import pytest

from security import passwords
from web.formatting import sentences

COOKIE, VISITOR = "__Host-tradebot", "__Host-tradebot-form"
GOOD = {role: f"lantern orchid {role[::-1]} walnut" for role in ("admin", "viewer", "operator")}


def enter(client: Any, name: str, password: str, place: str = "/sign-in") -> Any:
    return client.post(place, data={"name": name, "password": password})


def events(bot: Any, topic: str) -> list[dict[str, Any]]:
    found = bot.app.extensions["tradebot"].queries.events(topics=(topic,))
    return [event.payload for event in found]


def inside(client: Any) -> bool:
    return bool(client.get("/ledger").status_code == 200)


def test_what_stands_in_backticks_is_shown_as_code_and_nothing_else_is_markup() -> None:
    said = "Until `tbot run` is <b>started</b> again"
    assert sentences(said) == ("Until <code>tbot run</code> is &lt;b&gt;started&lt;/b&gt; again")


def test_who_is_not_signed_in_is_led_to_the_door_and_back(provisioned: Any) -> None:
    client = provisioned.client(None)
    led = client.get("/ledger?as_of=2026-01-31")
    assert (led.status_code, led.headers["Location"]) == (
        303, "/sign-in?next=/ledger?as_of%3D2026-01-31",
    )  # fmt: skip
    door = client.get(led.headers["Location"])
    assert "ACME_USA_SIM_01" not in door.text  # nothing of the bot is told before
    entered = enter(client, " Viewer", GOOD["viewer"], led.headers["Location"])
    assert entered.headers["Location"] == "/ledger?as_of=2026-01-31"
    assert client.get("/ledger?as_of=2026-01-31").status_code == 200
    assert client.get("/sign-in").headers["Location"] == "/"


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "javascript:x", "/a\nb",
     "/\t/evil.example", "///evil.example"],
)  # fmt: skip
def test_one_is_led_to_this_site_alone(provisioned: Any, place: str) -> None:
    client = provisioned.client(None)
    answer = client.post(
        "/sign-in", query_string={"next": place},
        data={"name": "viewer", "password": GOOD["viewer"]},
    )  # fmt: skip
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/"


def test_the_cookie_is_locked_down_and_another_after_signing_in(provisioned: Any) -> None:
    client = provisioned.client(None)
    first = client.get("/sign-in").headers["Set-Cookie"]
    entered = enter(client, "viewer", GOOD["viewer"]).headers["Set-Cookie"]
    for name, cookie in ((VISITOR, first), (COOKIE, entered)):
        assert cookie.startswith(f"{name}=")
        parts = {part.strip() for part in cookie.split(";")[1:]}
        assert parts == {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"}
    assert first.split("=")[1] != entered.split("=")[1]


def test_wrong_and_unknown_are_answered_alike(provisioned: Any) -> None:
    answers = [
        enter(provisioned.client(None), name, "wrong lantern")
        for name in ("viewer", "nobody", "вiewer")
    ]
    assert {a.status_code for a in answers} == {401}
    texts = {a.text.split("<form")[0] for a in answers}
    assert len(texts) == 1
    assert "do not belong together" in texts.pop()
    assert [e["cause"] for e in events(provisioned, "User.SignInFailed")] == [
        "password", "unknown name", "unknown name",
    ]  # fmt: skip
    assert "nobody" not in str(events(provisioned, "User.SignInFailed"))


def test_signing_in_takes_one_bcrypt_of_full_cost(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[bytes] = []
    provisioned.cost = passwords.COST  # other tests sign in more cheaply
    real = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda p, k: (costs.append(k[4:6]), real(p, k))[1])
    enter(provisioned.client(None), "nobody", "wrong lantern")
    assert costs == [b"12"]
    client = provisioned.client(None)
    enter(client, "viewer", GOOD["viewer"])
    assert len(costs) == 2
    for place in ("/", "/ledger", "/account"):
        client.get(place)
    assert len(costs) == 2


def test_after_too_many_tries_one_waits_longer_each_time(provisioned: Any) -> None:
    client = provisioned.client(None)
    for _ in range(4):
        assert enter(client, "viewer", "wrong lantern").status_code == 401
    fifth = enter(client, "viewer", "wrong lantern")
    assert "waits for 15 min" in fifth.text
    right = enter(client, "viewer", GOOD["viewer"])
    assert (right.status_code, inside(client)) == (429, False)
    assert enter(client, "operator", GOOD["operator"]).status_code == 303  # others are not held up
    other = provisioned.client(None)
    provisioned.later(minutes=15)
    assert "waits for 30 min" in enter(other, "viewer", "wrong lantern").text
    provisioned.later(minutes=29)
    assert enter(other, "viewer", GOOD["viewer"]).status_code == 429
    provisioned.later(minutes=1)
    assert enter(other, "viewer", GOOD["viewer"]).status_code == 303
    other.post("/sign-out")
    assert enter(other, "viewer", "wrong lantern").status_code == 401  # counted anew
    assert [e["waits_s"] for e in events(provisioned, "User.SignInFailed")][4:6] == [900, 1800]


def test_names_that_nobody_has_wait_the_same(provisioned: Any) -> None:
    client = provisioned.client(None)
    codes = [enter(client, "nobody", "wrong lantern").status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


def test_one_address_that_tries_many_names_waits(provisioned: Any) -> None:
    client = provisioned.client(None)
    codes = [enter(client, f"name{n}", "wrong lantern").status_code for n in range(21)]
    assert codes == [401] * 20 + [429]


def test_waits_and_sessions_survive_a_restart(provisioned: Any) -> None:
    client = provisioned.client(None)
    for _ in range(5):
        enter(client, "viewer", "wrong lantern")
    kept = provisioned.client("operator").get_cookie(COOKIE)
    provisioned.close()
    provisioned._app = None  # another process would make its own
    again = provisioned.client(None)
    assert enter(again, "viewer", GOOD["viewer"]).status_code == 429
    again.set_cookie(COOKIE, kept.value, secure=True)
    assert inside(again)


def test_a_session_ends_when_idle_and_in_any_case(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    for _ in range(4):
        provisioned.later(minutes=29)
        assert inside(client)
    provisioned.later(minutes=30)
    assert not inside(client)
    client = provisioned.client("viewer")
    for _ in range(25):  # 12 hours and a half, never idle
        provisioned.later(minutes=29)
        client.get("/ledger")
    assert not inside(client)


def test_signing_out_ends_the_session_and_not_only_the_cookie(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    before = client.get_cookie(COOKIE).value
    out = client.post("/sign-out")
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert "You are signed out" in client.get("/sign-in").text
    client.set_cookie(COOKIE, before, secure=True)
    assert not inside(client)
    assert events(provisioned, "User.SignedOut")[0]["user_id"] == provisioned.ids["viewer"]


def test_everywhere_means_every_browser(provisioned: Any) -> None:
    here, there = provisioned.client("viewer"), provisioned.client("viewer")
    bystander = provisioned.client("operator")
    here.post("/account/sign-out-everywhere")
    assert [inside(c) for c in (here, there, bystander)] == [False, False, True]


def test_a_changed_password_signs_out_every_other_browser(provisioned: Any) -> None:
    here, there = provisioned.client("viewer"), provisioned.client("viewer")
    new = "harbour violin compass"
    changed = here.post(
        "/account/password", data={"present": GOOD["viewer"], "new": new, "again": new}
    )
    assert changed.status_code == 303
    assert "Your password is changed" in here.get("/account").text
    assert [inside(c) for c in (here, there)] == [True, False]
    assert enter(provisioned.client(None), "viewer", GOOD["viewer"]).status_code == 401
    assert enter(provisioned.client(None), "viewer", new).status_code == 303


def test_a_password_cannot_be_guessed_from_within_either(provisioned: Any) -> None:
    client, new = provisioned.client("viewer"), "harbour violin compass"
    data = {"present": "wrong lantern", "new": new, "again": new}
    codes = [client.post("/account/password", data=data).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]


def enrolled(provisioned: Any, client: Any) -> tuple[str, list[str]]:
    """The secret of a second factor, and its recovery codes as the page shows them."""
    page = client.get("/account/second-factor").text
    secret = page.split('<code class="once">')[1].split("</code>")[0].replace(" ", "")
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    assert client.post("/account/second-factor", data={"code": code}).status_code == 303
    shown = client.get("/account").text
    codes = shown.split('<code class="once">')[1].split("</code>")[0].split("<br>")
    assert '<code class="once">' not in client.get("/account").text  # once
    return secret, codes


def test_the_second_factor_is_asked_for_and_no_code_works_twice(provisioned: Any) -> None:
    secret, _ = enrolled(provisioned, provisioned.client("viewer"))
    client = provisioned.client(None)
    step = enter(client, "viewer", GOOD["viewer"], "/sign-in?next=/days")
    assert step.headers["Location"] == "/sign-in/code?next=/days"
    assert not inside(client)  # the password alone opens nothing
    provisioned.later(seconds=30)
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    wrong = client.post("/sign-in/code", data={"code": "000000"})
    assert (wrong.status_code, inside(client)) == (401, False)
    entered = client.post("/sign-in/code?next=/days", data={"code": f"{code[:3]} {code[3:]}"})
    assert (entered.status_code, entered.headers["Location"]) == (303, "/days")
    assert inside(client)
    second = provisioned.client(None)
    enter(second, "viewer", GOOD["viewer"])
    assert second.post("/sign-in/code", data={"code": code}).status_code == 401  # replayed
    assert not inside(second)
    assert events(provisioned, "User.SignedIn")[-1]["second_factor"] is True


def test_codes_cannot_be_guessed_by_typing_the_password_again_and_again(provisioned: Any) -> None:
    enrolled(provisioned, provisioned.client("viewer"))
    client, codes = provisioned.client(None), []
    for _ in range(6):
        codes.append(enter(client, "viewer", GOOD["viewer"]).status_code)
        codes.append(client.post("/sign-in/code", data={"code": "000000"}).status_code)
    assert codes[:10] == [303, 401] * 5
    assert codes[10] == 429


def test_the_second_step_does_not_wait_for_ever(provisioned: Any) -> None:
    secret, _ = enrolled(provisioned, provisioned.client("viewer"))
    client = provisioned.client(None)
    enter(client, "viewer", GOOD["viewer"])
    provisioned.later(minutes=5)
    code = pyotp.TOTP(secret).at(provisioned.clock.now())
    assert client.post("/sign-in/code", data={"code": code}).headers["Location"] == "/sign-in"
    assert not inside(client)


def test_a_recovery_code_opens_once(provisioned: Any) -> None:
    _, codes = enrolled(provisioned, provisioned.client("viewer"))
    client = provisioned.client(None)
    for code, answer in ((codes[0], 303), (codes[0], 401)):
        client.post("/sign-out")
        enter(client, "viewer", GOOD["viewer"])
        assert client.post("/sign-in/code", data={"code": code}).status_code == answer
        if answer == 303:
            assert "9 are left" in client.get("/ledger").text


def test_a_second_factor_is_removed_by_the_password_alone(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    enrolled(provisioned, client)
    there = provisioned.client("viewer")
    refused = client.post("/account/second-factor/remove", data={"proof": "wrong lantern"})
    assert refused.status_code == 422
    done = client.post("/account/second-factor/remove", data={"proof": GOOD["viewer"]})
    assert done.status_code == 303
    assert [inside(c) for c in (client, there)] == [True, False]
    assert enter(provisioned.client(None), "viewer", GOOD["viewer"]).headers["Location"] == "/"


def test_no_token_and_no_name_lies_in_the_file_of_sessions(provisioned: Any) -> None:
    client = provisioned.client(None)
    enter(client, "no-such-name", "wrong lantern")
    enter(client, "viewer", GOOD["viewer"])
    file = provisioned.folder.sessions
    assert file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(file) as connection:
        dump = "\n".join(connection.iterdump())
    assert client.get_cookie(COOKIE).value not in dump
    assert "no-such-name" not in dump
    assert provisioned.ids["viewer"] in dump  # it is the right file


def test_a_file_of_sessions_that_cannot_be_used_is_said(provisioned: Any) -> None:
    provisioned.folder.sessions.write_bytes(b"not a database" * 100)
    client = provisioned.client(None)
    client.set_cookie(COOKIE, "x" * 43, secure=True)
    answer = client.get("/ledger")
    assert answer.status_code == 503
    assert "signs in again" in answer.text


def test_the_role_is_asked_for_at_every_request(provisioned: Any) -> None:
    """A role that changes elsewhere, and a deactivation, end the sessions at once."""
    client, other = provisioned.client("operator"), provisioned.client("accountant")
    with provisioned.people() as people:
        people.change_role(provisioned.ids["operator"], "viewer", "less", actor="x", command_id="r")
        people.deactivate(provisioned.ids["accountant"], "left", actor="x", command_id="d")
    assert not inside(client)
    assert not inside(other)


def test_sessions_measure_idleness_without_writing_each_time(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    assert inside(client)
    with sqlite3.connect(provisioned.folder.sessions) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        provisioned.later(seconds=9)
        client.get("/ledger")
        assert connection.execute("PRAGMA data_version").fetchone() == before
        provisioned.later(seconds=1)
        client.get("/ledger")
        assert connection.execute("PRAGMA data_version").fetchone() != before
