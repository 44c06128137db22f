"""Checking history: recompute the chain, name the first position at which it does not hold."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from eventstore.envelope import (
    COLUMN_LIST,
    GENESIS,
    Envelope,
    blind_of,
    chain_hash,
    commitment_of,
)
from eventstore.schema import open_reader, unreadable

BATCH = 5000


class Verification(NamedTuple):
    """The outcome. ``bad_position`` is None when everything holds up to ``position``."""

    position: int
    head_hash: bytes
    bad_position: int | None
    reason: str

    @property
    def intact(self) -> bool:
        return self.bad_position is None


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
        total, head_hash = _claimed_head(connection)
        state = Verification(0, GENESIS, None, "")
        try:
            for row in _rows(connection):
                state = _check(state, row, blind_key)
                if not state.intact:
                    return state
                if state.position % BATCH == 0:
                    progress(state.position, max(total, state.position))
        except sqlite3.DatabaseError as e:
            if "locked" in str(e):
                raise
            return _fault(state, f"the row cannot be read ({e})")
        progress(state.position, max(total, state.position))
        return _check_end(state, total, head_hash)
    except sqlite3.Error as e:
        raise unreadable(str(path), e) from None
    finally:
        connection.close()


def _check_end(state: Verification, total: int, head_hash: bytes) -> Verification:
    """The rows must end where the store noted that they end."""
    if state.position != total:
        why = f"the store says that it ends at event {total}, the rows end at {state.position}"
        return state._replace(bad_position=min(state.position, total) + 1, reason=why)
    if state.head_hash != head_hash:
        why = "the store noted another hash for its newest event"
        return state._replace(bad_position=max(total, 1), reason=why)
    return state


def _claimed_head(connection: sqlite3.Connection) -> tuple[int, bytes]:
    rows = connection.execute("SELECT position, hash FROM head").fetchmany(2)
    if len(rows) == 1 and isinstance(rows[0][0], int):
        return rows[0][0], rows[0][1]
    return 0, GENESIS  # an empty store has no note, and a damaged note is none


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Every row in order. Raises sqlite3.DatabaseError at the row that cannot be read.

    Python reads one row ahead, so at an error the next row is asked for alone: it may be sound.
    """
    sql = f"SELECT {COLUMN_LIST} FROM stored_events WHERE position >= ? ORDER BY position"
    start = -(2**63)
    while True:
        try:
            for row in connection.execute(sql, (start,)):
                yield row
                start = row[0] + 1
            return
        except sqlite3.DatabaseError:
            alone = connection.execute(f"{sql} LIMIT 1", (start,)).fetchone()
            if alone is None:
                raise
            yield alone
            start = alone[0] + 1


def _check(state: Verification, row: tuple[object, ...], key: bytes | None) -> Verification:
    expected = state.position + 1
    envelope = Envelope(*row)  # type: ignore[arg-type]
    if envelope.position != expected:
        return _fault(state, f"the next row says that it is event {envelope.position!r}")
    try:
        found = chain_hash(state.head_hash, envelope)
        if found != envelope.hash:
            return _fault(state, "its hash does not follow from its content and the event before")
        if key is not None and envelope.key_epoch == 0:
            blind = blind_of(key, envelope.originator_id, envelope.originator_version)
            if commitment_of(blind, envelope.state) != envelope.commitment:
                return _fault(state, "its commitment does not belong to its payload and blind key")
    except (struct.error, AttributeError, TypeError, UnicodeError) as e:
        return _fault(state, f"a field has the wrong type ({e})")
    return Verification(expected, found, None, "")


def _fault(state: Verification, reason: str) -> Verification:
    return state._replace(bad_position=state.position + 1, reason=reason)
