"""The SQLite file of the outbox of alerts (0600): its tables, and one transaction at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aggregates.errors import TradeBotError

BUSY_S = 5.0

_TABLES = """
PRAGMA journal_mode = wal;
CREATE TABLE IF NOT EXISTS followed (
    one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, hash BLOB NOT NULL,
    session TEXT NOT NULL DEFAULT '', closes_us INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS mails (
    mail_id INTEGER PRIMARY KEY AUTOINCREMENT, made_us INTEGER NOT NULL, subject TEXT NOT NULL,
    text TEXT NOT NULL, attached_as TEXT NOT NULL, attached BLOB NOT NULL, taken_for TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, not_before_us INTEGER NOT NULL DEFAULT 0,
    sent_us INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS alerts (
    alert_id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    at_us INTEGER NOT NULL, position INTEGER NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1, mail_id INTEGER REFERENCES mails
) STRICT;
CREATE INDEX IF NOT EXISTS waiting ON alerts (alert_id) WHERE mail_id IS NULL;
CREATE INDEX IF NOT EXISTS unsent ON mails (tries, mail_id) WHERE sent_us = 0;
CREATE TABLE IF NOT EXISTS sender (
    one INTEGER PRIMARY KEY CHECK (one = 1), failures INTEGER NOT NULL, not_before_us INTEGER
    NOT NULL, said TEXT NOT NULL, said_us INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO sender VALUES (1, 0, 0, '', 0);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
"""


class OutboxUnusable(TradeBotError):
    """The file of alerts cannot be read or written. Events are recorded all the same."""


class AlertFile:
    """For one thread at a time. Raises OutboxUnusable from every call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._faults():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            self._file = sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_S, check_same_thread=False
            )
            # a mail that was sent and is not recorded as sent would go out again after a power cut
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.executescript(_TABLES)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as e:
            raise OutboxUnusable(
                f"{self._path} cannot be used ({e}). Alerts are not mailed until it can; events "
                "are recorded all the same, and nothing is lost of what was waiting."
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._faults():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def _all(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._faults():
            return self._file.execute(sql, tuple(parameters)).fetchall()

    def _one(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        found = self._all(sql, parameters)
        return found[0] if found else None

    def _number(self, sql: str, parameters: Sequence[object] = ()) -> int:
        found = self._one(sql, parameters)
        return int(found[0]) if found else 0
