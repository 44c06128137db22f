"""One's own account, and everybody's: who may sign in, and as what."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.errors import DomainError
from aggregates.users import ROLES, Person
from runtime.mail import can_send
from runtime.people import FormFaults
from security import totp
from web import tries
from web.access import SignedIn, actor, lacks_factor, user
from web.cookie import renew, sent_token
from web.door import door, people
from web.forms import command_id, notice, show_once, taken
from web.frame import NotThere, frame
from web.links import make_link
from web.names import everybody
from web.shared import shared

pages = Blueprint("users", __name__)
Answer = Response | str | tuple[str, int]
LONGEST = 600  # characters of any field here
ABOUT = {
    "viewer": "reads",
    "accountant": "reads; keeps the chart of accounts",
    "compliance": "reads; sees who did what",
    "operator": "reads; starts, stops and runs jobs",
    "admin": "everything, users and settings included",
}


def me_person() -> Person:
    return people().users.people[cast(SignedIn, user()).id]


def typed(name: str) -> str:
    return request.form.get(name, "")[: LONGEST + 1]


# -- one's own account -------------------------------------------------------------------------


@pages.get("/account")
def me() -> str:
    return _me({})


def _me(faults: dict[str, str]) -> str:
    return render_template(
        "account_own.html",
        person=me_person(), faults=faults, about=ABOUT, codes=taken("recovery codes"),
        codes_left=people().recovery_codes_left(me_person().id),
        needed=lacks_factor(cast(SignedIn, user())),
        least=people().settings.PASSWORD_MIN_LENGTH,
    )  # fmt: skip


@pages.post("/account/password")
def password() -> Answer:
    """Ends every session of the user but begins this browser's anew."""
    person, new = me_person(), request.form.get("new", "")
    if wait := tries.begun(person.name):
        return _me({"present": tries.waits(wait)}), 429
    try:
        if new != request.form.get("again", ""):
            raise FormFaults({"again": "The two are not the same"})
        people().change_password(
            person.id, request.form.get("present", ""), new,
            actor=person.id, command_id=command_id("password"),
        )  # fmt: skip
    except FormFaults as e:
        if "present" not in e.faults:  # nothing was guessed at
            tries.right(person.name, whole=False)
        return _me(e.faults), 422
    tries.right(person.name, whole=True)
    _stay()
    notice("Your password is changed. Every other browser is signed out.")
    return redirect(url_for("users.me"), 303)


def _stay() -> None:
    """A session of the new era for this browser, under another cookie."""
    person, sessions = me_person(), door().sessions()
    sessions.end(sent_token())
    sessions.begin(renew(), person.id, person.era, shared().clock.now(), whole=True)


@pages.route("/account/second-factor", methods=["GET", "POST"])
def factor() -> Answer:
    """A secret for the app, kept in memory until a code shows that the app has it."""
    person = me_person()
    if person.second_factor:
        notice("You have a second factor already. Remove it first to enrol another app.", "warn")
        return redirect(url_for("users.me"), 303)
    if request.method == "GET":
        return _factor(people().new_factor())
    secret = cast(str | None, taken("factor"))
    if secret is None:
        notice("That picture is no longer valid; here is another one.", "warn")
        return redirect(url_for("users.factor"), 303)
    code, now = typed("code").strip(), shared().clock.now()
    # whoever looked on must not sign in with it afterwards
    if (step := totp.step_of(secret, code.replace(" ", ""), now)) is not None:
        door().sessions().take_step(person.id, step, now)
    try:
        codes = people().enrol(
            person.id, secret, code, actor=person.id, command_id=command_id("second-factor")
        )
    except FormFaults as e:
        return _factor(secret, e.faults), 422
    show_once("recovery codes", codes)
    notice("Your second factor holds from now on.")
    return redirect(url_for("users.me"), 303)


def _factor(secret: str, faults: dict[str, str] | None = None) -> str:
    show_once("factor", secret)
    status = frame().status
    issuer = f"TradeBot {status.identity}" if status else "TradeBot"
    picture = totp.picture(totp.address(secret, me_person().name, issuer))
    spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    return render_template(
        "second_factor.html", picture=picture, secret=spaced, faults=faults or {}
    )


@pages.post("/account/second-factor/remove")
def remove_factor() -> Answer:
    """Only with the password: a browser left alone must not be enough."""
    person = me_person()
    if wait := tries.begun(person.name):
        return _me({"proof": tries.waits(wait)}), 429
    if people().proven(person.name, request.form.get("proof", "")) is None:
        return _me({"proof": "That is not your present password"}), 422
    tries.right(person.name, whole=True)
    # the era: a factor that was enrolled since is another one
    number = command_id(f"remove-factor:{person.era}")
    people().remove_factor(person.id, "by the user", actor=person.id, command_id=number)
    _stay()
    notice("The second factor is removed. Every other browser is signed out.", "warn")
    return redirect(url_for("users.me"), 303)


@pages.post("/account/sign-out-everywhere")
def sign_out_everywhere() -> Response:
    people().sign_out_everywhere(actor(), actor=actor(), command_id=command_id("everywhere"))
    renew()
    notice("You are signed out everywhere.")
    return redirect(url_for("sign_in.page"), 303)


# -- everybody -----------------------------------------------------------------------------------


@pages.get("/users")
def every() -> str:
    known = sorted(everybody().values(), key=lambda p: (not p.active, p.name))
    return render_template("users.html", people=known, about=ABOUT)


@pages.route("/users/new", methods=["GET", "POST"])
def new() -> Answer:
    """A user without a password: the first one is set by a one-time link."""
    if request.method == "GET":
        return _new({}, {"role": people().settings.DEFAULT_USER_ROLE})
    values = {name: typed(name).strip() for name in ("name", "role", "email")}
    try:
        user_id = people().register(
            values["name"], "", values["role"], email=values["email"],
            actor=actor(), command_id=command_id("user"),
        )  # fmt: skip
    except FormFaults as e:
        return _new(e.faults, values), 422
    make_link(people().users.people[user_id], f"{values['name']} is registered.")
    return redirect(url_for("users.one", user_id=user_id), 303)


def _new(faults: dict[str, str], values: dict[str, str]) -> str:
    return render_template(
        "user_new.html", faults=faults, values=values, roles=ROLES, about=ABOUT,
        mail=can_send(people().settings),
    )  # fmt: skip


@pages.get("/users/<user_id>")
def one(user_id: str) -> str:
    return _one(_person(user_id))


def _person(user_id: str) -> Person:
    found = everybody().get(user_id)
    if found is None:
        raise NotThere("There is no such user" + (" at this moment." if frame().fixed else "."))
    return found


def _one(person: Person, **more: Any) -> str:
    return render_template(
        "user.html", person=person, roles=ROLES, about=ABOUT, me=actor(), link_made=taken("link"),
        has_password=people().has_password(person.id), mail=can_send(people().settings),
        **({"faults": {}, "values": {}} | more),
    )  # fmt: skip


def _own(user_id: str) -> Answer:
    """Who finds a browser of an admin open must not get in for good."""
    said = "This is you: change it on your account page, with your password. Nothing was changed."
    return _one(_person(user_id), stale=said), 403


def _changed(user_id: str, form: str, what: str, **fields: str) -> Answer:
    """Carry out one form of a user's page: done, or shown again with what is wrong."""
    person = _person(user_id)
    values = {"form": form, "reason": typed("reason"), **fields}
    if typed("seen") != seen(person):
        said = f"{person.name} was changed meanwhile; this is how it is now. Nothing was changed."
        return _one(person, values=values, stale=said), 409
    try:
        getattr(people(), form)(
            user_id, *fields.values(), typed("reason"),
            actor=actor(), command_id=command_id(form.replace("_", "-")),
        )  # fmt: skip
    except DomainError as e:
        at = "reason" if "reason" in str(e).lower() else "role"
        return _one(person, faults={f"{form}-{at}": str(e)}, values=values), 422
    notice(what.format(person.name))
    return redirect(url_for("users.one", user_id=user_id), 303)


@pages.app_template_global()
def seen(person: Person) -> str:
    """What a form on a user's page was made for."""
    factor = "+" if person.second_factor else "-"
    return f"{person.role}{'+' if person.active else '-'}{factor}{person.era}"


@pages.post("/users/<user_id>/role")
def role(user_id: str) -> Answer:
    said = "{} has another role, and is signed out everywhere."
    return _changed(user_id, "change_role", said, role=typed("role"))


@pages.post("/users/<user_id>/deactivate")
def deactivate(user_id: str) -> Answer:
    return _changed(user_id, "deactivate", "{} is deactivated, and signed out everywhere.")


@pages.post("/users/<user_id>/reactivate")
def reactivate(user_id: str) -> Answer:
    return _changed(user_id, "reactivate", "{} may sign in again.")


@pages.post("/users/<user_id>/second-factor/remove")
def lift_factor(user_id: str) -> Answer:
    """For who lost both app and codes; that it is the right person, the admin answers for."""
    if user_id == actor():
        return _own(user_id)
    said = "The second factor of {} is removed; the password alone is asked for until a new one."
    return _changed(user_id, "remove_factor", said)


@pages.post("/users/<user_id>/reset")
def reset(user_id: str) -> Answer:
    if user_id == actor():
        return _own(user_id)
    person = _person(user_id)
    if not person.active:
        return _one(person, stale=f"{person.name} is deactivated; reactivate first."), 409
    make_link(person, "")
    return redirect(url_for("users.one", user_id=user_id), 303)
