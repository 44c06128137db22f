"""The process that is always there logs the history: what pages record between sessions, too."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from aggregates.errors import TradeBotError
from config.clock import Clock
from config.paths import DataFolder
from config.settings import Settings
from eventstore.feed import Feed
from runtime.event_log import EventLog, ResultOnDisk
from runtime.keys import key_ring
from runtime.log_files import log_path
from runtime.logs import append_line
from security.keyfile import KeyFileError

EVERY = timedelta(seconds=2)
AFTER_A_FAULT = timedelta(minutes=1)


class LogFollower:
    """``tick`` is called as often as one likes; it takes at most 2,000 events, and never raises
    because of what it follows. A session that logs by itself does it no harm."""

    def __init__(self, folder: DataFolder, settings: Settings, clock: Clock) -> None:
        self._folder, self._settings, self._clock = folder, settings, clock
        self._results = ResultOnDisk(folder, settings.CURRENCY_CODE)
        self._feed: Feed | None = None
        self._log: EventLog | None = None
        self._next: datetime | None = None
        self._said = ""

    def tick(self) -> None:
        now = self._clock.now()
        if self._next is not None and now < self._next:
            return
        try:
            # while there is more, it goes on with the next tick
            more = self._opened().follow()
        except (TradeBotError, KeyFileError, sqlite3.Error) as e:
            self.close()
            self._next = now + AFTER_A_FAULT
            self._say(now, str(e))
        else:
            self._next, self._said = None if more else now + EVERY, ""

    def _opened(self) -> EventLog:
        if self._log is None:
            s, folder = self._settings, self._folder
            self._feed = Feed(folder.events, key_ring(folder))
            self._log = EventLog(folder, s.identity, self._feed, s.BROKER_CODE, self._results)
        return self._log

    def _say(self, now: datetime, why: str) -> None:
        if why != self._said:
            self._said = why
            said = f"The history cannot be logged: {why} It is tried again every minute."
            append_line(log_path(self._folder, "main_bot"), now, "ERROR", said)

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()
        self._feed = self._log = None
        self._results.close()
