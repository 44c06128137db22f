"""What the holdings page and the command line ask about the past and present of the long-term part:
reserves, next rebalance, transactions, lots, and the files of all that (M38).

Every answer is as of both clocks. The state itself is ``Queries.holdings``.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from aggregates.errors import DomainError
from config.errors import ConfigError
from exporters.holdings_log import log_file, transactions_file
from exporters.holdings_report import KINDS, HoldingsSheet, Kind, Source, report_file
from projections.holdings_queries import HoldingsQueries, Purse
from projections.holdings_records import HoldingsState, ReserveLine
from projections.ledger_records import NOW, AsOf, Entry, OpenLot
from runtime.holdings_log import log_lines, transaction_lines
from runtime.holdings_versions import PlanVersion
from runtime.queries import Queries
from runtime.rebalance_preview import STEP
from runtime.requests_then import requests_then
from runtime.schedule import calendar_around
from strategies.holdings_allocation import Sellable, top_up

__all__ = [
    "FORMS", "MEDIA_TYPES", "WHATS", "Entry", "HoldingsState", "HoldingsView", "NextRebalance",
    "OpenLot", "Purse", "ReserveLine", "Sale", "top_up_sales",
]  # fmt: skip

DAY = timedelta(days=1)
What = Literal["report", "log", "transactions"]
WHATS: tuple[What, ...] = ("report", "log", "transactions")
FORMS: tuple[Kind, ...] = KINDS
MEDIA_TYPES: dict[Kind, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}


class NextRebalance(NamedTuple):
    """``on`` is the first session after the interval, ``last`` the day of the last rebalance or of
    the plan's first version. ``automatic``: the bot asks for it by itself. ``unfinished`` is the
    day of one that was left half done: then the next is due in the session after it."""

    on: date
    last: date
    months: int
    automatic: bool
    unfinished: date | None


class Sale(NamedTuple):
    """What a top-up would sell: units at the newest price that is known, and what they bring."""

    symbol: str
    units: Decimal
    price: Decimal
    value: Decimal


def top_up_sales(state: HoldingsState, missing: Decimal) -> tuple[Sale, ...]:
    """Estimated, the largest first; a security without a price is left out."""
    prices = {row.symbol: row.price for row in state.rows if row.units and row.price is not None}
    held = [
        Sellable(symbol=row.symbol, units=row.units, bid=prices[row.symbol])
        for row in state.rows
        if row.symbol in prices
    ]
    return tuple(
        Sale(one.symbol, one.quantity, prices[one.symbol], one.quantity * prices[one.symbol])
        for one in top_up(missing, held, STEP)
    )


class HoldingsView:
    """Asks ``Queries``; for one thread at a time, as that is."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def plan(self, as_of: AsOf = NOW) -> PlanVersion | None:
        """The version in force; None when no plan was saved."""
        versions = self._queries.plan_versions(as_of)
        return versions[-1] if versions else None

    def state(self, as_of: AsOf = NOW) -> HoldingsState:
        """By the plan that was in force."""
        version = self.plan(as_of)
        return self._queries.holdings(as_of, version.plan if version else None)

    def next_rebalance(self, as_of: AsOf = NOW) -> NextRebalance | None:
        """None while nothing is planned. One that is overdue lies in the past."""
        versions = self._queries.plan_versions(as_of)
        plan = versions[-1].plan if versions else None
        if plan is None or not plan.securities:
            return None
        requests = self._queries.of_history(requests_then, as_of)
        last, half = requests.rebalanced_on, requests.unfinished_on
        if last is None:
            saved = self._queries.event(versions[0].position)
            last = date.fromisoformat(saved.effective_date) if saved else date.min
        return NextRebalance(
            on=self._due(*((half + DAY, 0) if half else (last, plan.rebalance_months)), as_of),
            last=last,
            months=plan.rebalance_months,
            automatic=plan.auto_rebalance,
            unfinished=half,
        )

    def _due(self, last: date, months: int, as_of: AsOf) -> date:
        """The day itself where no calendar reaches so far: it is moved when that is known."""
        from strategies.rebalance_dates import due_on, months_later  # they bring pandas with them

        day, settings = months_later(last, months), self._queries.settings(as_of)
        try:
            code = settings[-1].values["EXCHANGE_CALENDAR"]
            return due_on(last, months, calendar_around(code, day))
        except (ConfigError, LookupError):
            return day

    # -- what lies behind it ---------------------------------------------------------------

    def reserve_history(
        self, purse: Purse, as_of: AsOf = NOW, *, limit: int = -1, offset: int = 0
    ) -> list[ReserveLine]:
        """Every movement of one purse in date order, with its balance after it."""
        return self._asked().reserve_history(purse, as_of, limit=limit, offset=offset)

    def transactions(self, symbol: str, as_of: AsOf = NOW) -> list[Entry]:
        """Every entry of one security of the long-term part, dividends included, by date."""
        return self._asked().transactions(symbol, as_of)

    def lots(self, symbol: str, as_of: AsOf = NOW) -> list[OpenLot]:
        """Its open lots, oldest first."""
        return self._asked().lots(symbol, as_of)

    def _asked(self) -> HoldingsQueries:
        return HoldingsQueries(*self._queries.sources())

    # -- files -----------------------------------------------------------------------------

    def export(self, what: str, form: str, as_of: AsOf = NOW) -> tuple[str, bytes, str]:
        """Name, content and media type of a file. ``what``: the holdings and allocation report,
        all logs, or all transactions. Raises DomainError for what is neither."""
        kind = next((each for each in FORMS if each == form), None)
        if kind is None or what not in WHATS:
            raise DomainError(
                f"There is no export {what}.{form}: it is one of {', '.join(WHATS)}, as "
                f"{', '.join(FORMS)}. Nothing was written."
            )
        if what == "report":
            data = report_file(self.sheet(as_of), kind)
        elif what == "log":
            lines = self._queries.of_history(log_lines, as_of)
            data = log_file(list(lines), kind, self.source(as_of))
        else:
            books, _ = self._queries.sources()
            moved = self._queries.of_history(partial(transaction_lines, books), as_of)
            data = transactions_file(list(moved), kind, self.source(as_of))
        identity = self._queries.books().identity
        return f"{identity}_BOT_holdings_{what}.{kind}", data, MEDIA_TYPES[kind]

    def source(self, as_of: AsOf = NOW) -> Source:
        """Whose figures they are, and of when."""
        status = self._queries.status(as_of)
        return Source(
            identity=status.identity,
            currency=status.currency,
            as_of=as_of.date,
            known_at=status.position,
            head_hash=status.head_hash,
        )

    def sheet(self, as_of: AsOf = NOW) -> HoldingsSheet:
        """What the report is made from."""
        version, due = self.plan(as_of), self.next_rebalance(as_of)
        return HoldingsSheet(
            **msgspec.structs.asdict(self.source(as_of)),
            plan_version=version.number if version else 0,
            plan=version.plan if version else None,
            next_rebalance=due.on if due else None,
            state=self.state(as_of),
        )
