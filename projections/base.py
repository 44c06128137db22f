"""What every projection shares: rows and tracked position in one transaction, rebuild, digest."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from aggregates.base import Event
from aggregates.errors import TradeBotError
from config.failpoints import reach
from eventstore.codec import decode
from eventstore.envelope import COLUMNS, GENESIS, Envelope
from eventstore.feed import Feed

BATCH = 2000
BUSY_TIMEOUT_S = 10
Progress = Callable[[int, int], None]
# a stored row and its plain payload to plain facts, of which the first is the position; pure
Reader = Callable[[Sequence[Any], bytes], tuple[Any, ...]]
_OPEN = itemgetter(COLUMNS.index("state"))  # of a row whose payload was opened before
_FOUND = 2  # values of a row in whose place stand its topic and facts

FOLD_ERRORS = (ValueError, KeyError, ArithmeticError, RecursionError, TradeBotError)


class Batch(NamedTuple):
    """A stretch of verified history for one view: its rows in order, their payloads open. Of some,
    what the topic's reader found stands for the row: (topic, facts). Between the two processes of
    a rebuild also a run of rows that is still sealed: (rows,).

    ``position`` and ``hash`` are those of the last event of the stretch, ``last`` the position that
    all ends at.
    """

    position: int
    hash: bytes
    last: int
    rows: list[tuple[Any, ...]]


class ProjectionHalted(TradeBotError):
    """An event that a view cannot fold. The view stands before it; the event is safe."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(text)
        self.position = position


class ProjectionUnwritable(TradeBotError):
    """The disk is full or at fault, or the file is locked: the view stands where it stood."""


class ProjectionMismatch(TradeBotError):
    """A view's file does not have the tables, or the history, of this version: start is blocked."""


def no_progress(_done: int, _total: int) -> None:
    """For callers that show nothing."""


class Projection:
    """A fold of events into tables of one SQLite file. Can be thrown away and rebuilt.

    Subclasses give ``schema`` (with a ``tracking`` table), ``fold``, ``flush`` and ``forget``.
    Topics with a reader are not made into events: their facts go to ``fold_facts``.
    """

    name: ClassVar[str]
    schema: ClassVar[str]
    application_id: ClassVar[int] = 0x54425052  # "TBPR"
    readers: ClassVar[Mapping[str, Reader]] = {}
    passed_over: ClassVar[frozenset[str]] = frozenset()  # known topics of other views only

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._cached_at: int | None = None
        self._indexes_to_make: list[str] = []

    # -- opening ---------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for writing, or make an empty one. Raises ProjectionMismatch for other tables."""
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("PRAGMA synchronous = NORMAL")
            cls._lay(connection, str(path))
        except BaseException as e:
            connection.close()
            raise cls._unusable(path, e) from None
        return cls(connection)

    @classmethod
    def in_memory(cls, copy_of: Path | None = None) -> Self:
        """A view of its own for a reader: empty, or a copy of a file that is not touched."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if copy_of is not None:
            source = _reader(copy_of)
            try:
                source.backup(connection, pages=-1)
            except sqlite3.DatabaseError as e:
                raise cls._unusable(copy_of, e) from None
            finally:
                source.close()
        cls._lay(connection, str(copy_of or ":memory:"))
        return cls(connection)

    @classmethod
    def read_only(cls, path: Path) -> Self:
        """For queries beside a writer; changes no content."""
        connection = _reader(path)
        try:
            cls._check_tables(connection, str(path))
        except BaseException as e:
            connection.close()
            raise cls._unusable(path, e) from None
        return cls(connection)

    @classmethod
    def _unusable(cls, path: Path, error: BaseException) -> BaseException:
        """What to raise for an error at opening: SQLite's words become a message."""
        if not isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError):
            return error
        then = "Move it away; it is rebuilt from the events at the next start."
        if "locked" in str(error):
            then = "Close the other program that uses it and try again."
        elif "full" in str(error) or "I/O" in str(error):
            then = "Make room on the disk, or see what the system says of it, and try again."
        return ProjectionMismatch(
            f"{path} cannot be used as the {cls.name}: {error}. Nothing was changed. {then}"
        )

    @classmethod
    def _lay(cls, connection: sqlite3.Connection, where: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for statement in _statements(cls.schema):
                connection.execute(statement)
            connection.execute("INSERT INTO tracking VALUES (1, 0, ?)", (GENESIS,))
            connection.execute(f"PRAGMA application_id = {cls.application_id}")
        connection.execute("COMMIT")
        cls._check_tables(connection, where)

    @classmethod
    def _check_tables(cls, connection: sqlite3.Connection, where: str) -> None:
        fresh = sqlite3.connect(":memory:")
        fresh.executescript(cls.schema)
        sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        expected, found = dict(fresh.execute(sql)), dict(connection.execute(sql))
        fresh.close()
        wrong = sorted(n for n in expected.keys() | found if expected.get(n) != found.get(n))
        if wrong:
            raise ProjectionMismatch(
                f"The tables of the {cls.name} at {where} are not those of this version "
                f"({', '.join(wrong)}). The start is blocked and nothing was changed; the events "
                "are safe. Move the file away: it is rebuilt from the events at the next start."
            )

    @property
    def of_its_own(self) -> bool:
        """Whether it lies in memory and nobody else sees it."""
        _, _, path = self.connection.execute("PRAGMA database_list").fetchone()
        return not path

    # -- folding ---------------------------------------------------------------------------

    def fold(self, row: Envelope, event: Event) -> None:
        """Turn one event into rows. An event that concerns other views is passed over."""
        raise NotImplementedError

    def fold_facts(self, topic: str, facts: tuple[Any, ...]) -> None:
        """Turn what the topic's reader found in one row into rows."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write the rows gathered since the last flush."""

    def forget(self) -> None:
        """Drop everything cached: the file is at another position than it was left at."""

    def tracked(self) -> tuple[int, bytes]:
        """Position and hash of the last event folded."""
        row = self.connection.execute("SELECT position, hash FROM tracking").fetchone()
        return row[0], row[1]

    def catch_up(
        self, feed: Feed, until: int | None = None, progress: Progress = no_progress
    ) -> int:
        """Fold what is new, exactly once; returns the position reached. Raises ProjectionHalted,
        and MissingKey where a payload is sealed under a key that is not here.
        """
        head = feed.head().position
        last = head if until is None else min(until, head)
        if last == self._cached_at:
            return last  # as this process left it: nothing to write, so nothing to begin
        while True:
            try:
                reached = self._fold_batch(feed, last)
            except ProjectionHalted as halted:
                # what came before it in the same batch is sound and stays
                self._fold_batch(feed, halted.position - 1)
                raise
            progress(reached, last)
            if reached >= last:
                return reached

    def fold_opened(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Fold the rows of a Batch. Raises ProjectionHalted."""
        for row in rows:
            if len(row) != _FOUND:
                self._fold_one(row, _OPEN)
                continue
            topic, facts = row
            try:
                self.fold_facts(topic, facts)
            except FOLD_ERRORS as e:
                raise self._halted(facts[0], topic, e) from e

    def put_off_indexes(self) -> None:
        """Of a view that is built anew: they are made at the end, or when it first searches."""
        indexes = self.connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            self.connection.execute(f"DROP INDEX {name}")
        self._indexes_to_make = [sql for _, sql in indexes]

    def make_indexes(self) -> None:
        """Make the indexes that were put off. A view that is not being built has them."""
        waiting, self._indexes_to_make = self._indexes_to_make, []
        for sql in waiting:
            self.connection.execute(sql)

    def _fold_batch(self, feed: Feed, last: int) -> int:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            position = self._fold_rows(feed, last)
            self.connection.execute("COMMIT")
            reach("projection.fold.committed")
        except BaseException as e:
            self._cached_at = None
            self.connection.rollback()  # does nothing where SQLite did it already: a full disk
            if isinstance(e, sqlite3.OperationalError):
                raise self._unwritable(e) from None
            raise
        self._cached_at = position
        return position

    def _fold_rows(self, feed: Feed, last: int) -> int:
        position, digest = self.tracked()
        if position != self._cached_at:
            self.forget()
        self._check_same_history(feed, position, digest)
        if position < last:
            end = self._end_of_batch(feed, min(position + BATCH, last))
            for row in feed.read(position, BATCH, end.position, self.passed_over):
                self._fold_one(row, feed.payload)
            self.end_batch(end.position, end.hash)
            position = end.position
        return position

    def _unwritable(self, error: sqlite3.OperationalError) -> ProjectionUnwritable:
        return ProjectionUnwritable(
            f"The {self.name} cannot be written: {error}. The events are safe and earlier figures "
            "stand. Make room on the disk, or close the program that holds the file, then start "
            "again: it goes on from there."
        )

    def end_batch(self, position: int, digest: bytes) -> None:
        """Write what was gathered, and how far it goes."""
        try:
            self.flush()
        except OverflowError:  # no event is at fault alone: their sum is
            larger = ValueError("a balance is larger than the books can hold.")
            first = self.tracked()[0] + 1
            raise self._halted(first, f"or one up to {position}", larger) from None
        reach("projection.fold.rows_written")
        self.connection.execute("UPDATE tracking SET position = ?, hash = ?", (position, digest))
        reach("projection.fold.tracked")

    def _end_of_batch(self, feed: Feed, position: int) -> Envelope:
        end = feed.at(position)
        if end is None:
            raise ProjectionMismatch(
                f"Event {position} is missing from the store. The {self.name} stays as it is and "
                "nothing was changed; run `tbot verify` and compare the store with a backup."
            )
        return end

    def _fold_one(self, row: Sequence[Any], payload_of: Callable[[Any], Any]) -> None:
        position, topic = row[0], row[3]
        try:
            payload = payload_of(row)
            if reader := self.readers.get(topic):
                self.fold_facts(topic, reader(row, payload))
            else:
                whole = Envelope._make(row)
                event = decode(topic, row[4], payload, position, whole.software_version)
                self.fold(whole, event)
        except FOLD_ERRORS as e:
            raise self._halted(position, topic, e) from e

    def _halted(self, position: int, topic: str, error: Exception) -> ProjectionHalted:
        return ProjectionHalted(
            f"The {self.name} stops before event {position} ({topic}): {error} "
            "The event is kept and earlier figures stand; nothing was half written.",
            position,
        )

    def _check_same_history(self, feed: Feed, position: int, digest: bytes) -> None:
        if not position or position == self._cached_at:
            return
        row = feed.at(position)
        if row is None or row.hash != digest:
            raise ProjectionMismatch(
                f"The {self.name} was built from another history: its event {position} is not the "
                "store's. The start is blocked and nothing was changed. Verify the store against a "
                "backup first; if the store is right, move the file away and it is rebuilt."
            )

    # -- proof -----------------------------------------------------------------------------

    def digest(self) -> str:
        """SHA-256 over every row of every table, in order: equal content, equal digest."""
        digest = hashlib.sha256()
        tables = self.connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        for (table,) in tables:
            digest.update(f"\n{table}\n".encode())
            # in the order of the table itself: rowid, or the primary key of one without
            for row in self.connection.execute(f"SELECT * FROM {table} NOT INDEXED"):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def close(self) -> None:
        self.connection.close()


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _statements(schema: str) -> list[str]:
    """The statements of a schema file, one by one, so that they run inside a transaction."""
    statements, pending = [], ""
    for line in schema.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
