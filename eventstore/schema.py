"""The tables of the store, and how a connection to it is opened, for writing and for reading."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from eventstore.errors import StoreUnreadable

APPLICATION_ID = 0x54424F54  # "TBOT", kept in the file's header
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10

TABLES = (
    """CREATE TABLE IF NOT EXISTS stored_events (
        position INTEGER PRIMARY KEY,
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        schema_version INTEGER NOT NULL,
        state BLOB NOT NULL,
        commitment BLOB NOT NULL,
        recorded_at INTEGER NOT NULL,
        command_id TEXT NOT NULL,
        command_index INTEGER NOT NULL,
        command_digest BLOB NOT NULL,
        actor TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        causation_id TEXT NOT NULL,
        software_version TEXT NOT NULL,
        key_epoch INTEGER NOT NULL,
        hash BLOB NOT NULL,
        UNIQUE (originator_id, originator_version),
        UNIQUE (command_id, command_index)
    ) STRICT""",
    # The newest position and hash, moved with every append: names a tail that was cut off.
    """CREATE TABLE IF NOT EXISTS head (
        one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, hash BLOB NOT NULL
    ) STRICT""",
    """CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON stored_events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END""",
    """CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON stored_events
        BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END""",
    """CREATE TRIGGER IF NOT EXISTS no_gap BEFORE INSERT ON stored_events
        WHEN NEW.position <> (SELECT COALESCE(MAX(position), 0) + 1 FROM stored_events)
        BEGIN SELECT RAISE(ABORT, 'positions have no gap'); END""",
)

# synchronous=FULL: an acknowledged event is on disk. recursive_triggers: REPLACE cannot delete
# around the trigger. The values are read back, as SQLite ignores what it cannot do.
WRITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "recursive_triggers": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
}


def prepare_writer(connection: sqlite3.Connection, path: str) -> None:
    """Set the pragmas of rule 1 and read them back; raise StoreUnreadable when one did not take."""
    _write_ahead(connection)
    for name, wanted in WRITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {wanted}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise StoreUnreadable(
                f"{path}: SQLite keeps {name} at {found} instead of {wanted}. Nothing was written; "
                "use a local disk and an SQLite that supports write-ahead logging."
            )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait when two processes switch a new file at one moment."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = wal")
            return
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def check_identity(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file that is not a store or is of a newer schema. An empty file may become one."""
    try:
        connection.execute("BEGIN")  # all of one moment: another process may be laying the tables
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.rollback()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as e:  # a damaged schema is quoted as it is
        raise unreadable(path, e) from None
    if application_id != APPLICATION_ID and (tables or application_id):
        raise StoreUnreadable(f"{path} is not an event store. Nothing was changed; check the path.")
    if version > SCHEMA_VERSION:
        raise StoreUnreadable(
            f"{path} has store schema {version}; this version reads up to {SCHEMA_VERSION}. "
            "Nothing was changed. Install the version of TradeBot that wrote it, or a newer one."
        )
    if Path(path).stat().st_size % page_size and not _has_content(Path(f"{path}-wal")):
        # SQLite sees a missing page, but reads half a page as if it ended in zeros
        raise unreadable(path, sqlite3.DatabaseError("it ends in the middle of a page"))


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def unreadable(path: str, error: Exception) -> StoreUnreadable:
    """The message for what SQLite says: locked, no room, no right to write, a fault, damaged."""
    said = str(error)
    if "locked" in said or "busy" in said:
        what, then = "is locked by another program", "close it and try again"
    elif "full" in said:
        what, then = f"cannot grow: {error}", "make room on the disk and try again"
    elif "readonly" in said:
        what, then = f"cannot be written: {error}", "check who may write to the file and its folder"
    elif "I/O" in said:  # of a COMMIT that failed nobody knows whether it will be found on the disk
        return StoreUnreadable(
            f"{path}: {error}. What was acknowledged before is safe. See what the system says of "
            "the disk, then ask for the same again: a command is carried out once."
        )
    else:
        what = f"cannot be read: {error}"
        then = "the file is damaged, cut off, or not an event store, so compare it with a backup"
    return StoreUnreadable(f"{path} {what}. Nothing was changed; {then}.")


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection, also beside a running or killed writer. Changes no content."""
    if not path.is_file():
        raise StoreUnreadable(
            f"There is no event store at {path}. Nothing was made; check --data-dir, or run "
            "`tbot demo` first."
        )
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        check_identity(connection, str(path))
        connection.execute("SELECT position FROM stored_events LIMIT 1")
    except sqlite3.Error as e:
        raise unreadable(str(path), e) from None
    return connection
