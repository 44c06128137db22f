"""What one application knows of its people: who they are, their sessions, whom it trusts."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import NamedTuple, cast

from flask import current_app

from aggregates.errors import TradeBotError
from config.paths import DataFolder
from runtime.bot_state import IDLE, has_vault, state_of
from runtime.people import People
from security.keyfile import KeyFileError
from web.sessions import Sessions
from web.shared import shared

NAME = "tradebot.door"
DENIALS_EVERY = timedelta(minutes=1)  # one event for the same page and user in that time


class Trusted(NamedTuple):
    """TRUSTED_HOSTS in lower case, TRUSTED_PROXY and FLASK_SECRET_KEY, as they were at the first
    request: a change of them waits for the next start."""

    hosts: frozenset[str] = frozenset()
    proxy: str = ""
    form_key: bytes = b""

    def __repr__(self) -> str:
        return "Trusted(***)"


class Door:
    """What one application knows of people and sessions; opened at the first request that asks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._people: People | None = None
        self._sessions: Sessions | None = None
        self._denied: dict[tuple[str, str], int] = {}
        self._trusted: Trusted | None = None

    def people(self) -> People:
        """Raises TradeBotError or KeyFileError: store or vault cannot be opened."""
        with self._lock:
            if self._people is None:
                self._people = People(shared().custody())
            return self._people

    def sessions(self) -> Sessions:
        """Raises SessionsUnreadable."""
        with self._lock:
            if self._sessions is None:
                self._sessions = Sessions(folder().sessions)
            return self._sessions

    def close(self) -> None:
        """Give back what was opened."""
        if self._people is not None:
            self._people.custody.close()
        if self._sessions is not None:
            self._sessions.close()
        self._people = self._sessions = None

    def trusted(self) -> Trusted:
        """From the settings, once there are any; what cannot be read is trusted with nothing."""
        if self._trusted is None and has_vault(folder()):
            try:
                if state_of(folder()) != IDLE:  # the set-up is asked for on this machine alone
                    return Trusted()
                settings = self.people().settings
            except (TradeBotError, KeyFileError):
                return Trusted()
            self._trusted = Trusted(
                frozenset(name.lower() for name in settings.TRUSTED_HOSTS),
                settings.TRUSTED_PROXY,
                settings.FLASK_SECRET_KEY.reveal().encode(),
            )
        return self._trusted or Trusted()

    def first_denial(self, user_id: str, endpoint: str) -> bool:
        """Whether this is to be recorded: not the same again and again."""
        minute = int(shared().clock.now().timestamp() // DENIALS_EVERY.total_seconds())
        with self._lock:
            if self._denied.get((user_id, endpoint)) == minute:
                return False
            self._denied = {k: m for k, m in self._denied.items() if m == minute}
            self._denied[user_id, endpoint] = minute
            return True


def door() -> Door:
    """That of the application which answers this request."""
    return cast(Door, current_app.extensions[NAME])


def people() -> People:
    return door().people()


def folder() -> DataFolder:
    return DataFolder(shared().queries.data_dir)
