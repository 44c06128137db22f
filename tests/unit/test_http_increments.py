"""Executions from totals: they add up to what the broker says, to the unit and to the cent."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.http_increments import Increments, Total
from brokers.port import Execution

D = Decimal
AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


def total(quantity: str, average: str, minutes: int = 0, **more: Any) -> Total:
    return Total(
        client_order_id="a-1", broker_order_id="7", symbol="ALFA", side=more.pop("side", "buy"),
        quantity=D(quantity), average=D(average), at=AT + timedelta(minutes=minutes), **more,
    )  # fmt: skip


def increments(recorded: list[Execution] | None = None) -> Increments:
    return Increments(recorded or [], lambda at: at.date() + timedelta(days=1))


def told(kept: Increments) -> list[tuple[Decimal, Decimal, Decimal | None]]:
    return [(e.quantity, e.price, e.net_amount) for e in kept.since(0)]


def test_two_totals_are_the_executions_in_between() -> None:
    kept = increments()
    kept.take([total("10", "100.02")])
    kept.take([total("10", "100.02"), total("24", "100.50", 1)])
    assert told(kept) == [
        (10, D("100.02"), D("-1000.20")),
        (14, D("100.842857"), D("-1411.80")),  # 24 x 100.50 less 1000.20
    ]
    first, second = kept.since(0)
    assert [first.sequence, second.sequence] == [1, 2]
    assert first.execution_id != second.execution_id
    assert (second.executed_at, second.settles_on) == (AT + timedelta(minutes=1), date(2026, 1, 6))


def test_of_parts_of_shares_no_cash_is_stated() -> None:
    """They move parts of cents, and how those are rounded is not told."""
    kept = increments()
    kept.take([total("10", "100.02")])
    kept.take([total("24.5", "100.50", 1)])
    assert told(kept) == [(10, D("100.02"), D("-1000.20")), (D("14.5"), D("100.831034"), None)]


def test_a_sale_brings_cash() -> None:
    kept = increments()
    kept.take([total("10", "100.02", side="sell")])
    assert told(kept) == [(10, D("100.02"), D("1000.20"))]


def test_contracts_are_worth_their_multiple() -> None:
    kept = increments()
    kept.take([total("3", "1.25", multiplier=100)])
    assert told(kept) == [(3, D("1.25"), D("-375.00"))]


def test_an_older_answer_changes_nothing() -> None:
    kept = increments()
    kept.take([total("19", "100", 1)])
    kept.take([total("10", "100.02")])
    assert told(kept) == [(19, 100, D("-1900.00"))]
    assert kept.contradictions == []


def test_one_quantity_at_two_prices_stays_and_is_a_fault() -> None:
    kept = increments()
    kept.take([total("10", "100")])
    kept.take([total("10", "101")])
    kept.take([total("10", "101")])
    assert told(kept) == [(10, 100, D("-1000.00"))]
    assert ["a-1" in said for said in kept.contradictions] == [True]


def test_after_a_restart_it_goes_on_from_what_was_recorded() -> None:
    before = increments()
    before.take([total("10", "100.02")])
    (recorded,) = before.since(0)
    after = increments([recorded])
    after.take([total("24.5", "100.50", 1)])
    assert told(after)[0] == told(before)[0]
    assert told(after)[1][:1] == (D("14.5"),)
    assert [e.sequence for e in after.since(0)] == [1, 2]


def test_what_was_told_and_not_recorded_comes_again_joined_to_what_followed() -> None:
    after = increments([])
    after.take([total("24.5", "100.50", 1)])
    assert told(after) == [(D("24.5"), D("100.5"), None)]


def test_an_average_that_is_rounded_gives_no_senseless_price() -> None:
    """A thousandth of a share after a thousand shares: the average says nothing of its price, and
    what it says of the thousand is a fault."""
    kept = increments()
    kept.take([total("1000", "100.02")])
    kept.take([total("1000.001", "100.01", 1)])
    assert [e.price for e in kept.since(0)] == [D("100.02"), D("100.01")]
    kept.take([total("1000.001", "100.01", 1)])
    assert len(kept.contradictions) == 1


def worth(execution: Execution) -> Decimal:
    if execution.net_amount is not None:
        return -execution.net_amount
    return execution.quantity * execution.price


def fills_of(units: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Any]:
    prices = st.decimals("90", "110", places=2)
    return st.lists(st.tuples(units, prices, st.booleans()), min_size=1, max_size=12)


WHOLE = fills_of(st.integers(1, 900).map(Decimal))
PARTS = fills_of(st.decimals("0.00001", "900", places=5))


@given(fills=WHOLE | PARTS, restart=st.integers(0, 11))
@settings(max_examples=60)
def test_whenever_one_looks_the_executions_come_to_the_total(
    fills: list[tuple[Decimal, Decimal, bool]], restart: int
) -> None:
    kept, quantity, paid = increments(), D(0), D(0)
    for number, (units, price, looked) in enumerate(fills):
        quantity, paid = quantity + units, paid + units * price
        latest = total(str(quantity), f"{paid / quantity:.10f}", number)
        if looked or number == len(fills) - 1:
            kept.take([latest])
        if number == restart:
            kept = increments(list(kept.since(0)))
    told = list(kept.since(0))
    assert sum((e.quantity for e in told), D(0)) == quantity
    apart = sum((worth(e) for e in told), D(0)) - paid
    whole = all(units == int(units) for units, _, _ in fills)
    assert abs(apart) <= (0 if whole else D("0.006"))
    assert len({e.execution_id for e in told}) == len(told)
    assert all(e.price > 0 for e in told)
    again = increments(told)
    again.take([latest, msgspec.structs.replace(latest, at=AT)])
    assert list(again.since(0)) == told
