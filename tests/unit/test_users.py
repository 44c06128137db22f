"""Who may what: names, roles, the last admin, and what ends a session."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from aggregates import user_activity as activity
from aggregates import users as u
from aggregates.user_activity import UserActivity, door_stream
from aggregates.users import Users

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)


def ask(kind: type, **fields: Any) -> Any:
    return kind(at=AT, effective_date=DAY, **fields)


def past(kind: type, **fields: Any) -> Any:
    return kind(occurred_at=AT, effective_date=DAY, **fields)


def registered(name: str, role: str, **more: str) -> Any:
    return past(u.UserRegistered, user_id=f"id-{name}", name=name, role=role, email="", **more)


ANN, BEN = registered("ann", "admin"), registered("ben", "viewer")


def register(name: str, role: str = "viewer", email: str = "") -> Any:
    return ask(u.RegisterUser, user_id="id-new", name=name, role=role, email=email)


def test_a_user_is_registered_under_the_folded_name(given: Any) -> None:
    case = given(Users("users"), ANN).when(
        Users.register, register(" Ｅve ", email="e@example.org")
    )
    case.then(
        past(u.UserRegistered, user_id="id-new", name="eve", role="viewer", email="e@example.org")
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "2 to 32"), ("x", "2 to 32"), ("x" * 33, "2 to 32"), ("1ann", "begins with a letter"),
        ("an n", "2 to 32"), ("ann\0", "2 to 32"), ("<b>ann</b>", "2 to 32"),
        ("аnn", "2 to 32"),  # the first letter is Cyrillic
        ("ANN", "taken"), ("ａｎｎ", "taken"), ("Ａnn ", "taken"),
    ],
)  # fmt: skip
def test_names_that_are_taken_or_look_alike_are_refused(given: Any, name: str, said: str) -> None:
    given(Users("users"), ANN).when(Users.register, register(name)).refused(said)


def test_the_name_of_a_former_user_stays_taken(given: Any) -> None:
    gone = past(u.UserDeactivated, user_id="id-ben", reason="left")
    given(Users("users"), ANN, BEN, gone).when(Users.register, register("ben")).refused("taken")


@pytest.mark.parametrize("email", ["a", "a@", "a@b c", "a@b\nBcc: c@d", "ä@b.org", "<a@b.org>"])
def test_an_address_that_is_none_is_refused(given: Any, email: str) -> None:
    given(Users("users")).when(Users.register, register("eve", email=email)).refused("e-mail")


def role(user: str, to: str, by: str = "id-ann", reason: str = "new work") -> Any:
    return ask(u.ChangeRole, user_id=user, role=to, reason=reason, by=by)


def test_a_role_change_says_before_and_after(given: Any) -> None:
    given(Users("users"), ANN, BEN).when(Users.change_role, role("id-ben", "admin")).then(
        past(u.RoleChanged, user_id="id-ben", before="viewer", role="admin", reason="new work")
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (role("id-ann", "viewer"), "own role"),
        (role("id-ann", "viewer", by="id-ben"), "last active admin"),
        (role("id-ben", "viewer"), "already"),
        (role("id-ben", "root"), "no role"),
        (role("id-ben", "admin", reason="  "), "reason"),
        (role("id-ben", "admin", reason="x" * 501), "500"),
        (role("id-eve", "admin"), "no such user"),
    ],
)
def test_role_changes_that_are_refused(given: Any, command: Any, said: str) -> None:
    given(Users("users"), ANN, BEN).when(Users.change_role, command).refused(said)


def test_the_last_admin_stays(given: Any) -> None:
    leave = ask(u.DeactivateUser, user_id="id-ann", reason="leaves")
    case = given(Users("users"), ANN, BEN).when(Users.deactivate, leave)
    case.refused("last active admin")
    case.when(Users.change_role, role("id-ben", "admin"))
    case.when(Users.deactivate, leave).then(
        past(u.UserDeactivated, user_id="id-ann", reason="leaves")
    )
    other = ask(u.DeactivateUser, user_id="id-ben", reason="leaves")
    case.when(Users.deactivate, other).refused("last active admin")


def test_nothing_is_changed_of_a_deactivated_user_but_that(given: Any) -> None:
    gone = past(u.UserDeactivated, user_id="id-ben", reason="left")
    case = given(Users("users"), ANN, BEN, gone)
    for decide, command in (
        (Users.change_role, role("id-ben", "admin")),
        (Users.deactivate, ask(u.DeactivateUser, user_id="id-ben", reason="again")),
        (Users.change_password, ask(u.ChangePassword, user_id="id-ben", way="link")),
        (Users.enrol, ask(u.EnrolSecondFactor, user_id="id-ben")),
        (Users.use_recovery_code, ask(u.UseRecoveryCode, user_id="id-ben")),
    ):
        case.when(decide, command).refused("deactivated")
    back = ask(u.ReactivateUser, user_id="id-ben", reason="is back")
    case.when(Users.reactivate, back)
    assert case.event.reason == "is back"
    case.when(Users.reactivate, back).refused("active already")


def test_what_ends_sessions_begins_another_era() -> None:
    users = Users("users")
    users.fold(BEN)
    before = users.people["id-ben"].era
    for ends in (
        past(u.RoleChanged, user_id="id-ben", before="viewer", role="operator", reason="r"),
        past(u.UserDeactivated, user_id="id-ben", reason="r"),
        past(u.PasswordChanged, user_id="id-ben", way="own"),
        past(u.SecondFactorRemoved, user_id="id-ben", reason="r"),
        past(u.SignedOutEverywhere, user_id="id-ben"),
    ):
        users.fold(ends)
        assert users.people["id-ben"].era == before + 1
        before += 1
    users.fold(past(u.SecondFactorEnrolled, user_id="id-ben"))
    assert users.people["id-ben"].era == before


def test_a_second_factor_comes_and_goes(given: Any) -> None:
    enrol = ask(u.EnrolSecondFactor, user_id="id-ann")
    remove = ask(u.RemoveSecondFactor, user_id="id-ann", reason="new phone")
    case = given(Users("users"), ANN).when(Users.remove_factor, remove).refused("no second factor")
    case.when(Users.use_recovery_code, ask(u.UseRecoveryCode, user_id="id-ann")).refused(
        "no second"
    )
    case.when(Users.enrol, enrol).then(past(u.SecondFactorEnrolled, user_id="id-ann"))
    case.when(Users.enrol, enrol).refused("already")
    case.when(Users.remove_factor, remove).then(
        past(u.SecondFactorRemoved, user_id="id-ann", reason="new phone")
    )


def test_who_is_no_user_gets_a_stream_for_each_day() -> None:
    known = ask(
        activity.RecordFailedSignIn, user_id="u1", address="::1", cause="password", waits_s=0
    )
    assert door_stream(known) == "user-u1"
    assert door_stream(msgspec.structs.replace(known, user_id="")) == "visitors-2026-03-02"


def test_what_happens_at_the_door_is_recorded_as_it_is(given: Any) -> None:
    facts = {"user_id": "u1", "address": "127.0.0.1", "second_factor": True}
    case = given(UserActivity("user-u1"))
    case.when(UserActivity.sign_in, ask(activity.RecordSignIn, **facts))
    case.then(past(activity.SignedIn, **facts))
