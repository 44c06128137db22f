"""Reading history: the pull feed, single events, positions by time. Read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aggregates.base import Event
from eventstore.codec import decode
from eventstore.envelope import COLUMN_LIST, Envelope
from eventstore.errors import SealBroken, StoreUnreadable
from eventstore.head import Head, read_head
from eventstore.merkle import HASH_BYTES
from eventstore.schema import open_reader, unreadable
from eventstore.sealing import open_row
from security.data_keys import PLAIN, KeyRing

NO_KEYS = KeyRing({})
SEARCHED = 500  # rows opened at a time when sealed payloads are searched for a text


class Feed:
    """A store seen by a reader. Safe beside a running writer; never writes.

    Rows are as stored. ``keys`` open their payloads; without them only those in clear can be read.
    """

    def __init__(self, path: Path, keys: KeyRing = NO_KEYS) -> None:
        self.path = path
        self.keys = keys
        self._connection = open_reader(path)

    def close(self) -> None:
        self._connection.close()

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as e:
            raise unreadable(str(self.path), e) from None

    def head(self) -> Head:
        """Position, hash and time of the newest event."""
        try:
            return read_head(self._connection)
        except sqlite3.Error as e:
            raise unreadable(str(self.path), e) from None

    def read(
        self,
        after: int,
        limit: int,
        until: int | None = None,
        without: frozenset[str] = frozenset(),
    ) -> list[Envelope]:
        """Up to ``limit`` rows with ``after < position <= until``, in order.

        ``without`` leaves topics out before their rows are even read.
        """
        last = 2**62 if until is None else until
        where = f" AND topic NOT IN ({', '.join('?' * len(without))})" if without else ""
        rows = self._rows(
            f"SELECT {COLUMN_LIST} FROM stored_events WHERE position > ? AND position <= ?{where}"
            " ORDER BY position LIMIT ?",
            (after, last, *sorted(without), limit),
        )
        return list(map(Envelope._make, rows))

    def at(self, position: int) -> Envelope | None:
        found = self.read(position - 1, 1, position)
        return found[0] if found else None

    def payload(self, row: Envelope) -> bytes:
        """The plain payload. Raises MissingKey, SealBroken."""
        return open_row(self.keys, row)

    def event(self, row: Envelope) -> Event:
        """The typed event of a row. Raises UnknownEvent, SealBroken, MissingKey."""
        return event_of(row, self.keys)

    def hashes(self, after: int, until: int) -> list[bytes]:
        """The chain hashes of ``after < position <= until``. Raises StoreUnreadable at a gap.

        They are taken as they are stored: whether they follow from the events, verify checks.
        """
        sql = (
            "SELECT position, hash FROM stored_events WHERE position > ? AND position <= ?"
            " ORDER BY position"
        )
        found: list[bytes] = []
        for position, stored in self._rows(sql, (after, until)):
            due = position == after + len(found) + 1
            if not due or not isinstance(stored, bytes) or len(stored) != HASH_BYTES:
                break
            found.append(stored)
        if len(found) < until - after:
            raise StoreUnreadable(
                f"{self.path} has no sound event {after + len(found) + 1}. Nothing was changed; "
                "run `tbot verify`."
            )
        return found

    def all(self, after: int = 0, batch: int = 2000) -> Iterator[Envelope]:
        """Every row after a position, batch by batch, so that memory stays flat."""
        while rows := self.read(after, batch):
            yield from rows
            after = rows[-1].position

    def stream(self, name: str) -> list[Envelope]:
        """Every row of one stream, in order, found by index."""
        sql = f"SELECT {COLUMN_LIST} FROM stored_events WHERE originator_id = ? ORDER BY position"
        return [Envelope(*row) for row in self._rows(sql, (name,))]

    def times_of(self, stream: str, limit: int) -> list[tuple[int, int]]:
        """Position and recording time of the newest events of one stream, without their content."""
        sql = (
            "SELECT position, recorded_at FROM stored_events WHERE originator_id = ?"
            " ORDER BY originator_version DESC LIMIT ?"
        )
        return [(position, at) for position, at in self._rows(sql, (stream, limit))]

    def position_at(self, recorded_at: int) -> int:
        """The last position recorded at or before that time (UTC microseconds); 0 when none."""
        # recorded_at never goes backwards, so the positions up to it are a prefix of the log
        low, high = 0, self.head().position
        while low < high:
            middle = (low + high + 1) // 2
            row = self.at(middle)
            if row is not None and row.recorded_at <= recorded_at:
                low = middle
            else:
                high = middle - 1
        return low

    def _filter(self, topics: tuple[str, ...], stream: str) -> tuple[str, list[Any]]:
        """A WHERE clause for topics or families ("Order") and a stream or correlation."""
        clauses, parameters = ["1"], []
        if topics:
            # "Order." up to "Order/", the next character: comparing is ten times faster than LIKE
            families = [topic for topic in topics if "." not in topic]
            alternatives = [f"topic IN ({', '.join('?' * len(topics))})"]
            alternatives += ["(topic > ? AND topic < ?)"] * len(families)
            clauses.append(f"({' OR '.join(alternatives)})")
            parameters += [*topics, *(f + end for f in families for end in "./")]
        if stream:
            clauses.append("(originator_id = ? OR correlation_id = ?)")
            parameters += [stream, stream]
        return " AND ".join(clauses), parameters

    def page(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
        topics: tuple[str, ...] = (),
        stream: str = "",
        text: str = "",
        without: str = "",
    ) -> list[Envelope]:
        """Rows with ``after < position < before`` that match the filters, in either order.

        ``without`` is a family of topics that is left out.
        ``text`` occurs in the plain payload. Looking for it raises MissingKey where a key is not
        here; a payload that does not open holds nothing.
        """
        where, parameters = self._filter(topics, stream)
        if without:
            where += " AND NOT (topic > ? AND topic < ?)"
            parameters += [f"{without}.", f"{without}/"]
        if text:  # what lies in clear is searched by SQLite, what is sealed row by row below
            where += " AND (key_epoch > 0 OR instr(CAST(state AS TEXT), ?) > 0)"
            parameters.append(text)
        found: list[Envelope] = []
        low, high, size = after, 2**62 if before is None else before, SEARCHED if text else limit
        while len(found) < limit:
            rows = self._matching(where, parameters, low, high, newest_first, size)
            found += [row for row in rows if not text or self._holds(row, text.encode())]
            if len(rows) < size:
                break
            low, high = (low, rows[-1].position) if newest_first else (rows[-1].position, high)
        return found[:limit]

    def _matching(
        self, where: str, parameters: list[Any], low: int, high: int, newest_first: bool, limit: int
    ) -> list[Envelope]:
        order = "DESC" if newest_first else "ASC"
        rows = self._rows(
            f"SELECT {COLUMN_LIST} FROM stored_events WHERE {where} AND position > ?"
            f" AND position < ? ORDER BY position {order} LIMIT ?",
            (*parameters, low, high, limit),
        )
        return list(map(Envelope._make, rows))

    def _holds(self, row: Envelope, text: bytes) -> bool:
        try:
            return row.key_epoch == PLAIN or text in self.payload(row)
        except SealBroken:
            return False


def event_of(row: Envelope, keys: KeyRing = NO_KEYS) -> Event:
    """The typed event of a row. Raises UnknownEvent, SealBroken, MissingKey."""
    payload = open_row(keys, row)
    return decode(row.topic, row.schema_version, payload, row.position, row.software_version)
