"""The library's SQLite recorder with the chain inside: only a write transaction knows the head."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from config.failpoints import reach
from eventstore.codec import SealedEvent
from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, CommandContext, chain_hash
from eventstore.errors import ClockBehind, CommandConflict, ConcurrentChange, StoreUnreadable
from eventstore.schema import (
    APPLICATION_ID,
    BUSY_TIMEOUT_S,
    SCHEMA_VERSION,
    TABLES,
    check_identity,
    prepare_writer,
    unreadable,
)

BEHIND_LIMIT_US = 5_000_000  # a clock further behind the head than this refuses entries
_INSERT = f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SEALED = (
    "originator_id, originator_version, topic, state, schema_version, commitment, software_version"
)


class Head(NamedTuple):
    """Where the chain ends: position 0 and the genesis hash in an empty store."""

    position: int
    hash: bytes
    recorded_at: int


class CommandRepeated(Exception):
    """Not an error: the command was carried out before, at ``positions``."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(positions)
        self.positions = list(positions)


class ImmediateConnection(SQLiteConnection):
    """Writes begin with BEGIN IMMEDIATE: a deferred read-then-write fails beside another writer."""

    def __init__(self, connection: sqlite3.Connection, max_age: float | None, path: str) -> None:
        super().__init__(connection, max_age)
        self._path = path

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """All or nothing, a COMMIT that fails included. Raises StoreUnreadable for what SQLite
        says of the file: locked, full, damaged, a fault of the disk."""
        cursor = self._sqlite_conn.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
            yield cursor  # type: ignore[misc]
            if commit:
                self._sqlite_conn.commit()
                reach("store.committed")
        except sqlite3.Error as e:
            if type(e) in (sqlite3.OperationalError, sqlite3.DatabaseError):
                raise unreadable(self._path, e) from None
            raise
        finally:
            self._sqlite_conn.rollback()  # does nothing after a COMMIT
            cursor.close()


class StorePool(SQLiteConnectionPool):
    """Connections with the pragmas of rule 1, each read back."""

    def _create_connection(self) -> SQLiteConnection:
        try:
            connection = sqlite3.connect(
                self.db_name,
                check_same_thread=False,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
            )
        except sqlite3.Error as e:
            raise unreadable(self.db_name, e) from None
        try:
            check_identity(connection, self.db_name)
            prepare_writer(connection, self.db_name)
        except sqlite3.Error as e:
            connection.close()
            raise unreadable(self.db_name, e) from None
        except BaseException:
            connection.close()
            raise
        return ImmediateConnection(connection, self.max_age, self.db_name)


class ChainRecorder(SQLiteApplicationRecorder):
    """Appends a command's events as one batch: all or none, chained, numbered without a gap."""

    def __init__(
        self, datastore: SQLiteDatastore, now_us: Callable[[], int], software_version: str
    ) -> None:
        super().__init__(datastore)
        self._now_us = now_us
        self._software_version = software_version

    def construct_create_table_statements(self) -> list[str]:
        identity = [
            f"PRAGMA application_id = {APPLICATION_ID}",
            f"PRAGMA user_version = {SCHEMA_VERSION}",
        ]
        return [*identity, *TABLES]

    def _create_table(self, c: SQLiteCursor) -> None:
        super()._create_table(c)
        reach("store.lay.written")

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Append; returns the positions. ``context`` (CommandContext) is required.

        ``writing`` is the caller's own write transaction; without it, this is one.
        Raises CommandRepeated for the same command, CommandConflict for the same id with other
        content, ConcurrentChange when the stream moved on, ClockBehind for entries.
        """
        try:
            if writing := kwargs.get("writing"):
                return self._append(writing, stored_events, kwargs["context"])
            with self.datastore.transaction(commit=True) as c:
                return self._append(c, stored_events, kwargs["context"])
        except (sqlite3.IntegrityError, IntegrityError) as e:
            raise ConcurrentChange(
                f"Another writer changed the stream first ({e}); nothing was recorded. Try again."
            ) from None

    def _append(
        self, c: Any, stored_events: Sequence[StoredEvent], context: CommandContext
    ) -> Sequence[int]:
        if not stored_events:
            return []
        reach("store.append.begun")
        if first := self._recorded_before(c, context):
            raise CommandRepeated(first)
        reach("store.append.looked_up")
        head = read_head(c)
        self._check_tail(c, head)
        recorded_at = self._recorded_at(head, context)
        rows: list[tuple[Any, ...]] = []  # plain ones: sqlite3 binds them faster
        previous, position = head.hash, head.position
        for index, stored in enumerate(stored_events):
            position += 1
            row = self._row(stored, position, recorded_at, index, context)
            previous = chain_hash(previous, (*row, b""))
            rows.append((*row, previous))
        c.executemany(_INSERT, rows)
        reach("store.append.rows_written")
        c.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (position, previous))
        reach("store.append.head_written")
        return list(range(head.position + 1, position + 1))

    def _check_tail(self, c: Any, head: Head) -> None:
        """Never append to a tail that was cut off: the new event would cover the traces."""
        claimed = c.execute("SELECT position, hash FROM head").fetchone() or (0, GENESIS)
        if claimed != (head.position, head.hash):
            raise StoreUnreadable(
                f"{self.datastore.pool.db_name} ends at event {head.position}, but noted that it "
                f"ends at event {claimed[0]}, or with another hash. Nothing was recorded; run "
                "`tbot verify` and compare the store with a backup."
            )

    def _row(
        self,
        stored: StoredEvent,
        position: int,
        recorded_at: int,
        index: int,
        context: CommandContext,
    ) -> tuple[Any, ...]:
        """The columns in order, but the hash: a plain tuple, which costs a third of an Envelope."""
        assert isinstance(stored, SealedEvent)  # noqa: S101 - our mapper makes no other
        return (
            position, str(stored.originator_id), stored.originator_version, stored.topic,
            stored.schema_version, stored.state, stored.commitment, recorded_at,
            context.command_id, index, context.command_digest, context.actor,
            context.correlation_id, context.causation_id, self._software_version,
            0,  # key epoch: payloads are in clear until the vault exists
        )  # fmt: skip

    def _recorded_at(self, head: Head, context: CommandContext) -> int:
        """Never going backwards; entries are refused while the clock is far behind the head."""
        now = self._now_us()
        behind = head.recorded_at - now
        if behind > BEHIND_LIMIT_US and context.opens_exposure:
            raise ClockBehind(
                f"The clock is {behind / 1e6:.1f} s behind the newest event. No entry was "
                "recorded; exits still work. Set the machine's clock (NTP) and try again."
            )
        return max(now, head.recorded_at)

    def _recorded_before(self, c: Any, context: CommandContext) -> list[int]:
        rows = c.execute(
            "SELECT position, command_digest FROM stored_events WHERE command_id = ?"
            " ORDER BY command_index",
            (context.command_id,),
        ).fetchall()
        if any(digest != context.command_digest for _, digest in rows):
            raise CommandConflict(
                f"Command {context.command_id} was carried out before with other content "
                f"(event {rows[0][0]}). The first result stands; nothing was recorded."
            )
        return [position for position, _ in rows]

    def positions_of(self, context: CommandContext) -> list[int]:
        """Positions that this command led to before, or none. Raises CommandConflict."""
        with self.datastore.transaction(commit=False) as c:
            return self._recorded_before(c, context)

    def head(self) -> Head:
        with self.datastore.transaction(commit=False) as c:
            return read_head(c)

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        where: str = "originator_id = ?"
        parameters: list[Any] = [str(originator_id)]
        if gt is not None:
            where, parameters = f"{where} AND originator_version > ?", [*parameters, gt]
        if lte is not None:
            where, parameters = f"{where} AND originator_version <= ?", [*parameters, lte]
        order = "DESC" if desc else "ASC"
        sql = (
            f"SELECT {_SEALED} FROM stored_events WHERE {where}"
            f" ORDER BY originator_version {order} LIMIT ?"
        )
        c: Any
        with self.datastore.transaction(commit=False) as c:
            rows = c.execute(sql, [*parameters, -1 if limit is None else limit]).fetchall()
        return [SealedEvent(*row) for row in rows]

    def max_notification_id(self) -> int | None:  # type: ignore[override]
        return self.head().position or None

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The library's pull feed, by position; projections use the faster eventstore.feed."""
        low = 0 if start is None else start - (1 if inclusive_of_start else 0)
        where: str = "position > ?"
        parameters: list[Any] = [low]
        c: Any
        if stop is not None:
            where, parameters = f"{where} AND position <= ?", [*parameters, stop]
        if topics:
            where = f"{where} AND topic IN ({', '.join('?' * len(topics))})"
        sql = (
            "SELECT originator_id, originator_version, topic, state, position FROM stored_events"
            f" WHERE {where} ORDER BY position LIMIT ?"
        )
        with self.datastore.transaction(commit=False) as c:
            rows = c.execute(sql, [*parameters, *topics, limit]).fetchall()
        return [Notification(*row) for row in rows]


def read_head(c: Any) -> Head:
    """The newest row, read inside the caller's transaction: two processes may write."""
    row = c.execute(
        "SELECT position, hash, recorded_at FROM stored_events ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else Head(0, GENESIS, 0)
