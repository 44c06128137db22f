"""The long-term holdings as of both clocks: securities, reserves, realized gains (M09, M30-M34).

What is held comes from the ledger, what is wanted from the plan that the caller hands in. Prices
are those that were known then; without one, what would need it is None.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from aggregates.chart_rules import HOLDINGS_ROLES
from aggregates.holdings_plan import Plan
from projections.holdings_dividends import Names, dividend_postings
from projections.holdings_records import (
    HoldingsState,
    Realized,
    ReserveLine,
    Reserves,
    SecurityRow,
)
from projections.holdings_results import (
    Codes,
    codes_of,
    realized_by_sleeve,
)
from projections.holdings_state import Moment
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf, Entry, OpenLot
from projections.performance_queries import PerformanceQueries

__all__ = [
    "HoldingsQueries", "HoldingsState", "Purse", "Realized", "ReserveLine", "Reserves",
    "SecurityRow",
]  # fmt: skip

Purse = Literal["float", "tax_cash", "payroll", "pool"]
PURSES: dict[Purse, str] = {
    "float": "cash_float",
    "tax_cash": "tax_reserve",
    "payroll": "payroll_reserve",
    "pool": "reinvestment_pool",
}


class HoldingsQueries:
    """Reads the connections of the ledger and of the performance view; never writes."""

    def __init__(self, books: LedgerQueries, trading: PerformanceQueries) -> None:
        self._books, self._trading = books, trading

    def state(self, as_of: AsOf = NOW, plan: Plan | None = None) -> HoldingsState:
        """Everything at once. ``plan`` is the one in force then; None: nothing is planned."""
        return Moment(self._books, self._trading, as_of).state(plan)

    def realized(
        self,
        first: date,
        last: date,
        *,
        since_position: int = 0,
        until_position: int | None = None,
    ) -> Realized:
        """Gains less commissions and fees, of entries dated ``first`` to ``last`` (both included)
        whose event came after ``since_position``, up to ``until_position``."""
        return realized_by_sleeve(self._books, first, last, since_position, until_position)

    # -- what lies behind it ---------------------------------------------------------------

    def transactions(self, symbol: str, as_of: AsOf = NOW) -> list[Entry]:
        """Every entry of a security's long-term part, its dividends included, by date and then in
        the order of recording. Empty for a symbol that nothing bears."""
        names = Names(self._books, as_of)
        suffix, codes = names.bearer(symbol, as_of.parameters[0]), self._codes(as_of)
        paid = dividend_postings(self._books, codes, names, as_of)
        numbers = {p.transaction_id for p in paid if p.suffix == suffix}
        for main in codes_of(codes, (HOLDINGS_ROLES[0],)):
            numbers |= {r.transaction_id for r in self._books.register(f"{main}.{suffix}", as_of)}
        return self._books.entries(numbers, as_of)

    def lots(self, symbol: str, as_of: AsOf = NOW) -> list[OpenLot]:
        """Open lots of the long-term part, oldest first. Lots run first in, first out, whatever the
        cost method: under average cost they add up to the units, but not to the book cost."""
        suffix = Names(self._books, as_of).bearer(symbol, as_of.parameters[0])
        mains = codes_of(self._codes(as_of), (HOLDINGS_ROLES[0],))
        codes = {f"{main}.{suffix}" for main in mains}
        return [lot for lot in self._books.lots(as_of) if lot.code in codes]

    def reserve_history(
        self, purse: Purse, as_of: AsOf = NOW, *, limit: int = -1, offset: int = 0
    ) -> list[ReserveLine]:
        """Every movement of one purse in date order, with its balance after it."""
        code = self._books.chart(as_of).mapping[PURSES[purse]]
        return [
            ReserveLine(
                position=line.position,
                effective_date=line.effective_date,
                timestamp=line.timestamp,
                description=line.description,
                amount=line.amount,
                balance=line.balance,
            )
            for line in self._books.register(code, as_of, limit=limit, offset=offset)
        ]

    def _codes(self, as_of: AsOf) -> Codes:
        return LedgerBulk(self._books).role_codes(as_of)
