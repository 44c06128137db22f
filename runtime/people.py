"""The people of one bot: registering them, proving who they are, changing what they may (M28).

What proves a person is changed together with the event that says so, in one rotation of the vault.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from aggregates.base import Command, check
from aggregates.configuration import STREAM as CONFIGURATION
from aggregates.configuration import Configuration
from aggregates.errors import DomainError
from aggregates.users import (
    ROLES,
    STREAM,
    ChangePassword,
    ChangeRole,
    DeactivateUser,
    EnrolSecondFactor,
    Person,
    ReactivateUser,
    RegisterUser,
    RemoveSecondFactor,
    SignOutEverywhere,
    UseRecoveryCode,
    Users,
    email_fault,
    folded,
    name_fault,
    user_stream,
)
from config.clock import local_date
from config.settings import Settings
from runtime.credentials import (
    SECRET,
    Credentials,
    Proofs,
    read_credentials,
    write_credentials,
)
from runtime.custody import Custody
from runtime.dispatch import Recorded
from runtime.followed import Followed
from runtime.settings_change import current_settings
from security import passwords, totp

Edit = Callable[[Credentials], Credentials]


class FormFaults(DomainError):
    """What was typed cannot be used; ``faults`` says why, by field. Nothing was changed."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(". ".join(faults.values()) + ". Nothing was changed.")
        self.faults = faults


class People:
    """``cost`` is that of bcrypt, ``random`` gives random bytes. Any thread may ask."""

    def __init__(
        self,
        custody: Custody,
        *,
        cost: int = passwords.COST,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.custody = custody
        self._cost, self._random = cost, random
        self._users = Followed(custody.store, Users, STREAM)
        self._configuration = Followed(custody.store, Configuration, CONFIGURATION)
        self._settings: tuple[int, Settings] | None = None

    # -- asking ------------------------------------------------------------------------------

    @property
    def users(self) -> Users:
        """Everybody, as of now; to be read only."""
        return self._users.now

    @property
    def settings(self) -> Settings:
        """Those in force, read anew when they have changed."""
        version = self._configuration.now.version
        if self._settings is None or self._settings[0] != version:
            self._settings = version, current_settings(self.custody)
        return self._settings[1]

    def proven(self, name: str, password: str) -> Person | None:
        """The active user with this name and password. Always takes exactly one bcrypt."""
        kept = read_credentials(self.custody.secret(SECRET))
        person = self.users.named(name)
        proofs = kept.of(person.id) if kept and person else Proofs()
        pepper = kept.pepper if kept else b""
        right = passwords.matches(pepper, password, proofs.password, self._cost)
        return person if right and person and person.active else None

    def step_of(self, user_id: str, code: str) -> int | None:
        """The time step of a right code of the second factor, or None."""
        proofs = self._credentials().of(user_id)
        if not proofs.totp:
            return None
        return totp.step_of(proofs.totp, code.replace(" ", ""), self.custody.clock.now())

    def has_password(self, user_id: str) -> bool:
        return bool(self._credentials().of(user_id).password)

    def recovery_codes_left(self, user_id: str) -> int:
        return len(self._credentials().of(user_id).recovery)

    def password_fault(self, password: str, name: str) -> str:
        """What is wrong with a new password, or nothing."""
        least = self.settings.PASSWORD_MIN_LENGTH
        return passwords.password_fault(password, name=folded(name), least=least)

    # -- changing: each is one batch and one rotation -----------------------------------------

    def register(
        self, name: str, password: str, role: str, *, email: str = "", actor: str, command_id: str
    ) -> str:
        """The new user's id. Without a password, the first is set by a one-time link.

        Raises FormFaults.
        """
        user_id = _id_of(command_id)
        faults = {
            "name": name_fault(name) or self._taken(name, user_id),
            "password": password and self.password_fault(password, name),
            "role": "" if role in ROLES else f"Choose one of {', '.join(ROLES)}",
            "email": email_fault(email),
        }
        if found := {field: text for field, text in faults.items() if text}:
            raise FormFaults(found)
        command = self._command(
            RegisterUser, user_id=user_id, name=name, role=role, email=email,
            proof=self._proof(password) if password else "",
        )  # fmt: skip
        self._change(command, actor, command_id, self._password(user_id, password))
        return user_id

    def _taken(self, name: str, user_id: str) -> str:
        other = self.users.named(name)
        # asked twice under one id, it is the same registration
        return f"The name {folded(name)} is taken" if other and other.id != user_id else ""

    def change_role(
        self, user_id: str, role: str, reason: str, *, actor: str, command_id: str
    ) -> None:
        command = self._command(ChangeRole, user_id=user_id, role=role, reason=reason, by=actor)
        self._change(command, actor, command_id, self._admin_left(user_id))

    def deactivate(self, user_id: str, reason: str, *, actor: str, command_id: str) -> None:
        command = self._command(DeactivateUser, user_id=user_id, reason=reason)
        self._change(command, actor, command_id, self._admin_left(user_id))

    def _admin_left(self, leaving: str) -> Edit:
        """Changes no proof; refuses to leave nobody who can administer. Who never set a password
        cannot sign in, and only another admin makes a link to set one."""

        def edit(kept: Credentials) -> Credentials:
            admins = {p.id for p in self.users.people.values() if p.active and p.role == "admin"}
            able = {user_id for user_id in admins if kept.of(user_id).password}
            check(
                leaving not in able or len(able) > 1 or len(admins) == 1,
                f"There is no other admin who can sign in than {self.users.people[leaving].name}. "
                "Nothing was changed. Let another admin set a password first.",
            )
            return kept

        return edit

    def reactivate(self, user_id: str, reason: str, *, actor: str, command_id: str) -> None:
        command = self._command(ReactivateUser, user_id=user_id, reason=reason)
        self._change(command, actor, command_id)

    def change_password(
        self, user_id: str, present: str, new: str, *, actor: str, command_id: str
    ) -> None:
        """Raises FormFaults: the present one is wrong, or the new one cannot be used."""
        person = self.users.people[user_id]
        found = {"new": fault} if (fault := self.password_fault(new, person.name)) else {}
        if not found and present == new:
            found = {"new": "That is the present password"}
        if self.proven(person.name, present) is None:
            found["present"] = "That is not your present password"
        if found:
            raise FormFaults(found)
        command = self._command(ChangePassword, user_id=user_id, way="own", proof=self._proof(new))
        self._change(command, actor, command_id, self._password(user_id, new))

    def set_password(self, user_id: str, new: str, *, actor: str, command_id: str) -> None:
        """By a one-time link. Raises FormFaults."""
        person = self.users.people[user_id]
        if fault := self.password_fault(new, person.name):
            raise FormFaults({"new": fault})
        command = self._command(ChangePassword, user_id=user_id, way="link", proof=self._proof(new))
        self._change(command, actor, command_id, self._password(user_id, new))

    def new_factor(self) -> str:
        """A secret that an app may be given; it counts from ``enrol`` on."""
        return totp.new_secret(self._random)

    def enrol(
        self, user_id: str, secret: str, code: str, *, actor: str, command_id: str
    ) -> list[str]:
        """Recovery codes, to be shown once. ``code`` shows that the app has the secret.

        Raises FormFaults; DomainError when it was enrolled before: other codes are in force then.
        """
        if totp.step_of(secret, code.replace(" ", ""), self.custody.clock.now()) is None:
            raise FormFaults({"code": "That is not the app's present code; type the newest one"})
        codes = totp.recovery_codes(self._random)

        def edit(kept: Credentials) -> Credentials:
            hashes = tuple(totp.recovery_hash(kept.pepper, c) for c in codes)
            return kept.having(user_id, totp=secret, recovery=hashes)

        command = self._command(EnrolSecondFactor, user_id=user_id, proof=self._proof(secret))
        done = self._change(command, actor, command_id, edit)
        check(not done.repeated, "There is a second factor already; its codes were shown once.")
        return codes

    def remove_factor(self, user_id: str, reason: str, *, actor: str, command_id: str) -> None:
        command = self._command(RemoveSecondFactor, user_id=user_id, reason=reason)
        edit: Edit = lambda kept: kept.having(user_id, totp="", recovery=())  # noqa: E731
        self._change(command, actor, command_id, edit)

    def use_recovery_code(self, user_id: str, code: str, *, command_id: str) -> bool:
        """Whether it was one of the user's; then it is none any more."""
        kept = self._credentials()
        used = totp.recovery_hash(kept.pepper, code)
        if used not in kept.of(user_id).recovery:
            return False

        def edit(now: Credentials) -> Credentials:
            left = now.of(user_id).recovery
            if used not in left:  # another request was faster with the same code
                raise DomainError("This code was used already. Nothing was changed.")
            return now.having(user_id, recovery=tuple(c for c in left if c != used))

        command = self._command(UseRecoveryCode, user_id=user_id)
        try:
            # another code may have come under this id before: this one is not used up then
            return not self._change(command, user_id, command_id, edit).repeated
        except DomainError:
            return False

    def sign_out_everywhere(self, user_id: str, *, actor: str, command_id: str) -> None:
        """Ends every session by event; nothing that the vault guards changes."""
        self.record(SignOutEverywhere, actor=actor, command_id=command_id, user_id=user_id)

    def record(
        self, kind: type[Command], *, actor: str, command_id: str, **fields: object
    ) -> Recorded:
        """Carry out a command that needs no rotation."""
        thread = user_stream(str(fields["user_id"])) if fields.get("user_id") else ""
        return self.custody.record(
            self._command(kind, **fields), actor=actor, command_id=command_id, correlation=thread
        )

    # -- how ---------------------------------------------------------------------------------

    def _credentials(self) -> Credentials:
        found = read_credentials(self.custody.secret(SECRET))
        return found or Credentials(pepper=self._random(passwords.PEPPER_BYTES))

    def _proof(self, typed: str) -> str:
        return self.custody.fingerprint(f"proof:{typed}")

    def _password(self, user_id: str, password: str) -> Edit:
        def edit(kept: Credentials) -> Credentials:
            if not password:
                return kept.having(user_id)
            hashed = passwords.hash_password(kept.pepper, password, self._cost)
            return kept.having(user_id, password=hashed)

        return edit

    def _command(self, kind: type[Command], **fields: object) -> Command:
        now = self.custody.clock.now()
        day = local_date(now, self.settings.TIMEZONE)
        return kind(at=now, effective_date=day, **fields)

    def _change(
        self, command: Command, actor: str, command_id: str, edit: Edit | None = None
    ) -> Recorded:
        def edited(content: bytes) -> bytes:
            kept = read_credentials(content)
            before = kept or Credentials(pepper=self._random(passwords.PEPPER_BYTES))
            return write_credentials(edit(before) if edit else before)

        secrets = {SECRET: edited}
        return self.custody.change(command, actor=actor, command_id=command_id, secrets=secrets)


def _id_of(command_id: str) -> str:
    """Opaque, and the same when the same form comes twice."""
    return hashlib.sha256(f"user:{command_id}".encode()).hexdigest()[:16]
