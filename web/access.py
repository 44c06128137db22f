"""Who asks, and whether the role allows it: looked up before every request.

A folder without a vault (a demo, or a store from before there was one) has no users: its pages are
read by whoever sits at the machine, and nothing can be changed through them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import Flask, current_app, g, has_request_context, redirect, request, url_for
from werkzeug.wrappers import Response

from aggregates.user_activity import RecordDenial
from aggregates.users import Person
from config.this_machine import is_this_machine
from runtime.bot_state import has_vault
from web.cookie import sent_token
from web.door import NAME, Door, door, folder, people
from web.permissions import EVERYBODY, PERMISSIONS, PUBLIC
from web.sessions import Limits, Session
from web.shared import shared

__all__ = [
    "NotAllowed", "SignedIn", "actor", "add_access", "guarded", "lacks_factor", "may",
    "people", "require", "session_of", "shows_books", "still_in", "to_sign_in", "user",
]  # fmt: skip

NOBODY: frozenset[str] = frozenset()
PEOPLES = ("sign_in", "users", "activity")  # pages about people, where there are any
DEMO = "This is a demo, or a store without users"
# What a page that is left open asks by itself: nobody need be there, so it counts as idle.
BY_ITSELF = frozenset({"live.now", "live.events", "holdings.now", "holdings.check"})
# Who must still set up a second factor gets no further than these.
WITHOUT_FACTOR = frozenset({"users.me", "users.factor", "sign_in.out", "proof.show_help"})


@dataclass(frozen=True)
class SignedIn:
    """The user of this request. ``id`` is opaque: it is what events name as the actor."""

    id: str
    name: str
    role: str


class NotAllowed(Exception):
    """The role of the present user does not allow it. ``allowed`` are the roles that do."""

    def __init__(self, text: str, allowed: frozenset[str] = NOBODY) -> None:
        super().__init__(text)
        self.allowed = allowed


def add_access(app: Flask) -> None:
    app.extensions[NAME] = Door()
    app.before_request(_check)


def guarded() -> bool:
    """Whether this folder has users at all."""
    if "guarded" not in g:
        g.guarded = has_vault(folder())
    return bool(g.guarded)


def user() -> SignedIn | None:
    """Who is signed in; None on public pages, in set-up, and in a demo."""
    return cast(SignedIn | None, g.get("user"))


def actor() -> str:
    """What events name as the one who did it."""
    signed_in = user()
    return signed_in.id if signed_in else "nobody"


def may(endpoint: str) -> bool:
    """Whether the present user may ask this route: links and buttons are shown by it."""
    allowed = PERMISSIONS.get(endpoint, NOBODY)
    signed_in = user()
    return allowed == PUBLIC or (signed_in is not None and signed_in.role in allowed)


def require(endpoint: str) -> None:
    """Refuse what belongs to another page than the one asked for. Raises NotAllowed."""
    if may(endpoint):
        return
    if (signed_in := user()) is not None:
        _deny(signed_in, endpoint)
    raise NotAllowed(f"{DEMO}: this is for who is signed in, and nobody can be.")


def shows_books() -> bool:
    """Whether whoever asks may see anything of the bot, the header included."""
    return user() is not None or not guarded()


# -- before each request ---------------------------------------------------------------------


def _check() -> Response | None:
    """Refuse what the table does not allow. An address that leads nowhere says only that."""
    if request.endpoint == "static":
        return None
    # while it is set up, only the set-up is open (web.setup_gate); nobody can be signed in
    if guarded() and not g.get("setup_phase"):
        g.user = _present_user()
    if request.endpoint is None:
        return None
    allowed = PERMISSIONS.get(request.endpoint, NOBODY)
    if request.blueprint in PEOPLES and not guarded():
        raise NotAllowed(f"{DEMO}: there is nobody who could sign in.")
    if allowed == PUBLIC:
        return None
    if not guarded():
        _check_demo(allowed)
        return None
    signed_in = user()
    if signed_in is None:
        return to_sign_in()
    if signed_in.role not in allowed:
        _deny(signed_in, request.endpoint)
    return _factor_first(signed_in, request.endpoint)


def _check_demo(allowed: frozenset[str]) -> None:
    if request.method != "GET":
        raise NotAllowed(f"{DEMO}: it can only be read.")
    if allowed != EVERYBODY:
        raise NotAllowed(f"{DEMO}: this page is for who is signed in, and nobody can be.")
    if not is_this_machine(request.remote_addr or ""):
        raise NotAllowed(f"{DEMO}: it is shown on its own machine only.")


def to_sign_in() -> Response:
    """To the sign-in page, and back to where one wanted to go."""
    reads = request.method == "GET"  # a change that was cut off is not made by coming back
    back = request.full_path.rstrip("?") if reads else "/"
    target = url_for("sign_in.page", next=None if back == "/" else back)
    if request.headers.get("HX-Request"):  # a part of a page: the whole page has to go there
        return current_app.response_class(status=401, headers={"HX-Redirect": target})
    return redirect(target, 303)


def _deny(signed_in: SignedIn, endpoint: str) -> None:
    """Refuse, and leave a record of it."""
    if door().first_denial(signed_in.id, endpoint):
        people().record(
            RecordDenial, actor=signed_in.id, command_id=f"denied:{secrets.token_hex(16)}",
            user_id=signed_in.id, role=signed_in.role, route=endpoint, method=request.method,
        )  # fmt: skip
    allowed = PERMISSIONS.get(endpoint, NOBODY)
    raise NotAllowed(f"Your role is {signed_in.role}; it does not allow this.", allowed)


def _factor_first(signed_in: SignedIn, endpoint: str) -> Response | None:
    """REQUIRE_SECOND_FACTOR=true: admin and operator do nothing before they have one."""
    if endpoint in WITHOUT_FACTOR or not lacks_factor(signed_in):
        return None
    return redirect(url_for("users.me"), 303)


def lacks_factor(signed_in: SignedIn) -> bool:
    # REQUIRE_SECOND_FACTOR=false: each user decides; who has one is asked for it all the same.
    return (
        people().settings.REQUIRE_SECOND_FACTOR
        and signed_in.role in ("operator", "admin")
        and not people().users.people[signed_in.id].second_factor
    )


def _present_user() -> SignedIn | None:
    found = session_of(whole=True)
    if found is None:
        return None
    person = people().users.people[found.user_id]
    return SignedIn(person.id, person.name, person.role)


def session_of(*, whole: bool) -> Session | None:
    """The browser's session, while the user is active and nothing has ended it."""
    if not (token := sent_token()):
        return None
    seen = request.endpoint not in BY_ITSELF
    found = door().sessions().find(token, shared().clock.now(), _limits(), seen=seen)
    if found is None or found.whole != whole:
        return None
    person: Person | None = people().users.people.get(found.user_id)
    return found if person and person.active and person.era == found.era else None


def still_in() -> None:
    """Refuse what somebody asked for whose session has ended since: a change may have waited long.

    A role that changes, a deactivation and a new password all end it.
    """
    if has_request_context() and user() and session_of(whole=True) is None:
        raise NotAllowed(
            "You were signed out, or your role changed, before this could be done. Sign in again."
        )


def _limits() -> Limits:
    s = people().settings
    return Limits(timedelta(minutes=s.SESSION_IDLE_MINUTES), timedelta(hours=s.SESSION_MAX_HOURS))
