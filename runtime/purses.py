"""The purses of the one account, from the ledger alone: what the cash is kept for."""

from __future__ import annotations

from decimal import Decimal

from projections.holdings_records import Reserves
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf

__all__ = ["Reserves", "purses_of"]


def purses_of(books: LedgerQueries, as_of: AsOf = NOW) -> Reserves:
    """Wherever the chart of that moment maps the purses to. Raises DomainError before a chart."""
    mapping = books.chart(as_of).mapping

    def held(role: str) -> Decimal:
        return books.balance_of(mapping[role], as_of)

    return Reserves(
        float=held("cash_float"),
        tax_cash=held("tax_reserve"),
        tax_vehicle=held("tax_reserve_vehicle"),
        payroll=held("payroll_reserve"),
        pool=held("reinvestment_pool"),
    )
