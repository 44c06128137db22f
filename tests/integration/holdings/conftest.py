"""`look_at(keeper)` asks the long-term holdings of a keeper's books, and `plan_of` makes plans:
`plan_of(SCHD="60", SCHY=None)` has these allocations."""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregates.holdings_plan import Plan, PlannedSecurity
from projections.holdings_queries import HoldingsQueries
from projections.ledger_records import NOW, AsOf
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries


class Look:
    """Always at the newest event."""

    def __init__(self, keeper: Any) -> None:
        self.keeper = keeper
        self.performance = Performance.open(keeper.folder.performance_view)

    @property
    def queries(self) -> HoldingsQueries:
        books = self.keeper.books  # caught up
        self.performance.catch_up(self.keeper.feed)
        trading = PerformanceQueries(self.performance.connection, books.books().exponent)
        return HoldingsQueries(books, trading)

    def state(
        self, plan: Plan | None = None, *, day: str | None = None, known_at: int | None = None
    ) -> Any:
        as_of = AsOf(date=date.fromisoformat(day) if day else None, position=known_at)
        return self.queries.state(NOW if as_of == NOW else as_of, plan)

    def row(self, symbol: str, plan: Plan | None = None, **clocks: Any) -> Any:
        (found,) = [row for row in self.state(plan, **clocks).rows if row.symbol == symbol]
        return found


@pytest.fixture
def look_at() -> Iterator[Callable[[Any], Look]]:
    made: list[Look] = []

    def look(keeper: Any) -> Look:
        made.append(Look(keeper))
        return made[-1]

    yield look
    for one in made:
        one.performance.close()


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., Plan]:
    def plan(**allocations: str | None) -> Plan:
        return Plan(
            securities=tuple(
                PlannedSecurity(symbol, None if percent is None else Decimal(percent))
                for symbol, percent in allocations.items()
            )
        )

    return plan
