"""Checking history: recompute the chain, name the first position at which it does not hold."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, chain_hash
from eventstore.errors import SealBroken
from eventstore.schema import open_reader, unreadable
from eventstore.sealing import is_committed, opener
from security.data_keys import PLAIN, KeyRing, MissingKey

BATCH = 5000
RUN = 100  # rows checked at a time: few enough to stay in the processor's cache
Reader = sqlite3.Connection | apsw.Connection  # either reads a store; apsw is faster by the row
Row = tuple[Any, ...]  # the COLUMNS in order
_ERRORS = (sqlite3.DatabaseError, apsw.Error)
_NOT_COMMITTED = "its commitment does not belong to its payload and blind key"
_HASH = COLUMNS.index("hash")
_EPOCH, _STATE = COLUMNS.index("key_epoch"), COLUMNS.index("state")


class Verification(NamedTuple):
    """The outcome. ``bad_position`` is None when everything holds up to ``position``.

    ``sealed`` counts the payloads whose keys are not here: in the chain, but not opened.
    """

    position: int
    head_hash: bytes
    bad_position: int | None
    reason: str
    sealed: int = 0

    @property
    def intact(self) -> bool:
        return self.bad_position is None


class BrokenChain(Exception):
    """The first row that does not hold: its position, the hash before it, and why."""

    def __init__(self, position: int, before: bytes, reason: str) -> None:
        super().__init__(f"event {position} is bad: {reason}")
        self.position, self.before, self.reason = position, before, reason


def verify(
    path: Path,
    keys: KeyRing | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Verification:
    """Recompute every hash from the first event; with keys, open every payload and recompute its
    commitment too.

    ``progress`` is told (done, total). Raises StoreUnreadable when the file cannot be read at all.
    """
    connection = open_reader(path)
    try:
        connection.execute("BEGIN")  # one snapshot, also beside a writer
        total, head_hash = claimed_head(connection)
        contents = _Contents(keys or KeyRing({}))
        position, reached = 0, GENESIS
        try:
            for row in chain.from_iterable(chained(connection)):
                if fault := contents.fault(row):
                    raise BrokenChain(row[0], reached, fault)
                position, reached = row[0], row[_HASH]
                if position % BATCH == 0:
                    progress(position, max(total, position))
        except BrokenChain as e:
            return Verification(e.position - 1, e.before, e.position, e.reason, contents.sealed)
        progress(position, max(total, position))
        found = Verification(position, reached, None, "", contents.sealed)
        return check_end(found, total, head_hash)
    except sqlite3.Error as e:
        raise unreadable(str(path), e) from None
    finally:
        connection.close()


class _Contents:
    """Payloads and commitments, as far as their keys are here. ``sealed`` counts the others."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys, self._open, self._missing = keys, opener(keys), set[int]()
        self.sealed = 0

    def fault(self, row: tuple[Any, ...]) -> str:
        """What is wrong with one row; empty when nothing is, or nothing can be known."""
        epoch = row[_EPOCH]
        if epoch not in self._missing:
            try:
                key = self._keys.of(epoch)
                return "" if is_committed(key, row, self._open(row)) else _NOT_COMMITTED
            except MissingKey:
                self._missing.add(epoch)
            except SealBroken as e:
                return e.reason
        self.sealed += epoch != PLAIN
        return ""


class _Link(NamedTuple):
    """How far the chain holds: position, hash and key epoch of the last row of which it does."""

    position: int = 0
    hash: bytes = GENESIS
    epoch: int = PLAIN


def chained(connection: Reader, until: int = 2**62) -> Iterator[list[Row]]:
    """Every row up to ``until``, in order, in runs of at most RUN, once each row's hash is found to
    follow from the one before.

    Raises BrokenChain at the first that does not, or whose key epoch goes back, after the run of
    those before it; the driver's error for a locked file.
    """
    link = _Link()
    try:
        for rows in _runs(connection, until):
            begun = link.position
            link, fault = _follow(link, rows)
            if sound := rows[: link.position - begun]:
                yield sound
            if fault:
                raise _broken(link, fault)
    except UnicodeError as e:
        raise _broken(link, f"a field has the wrong type ({e})") from None
    except _ERRORS as e:
        if "locked" in str(e):
            raise
        raise _broken(link, f"the row cannot be read ({e})") from None


def _follow(link: _Link, rows: list[Row]) -> tuple[_Link, str]:
    """As far as the rows follow from ``link``, and why no further; empty when all of them do."""
    position, previous, epoch = link
    fault = ""
    try:
        for expected, row in enumerate(rows, position + 1):
            if row[0] != expected:
                fault = f"the next row says that it is event {row[0]!r}"
                break
            found = chain_hash(previous, row)
            if found != row[_HASH]:
                fault = "its hash does not follow from its content and the event before"
                break
            if row[_EPOCH] != epoch:
                if row[_EPOCH] < epoch:  # whoever has no key can only write in clear
                    fault = f"its key epoch goes back from {epoch} to {row[_EPOCH]}"
                    break
                epoch = row[_EPOCH]
            position, previous = expected, found
    except (struct.error, AttributeError, TypeError, UnicodeError) as e:
        fault = f"a field has the wrong type ({e})"
    return _Link(position, previous, epoch), fault


def _broken(link: _Link, fault: str) -> BrokenChain:
    return BrokenChain(link.position + 1, link.hash, fault)


def run_opener(keys: KeyRing) -> Callable[[list[Row]], list[bytes]]:
    """What gives the plain payloads of a run of ``chained``, one run after another. What opens is
    what was committed to: that is bound to it.

    A payload in clear is given as it is: the chain covers it, so its commitment adds nothing here;
    verify looks at it. It raises BrokenChain, MissingKey; of the run that does not open, nothing is
    given.
    """
    open_next = opener(keys)

    def open_run(rows: list[Row]) -> list[bytes]:
        payloads = []
        for row in rows:
            try:
                payloads.append(open_next(row))
            except SealBroken as e:
                raise BrokenChain(row[0], b"", e.reason) from None
        return payloads

    return open_run


def is_sealed(rows: list[Row]) -> bool:
    """Whether there is a sealed payload in a run of ``chained``."""
    return bool(rows[-1][_EPOCH] != PLAIN)  # the last row tells: epochs never go back


def check_end(state: Verification, total: int, head_hash: bytes) -> Verification:
    """The rows must end where the store noted that they end."""
    if state.position != total:
        why = f"the store says that it ends at event {total}, the rows end at {state.position}"
        return state._replace(bad_position=min(state.position, total) + 1, reason=why)
    if state.head_hash != head_hash:
        why = "the store noted another hash for its newest event"
        return state._replace(bad_position=max(total, 1), reason=why)
    return state


def claimed_head(connection: Reader) -> tuple[int, bytes]:
    """Position and hash of the newest event, as the store noted them."""
    rows: list[Any] = connection.execute("SELECT position, hash FROM head LIMIT 2").fetchall()
    if len(rows) == 1 and isinstance(rows[0][0], int):
        return rows[0][0], rows[0][1]
    return 0, GENESIS  # an empty store has no note, and a damaged note is none


def _runs(connection: Reader, until: int) -> Iterator[list[Row]]:
    """Every row in order, RUN at a time. Raises the driver's error at the row that cannot be read.

    Python reads one row ahead, so at an error the next row is asked for alone: it may be sound.
    """
    sql = (
        f"SELECT {COLUMN_LIST} FROM stored_events WHERE position BETWEEN ? AND ? ORDER BY position"
    )
    start = -(2**63)
    while True:
        run: list[Row] = []
        try:
            rows = connection.execute(sql, (start, until))
            while True:
                run = []
                run.extend(islice(rows, RUN))  # at an error it holds what came before
                if not run:
                    return
                yield run
                start = run[-1][0] + 1
        except (*_ERRORS, UnicodeError) as e:
            if run:
                yield run
                start = run[-1][0] + 1
            if isinstance(e, UnicodeError):  # of apsw, which reads nothing ahead
                raise
            alone = connection.execute(f"{sql} LIMIT 1", (start, until)).fetchone()
            if alone is None:
                raise
            yield [alone]
            start = alone[0] + 1
