"""What one application knows of its people: who they are, their sessions, whom it trusts."""

from __future__ import annotations

import logging
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
log = logging.getLogger("web")
VISITORS_AN_HOUR = 100
DENIALS_EVERY = timedelta(minutes=1)  # one event for the same page and user in that time


class Trusted(NamedTuple):
    """TRUSTED_HOSTS in lower case, TRUSTED_PROXY and FLASK_SECRET_KEY, as they were when the
    server was started: a change of them waits for the next start."""

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
        self._visitors = 0, 0  # the hour, and how many tries were made in it
        self.visitors_an_hour = VISITORS_AN_HOUR

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
        """Asked for once: the socket under the pages believes the same proxy until its end."""
        if self._trusted is None:
            self._trusted = self._trusted_now()
        return self._trusted

    def _trusted_now(self) -> Trusted:
        """From the settings, once there are any; what cannot be read is trusted with nothing."""
        try:
            # the set-up is asked for on this machine alone, without a proxy, up to the next start
            if not has_vault(folder()) or state_of(folder()) != IDLE:
                return Trusted()
            settings = self.people().settings
        except (TradeBotError, KeyFileError):
            return Trusted()
        return Trusted(
            frozenset(name.lower() for name in settings.TRUSTED_HOSTS),
            settings.TRUSTED_PROXY,
            settings.FLASK_SECRET_KEY.reveal().encode(),
        )

    def first_denial(self, user_id: str, endpoint: str) -> bool:
        """Whether this is to be recorded: not the same again and again."""
        minute = int(shared().clock.now().timestamp() // DENIALS_EVERY.total_seconds())
        with self._lock:
            if self._denied.get((user_id, endpoint)) == minute:
                return False
            self._denied = {k: m for k, m in self._denied.items() if m == minute}
            self._denied[user_id, endpoint] = minute
            return True

    def room_for_a_visitor(self) -> bool:
        """Whether one more try of a name that nobody has is to be recorded.

        They come from strangers, in any number: beyond some in an hour only the log says so.
        """
        hour = int(shared().clock.now().timestamp() // 3600)
        with self._lock:
            before = self._visitors[1] if self._visitors[0] == hour else 0
            self._visitors = hour, before + 1
        if before == self.visitors_an_hour:
            log.warning(
                "More than %s tries to sign in with names that nobody has in this hour; no more of "
                "them are recorded until it ends. They wait as ever.", before,
            )  # fmt: skip
        return before < self.visitors_an_hour


def door() -> Door:
    """That of the application which answers this request."""
    return cast(Door, current_app.extensions[NAME])


def people() -> People:
    return door().people()


def folder() -> DataFolder:
    return DataFolder(shared().queries.data_dir)
