"""The rows that a ledger fold gathers and writes, each entry checked as it is posted."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aggregates.errors import DomainError
from eventstore.envelope import Envelope
from projections.posting_rules import Line

LARGEST = 2**63 - 1  # what SQLite holds in an integer
_TABLES = {"transactions": 22, "postings": 8, "movements": 9, "lots": 8}


def utc_text(moment: datetime) -> str:
    """2013-10-07T13:30:00.000000Z: sorts as text, the same in every zone."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


class LedgerRows:
    """Rows waiting for the end of the batch, and what every row is stamped with."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._insert = {
            table: f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"
            for table, columns in _TABLES.items()
        }
        self.broker = ""
        self.coa_version = 0
        self.rules_version = 0
        self.active: set[str] = set()
        self.closed_through = ""
        self._clear()

    def _clear(self) -> None:
        self.pending: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}

    def forget(self) -> None:
        self._clear()
        c = self._connection
        self._next_transaction = _scalar(c, "SELECT MAX(transaction_id) FROM transactions") + 1
        self._next_posting = _scalar(c, "SELECT MAX(posting_id) FROM postings") + 1
        closed = c.execute("SELECT MAX(through) FROM period_closes").fetchone()[0]
        self.closed_through = closed or ""

    def flush(self) -> None:
        """Write everything gathered, in order."""
        for table, rows in self.pending.items():
            if rows:
                self._connection.executemany(self._insert[table], rows)
        self._clear()

    def posting_date(self, effective: str) -> str:
        """The date itself, or the first open day when its period is closed."""
        if effective > self.closed_through:
            return effective
        return (date.fromisoformat(self.closed_through) + timedelta(days=1)).isoformat()

    def transaction(
        self,
        row: Envelope,
        effective: str,
        occurred_at: datetime,
        description: str,
        lines: list[Line],
        *,
        about: int | None = None,
        strategy: str = "",
        ticker: str = "",
        side: str = "",
        size: str = "",
        entry_price: str | None = None,
        exit_price: str | None = None,
        pnl: int | None = None,
        sleeve: str = "",
        context: str = "",
        reference: str = "",
        settles_on: str = "",
    ) -> None:
        """Post one entry. Raises DomainError when it does not balance or names a wrong account."""
        self._check(lines)
        number, position = self._next_transaction, row.position
        about = position if about is None else about
        posted_on = self.posting_date(effective)
        self.pending["transactions"].append(
            (
                number, position, about, posted_on, utc_text(occurred_at), row.topic, description,
                strategy, ticker, side, size, entry_price, exit_price, pnl, self.broker, "", sleeve,
                context, reference, settles_on, self.coa_version, self.rules_version,
            )
        )  # fmt: skip
        postings = self.pending["postings"]
        posting = self._next_posting
        for account, amount, quantity in lines:
            postings.append(
                (posting, number, position, about, posted_on, account, amount, quantity)
            )
            posting += 1
        self._next_transaction, self._next_posting = number + 1, posting

    def _check(self, lines: list[Line]) -> None:
        """Double entry, and every account against the chart in force, as it is posted (M02)."""
        if not self.rules_version:
            raise DomainError("no posting rules are in force; adopt them before the first entry.")
        total = 0
        for account, amount, _ in lines:
            if account.partition(".")[0] not in self.active:
                raise DomainError(f"account {account} is not active in chart {self.coa_version}.")
            if not -LARGEST <= amount <= LARGEST:
                raise DomainError(f"an amount of {amount} minor units is more than can be kept.")
            total += amount
        if total:
            raise DomainError(f"the entry does not balance: debits exceed credits by {total}.")


def _scalar(connection: sqlite3.Connection, sql: str) -> int:
    value = connection.execute(sql).fetchone()[0]
    return int(value) if value is not None else 0
