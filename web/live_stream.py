"""Server-sent events that say "something changed": the page then asks for its live part anew.

Each stream keeps a thread of the server busy, so there are few of them: for one user, and in all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Lock

from aggregates.errors import TradeBotError
from config.paths import DataFolder
from security.keyfile import KeyFileError

IN_ALL, OF_ONE = 12, 4  # of 32 threads (web.serve): the others are for pages
EVERY_S = 1.0  # how soon a change is told, and how often at most
HEARTBEAT_S = 5.0  # so that a browser that went away is noticed, and a proxy keeps the stream
LONGEST_S = 30 * 60.0  # then the browser opens another one
AGAIN_MS = 3000  # for a browser whose stream was cut

_ending = Event()


def end_all() -> None:
    """The process is told to end: no stream keeps it."""
    _ending.set()


class Streams:
    """How many are open, and by whom."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def enter(self, who: str) -> bool:
        """Whether there is room for one more; ``leave`` must follow if there is."""
        with self._lock:
            if self._open.total() >= IN_ALL or self._open[who] >= OF_ONE:
                return False
            self._open[who] += 1
            return True

    def leave(self, who: str) -> None:
        with self._lock:
            self._open[who] -= 1
            self._open += Counter()  # drops those who have none

    @property
    def count(self) -> int:
        return self._open.total()


def mark_of(folder: DataFolder, newest: int) -> str:
    """What names a state of the live part: the newest event, and the session's last word."""
    told = 0
    with suppress(OSError):
        told = folder.status.stat().st_mtime_ns
    return f"{newest}-{told}"


class Changes:
    """One stream. ``mark`` gives the present mark, ``still_in`` whether who asked may go on;
    ``gone`` whether the browser went away. ``seen`` is the mark of what the browser shows.
    """

    def __init__(
        self,
        mark: Callable[[], str],
        still_in: Callable[[], bool],
        gone: Callable[[], bool],
        seen: str,
    ) -> None:
        self._mark, self._still_in, self._gone, self._seen = mark, still_in, gone, seen

    def __iter__(self) -> Iterator[str]:
        yield f"retry: {AGAIN_MS}\n\n"
        begun = beaten = time.monotonic()
        while not self._gone() and not _ending.is_set() and time.monotonic() - begun < LONGEST_S:
            try:
                allowed, mark = self._still_in(), self._mark()
            except (TradeBotError, KeyFileError):
                return  # the browser asks again, and the page says what is wrong
            if not allowed:
                yield "event: over\ndata: signed out\n\n"
                return
            if mark != self._seen:
                self._seen = mark
                yield f"id: {mark}\ndata: changed\n\n"
                beaten = time.monotonic()
            elif time.monotonic() - beaten >= HEARTBEAT_S:
                yield ": alive\n\n"
                beaten = time.monotonic()
            _ending.wait(EVERY_S)
