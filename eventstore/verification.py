"""Checking history: recompute the chain, name the first position at which it does not hold."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, chain_hash
from eventstore.errors import SealBroken
from eventstore.schema import open_reader, unreadable
from eventstore.sealing import is_committed, opener
from security.data_keys import PLAIN, KeyRing, MissingKey

BATCH = 5000
Reader = sqlite3.Connection | apsw.Connection  # either reads a store; apsw is faster by the row
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
            for row in chained(connection):
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


def chained(connection: Reader, until: int = 2**62) -> Iterator[tuple[Any, ...]]:
    """Every row up to ``until``, in order, once its hash is found to follow from the one before.

    Raises BrokenChain at the first that does not, or whose key epoch goes back; the driver's error
    for a locked file.
    """
    position, previous, epoch = 0, GENESIS, PLAIN
    try:
        for row in _rows(connection, until):
            if row[0] != position + 1:
                fault = f"the next row says that it is event {row[0]!r}"
                raise BrokenChain(position + 1, previous, fault)
            found = chain_hash(previous, row)
            if found != row[_HASH]:
                fault = "its hash does not follow from its content and the event before"
                raise BrokenChain(position + 1, previous, fault)
            if row[_EPOCH] != epoch:
                if row[_EPOCH] < epoch:  # whoever has no key can only write in clear
                    fault = f"its key epoch goes back from {epoch} to {row[_EPOCH]}"
                    raise BrokenChain(position + 1, previous, fault)
                epoch = row[_EPOCH]
            yield row
            position, previous = position + 1, found
    except (struct.error, AttributeError, TypeError, UnicodeError) as e:
        fault = f"a field has the wrong type ({e})"
        raise BrokenChain(position + 1, previous, fault) from None
    except _ERRORS as e:
        if "locked" in str(e):
            raise
        raise BrokenChain(position + 1, previous, f"the row cannot be read ({e})") from None


def opened(
    rows: Iterable[tuple[Any, ...]], keys: KeyRing
) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    """Each row with its plain payload. What opens is what was committed to: that is bound to it.

    A payload in clear is covered by the chain itself, so its commitment adds nothing here; verify
    looks at it. Raises BrokenChain, MissingKey.
    """
    open_next = opener(keys)
    for row in rows:
        if row[_EPOCH] == PLAIN:
            yield row, row[_STATE]
            continue
        try:
            payload = open_next(row)
        except SealBroken as e:
            raise BrokenChain(row[0], b"", e.reason) from None
        yield row, payload


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


def _rows(connection: Reader, until: int) -> Iterator[tuple[Any, ...]]:
    """Every row in order. Raises the driver's error at the row that cannot be read.

    Python reads one row ahead, so at an error the next row is asked for alone: it may be sound.
    """
    sql = (
        f"SELECT {COLUMN_LIST} FROM stored_events WHERE position BETWEEN ? AND ? ORDER BY position"
    )
    start = -(2**63)
    while True:
        try:
            for row in connection.execute(sql, (start, until)):
                yield row
                start = row[0] + 1
            return
        except _ERRORS:
            alone = connection.execute(f"{sql} LIMIT 1", (start, until)).fetchone()
            if alone is None:
                raise
            yield alone
            start = alone[0] + 1
