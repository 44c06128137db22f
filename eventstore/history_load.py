"""A new store from rows that were checked on their way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from eventstore.envelope import COLUMN_LIST, COLUMNS, Envelope
from eventstore.errors import StoreUnreadable
from eventstore.head import read_head
from eventstore.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    TABLES,
    prepare_writer,
)

BATCH = 5_000  # rows a commit
_INSERT = f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({', '.join('?' * len(COLUMNS))})"


def load_rows(path: Path, rows: Iterator[Envelope], progress: Callable[[int], None]) -> None:
    """Make a store of rows that were checked, in bounded batches. ``progress`` is told positions.

    Raises StoreUnreadable; sqlite3.IntegrityError at a row that the tables refuse.
    """
    path.touch(0o600, exist_ok=False)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            prepare_writer(connection, str(path))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for statement in TABLES:
                connection.execute(statement)
            before = -1
            while (head := read_head(connection)).position != before:
                before = head.position
                progress(before)
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, islice(rows, BATCH))
                connection.execute("COMMIT")
            if head.position:
                connection.execute("INSERT INTO head VALUES (1, ?, ?)", (head.position, head.hash))
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as e:
        raise StoreUnreadable(
            f"The new store could not be written: {e}. Nothing was changed; make room on the disk, "
            "or name a folder on another one, and import again."
        ) from None
