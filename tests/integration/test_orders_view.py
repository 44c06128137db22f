"""Orders as of both clocks: a report that comes late is not mixed with days that came after it."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordCancellation,
    RecordFill,
    RecordSubmission,
)
from projections.ledger_records import AsOf
from projections.orders import Orders

MONDAY, TUESDAY = "2024-01-08", "2024-01-09"


class Desk:
    """One order of ten units, and the view that follows it."""

    def __init__(self, keeper: Any) -> None:
        self.keeper = keeper
        self.view = Orders.in_memory()

    def do(self, kind: type, day: str, order_id: str = "o", **fields: Any) -> int:
        position: int = self.keeper.do(kind, day, order_id=order_id, **fields)
        return position

    def intend(self, day: str, order_id: str = "o") -> int:
        return self.do(
            IntendOrder, day, order_id, bot_identity="B", instrument_id="XNYS:SPY", symbol="SPY",
            sleeve="trading", side="buy", order_type="market", quantity=Decimal(10),
            strategy="OPEN", reason="signal",
        )  # fmt: skip

    def fill(self, day: str, units: str, price: str, order_id: str = "o") -> int:
        self.keeper.number += 1
        return self.do(
            RecordFill, day, order_id, execution_id=f"e{self.keeper.number}",
            quantity=Decimal(units), price=Decimal(price), currency="USD", commission=Decimal(0),
            fees=Decimal(0), net_amount=None, settles_on=date.fromisoformat(day),
        )  # fmt: skip

    def seen(self, day: str | None = None, known_at: int | None = None) -> list[tuple[Any, ...]]:
        self.view.catch_up(self.keeper.feed)
        as_of = AsOf(date=date.fromisoformat(day) if day else None, position=known_at)
        return [(o.state, o.filled, o.average_price, o.open) for o in self.view.orders(as_of)]


@pytest.fixture
def desk(keeper: Any) -> Iterator[Desk]:
    made = Desk(keeper)
    yield made
    made.view.close()


@pytest.fixture
def late(desk: Desk) -> Desk:
    """Accepted on Monday, cancelled on Tuesday; then Monday's fill becomes known."""
    desk.intend(MONDAY)
    desk.do(RecordSubmission, MONDAY)
    desk.do(RecordAcceptance, MONDAY, broker_order_id="b")
    desk.do(RecordCancellation, TUESDAY, reason="day order")
    desk.fill(MONDAY, "4", "100")
    return desk


def test_monday_as_known_at_its_end(late: Desk) -> None:
    assert late.seen(MONDAY, known_at=8) == [("accepted", 0, None, True)]


def test_monday_as_known_now_has_the_fill_but_not_tuesdays_end(late: Desk) -> None:
    assert late.seen(MONDAY) == [("partially filled", 4, 100, True)]


def test_tuesday_as_known_then_and_now(late: Desk) -> None:
    assert late.seen(TUESDAY, known_at=9) == [("cancelled", 0, None, False)]
    assert late.seen() == [("cancelled", 4, 100, False)]


def test_before_the_intent_there_is_no_order(late: Desk) -> None:
    assert late.seen("2024-01-07") == []
    assert late.seen(known_at=5) == []


def test_the_orders_of_a_day_are_those_that_changed_on_it_as_they_ended_it(late: Desk) -> None:
    late.intend(TUESDAY, "p")
    late.view.catch_up(late.keeper.feed)
    monday, tuesday = (
        [(o.order_id, o.state) for o in late.view.orders(day=date.fromisoformat(day))]
        for day in (MONDAY, TUESDAY)
    )
    assert monday == [("o", "partially filled")]
    assert tuesday == [("o", "cancelled"), ("p", "intended")]
    before = AsOf(date=date.fromisoformat(MONDAY))
    assert late.view.orders(before, day=date.fromisoformat(TUESDAY)) == []


def test_one_order_by_name(late: Desk) -> None:
    late.view.catch_up(late.keeper.feed)
    found = late.view.order("o", AsOf(position=8))
    assert found is not None
    assert (found.state, found.reason, found.broker_order_id) == ("accepted", "signal", "b")
    assert found.position == 8
    assert late.view.order("o", AsOf(position=5)) is None
    assert late.view.order("nobody's") is None


def test_fills_of_several_days_have_their_own_averages(desk: Desk) -> None:
    desk.intend(MONDAY)
    desk.fill(MONDAY, "4", "100")
    desk.fill(TUESDAY, "6", "110")
    assert desk.seen(MONDAY) == [("partially filled", 4, 100, True)]
    assert desk.seen(TUESDAY) == [("filled", 10, 106, False)]


def test_the_view_folded_one_event_at_a_time_says_the_same(late: Desk) -> None:
    at_once = late.seen(MONDAY), late.seen()
    late.view.close()
    late.view = Orders.in_memory()
    for position in range(1, late.keeper.feed.head().position + 1):
        late.view.catch_up(late.keeper.feed, position)
    assert (late.seen(MONDAY), late.seen()) == at_once
