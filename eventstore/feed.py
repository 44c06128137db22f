"""Reading history: the pull feed, single events, positions by time. Read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aggregates.base import Event
from eventstore.codec import decode
from eventstore.envelope import COLUMN_LIST, Envelope
from eventstore.errors import StoreUnreadable
from eventstore.merkle import HASH_BYTES
from eventstore.recorder import Head, read_head
from eventstore.schema import open_reader, unreadable


class Feed:
    """A store seen by a reader. Safe beside a running writer; never writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
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

    def search(
        self, topics: tuple[str, ...] = (), stream: str = "", text: str = ""
    ) -> tuple[str, tuple[Any, ...]]:
        """A WHERE clause for filters: topics or families ("Order"), stream prefix, payload text."""
        clauses, parameters = ["1"], []
        if topics:
            alternatives = " OR ".join("topic = ? OR topic LIKE ? || '.%'" for _ in topics)
            clauses.append(f"({alternatives})")
            parameters += [t for topic in topics for t in (topic, topic)]
        if stream:
            clauses.append("(originator_id = ? OR correlation_id = ?)")
            parameters += [stream, stream]
        if text:
            clauses.append("instr(CAST(state AS TEXT), ?) > 0")
            parameters.append(text)
        return " AND ".join(clauses), tuple(parameters)

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
    ) -> list[Envelope]:
        """Rows with ``after < position < before`` that match the filters, in either order."""
        where, parameters = self.search(topics, stream, text)
        order = "DESC" if newest_first else "ASC"
        rows = self._rows(
            f"SELECT {COLUMN_LIST} FROM stored_events WHERE {where} AND position > ?"
            f" AND position < ? ORDER BY position {order} LIMIT ?",
            (*parameters, after, 2**62 if before is None else before, limit),
        )
        return [Envelope(*row) for row in rows]


def event_of(row: Envelope) -> Event:
    """The typed event of a row. Raises UnknownEvent."""
    return decode(row.topic, row.schema_version, row.state, row.position, row.software_version)
