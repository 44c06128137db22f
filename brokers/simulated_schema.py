"""The tables of the simulated broker's file, and how such a file is opened.

SQLite in WAL mode with ``synchronous=FULL``: what a transaction wrote survives SIGKILL, what it did
not commit never happened. Cash counts minor units, quantities 1e-9, prices 1e-6, times UTC
microseconds; commission and fees keep the broker's exact decimals as text, because no integer unit
holds them all.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from aggregates.money import Money
from brokers.port import BrokerError
from config.failpoints import reach

APPLICATION_ID = 0x54425342  # "TBSB" in the file's header: a simulated broker's file
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 5.0
SWITCH_TRIES = 100

OPEN = "state IN ('accepted', 'partially_filled')"
SCHEMA = f"""
CREATE TABLE account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    currency TEXT NOT NULL,
    starting_cash INTEGER NOT NULL,
    cash INTEGER NOT NULL,
    processed_until INTEGER NOT NULL
) STRICT;
CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    order_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    limit_price INTEGER,
    stop_price INTEGER,
    filled INTEGER NOT NULL DEFAULT 0 CHECK (filled BETWEEN 0 AND quantity),
    state TEXT NOT NULL DEFAULT 'accepted',
    submitted_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    settles_on TEXT NOT NULL
) STRICT;
CREATE INDEX open_orders ON orders (number) WHERE {OPEN};
CREATE TABLE executions (
    sequence INTEGER PRIMARY KEY,
    order_number INTEGER NOT NULL REFERENCES orders (number),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    price INTEGER NOT NULL CHECK (price > 0),
    commission TEXT NOT NULL,
    fees TEXT NOT NULL,
    net_amount INTEGER NOT NULL,
    executed_at INTEGER NOT NULL
) STRICT;
-- A minute that were processed twice would fail here instead of filling twice.
CREATE UNIQUE INDEX one_execution_a_minute ON executions (order_number, executed_at / 60000000);
CREATE TABLE positions (
    symbol TEXT PRIMARY KEY,
    quantity INTEGER NOT NULL CHECK (quantity >= 0)
) STRICT, WITHOUT ROWID;
"""

# Since form 2: a file of form 1 has none yet, and is given the table when it is opened.
EXPIRIES = """
CREATE TABLE expiries (
    number INTEGER PRIMARY KEY,
    symbol TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    day TEXT NOT NULL,
    net_amount INTEGER NOT NULL
) STRICT
"""

# What must hold in every file: a query that answers 0, and what is wrong when it does not.
PROOFS = (
    (
        "cash is not the starting cash plus the executions",
        "SELECT cash - starting_cash - coalesce((SELECT sum(net_amount) FROM executions), 0)"
        " - coalesce((SELECT sum(net_amount) FROM expiries), 0) FROM account",
    ),
    (
        "positions are not the sum of the executions",
        "SELECT count(*) FROM (SELECT symbol, sum(units) AS units FROM (SELECT symbol,"
        " CASE side WHEN 'buy' THEN e.quantity ELSE -e.quantity END AS units FROM executions AS e"
        " JOIN orders ON number = order_number UNION ALL SELECT symbol, -quantity FROM positions"
        " UNION ALL SELECT symbol, -quantity FROM expiries)"
        " GROUP BY symbol HAVING sum(units) != 0)",
    ),
    (
        "an order's filled quantity is not the sum of its executions",
        "SELECT count(*) FROM orders WHERE filled != coalesce((SELECT sum(e.quantity)"
        " FROM executions AS e WHERE e.order_number = orders.number), 0)",
    ),
)


def open_file(file: Path, starting_cash: Money) -> sqlite3.Connection:
    """Open a simulated broker's file, or create it with ``starting_cash``.

    A file that exists keeps its own cash. Raises BrokerError for a file of another program, form
    or currency, before anything is written to it.
    """
    try:
        db = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            _check_or_create(db, file, starting_cash)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as e:
        raise BrokerError(
            f"{file} cannot be opened as a simulated broker's file: {e}. It was left as it is; "
            "name another file, or restore this one from a backup."
        ) from e
    return db


def _check_or_create(db: sqlite3.Connection, file: Path, starting_cash: Money) -> None:
    if _is_empty(db):
        _set_pragmas(db, file)
        _create(db, starting_cash)
    if _one(db, "PRAGMA application_id") != APPLICATION_ID:
        raise _refusal(file, "it is a SQLite file of another program")
    if _one(db, "PRAGMA user_version") == 1:
        _lift(db)
    if (version := _one(db, "PRAGMA user_version")) != SCHEMA_VERSION:
        raise _refusal(file, f"its form is {version}, this program knows {SCHEMA_VERSION}")
    if (currency := _one(db, "SELECT currency FROM account")) != starting_cash.currency:
        raise _refusal(file, f"its account is in {currency}, not in {starting_cash.currency}")
    _set_pragmas(db, file)


def _is_empty(db: sqlite3.Connection) -> bool:
    """A new file, or one whose making was killed before its first commit."""
    return not _one(db, "PRAGMA application_id") and not _one(
        db, "SELECT count(*) FROM sqlite_master"
    )


def _set_pragmas(db: sqlite3.Connection, file: Path) -> None:
    mode = _write_ahead(db)
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    if mode != "wal" or _one(db, "PRAGMA synchronous") != 2:
        raise _refusal(file, f"its folder does not allow a write-ahead log (it is {mode})")


def _write_ahead(db: sqlite3.Connection) -> Any:
    """Switch to WAL. SQLite does not wait when two processes switch a new file at one moment."""
    for left in reversed(range(SWITCH_TRIES)):
        try:
            return _one(db, "PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(BUSY_TIMEOUT_S / SWITCH_TRIES)
    return None


def _create(db: sqlite3.Connection, starting_cash: Money) -> None:
    db.execute("BEGIN IMMEDIATE")
    if _is_empty(db):  # else another process was first, and its account counts
        for statement in (*SCHEMA.split(";\n"), EXPIRIES):
            db.execute(statement)
        db.execute(
            "INSERT INTO account VALUES (1, ?, ?, ?, 0)",
            (starting_cash.currency, starting_cash.minor, starting_cash.minor),
        )
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        reach("broker.lay.written")
    db.execute("COMMIT")


def _lift(db: sqlite3.Connection) -> None:
    """From form 1 to form 2, once, whoever is first."""
    db.execute("BEGIN IMMEDIATE")
    if _one(db, "PRAGMA user_version") == 1:
        db.execute(EXPIRIES)
        db.execute("PRAGMA user_version=2")
    db.execute("COMMIT")


def _refusal(file: Path, why: str) -> BrokerError:
    return BrokerError(
        f"{file} cannot be used: {why}. Nothing was written to it; name another file, or set what "
        "this file was made with."
    )


def _one(db: sqlite3.Connection, sql: str) -> Any:
    row = db.execute(sql).fetchone()
    return None if row is None else row[0]
