"""Dividends less the tax withheld, by security, whatever the security was called when it paid.

A dividend names a symbol and no sleeve. It counts for the long-term part: what is traded within a
day is not held over night, when dividends are earned.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import NamedTuple

from projections.holdings_results import Codes, codes_of
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf

_TOPICS = "'Capital.DividendReceived', 'Capital.TaxWithheld', 'Books.EntryReversed'"
_ROLES = ("dividends", "withholding_tax")


class Names:
    """Every symbol that an instrument bore, as known at a position."""

    def __init__(self, ledger: LedgerQueries, as_of: AsOf) -> None:
        connection: sqlite3.Connection = ledger._c
        self._rows: list[tuple[str, str, str]] = connection.execute(
            "SELECT symbol, effective_date, account_suffix FROM instruments WHERE position <= ?"
            " ORDER BY position DESC",
            as_of.parameters[1:],
        ).fetchall()

    def bearer(self, symbol: str, day: str) -> str | None:
        """The suffix of who bore the symbol last on ``day``; failing that, of who ever did."""
        bore = [(since, suffix) for name, since, suffix in self._rows if name == symbol]
        then = [suffix for since, suffix in bore if since <= day]
        return next(iter(then + [suffix for _, suffix in bore]), None)


class Paid(NamedTuple):
    """One posting of a dividend or of tax withheld, in minor units; positive: received."""

    transaction_id: int
    suffix: str
    amount: int


def dividend_postings(ledger: LedgerQueries, codes: Codes, names: Names, as_of: AsOf) -> list[Paid]:
    """Reversals included. A dividend of what no instrument is called belongs to no security."""
    connection: sqlite3.Connection = ledger._c
    counted = ", ".join(f"'{code}'" for code in sorted(codes_of(codes, _ROLES)))
    rows = connection.execute(
        "SELECT p.transaction_id, t.ticker, p.effective_date, -p.amount FROM terms t"
        " CROSS JOIN entries e ON e.terms_id = t.terms_id CROSS JOIN postings p ON"
        f" p.transaction_id = e.transaction_id WHERE t.topic IN ({_TOPICS}) AND t.ticker <> ''"
        f" AND p.account_code IN ({counted}) AND {as_of.where('p.')}",
        as_of.parameters,
    )
    found = ((number, names.bearer(symbol, day), amount) for number, symbol, day, amount in rows)
    return [Paid(number, suffix, amount) for number, suffix, amount in found if suffix]


def net_dividends(ledger: LedgerQueries, codes: Codes, names: Names, as_of: AsOf) -> Counter[str]:
    """Minor units by suffix."""
    found = Counter[str]()
    for paid in dividend_postings(ledger, codes, names, as_of):
        found[paid.suffix] += paid.amount
    return found
