"""What sales brought, from the ledger's entries: by security account, and by sleeve.

The result of an entry is its gain less its commissions and fees. It belongs to the one account of a
security that the entry moves; reversals and re-cost rows are entries like any other.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import date

from aggregates.chart_rules import HOLDINGS_ROLES, TRADING_ROLES
from aggregates.money import from_scaled
from projections.holdings_records import Realized
from projections.ledger_bulk import LedgerBulk
from projections.ledger_points import LedgerPoints, counted_sql, results_sql
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import FOREVER, AsOf

Codes = dict[str, frozenset[str]]  # by role, every code it was ever mapped to


class Results:
    """Reads the connection of one LedgerQueries; never writes. Amounts in minor units."""

    def __init__(self, ledger: LedgerQueries) -> None:
        self._c: sqlite3.Connection = ledger._c

    def of(self, accounts: Iterable[str], as_of: AsOf) -> Counter[str]:
        """By security account, of everything that both clocks know."""
        return LedgerPoints(self._c).results(accounts, as_of)

    def between(
        self, first: date, last: date, since_position: int, until_position: int
    ) -> list[tuple[int, str, int]]:
        """Transaction id, security account and result of entries dated ``first`` to ``last`` (both
        included) whose event came after ``since_position``, up to ``until_position``."""
        # whatever is dated or recorded later than a balance point was also posted after it
        (after,) = self._c.execute(
            "SELECT COALESCE(MAX(transaction_id), 0) FROM balance_points"
            " WHERE through < ? OR position <= ?",
            (first.isoformat(), since_position),
        ).fetchone()
        (until,) = self._c.execute(
            "SELECT COALESCE(MIN(transaction_id), ?) FROM balance_points WHERE position >= ?",
            (FOREVER, until_position),
        ).fetchone()
        rows = self._c.execute(
            results_sql(
                counted_sql(self._c),
                "FROM postings e",
                "e.transaction_id > ? AND e.transaction_id <= ? AND e.position > ?"
                " AND e.position <= ? AND e.effective_date BETWEEN ? AND ?",
            ),
            (after, until, since_position, until_position, first.isoformat(), last.isoformat()),
        )
        return list(rows)

    def of_rebalances(self, number: int) -> bool:
        """Whether the entry is of a rebalance's fill. A correction is of what it corrects, whose
        own entry is the first about it."""
        found = self._c.execute(
            "SELECT t.context FROM entries e JOIN entries o ON o.about = e.about"
            " JOIN terms t ON t.terms_id = o.terms_id WHERE e.transaction_id = ?"
            " ORDER BY o.transaction_id LIMIT 1",
            (number,),
        ).fetchone()
        return bool(found[0] == "rebalance")


def realized_by_sleeve(
    books: LedgerQueries,
    first: date,
    last: date,
    since_position: int = 0,
    until_position: int | None = None,
) -> Realized:
    """Of entries dated ``first`` to ``last`` (both included) whose event came after
    ``since_position``, up to ``until_position``."""
    until = FOREVER if until_position is None else until_position
    codes = LedgerBulk(books).role_codes(AsOf(position=until_position))
    results = Results(books)
    found = results.between(first, last, since_position, until)
    scale = 10 ** books.books().exponent
    trading, holdings, vehicle = (
        codes_of(codes, roles) for roles in (TRADING_ROLES, HOLDINGS_ROLES, HOLDINGS_ROLES[1:])
    )

    def invested(number: int, account: str) -> bool:
        main = main_of(account)
        return main in vehicle or (main in holdings and results.of_rebalances(number))

    return Realized(
        trading=from_scaled(sum(r for _, a, r in found if main_of(a) in trading), scale),
        holdings=from_scaled(sum(r for _, a, r in found if main_of(a) in holdings), scale),
        invested=from_scaled(sum(r for n, a, r in found if invested(n, a)), scale),
    )


def codes_of(codes: Codes, roles: Iterable[str]) -> set[str]:
    return set().union(*(codes.get(role, frozenset()) for role in roles))


def main_of(account: str) -> str:
    """1130 of 1130.SCHD."""
    return account.partition(".")[0]
