"""The door: name and password, the second factor as a second step, and the one-time link."""

from __future__ import annotations

import hashlib
import math
import secrets
from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.errors import TradeBotError
from aggregates.user_activity import Cause, RecordFailedSignIn, RecordSignIn, RecordSignOut
from aggregates.users import Person
from runtime.errors import OVERTAKEN
from runtime.people import FormFaults
from security.keyfile import KeyFileError
from web import tries
from web.access import actor, session_of, user
from web.cookie import renew, sent_token
from web.door import door, people
from web.forms import command_id, notice
from web.shared import shared

pages = Blueprint("sign_in", __name__)
Answer = Response | str | tuple[str, int]

UNPROVEN = "Name and password do not belong together, or the user is not active."


@pages.route("/sign-in", methods=["GET", "POST"])
def page() -> Answer:
    if user() is not None:
        return redirect(_next(), 303)
    if request.method == "GET":
        return _form()
    name = tries.name_of(request.form.get("name", ""))
    password = request.form.get("password", "")
    if not name or not password:
        return _form("Type your user name and your password.", 422)
    if wait := tries.begun(name):
        return _form(tries.waits(wait), 429)
    person = people().proven(name, password)
    if person is None:
        return _form(_failed(name, "password"), 401)
    if not person.second_factor:
        return _enter(person)
    tries.right(person.name, whole=False)
    door().sessions().end(sent_token())
    door().sessions().begin(renew(), person.id, person.era, shared().clock.now(), whole=False)
    return redirect(url_for("sign_in.code", next=_next_given()), 303)


@pages.route("/sign-in/code", methods=["GET", "POST"])
def code() -> Answer:
    """The second step: a code of the app, or one of the recovery codes."""
    begun = session_of(whole=False)
    if begun is None:
        return redirect(url_for("sign_in.page", next=_next_given()), 303)
    if request.method == "GET":
        return render_template("sign_in_code.html")
    person = people().users.people[begun.user_id]
    typed = request.form.get("code", "").strip()[:64]
    if wait := tries.begun(person.name):
        return render_template("sign_in_code.html", fault=tries.waits(wait)), 429
    if _code_holds(person, typed):
        return _enter(person)
    # a number of our own: one from the form would not say which code was meant
    number = f"recovery-code:{secrets.token_hex(16)}"
    if people().use_recovery_code(person.id, typed, command_id=number):
        entered, left = _enter(person), people().recovery_codes_left(person.id)
        notice(f"That recovery code is used up; {left} are left. Enrol your app anew soon.", "warn")
        return entered
    fault = _failed(person.name, "second factor")
    return render_template("sign_in_code.html", fault=fault), 401


def _code_holds(person: Person, typed: str) -> bool:
    """Whether it is the app's code, and was not taken before (RFC 6238, 5.2)."""
    step = people().step_of(person.id, typed)
    return step is not None and door().sessions().take_step(person.id, step, shared().clock.now())


@pages.post("/sign-out")
def out() -> Response:
    """Out comes first: a history that takes nothing, as on a full disk, must keep nobody in."""
    leaving, number, left = actor(), command_id("sign-out"), sent_token()
    renew()
    door().sessions().end(left)
    try:
        people().record(RecordSignOut, actor=leaving, command_id=number, user_id=leaving)
        notice("You are signed out.")
    except (TradeBotError, KeyFileError) as e:
        notice(f"You are signed out, but the history does not say so. {e}", "warn")
    return redirect(url_for("sign_in.page"), 303)


@pages.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> Answer:
    """Set a password by a one-time link. A second factor is asked for at sign-in all the same.

    Of two at once one is recorded: the command's id hangs on the link. The link ends with the era
    that the event begins, so a failure before that leaves it whole.
    """
    person = _link_of(token)
    if person is None:
        return render_template("link_gone.html"), 410
    if request.method == "GET":
        return _reset(person)
    new, again = request.form.get("new", ""), request.form.get("again", "")
    faults = {"new": people().password_fault(new, person.name)}
    faults["again"] = "" if new == again else "The two are not the same"
    if any(faults.values()):
        return _reset(person, {name: text for name, text in faults.items() if text}), 422
    number = f"reset:{hashlib.sha256(token.encode()).hexdigest()[:32]}"
    try:
        people().set_password(person.id, new, actor=person.id, command_id=number)
    except FormFaults as e:
        return _reset(person, e.faults), 422
    except OVERTAKEN:
        if _link_of(token):
            raise
        return render_template("link_gone.html"), 410
    door().sessions().drop_link(token)
    notice("The password is set. Sign in with it.")
    return redirect(url_for("sign_in.page"), 303)


def _link_of(token: str) -> Person | None:
    found = door().sessions().link(token, shared().clock.now())
    person = people().users.people.get(found[0]) if found else None
    holds = found and person and person.active and person.era == found[1]
    return person if holds else None


def _reset(person: Person, faults: dict[str, str] | None = None) -> str:
    least = people().settings.PASSWORD_MIN_LENGTH
    return render_template("reset.html", person=person, faults=faults or {}, least=least)


def _form(fault: str = "", code: int = 200) -> tuple[str, int]:
    return render_template("sign_in.html", fault=fault, name=request.form.get("name", "")), code


def _failed(name: str, cause: Cause) -> str:
    """Record it; what to say, which is the same for every name."""
    person = people().users.named(name)
    if cause == "password" and person is None:
        cause = "unknown name"
    elif person is not None and not person.active:
        cause = "deactivated"
    wait = tries.wait(name)
    if person or door().room_for_a_visitor():
        people().record(
            RecordFailedSignIn, actor="visitor", command_id=f"sign-in:{secrets.token_hex(16)}",
            user_id=person.id if person else "", address=request.remote_addr or "", cause=cause,
            waits_s=math.ceil(wait.total_seconds()),
        )  # fmt: skip
    said = UNPROVEN if cause != "second factor" else "That code does not hold, or was used already."
    return f"{said} {tries.waits(wait)}" if wait else said


def _enter(person: Person) -> Response:
    """Signed in: another cookie, a session of its own, and on to where one wanted to go."""
    tries.right(person.name, whole=True)
    people().record(
        RecordSignIn, actor=person.id, command_id=f"sign-in:{secrets.token_hex(16)}",
        user_id=person.id, address=request.remote_addr or "", second_factor=person.second_factor,
    )  # fmt: skip
    sessions = door().sessions()
    sessions.end(sent_token())
    sessions.begin(renew(), person.id, person.era, shared().clock.now(), whole=True)
    return redirect(_next(), 303)


def _next_given() -> str | None:
    return request.args.get("next") or None


def _next() -> str:
    """Where to go after signing in: an address of this site, or the first page."""
    asked = request.args.get("next", "/")
    try:
        parts = urlsplit(asked) if asked.isprintable() and len(asked) < 2000 else None
    except ValueError:  # a bracket that is not closed
        return "/"
    here = parts and not parts.scheme and not parts.netloc and "\\" not in asked
    if not here or not asked.startswith("/") or asked.startswith("//"):
        return "/"
    return asked
