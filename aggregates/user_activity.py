"""What people did at the door: signed in, failed to, were refused, signed out (M28)."""

from __future__ import annotations

from typing import Literal

from aggregates.base import Aggregate, Command, Event, record, topic
from aggregates.users import user_stream

Cause = Literal["password", "second factor", "unknown name", "deactivated", "waiting"]


def door_stream(c: Command) -> str:
    """That of the user; who is no user has one for each day, so that none grows without end.

    What was typed as a name is kept nowhere: people type passwords into the wrong field.
    """
    user_id = getattr(c, "user_id", "")
    return user_stream(user_id) if user_id else f"visitors-{c.effective_date.isoformat()}"


@topic("User.SignedIn")
class SignedIn(Event, frozen=True, kw_only=True):
    """``address`` is that of the browser, or of the trusted proxy's client."""

    user_id: str
    address: str
    second_factor: bool


@topic("User.SignInFailed")
class SignInFailed(Event, frozen=True, kw_only=True):
    """``user_id`` is empty when no user has the name. ``waits_s``: seconds until the next try."""

    user_id: str
    address: str
    cause: Cause
    waits_s: int


@topic("User.SignedOut")
class SignedOut(Event, frozen=True, kw_only=True):
    user_id: str


@topic("User.Denied")
class AccessDenied(Event, frozen=True, kw_only=True):
    """A page or a change that the role does not allow. ``route`` is the name of the page."""

    user_id: str
    role: str
    route: str
    method: str


@topic("User.ResetLinkMade")
class ResetLinkMade(Event, frozen=True, kw_only=True):
    """A one-time link to set a password, ``sent`` by mail or shown once to the admin who asked."""

    user_id: str
    sent: Literal["mail", "shown"]
    minutes: int


class RecordSignIn(Command, frozen=True, kw_only=True):
    user_id: str
    address: str
    second_factor: bool


class RecordFailedSignIn(Command, frozen=True, kw_only=True):
    user_id: str
    address: str
    cause: Cause
    waits_s: int


class RecordSignOut(Command, frozen=True, kw_only=True):
    user_id: str


class RecordDenial(Command, frozen=True, kw_only=True):
    user_id: str
    role: str
    route: str
    method: str


class RecordResetLink(Command, frozen=True, kw_only=True):
    user_id: str
    sent: Literal["mail", "shown"]
    minutes: int


class UserActivity(Aggregate):
    """A list of facts: nothing is decided by them."""

    decides_by_past = False

    def sign_in(self, c: RecordSignIn) -> None:
        self.emit(record(SignedIn, c))

    def fail(self, c: RecordFailedSignIn) -> None:
        self.emit(record(SignInFailed, c))

    def sign_out(self, c: RecordSignOut) -> None:
        self.emit(record(SignedOut, c))

    def deny(self, c: RecordDenial) -> None:
        self.emit(record(AccessDenied, c))

    def make_link(self, c: RecordResetLink) -> None:
        self.emit(record(ResetLinkMade, c))

    def apply(self, event: Event) -> None:
        """There is no state."""
