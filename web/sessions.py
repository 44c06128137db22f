"""Who is signed in, who must wait, which links hold: a small file of the pages' own, not history.

No token lies in it: sessions and links are kept by the SHA-256 of 32 random bytes, names that were
tried by theirs. Losing the file signs everybody out and forgets the waits; nothing else.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from aggregates.errors import TradeBotError
from config.clock import from_micros, to_micros
from security.totp import latest_step

SECOND_STEP = timedelta(minutes=5)  # between password and second factor
SEEN_EVERY = timedelta(seconds=10)  # how exactly idleness is measured
FORGOTTEN = timedelta(days=1)  # after the last failure and its wait, a count begins anew
LONGEST_WAIT = timedelta(days=1)
LONGEST_LINK = timedelta(days=1)  # the most that RESET_LINK_MINUTES may be
BUSY_S = 5.0

_TABLES = """
PRAGMA journal_mode = wal;
PRAGMA secure_delete = on;
CREATE TABLE IF NOT EXISTS sessions (
    token BLOB PRIMARY KEY, user_id TEXT NOT NULL, era INTEGER NOT NULL, whole INTEGER NOT NULL,
    begun_us INTEGER NOT NULL, seen_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waits (
    key BLOB PRIMARY KEY, failures INTEGER NOT NULL, until_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    token BLOB PRIMARY KEY, user_id TEXT NOT NULL, era INTEGER NOT NULL, until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (user_id TEXT PRIMARY KEY, step INTEGER NOT NULL) STRICT;
"""


class SessionsUnreadable(TradeBotError):
    """The file of sessions cannot be used."""


class Session(NamedTuple):
    """``whole``: signed in; otherwise the password was right and the second factor is awaited.

    ``era`` is that of the user when it began: it ends with the era.
    """

    user_id: str
    era: int
    whole: bool
    begun: datetime
    seen: datetime


class Limits(NamedTuple):
    """How long a session lasts without a request, and in all."""

    idle: timedelta
    longest: timedelta


class Throttle(NamedTuple):
    """``attempts`` wrong ones in a row are free; then the wait, doubled by each further one."""

    attempts: int
    wait: timedelta

    def wait_after(self, failures: int) -> timedelta:
        beyond = failures - self.attempts
        return min(self.wait * 2 ** min(beyond, 20), LONGEST_WAIT) if beyond >= 0 else timedelta()


class Sessions:
    """Any thread may ask; one at a time is answered. Moments are handed in, UTC."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._ended: set[bytes] = set()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            path.chmod(0o600)
            self._file = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=BUSY_S
            )
            self._file.executescript(_TABLES)
        except (OSError, sqlite3.Error) as e:
            raise self._unreadable(e) from None

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, also beside another process. Raises SessionsUnreadable."""
        with self._lock:
            try:
                self._file.execute("BEGIN IMMEDIATE")
                yield self._file
                self._file.execute("COMMIT")
            except sqlite3.Error as e:
                raise self._unreadable(e) from None
            finally:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")

    def _unreadable(self, e: Exception) -> SessionsUnreadable:
        return SessionsUnreadable(
            f"{self.path} cannot be used ({e}). Nobody can sign in; the books are as they were. "
            "Make room on the disk, or move the file away: everybody then signs in again."
        )

    # -- sessions ------------------------------------------------------------------------------

    def begin(self, token: str, user_id: str, era: int, now: datetime, *, whole: bool) -> None:
        """A browser's session; one that it had is over."""
        with self._alone() as file:
            file.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
                (_digest(token), user_id, era, whole, to_micros(now), to_micros(now)),
            )
            long_over = to_micros(now - timedelta(days=8))  # beyond any SESSION_MAX_HOURS
            file.execute("DELETE FROM sessions WHERE begun_us < ?", (long_over,))

    def find(
        self, token: str, now: datetime, limits: Limits, *, seen: bool = True
    ) -> Session | None:
        """The browser's session, unless it is over. Noted as seen, unless a page asks by itself.

        Where nothing can be noted, on a full disk, it is idle since it was last noted: reading
        goes on for as long.
        """
        if _digest(token) in self._ended:
            return None
        with self._lock:
            try:
                row = self._file.execute(
                    "SELECT user_id, era, whole, begun_us, seen_us FROM sessions WHERE token = ?",
                    (_digest(token),),
                ).fetchone()
            except sqlite3.Error as e:
                raise self._unreadable(e) from None
        if row is None:
            return None
        found = Session(row[0], row[1], bool(row[2]), from_micros(row[3]), from_micros(row[4]))
        longest = limits.longest if found.whole else SECOND_STEP
        # a clock that was ahead and is right again must not lend a session more than its time
        ahead = max(found.begun, found.seen) - now > SEEN_EVERY
        if ahead or now - found.begun >= longest or now - found.seen >= limits.idle:
            self.end(token)
            return None
        if seen and now - found.seen >= SEEN_EVERY:
            with suppress(SessionsUnreadable), self._alone() as file:
                file.execute(
                    "UPDATE sessions SET seen_us = ? WHERE token = ?",
                    (to_micros(now), _digest(token)),
                )
        return found

    def end(self, token: str) -> None:
        """Where nothing can be written, as on a full disk, this process remembers it."""
        try:
            with self._alone() as file:
                file.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))
        except SessionsUnreadable:
            self._ended.add(_digest(token))

    # -- waits ---------------------------------------------------------------------------------

    def attempt(self, counts: dict[str, Throttle], now: datetime) -> timedelta:
        """Count a try under every key before it is looked at; how long to wait instead, if at all.

        Counted first, as many at once could otherwise all be tried.
        """
        with self._alone() as file:
            rows = {key: self._wait(file, key, now) for key in counts}
            wait = max((until - now for _, until in rows.values()), default=timedelta())
            if wait > timedelta():
                return wait
            for key, throttle in counts.items():
                failures = rows[key][0] + 1
                until = now + throttle.wait_after(failures)
                file.execute(
                    "INSERT OR REPLACE INTO waits VALUES (?, ?, ?, ?)",
                    (_digest(key), failures, to_micros(until), to_micros(now)),
                )
            file.execute(
                "DELETE FROM waits WHERE max(last_us, until_us) < ?", (to_micros(now - FORGOTTEN),)
            )
        return timedelta()

    def _wait(self, file: sqlite3.Connection, key: str, now: datetime) -> tuple[int, datetime]:
        row = file.execute(
            "SELECT failures, until_us, last_us FROM waits WHERE key = ?", (_digest(key),)
        ).fetchone()
        if row is None or from_micros(max(row[1], row[2])) < now - FORGOTTEN:
            return 0, now
        until, last = from_micros(row[1]), from_micros(row[2])
        if last > now:  # the clock was ahead: it waits as long as it was to, from now on
            until = now + max(until - last, timedelta())
            file.execute(
                "UPDATE waits SET until_us = ?, last_us = ? WHERE key = ?",
                (to_micros(until), to_micros(now), _digest(key)),
            )
        return row[0], until

    def waiting(self, key: str, now: datetime) -> timedelta:
        """How long this key waits from now on; nothing when it does not."""
        with self._alone() as file:
            return max(self._wait(file, key, now)[1] - now, timedelta())

    def forget(self, key: str) -> None:
        """After a success: its count begins anew."""
        with self._alone() as file:
            file.execute("DELETE FROM waits WHERE key = ?", (_digest(key),))

    def uncount(self, key: str) -> None:
        """Take back one try that was right, and the wait that it brought; older ones stay."""
        with self._alone() as file:
            file.execute(
                "UPDATE waits SET failures = max(failures - 1, 0), until_us = last_us"
                " WHERE key = ?",
                (_digest(key),),
            )

    # -- links and steps -----------------------------------------------------------------------

    def keep_link(self, token: str, user_id: str, era: int, until: datetime) -> None:
        """A one-time link; one that the user had before holds no more."""
        with self._alone() as file:
            file.execute("DELETE FROM links WHERE user_id = ?", (user_id,))
            file.execute(
                "INSERT INTO links VALUES (?, ?, ?, ?)",
                (_digest(token), user_id, era, to_micros(until)),
            )

    def link(self, token: str, now: datetime) -> tuple[str, int] | None:
        """Whose link it is and of which era, unless it has expired or was used.

        One that would hold longer than any is given was made by a clock that was ahead.
        """
        with self._alone() as file:
            row = file.execute(
                "SELECT user_id, era FROM links WHERE token = ? AND until_us > ? AND until_us <= ?",
                (_digest(token), to_micros(now), to_micros(now + LONGEST_LINK)),
            ).fetchone()
        return (row[0], row[1]) if row else None

    def drop_link(self, token: str) -> None:
        """It was used."""
        with self._alone() as file:
            file.execute("DELETE FROM links WHERE token = ?", (_digest(token),))

    def take_step(self, user_id: str, step: int, now: datetime) -> bool:
        """Whether this step of the second factor is later than any taken before: no code twice.

        One beyond what any code can be of by now was taken under a clock that was ahead.
        """
        with self._alone() as file:
            done = file.execute(
                "INSERT INTO steps VALUES (?, ?) ON CONFLICT (user_id) DO UPDATE"
                " SET step = excluded.step WHERE excluded.step > step OR step > ?",
                (user_id, step, latest_step(now)),
            )
            return done.rowcount == 1


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
