"""The library's SQLite connections, made safe for two writing processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from eventsourcing.persistence import ConnectionPoolClosedError
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteCursor

from config.failpoints import reach
from eventstore.schema import BUSY_TIMEOUT_S, check_identity, prepare_writer, unreadable


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

    def rows(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Of one statement that reads, outside a transaction. Raises StoreUnreadable."""
        try:
            return self._sqlite_conn.execute(sql, parameters).fetchall()
        except sqlite3.Error as e:
            raise unreadable(self._path, e) from None


class StorePool(SQLiteConnectionPool):
    """Connections with the pragmas of rule 1, each read back."""

    def __init__(self, db_name: str) -> None:
        super().__init__(db_name=db_name)
        self._reading = Lock()
        self._reader: ImmediateConnection | None = None

    def read(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows of one statement, as they were at one moment. Raises StoreUnreadable.

        On a connection of its own: to take one out of the pool and put it back costs more than
        such a statement does, and an order's way to the broker has a dozen of them.
        """
        with self._reading:
            if self.closed:
                raise ConnectionPoolClosedError
            if self._reader is None:
                self._reader = self._create_connection()
            return self._reader.rows(sql, parameters)

    def close(self) -> None:
        with self._reading:
            super().close()
            if self._reader is not None:
                self._reader.close()

    def _create_connection(self) -> ImmediateConnection:
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
