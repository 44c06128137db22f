"""Checking history: recompute the chain, name the first position at which it does not hold."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from eventstore.envelope import (
    COLUMN_LIST,
    COLUMNS,
    GENESIS,
    blind_of,
    chain_hash,
    commitment_of,
)
from eventstore.schema import open_reader, unreadable

BATCH = 5000
Reader = sqlite3.Connection | apsw.Connection  # either reads a store; apsw is faster by the row
_ERRORS = (sqlite3.DatabaseError, apsw.Error)
_HASH = COLUMNS.index("hash")


class Verification(NamedTuple):
    """The outcome. ``bad_position`` is None when everything holds up to ``position``."""

    position: int
    head_hash: bytes
    bad_position: int | None
    reason: str

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
    blind_key: bytes | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Verification:
    """Recompute every hash from the first event; with the blind key, every commitment too.

    ``progress`` is told (done, total). Raises StoreUnreadable when the file cannot be read at all.
    """
    connection = open_reader(path)
    try:
        connection.execute("BEGIN")  # one snapshot, also beside a writer
        total, head_hash = claimed_head(connection)
        position, reached = 0, GENESIS
        try:
            for row in chained(connection, blind_key):
                position, reached = row[0], row[_HASH]
                if position % BATCH == 0:
                    progress(position, max(total, position))
        except BrokenChain as e:
            return Verification(e.position - 1, e.before, e.position, e.reason)
        progress(position, max(total, position))
        return check_end(Verification(position, reached, None, ""), total, head_hash)
    except sqlite3.Error as e:
        raise unreadable(str(path), e) from None
    finally:
        connection.close()


def chained(
    connection: Reader, blind_key: bytes | None = None, until: int = 2**62
) -> Iterator[tuple[Any, ...]]:
    """Every row up to ``until``, in order, once its hash is found to follow from the one before.

    Raises BrokenChain at the first that does not, the driver's error for a locked file.
    """
    position, previous = 0, GENESIS
    try:
        for row in _rows(connection, until):
            if row[0] != position + 1:
                fault = f"the next row says that it is event {row[0]!r}"
                raise BrokenChain(position + 1, previous, fault)
            found = chain_hash(previous, row)
            if found != row[_HASH]:
                fault = "its hash does not follow from its content and the event before"
                raise BrokenChain(position + 1, previous, fault)
            if blind_key is not None and not _committed(row, blind_key):
                fault = "its commitment does not belong to its payload and blind key"
                raise BrokenChain(position + 1, previous, fault)
            yield row
            position, previous = position + 1, found
    except (struct.error, AttributeError, TypeError, UnicodeError) as e:
        fault = f"a field has the wrong type ({e})"
        raise BrokenChain(position + 1, previous, fault) from None
    except _ERRORS as e:
        if "locked" in str(e):
            raise
        raise BrokenChain(position + 1, previous, f"the row cannot be read ({e})") from None


def _committed(row: tuple[Any, ...], key: bytes) -> bool:
    """Whether the commitment is that of the payload; nothing is known of a sealed one."""
    _, stream, version, _, _, state, commitment, *_, epoch, _ = row
    return bool(epoch) or commitment_of(blind_of(key, stream, version), state) == bytes(commitment)


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
