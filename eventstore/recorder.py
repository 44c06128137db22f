"""The library's SQLite recorder with the chain inside: only a write transaction knows the head."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteCursor,
    SQLiteDatastore,
)

from config.failpoints import reach
from eventstore.connection import StorePool
from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, CommandContext, chain_hash
from eventstore.errors import (
    ClockBehind,
    CommandConflict,
    ConcurrentChange,
    KeysAhead,
    StoreUnreadable,
)
from eventstore.head import NEWEST, Head, head_of, read_head
from eventstore.mapper import CommittedEvent
from eventstore.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    TABLES,
)
from eventstore.sealing import keyed_digest
from security.data_keys import PLAIN, DataKey, KeyRing

BEHIND_LIMIT_US = 5_000_000  # a clock further behind the head than this refuses entries
_INSERT = f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({', '.join('?' * len(COLUMNS))})"
_COMMITTED = (
    "originator_id, originator_version, topic, state, schema_version, commitment, key_epoch,"
    " software_version, position"
)
_OF_COMMAND = (
    "SELECT position, command_digest, key_epoch FROM stored_events WHERE command_id = ?"
    " ORDER BY command_index"
)


class CommandRepeated(Exception):
    """Not an error: the command was carried out before, at ``positions``."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(positions)
        self.positions = list(positions)


class ChainRecorder(SQLiteApplicationRecorder):
    """Appends a command's events as one batch: all or none, chained, numbered without a gap."""

    def __init__(
        self,
        datastore: SQLiteDatastore,
        keys: KeyRing,
        now_us: Callable[[], int],
        software_version: str,
    ) -> None:
        super().__init__(datastore)
        self._keys = keys
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

        ``writing`` is the caller's own write transaction; without it, this is one. ``under`` is the
        epoch, with its keys, that this batch begins.
        Raises CommandRepeated for the same command, CommandConflict for the same id with other
        content, ConcurrentChange when the stream or the keys moved on, ClockBehind for entries,
        KeysAhead.
        """
        context, under = kwargs["context"], kwargs.get("under")
        try:
            if writing := kwargs.get("writing"):
                return self._append(writing, stored_events, context, under)
            with self.datastore.transaction(commit=True) as c:
                return self._append(c, stored_events, context, under)
        except (sqlite3.IntegrityError, IntegrityError) as e:
            raise ConcurrentChange(
                f"Another writer changed the stream first ({e}); nothing was recorded. Try again."
            ) from None

    def _append(
        self,
        c: Any,
        stored_events: Sequence[StoredEvent],
        context: CommandContext,
        under: tuple[int, DataKey] | None,
    ) -> Sequence[int]:
        if not stored_events:
            return []
        reach("store.append.begun")
        if first := self._recorded_before(c, context):
            raise CommandRepeated(first)
        reach("store.append.looked_up")
        head = read_head(c)
        self._check_tail(c, head)
        epoch, key = under or self._sealed_under(stored_events)
        self._check_epoch(head, epoch, rotates=under is not None)
        digest = self._stored_digest(epoch, context, key)
        recorded_at = self._recorded_at(head, context)
        rows: list[tuple[Any, ...]] = []  # plain ones: sqlite3 binds them faster
        previous, position = head.hash, head.position
        for index, stored in enumerate(stored_events):
            position += 1
            row = self._row(stored, position, recorded_at, index, context, digest)
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

    def _sealed_under(self, stored_events: Sequence[StoredEvent]) -> tuple[int, DataKey]:
        """The epoch that a batch was sealed under, as long as its keys are the newest here."""
        epoch = self._keys.current
        if any(getattr(stored, "key_epoch", None) != epoch for stored in stored_events):
            raise self._rotated(epoch)
        return epoch, self._keys.of(epoch)

    def _check_epoch(self, head: Head, epoch: int, *, rotates: bool) -> None:
        """Epochs never go back, and a rotation alone begins the next one."""
        due = head.key_epoch + rotates
        if epoch < due:
            raise self._rotated(head.key_epoch)
        if epoch > due:
            raise KeysAhead(
                f"{self.datastore.pool.db_name} ends at event {head.position} under epoch "
                f"{head.key_epoch}, but the newest keys here are of epoch {epoch}. Nothing was "
                "recorded. It may be an older copy of the store: compare it with a backup and the "
                "newest checkpoint."
            )

    def _rotated(self, epoch: int) -> ConcurrentChange:
        return ConcurrentChange(
            f"The keys were changed meanwhile, to those of epoch {epoch}; nothing was recorded. "
            "Try again."
        )

    def _row(
        self,
        stored: StoredEvent,
        position: int,
        recorded_at: int,
        index: int,
        context: CommandContext,
        digest: bytes,
    ) -> tuple[Any, ...]:
        """The columns in order, but the hash: a plain tuple, which costs a third of an Envelope."""
        assert isinstance(stored, CommittedEvent)  # noqa: S101 - our mapper makes no other
        return (
            position, str(stored.originator_id), stored.originator_version, stored.topic,
            stored.schema_version, stored.state, stored.commitment, recorded_at,
            context.command_id, index, digest, context.actor, context.correlation_id,
            context.causation_id, self._software_version, stored.key_epoch,
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
        rows = c.execute(_OF_COMMAND, (context.command_id,)).fetchall()
        return self._same_command(rows, context)

    def _same_command(self, rows: list[Any], context: CommandContext) -> list[int]:
        if any(digest != self._stored_digest(epoch, context) for _, digest, epoch in rows):
            raise CommandConflict(
                f"Command {context.command_id} was carried out before with other content "
                f"(event {rows[0][0]}). The first result stands; nothing was recorded."
            )
        return [position for position, _, _ in rows]

    def _stored_digest(
        self, epoch: int, context: CommandContext, key: DataKey | None = None
    ) -> bytes:
        if epoch == PLAIN:  # payloads in clear: there is nothing that it could give away
            return context.command_digest
        return keyed_digest(key or self._keys.of(epoch), context.command_digest)

    def positions_of(self, context: CommandContext) -> list[int]:
        """Positions that this command led to before, or none. Raises CommandConflict."""
        return self._same_command(self._read(_OF_COMMAND, (context.command_id,)), context)

    def head(self) -> Head:
        return head_of(self._read(NEWEST))

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        pool = self.datastore.pool
        assert isinstance(pool, StorePool)  # noqa: S101 - our application makes no other
        return pool.read(sql, parameters)

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
            f"SELECT {_COMMITTED} FROM stored_events WHERE {where}"
            f" ORDER BY originator_version {order} LIMIT ?"
        )
        rows = self._read(sql, [*parameters, -1 if limit is None else limit])
        return [CommittedEvent(*row) for row in rows]

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
        if stop is not None:
            where, parameters = f"{where} AND position <= ?", [*parameters, stop]
        if topics:
            where = f"{where} AND topic IN ({', '.join('?' * len(topics))})"
        sql = (
            "SELECT originator_id, originator_version, topic, state, position FROM stored_events"
            f" WHERE {where} ORDER BY position LIMIT ?"
        )
        rows = self._read(sql, [*parameters, *topics, limit])
        return [Notification(*row) for row in rows]
