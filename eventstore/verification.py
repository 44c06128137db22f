"""Checking history: recompute the chain, name the first position at which it does not hold."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
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
        cursor = connection.execute(f"SELECT {COLUMN_LIST} FROM stored_events ORDER BY position")
        while rows := _next(cursor, path, state):
            if isinstance(rows, Verification):
                return rows
            for row in rows:
                state = _check(state, row, blind_key)
                if not state.intact:
                    return state
            progress(state.position, max(total, state.position))
        if (state.position, state.head_hash) != (total, head_hash):
            first_missing = min(state.position, total) + 1
            why = f"the store says that it ends at event {total}, the rows end at {state.position}"
            return state._replace(bad_position=first_missing, reason=why)
        return state
    except sqlite3.Error as e:
        raise unreadable(str(path), e) from None
    finally:
        connection.close()


def _claimed_head(connection: sqlite3.Connection) -> tuple[int, bytes]:
    row = connection.execute("SELECT position, hash FROM head").fetchone()
    return (row[0], row[1]) if row else (0, GENESIS)


def _next(
    cursor: sqlite3.Cursor, path: Path, state: Verification
) -> list[tuple[object, ...]] | Verification:
    """The next rows; a page that SQLite cannot read is a fault at the next position."""
    try:
        return cursor.fetchmany(BATCH)
    except sqlite3.OperationalError as e:
        if "locked" in str(e):
            raise unreadable(str(path), e) from None
        return _fault(state, f"the row cannot be read ({e})")
    except sqlite3.DatabaseError as e:
        return _fault(state, f"the row cannot be read ({e})")


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
