"""Each of the ten fields of a security's record (M30), and the figures around them."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest

from aggregates.capital import Earmark, RecordDividend, RecordFee, RecordWithholding
from aggregates.session import Mark, MarkPrices, OpenSession
from projections.ledger_records import AsOf

D = Decimal
HOLD = {"sleeve": "holdings", "context": "rebalance"}


def open_session(keeper: Any, day: str) -> None:
    at = datetime.fromisoformat(f"{day}T14:30:00+00:00")
    keeper.do(
        OpenSession, day, label=day, opens_at=at, closes_at=at.replace(hour=21), symbols=(),
        settings_position=0,
    )  # fmt: skip


def mark(keeper: Any, day: str, **prices: str) -> int:
    """Closing prices of a session that is open; the position of the event."""
    marks = tuple(
        Mark(instrument_id=f"XNYS:{s}", symbol=s, price=D(p),
             at=datetime.fromisoformat(f"{day}T21:00:00+00:00"))
        for s, p in prices.items()
    )  # fmt: skip
    position: int = keeper.do(MarkPrices, day, occasion="close", marks=marks)
    return position


@pytest.fixture
def held(keeper: Any) -> Iterator[Any]:
    """Of SCHD 10 at 20.00 and 10 at 30.00, 5 sold at 32.00; SCHY was never bought. Costs of 0.35
    and 0.05 on each. A dividend of 4.00, of which 0.60 was withheld. 2 were marked at 31.00."""
    keeper.register("SCHD", name="Schwab US Dividend Equity", kind="etf")
    keeper.register("SCHY", name="Schwab International Dividend", kind="etf")
    open_session(keeper, "2024-01-05")
    costs = {"commission": "0.35", "fees": "0.05"}
    keeper.buy("10", "20.00", "2024-01-02", symbol="SCHD", **HOLD, **costs)
    keeper.buy("10", "30.00", "2024-01-03", symbol="SCHD", **HOLD, **costs)
    keeper.sell("5", "32.00", "2024-01-04", symbol="SCHD", **HOLD, **costs)
    keeper.capital(RecordDividend, "4.00", "2024-01-05", symbol="SCHD", withheld=D("0.60"))
    mark(keeper, "2024-01-05", SCHD="31.00")
    return keeper


FIELDS: list[tuple[str, str, Any]] = [
    ("Symbol", "symbol", "SCHD"),
    ("Allocation % (blank allowed)", "allocation", D("60")),
    ("Cost basis (avg. purchase price)", "average_price", D("25.000000")),
    ("Current market price", "price", D("31.000000")),
    ("Units held (shares)", "units", D("15")),
    ("Market value", "value", D("465.00")),
    ("Realized P/L", "realized", D("33.80")),  # 5 × (32 - 25) less three times 0.40
    ("Unrealized P/L", "unrealized", D("90.00")),  # 15 × (31 - 25)
    ("Total $ gain/loss", "total", D("127.20")),  # both, and the dividend net of tax
]


@pytest.mark.parametrize(("_named", "field", "expected"), FIELDS, ids=[f[0] for f in FIELDS])
def test_the_record_of_a_security_has(
    held: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any], _named: str, field: str,
    expected: Any,
) -> None:  # fmt: skip
    row = look_at(held).row("SCHD", plan_of(SCHD="60", SCHY=None))
    assert getattr(row, field) == expected


def test_the_record_of_a_security_has_all_transaction_audit_logs(
    held: Any, look_at: Callable[..., Any]
) -> None:
    found = look_at(held).queries.transactions("SCHD")
    assert [(e.effective_date.isoformat(), e.description) for e in found] == [
        ("2024-01-02", "Bought 10 SCHD at 20.00"),
        ("2024-01-03", "Bought 10 SCHD at 30.00"),
        ("2024-01-04", "Sold 5 SCHD at 32.00"),
        ("2024-01-05", "Dividend: as stated"),
    ]
    assert all(sum(p.amount for p in e.postings) == 0 for e in found)


def test_the_total_is_what_was_gained_in_cash_and_value(
    held: Any, look_at: Callable[..., Any]
) -> None:
    """Money that came out and what is still there, less the money that went in."""
    came_out, went_in = D("160.00") - D("0.40") + D("3.40"), D("500.00") + 2 * D("0.40")
    assert look_at(held).row("SCHD").total == came_out + D("465.00") - went_in


def test_shares_of_the_long_term_part_and_what_deviates(
    held: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any]
) -> None:
    held.buy("31", "5.00", "2024-01-08", symbol="SCHY", **HOLD)
    schd, schy = look_at(held).state(plan_of(SCHD="60", SCHY=None)).rows
    assert (schd.target, schd.actual, schd.deviation) == (
        Fraction(3, 5), Fraction(465, 620), D("15.00"),
    )  # fmt: skip
    assert (schy.allocation, schy.target, schy.deviation) == (None, Fraction(2, 5), D("-15.00"))


def test_without_a_price_at_that_time_nothing_is_filled_in(
    keeper: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any]
) -> None:
    plan = plan_of(SCHD=None)
    state = look_at(keeper).state(plan)
    assert [(r.symbol, r.name, r.units, r.price, r.value) for r in state.rows] == [
        ("SCHD", "", D(0), None, D("0.00"))
    ]
    assert state.account_value == D("100000.00")  # nothing is held that would need a price
    keeper.register("SCHD", kind="etf")
    keeper.buy("10", "20.00", "2024-01-05", symbol="SCHD", **HOLD)
    before = look_at(keeper).state(plan, day="2024-01-04").rows[0]
    assert (before.units, before.price, before.price_at) == (D(0), None, None)


def test_the_price_is_of_then_and_not_of_today(held: Any, look_at: Callable[..., Any]) -> None:
    look = look_at(held)
    assert look.row("SCHD", day="2024-01-03").price == D("30.000000")
    assert look.row("SCHD", day="2024-01-04").price_at == datetime(2024, 1, 4, 15, tzinfo=UTC)
    assert look.row("SCHD").price_at == datetime(2024, 1, 5, 21, tzinfo=UTC)


def test_a_fill_that_was_reversed_tells_no_price(keeper: Any, look_at: Callable[..., Any]) -> None:
    keeper.register("SCHD")
    first = keeper.buy("10", "20.00", "2024-01-02", symbol="SCHD", **HOLD)
    wrong = keeper.buy("10", "200.00", "2024-01-03", symbol="SCHD", **HOLD)
    look = look_at(keeper)
    assert look.row("SCHD").value == D("4000.00")
    keeper.reverse(wrong)
    assert (look.row("SCHD").price, look.row("SCHD").units) == (D("20.000000"), D(10))
    assert look.row("SCHD", known_at=wrong).price == D("200.000000")
    keeper.reverse(first)
    assert look.state().rows == ()  # as if it had never been


def test_after_a_split_units_and_price_are_both_counted_anew(
    held: Any, look_at: Callable[..., Any]
) -> None:
    held.split(3, 1, "2024-01-08", "SCHD")
    row = look_at(held).row("SCHD")
    assert (row.units, row.average_price, row.price) == (D(45), D("8.333333"), D("10.333333"))
    assert (row.value, row.unrealized, row.realized) == (D("465.00"), D("90.00"), D("33.80"))
    assert look_at(held).row("SCHD", day="2024-01-05").price == D("31.000000")


def test_a_security_is_found_under_its_symbol_of_then(
    held: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any]
) -> None:
    held.rename("SCHD", "SCHX", "2024-01-08")
    held.capital(RecordDividend, "2.00", "2024-01-09", symbol="SCHX")
    look, plan = look_at(held), plan_of(SCHD="60", SCHY=None)  # the plan still says SCHD
    assert [r.symbol for r in look.state(plan).rows] == ["SCHX", "SCHY"]
    assert look.row("SCHX", plan).allocation == D(60)
    assert look.row("SCHX").dividends == D("5.40")
    assert look.row("SCHD", day="2024-01-05").dividends == D("3.40")


def test_dividends_are_net_of_tax_however_the_broker_told_it(
    held: Any, look_at: Callable[..., Any]
) -> None:
    held.capital(RecordWithholding, "0.15", "2024-01-08", symbol="SCHD")
    wrong = held.capital(RecordDividend, "9.00", "2024-01-08", symbol="SCHD")
    held.reverse(wrong)
    assert look_at(held).row("SCHD").dividends == D("3.25")


def test_what_is_held_or_was_held_without_being_planned_is_shown(
    held: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any]
) -> None:
    held.sell("15", "30.00", "2024-01-09", symbol="SCHD", **HOLD)
    row = look_at(held).row("SCHD", plan_of(SCHY=None))
    assert (row.target, row.units, row.average_price) == (Fraction(0), D(0), None)
    assert (row.realized, row.total) == (D("108.80"), D("112.20"))


def test_the_account_is_all_cash_and_all_sleeves_at_market(
    held: Any, look_at: Callable[..., Any], plan_of: Callable[..., Any]
) -> None:
    held.register("SGOV")
    purses = {"purse_from": "float", "purse_to": "tax_reserve"}
    held.capital(Earmark, "1000.00", "2024-01-08", **purses)
    held.capital(Earmark, "50.00", "2024-01-08", **purses | {"purse_to": "payroll_reserve"})
    held.capital(Earmark, "70.00", "2024-01-08", **purses | {"purse_to": "reinvestment_pool"})
    held.buy("9", "100.00", "2024-01-08", symbol="SGOV", sleeve="holdings", context="tax-reserve")
    held.buy("2", "100.50", "2024-01-09", symbol="SGOV")  # for trading
    state = look_at(held).state(plan_of(SCHD=None))
    kept = state.reserves
    assert (kept.tax_cash, kept.tax_vehicle) == (D("100.00"), D("900.00"))
    assert (kept.payroll, kept.pool) == (D("50.00"), D("70.00"))
    cash = D("100000.00") - D(500) + D(160) - D("1.20") + D("3.40") - D(900) - D(201)
    assert kept.cash == cash
    assert (state.trading_value, state.tax_vehicle_value) == (D("201.00"), D("904.50"))
    assert state.account_value == cash + D("465.00") + D("201.00") + D("904.50")
    assert state.float_target == (state.account_value / 10).quantize(D("0.01"), ROUND_UP)


def test_gains_go_to_the_sleeve_of_the_account_that_was_sold(
    held: Any, look_at: Callable[..., Any]
) -> None:
    held.buy("10", "100.00", "2024-01-08", symbol="SPY", commission="1.00")
    held.sell("10", "101.00", "2024-01-08", symbol="SPY", commission="1.00")
    held.capital(RecordFee, "7.00", "2024-01-08")  # of no security: nobody's result
    look = look_at(held)

    def gains(first: str, last: str, **known: Any) -> tuple[D, D]:
        found = look.queries.realized(date.fromisoformat(first), date.fromisoformat(last), **known)
        return found.trading, found.holdings

    assert gains("2024-01-08", "2024-01-08") == (D("8.00"), D("0.00"))
    assert gains("2024-01-04", "2024-01-08") == (D("8.00"), D("34.60"))
    assert gains("2024-01-02", "2024-01-03") == (D("0.00"), D("-0.80"))
    known = held.store.head().position
    late = held.buy("1", "18.00", "2024-01-03", symbol="SCHD", **HOLD)  # the sale gained more
    assert gains("2024-01-01", "2024-01-08", since_position=known) == (D("0.00"), D("1.67"))
    held.reverse(late)
    assert gains("2024-01-01", "2024-01-08", since_position=known) == (D("0.00"), D("0.00"))
    assert gains("2024-01-01", "2024-01-08", until_position=known) == (D("8.00"), D("33.80"))


def test_the_history_of_a_reserve_has_its_balance_after_each_movement(
    keeper: Any, look_at: Callable[..., Any]
) -> None:
    purses = {"purse_from": "float", "purse_to": "tax_reserve"}
    keeper.capital(Earmark, "100.00", "2024-01-03", **purses)
    known = keeper.store.head().position
    keeper.capital(Earmark, "20.00", "2024-01-05", **purses)
    late = keeper.capital(Earmark, "3.00", "2024-01-04", **purses)
    queries = look_at(keeper).queries

    def told(**moment: Any) -> list[tuple[str, D, D]]:
        lines = queries.reserve_history("tax_cash", AsOf(**moment))
        return [(line.effective_date.isoformat(), line.amount, line.balance) for line in lines]

    first = ("2024-01-03", D("100.00"), D("100.00"))
    second = ("2024-01-04", D("3.00"), D("103.00"))
    assert told() == [first, second, ("2024-01-05", D("20.00"), D("123.00"))]
    assert told(date=date(2024, 1, 4)) == [first, second]
    assert told(position=known) == [first]
    assert queries.reserve_history("tax_cash", limit=1, offset=1)[0].position == late
    assert queries.reserve_history("payroll") == []


@pytest.mark.parametrize(
    ("method", "cost", "realized"), [("average", "225.00", "75.00"), ("fifo", "250.00", "100.00")]
)
def test_lots_are_kept_whatever_the_cost_method(
    keep: Callable[..., Any], look_at: Callable[..., Any], method: str, cost: str, realized: str
) -> None:
    keeper = keep(cost_method=method)
    keeper.register("SCHD")
    keeper.deposit("10000.00")
    first = keeper.buy("10", "20.00", "2024-01-02", symbol="SCHD", **HOLD)
    second = keeper.buy("10", "25.00", "2024-01-03", symbol="SCHD", **HOLD)
    keeper.buy("5", "24.00", "2024-01-03", symbol="SCHD")  # of trading: a pool of its own
    known = keeper.store.head().position
    keeper.sell("10", "30.00", "2024-01-04", symbol="SCHD", **HOLD)
    look = look_at(keeper)
    (lot,) = look.queries.lots("SCHD")
    assert (lot.lot, lot.acquired_on, lot.quantity) == (second, date(2024, 1, 3), D(10))
    row = look.row("SCHD")
    assert (row.cost, row.realized) == (D(cost), D(realized))
    then = look.queries.lots("SCHD", AsOf(position=known))
    assert [(lot.lot, lot.cost) for lot in then] == [(first, D("200.00")), (second, D("250.00"))]
