"""Who may sign in and what each may do (M28). What proves a person, the vault holds; never events.

All users share one stream: that a name is given once, and that somebody can always administer, is
then held by the store's optimistic lock. What a person does is in a stream of that person.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from aggregates.base import Aggregate, Command, Event, check, record, topic

ROLES = ("viewer", "accountant", "compliance", "operator", "admin")
STREAM = "users"
LONGEST_REASON = 500
_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\()\[\]]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*")


def folded(name: str) -> str:
    """A name as it is compared and kept: compatibility forms resolved (NFKC), without case."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def name_fault(name: str) -> str:
    """What is wrong with a user's name, or nothing. Only these letters: look-alikes cannot be."""
    if _NAME.fullmatch(folded(name)):
        return ""
    return "A user name has 2 to 32 of a-z, 0-9, dot, dash and underscore, and begins with a letter"


def email_fault(email: str) -> str:
    """What is wrong with an address for mail, or nothing. None is allowed: links are then shown."""
    if not email or (len(email) <= 254 and email.isascii() and _EMAIL.fullmatch(email.lower())):
        return ""
    return "That is not an e-mail address; write it as name@example.org, or leave it empty"


def user_stream(user_id: str) -> str:
    """What this user did, and the correlation of what was done to the user."""
    return f"user-{user_id}"


@dataclass(frozen=True)
class Person:
    """One user. ``era`` counts what ends all sessions: those of an earlier era hold no more."""

    id: str
    name: str
    role: str
    email: str = ""
    active: bool = True
    second_factor: bool = False
    era: int = 0


@topic("User.Registered")
class UserRegistered(Event, frozen=True, kw_only=True):
    user_id: str
    name: str
    role: str
    email: str


@topic("User.RoleChanged")
class RoleChanged(Event, frozen=True, kw_only=True):
    user_id: str
    before: str
    role: str
    reason: str


@topic("User.Deactivated")
class UserDeactivated(Event, frozen=True, kw_only=True):
    user_id: str
    reason: str


@topic("User.Reactivated")
class UserReactivated(Event, frozen=True, kw_only=True):
    user_id: str
    reason: str


@topic("User.PasswordChanged")
class PasswordChanged(Event, frozen=True, kw_only=True):
    """``way``: with the former password, or by a one-time link."""

    user_id: str
    way: Literal["own", "link"]


@topic("User.SecondFactorEnrolled")
class SecondFactorEnrolled(Event, frozen=True, kw_only=True):
    user_id: str


@topic("User.SecondFactorRemoved")
class SecondFactorRemoved(Event, frozen=True, kw_only=True):
    user_id: str
    reason: str


@topic("User.RecoveryCodeUsed")
class RecoveryCodeUsed(Event, frozen=True, kw_only=True):
    user_id: str


@topic("User.SignedOutEverywhere")
class SignedOutEverywhere(Event, frozen=True, kw_only=True):
    user_id: str


class RegisterUser(Command, frozen=True, kw_only=True):
    """``proof`` is a keyed hash of what was typed, in no event: with another password under the
    same id it is another command. Empty without one."""

    added: ClassVar[frozenset[str]] = frozenset({"proof"})

    user_id: str
    name: str
    role: str
    email: str
    proof: str = ""


class ChangeRole(Command, frozen=True, kw_only=True):
    """``by`` is the user who asks."""

    user_id: str
    role: str
    reason: str
    by: str


class DeactivateUser(Command, frozen=True, kw_only=True):
    user_id: str
    reason: str


class ReactivateUser(Command, frozen=True, kw_only=True):
    user_id: str
    reason: str


class ChangePassword(Command, frozen=True, kw_only=True):
    """``proof`` as in ``RegisterUser``."""

    added: ClassVar[frozenset[str]] = frozenset({"proof"})

    user_id: str
    way: Literal["own", "link"]
    proof: str = ""


class EnrolSecondFactor(Command, frozen=True, kw_only=True):
    """``proof`` as in ``RegisterUser``, of the app's secret."""

    added: ClassVar[frozenset[str]] = frozenset({"proof"})

    user_id: str
    proof: str = ""


class RemoveSecondFactor(Command, frozen=True, kw_only=True):
    user_id: str
    reason: str


class UseRecoveryCode(Command, frozen=True, kw_only=True):
    user_id: str


class SignOutEverywhere(Command, frozen=True, kw_only=True):
    user_id: str


class Users(Aggregate):
    """All users by id."""

    ENDS_SESSIONS: ClassVar = (
        RoleChanged, UserDeactivated, PasswordChanged, SecondFactorRemoved, SignedOutEverywhere,
    )  # fmt: skip

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.people: dict[str, Person] = {}

    def named(self, name: str) -> Person | None:
        wanted = folded(name)
        return next((p for p in self.people.values() if p.name == wanted), None)

    def register(self, c: RegisterUser) -> None:
        check(not (fault := name_fault(c.name)), f"{fault}. Nothing was changed.")
        check(not (fault := email_fault(c.email)), f"{fault}. Nothing was changed.")
        check(c.role in ROLES, f"There is no role {c.role[:40]!r}; allowed: {', '.join(ROLES)}.")
        check(c.user_id not in self.people, "This user is registered already.")
        # names of former users stay taken: what they did must not look like a newcomer's doing
        check(not self.named(c.name), f"The name {folded(c.name)} is taken; choose another one.")
        self.emit(record(UserRegistered, c, name=folded(c.name)))

    def change_role(self, c: ChangeRole) -> None:
        person = self._active(c.user_id)
        check(c.role in ROLES, f"There is no role {c.role[:40]!r}; allowed: {', '.join(ROLES)}.")
        check(c.by != c.user_id, "Nobody changes his own role; ask another admin.")
        check(c.role != person.role, f"{person.name} is {person.role} already.")
        check_reason(c.reason)
        self.check_admin_left(person)
        self.emit(record(RoleChanged, c, before=person.role))

    def deactivate(self, c: DeactivateUser) -> None:
        person = self._active(c.user_id)
        check_reason(c.reason)
        self.check_admin_left(person)
        self.emit(record(UserDeactivated, c))

    def reactivate(self, c: ReactivateUser) -> None:
        person = self._known(c.user_id)
        check(not person.active, f"{person.name} is active already.")
        check_reason(c.reason)
        self.emit(record(UserReactivated, c))

    def change_password(self, c: ChangePassword) -> None:
        self._active(c.user_id)
        self.emit(record(PasswordChanged, c))

    def enrol(self, c: EnrolSecondFactor) -> None:
        person = self._active(c.user_id)
        check(not person.second_factor, "There is a second factor already; remove it first.")
        self.emit(record(SecondFactorEnrolled, c))

    def remove_factor(self, c: RemoveSecondFactor) -> None:
        person = self._known(c.user_id)
        check(person.second_factor, f"{person.name} has no second factor.")
        check_reason(c.reason)
        self.emit(record(SecondFactorRemoved, c))

    def use_recovery_code(self, c: UseRecoveryCode) -> None:
        check(self._active(c.user_id).second_factor, "There is no second factor.")
        self.emit(record(RecoveryCodeUsed, c))

    def sign_out_everywhere(self, c: SignOutEverywhere) -> None:
        self._known(c.user_id)
        self.emit(record(SignedOutEverywhere, c))

    def check_admin_left(self, leaving: Person) -> None:
        admins = {p.id for p in self.people.values() if p.active and p.role == "admin"}
        check(
            admins != {leaving.id},
            f"{leaving.name} is the last active admin; nobody could manage users any more. Nothing "
            "was changed. Make another user admin first.",
        )

    def _known(self, user_id: str) -> Person:
        check(user_id in self.people, "There is no such user. Nothing was changed.")
        return self.people[user_id]

    def _active(self, user_id: str) -> Person:
        person = self._known(user_id)
        check(person.active, f"{person.name} is deactivated. Nothing was changed.")
        return person

    def apply(self, event: Event) -> None:
        match event:
            case UserRegistered():
                self.people[event.user_id] = Person(
                    event.user_id, event.name, event.role, event.email
                )
            case RoleChanged():
                self._change(event.user_id, role=event.role)
            case UserDeactivated():
                self._change(event.user_id, active=False)
            case UserReactivated():
                self._change(event.user_id, active=True)
            case SecondFactorEnrolled():
                self._change(event.user_id, second_factor=True)
            case SecondFactorRemoved():
                self._change(event.user_id, second_factor=False)
        if isinstance(event, self.ENDS_SESSIONS):
            self._change(event.user_id, era=self.people[event.user_id].era + 1)

    def _change(self, user_id: str, **fields: object) -> None:
        self.people[user_id] = replace(self.people[user_id], **fields)  # type: ignore[arg-type]


def check_reason(reason: str) -> None:
    said = reason.strip()
    check(bool(said), "A reason is needed: it is kept with the change. Nothing was changed.")
    check(
        len(reason) <= LONGEST_REASON,
        f"A reason has at most {LONGEST_REASON} characters. Nothing was changed.",
    )
