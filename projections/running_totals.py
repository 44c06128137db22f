"""Balances as of a few dates, brought up by what was posted since: a desk asks every minute."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from aggregates.money import from_scaled
from projections.ledger_points import LedgerPoints
from projections.ledger_records import AsOf

_SINCE = (
    "SELECT effective_date, account_code, amount FROM postings"
    " WHERE transaction_id > ? AND transaction_id <= ?"
)


class RunningTotals:
    """Of one ledger file. Entries are never changed, so what is newer is all that can differ."""

    def __init__(
        self, connection: sqlite3.Connection, scale: int, dates: Sequence[date | None]
    ) -> None:
        """``scale`` is minor units in one of the base currency; a date of None sets no limit."""
        self._c, self._scale = connection, scale
        as_of = [AsOf(date=day) for day in dates]
        self._until = [until for until, _ in (known.parameters for known in as_of)]
        self._newest = self._read_newest()
        self._sums = [self._from_the_books(known) for known in as_of]

    def follow(self) -> bool:
        """Add what was posted since; returns whether anything was."""
        newest = self._read_newest()
        if newest == self._newest:
            return False
        for dated, code, amount in self._c.execute(_SINCE, (self._newest, newest)):
            for until, sums in zip(self._until, self._sums, strict=True):
                if dated <= until:
                    sums[_account(code)] += amount
        self._newest = newest
        return True

    def of(self, code: str, number: int) -> Decimal:
        """The balance of one account, its securities' sub-accounts included, in the base currency,
        as of the date with this number."""
        return from_scaled(self._sums[number][code], self._scale)

    def _from_the_books(self, as_of: AsOf) -> Counter[str]:
        found = Counter[str]()
        for code, sums in LedgerPoints(self._c).sums(as_of).items():
            found[_account(code)] += sums.amount
        return found

    def _read_newest(self) -> int:
        (found,) = self._c.execute("SELECT MAX(transaction_id) FROM entries").fetchone()
        return found or 0


def _account(code: str) -> str:
    """Without the security's own part: 1100 of 1100.XNYS:SPY."""
    return code.partition(".")[0]
