"""The arithmetic of float, reserves and purchases, against figures worked out by hand."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.holdings import ReservedFor
from aggregates.holdings_plan import Plan, PlannedSecurity
from strategies.cost_rates import rates_of
from strategies.holdings_allocation import (
    Due,
    Result,
    Sellable,
    allocate,
    due_gains,
    float_target,
    purchases,
    top_up,
)
from strategies.planned_order import most_cost, unit_cost

D = Decimal
PLAN = Plan(securities=(PlannedSecurity("SCHD"), PlannedSecurity("SCHY")))
DAYS = (date(2026, 3, 2), date(2026, 3, 2))
STEP = D("0.000000001")
RATES = rates_of("SIMULATED")


def due(trading: str, holdings: str = "0") -> Due:
    return due_gains({}, [Result(*DAYS, D(trading), D(holdings))])


def of(trading: str, holdings: str = "0", **fields: Any) -> Any:
    where = {"cash_float": D(100_000), "target": D(10_000), "plan": PLAN} | fields
    return allocate(due=due(trading, holdings), currency="USD", **where)


# (section of the specification, its sentence, trading, holdings) → tax, payroll, reinvested
SENTENCES = [
    ("3 tax reserve applies to all realized gains, trading bot activities",
     "1234.56", "0", "246.91", "98.76", "888.89"),
    ("3 … and security sales, including those performed to top up cash float",
     "0", "500.00", "100.00", "0.00", "400.00"),
    ("3 no tax reserve is allocated on realized losses",
     "-1000.00", "-20.00", "0", "0", "0"),
    ("4 payroll allocation is applied only to post-tax realized gains from trading",
     "1000.00", "1000.00", "400.00", "80.00", "1520.00"),
    ("4 no payroll allocation is ever made from float-top-up security sales",
     "0", "1000.00", "200.00", "0.00", "800.00"),
    ("4 … or realized losses: a loss of trading takes nothing from the sales' gain",
     "-300.00", "1000.00", "200.00", "0.00", "800.00"),
    ("4 … nor a loss of sales from trading's gain",
     "1000.00", "-300.00", "200.00", "80.00", "720.00"),
    ("5 after tax and payroll splits the remaining profit is reinvested",
     "0.01", "0", "0.00", "0.00", "0.01"),
    ("zero gains", "0", "0", "0", "0", "0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("trading", "holdings", "tax", "payroll", "reinvested"),
    [row[1:] for row in SENTENCES],
    ids=[row[0] for row in SENTENCES],
)
def test_sentence(trading: str, holdings: str, tax: str, payroll: str, reinvested: str) -> None:
    found = of(trading, holdings)
    assert (found.tax, found.payroll, found.reinvested) == (D(tax), D(payroll), D(reinvested))


def test_the_arithmetic_is_shown() -> None:
    assert of("1234.56", "100.00").arithmetic == (
        "tax: 20 % of (1,234.56 + 100.00) = 266.91",
        "payroll: 10 % of (1,234.56 - 246.91) = 98.76",
        "rest: (1,234.56 + 100.00) - 266.91 - 98.76 = 968.89",
        "reinvested: 968.89",
    )


@pytest.mark.parametrize(
    ("cash_float", "target", "reinvested", "why"),
    [
        ("10500.00", "10000.00", "154.33", "(the float stays at 10,000.00)"),
        ("10345.67", "10000.00", "0.00", "(the float stays at 10,000.00)"),
        ("9000.00", "10000.00", "0", "(the float stays at 10,000.00)"),
        ("50000.00", None, "0", "(a price is missing, so the float's target is not known)"),
    ],
)
def test_the_rest_is_reinvested_as_far_as_the_float_stays_at_its_target(
    cash_float: str, target: str | None, reinvested: str, why: str
) -> None:
    found = of("1234.56", cash_float=D(cash_float), target=D(target) if target else None)
    assert (found.tax, found.payroll) == (D("246.91"), D("98.76"))
    assert found.reinvested == D(reinvested)
    assert found.arithmetic[-1].endswith(why)


def test_without_a_security_the_rest_stays_in_the_float() -> None:
    found = of("1000.00", plan=Plan(securities=()))
    assert (found.tax, found.payroll, found.reinvested) == (D("200.00"), D("80.00"), 0)
    assert found.arithmetic[-1] == "reinvested: 0 (no security is planned)"


# Late corrections


def stretch(reserved: str, result: str) -> dict[date, ReservedFor]:
    one = ReservedFor(
        first=DAYS[0], last=DAYS[1], trading=D(reserved), holdings=D(0),
        result_trading=D(result), result_holdings=D(0),
    )  # fmt: skip
    return {DAYS[0]: one}


@pytest.mark.parametrize(
    ("reserved", "result", "now", "is_due", "over"),
    [
        ("100", "100", "130", "30", "0"),  # a correction that adds to a gain
        ("100", "100", "60", "0", "40"),  # one that takes away: nothing is lowered
        ("100", "60", "90", "0", "10"),  # half of it back: it is reserved already
        ("100", "60", "120", "20", "0"),
        ("0", "-500", "-450", "0", "0"),  # a better day that stays a loss
        ("0", "-500", "20", "20", "0"),
        ("100", "100", "-70", "0", "100"),  # only what was reserved can be too much
    ],
)
def test_a_correction_of_an_earlier_date_adds_what_is_due_and_lowers_nothing(
    reserved: str, result: str, now: str, is_due: str, over: str
) -> None:
    before = stretch(reserved, result)
    found = due_gains(before, [Result(*DAYS, D(now), D(0))])
    assert (found.trading, found.over_reserved) == (D(is_due), D(over))
    assert found.reserved[0].trading >= before[DAYS[0]].trading


def test_a_loss_of_one_stretch_takes_nothing_from_another() -> None:
    later = Result(date(2026, 3, 3), date(2026, 3, 3), D(70), D(5))
    found = due_gains(stretch("100", "100"), [Result(*DAYS, D(-40), D(0)), later])
    assert (found.trading, found.holdings, found.over_reserved) == (D(70), D(5), D(100))


# What is invested already: rebalances' gains, and those of the tax reserve's security


@pytest.mark.parametrize(
    ("trading", "holdings", "invested", "left_out", "tax", "reinvested"),
    [
        ("0", "500.00", "500.00", "500.00", "100.00", "0.00"),  # all of it: taxed, not invested
        ("0", "500.00", "200.00", "200.00", "100.00", "240.00"),  # 300.00 less a fifth
        ("1000.00", "500.00", "500.00", "500.00", "300.00", "720.00"),
        ("0", "70.00", "-30.00", "0", "14.00", "56.00"),  # a rebalance's loss gives nothing
        ("0", "50.00", "150.00", "50.00", "10.00", "0.00"),  # its gain, less a top-up's loss
        ("0", "-10.00", "40.00", "0", "0", "0"),
    ],
)
def test_what_is_invested_already_is_taxed_and_not_invested_again(
    trading: str, holdings: str, invested: str, left_out: str, tax: str, reinvested: str
) -> None:
    due = due_gains({}, [Result(*DAYS, D(trading), D(holdings), D(invested))])
    assert due.invested == D(left_out)
    found = allocate(PLAN, due, cash_float=D(100_000), target=D(10_000), currency="USD")
    assert (found.tax, found.reinvested) == (D(tax), D(reinvested))


def test_the_arithmetic_shows_what_is_invested_already() -> None:
    due = due_gains({}, [Result(*DAYS, D(1000), D("234.56"), D(200))])
    found = allocate(PLAN, due, cash_float=D(100_000), target=D(10_000), currency="USD")
    assert found.arithmetic == (
        "tax: 20 % of (1,000 + 234.56) = 246.91",
        "payroll: 10 % of (1,000 - 200.00) = 80.00",
        "rest: 1,034.56 - 206.91 - 80.00 = 747.65; 200.00 of rebalances and of the tax reserve's "
        "security are invested or reserved already",
        "reinvested: 747.65",
    )


@pytest.mark.parametrize(
    ("reserved", "known", "now", "invested", "due", "left_out"),
    [
        ("100", "100", "180", "80", "80", "80"),  # a rebalance's gain became known late
        ("100", "100", "180", "0", "80", "0"),  # a top-up's
        ("100", "100", "180", "50", "80", "50"),
        ("100", "40", "130", "60", "30", "0"),  # 30 of what was reserved for came back as well
        ("0", "-50", "20", "0", "20", "0"),
        ("100", "100", "60", "-40", "0", "0"),
    ],
)
def test_what_of_a_correction_is_invested_already(
    reserved: str, known: str, now: str, invested: str, due: str, left_out: str
) -> None:
    one = ReservedFor(
        first=DAYS[0], last=DAYS[1], trading=D(0), holdings=D(reserved),
        result_trading=D(0), result_holdings=D(known),
    )  # fmt: skip
    found = due_gains({DAYS[0]: one}, [Result(*DAYS, D(0), D(now), D(invested))])
    assert (found.holdings, found.invested) == (D(due), D(left_out))


# The float


@pytest.mark.parametrize(
    ("value", "percent", "target"),
    [("100000.00", "10", "10000.00"), ("100000.01", "10", "10000.01"), ("1.00", "0", "0.00")],
)
def test_the_float_target_is_a_percentage_of_the_account_value(
    value: str, percent: str, target: str
) -> None:
    plan = Plan(securities=(), float_target=D(percent))
    assert float_target(plan, D(value), "USD") == D(target)


def held(**units: str) -> list[Sellable]:
    return [Sellable(symbol=s, units=D(u), bid=D(100)) for s, u in units.items()]


def test_if_cash_is_below_the_target_securities_are_sold_by_value_order() -> None:
    orders = top_up(D(600), held(SMALL="2", LARGE="5", MIDDLE="3"), STEP)
    assert [(o.symbol, o.side, o.quantity, o.context) for o in orders] == [
        ("LARGE", "sell", D(5), "top-up"),
        ("MIDDLE", "sell", D("1.006"), "top-up"),  # a thousandth more, for spread and costs
    ]


def test_no_more_is_sold_than_is_held_and_never_less_than_a_broker_takes() -> None:
    everything = top_up(D(10_000), held(SCHD="2", SCHY="3"), STEP)
    assert {o.symbol: o.quantity for o in everything} == {"SCHD": D(2), "SCHY": D(3)}
    (little,) = top_up(D("0.03"), held(SCHD="2"), STEP)
    assert little.quantity == D("0.01")
    assert top_up(D(100), [], STEP) == ()


@given(
    missing=st.decimals(D("0.01"), D(5000), places=2),
    units=st.lists(st.decimals(D("0.000001"), D(30), places=6), min_size=1, max_size=5),
)
def test_as_little_is_sold_as_restores_the_float(missing: Decimal, units: list[Decimal]) -> None:
    """Without the last order, or a little less of it, it would not be enough."""
    orders = top_up(missing, held(**{f"S{n}": str(u) for n, u in enumerate(units)}), STEP)
    brings = [Fraction(o.quantity) * 100 for o in orders]
    if sum(units) * 100 >= missing * D("1.001"):
        assert sum(brings) >= missing
    assert sum(brings[:-1]) < Fraction(missing) * Fraction(1001, 1000)
    assert sum(brings) < max(Fraction(missing) * Fraction(1001, 1000), sum(brings[:-1]) + 1) + 1


# Purchases


def test_the_remaining_profit_goes_into_the_securities_by_allocation() -> None:
    plan = Plan(securities=(PlannedSecurity("SCHD", D(70)), PlannedSecurity("SCHY")))
    orders = purchases(
        plan, D("1000.01"), {"SCHD": D(50), "SCHY": D(20)}, STEP, "USD", "sweep", RATES
    )
    assert [(o.symbol, o.limit_price, o.reason) for o in orders] == [
        ("SCHD", D("50.25"), "700.01 of 1,000.01 USD"),
        ("SCHY", D("20.1"), "300.00 of 1,000.01 USD"),
    ]


def test_a_security_without_a_quote_is_not_bought_and_keeps_its_share() -> None:
    orders = purchases(PLAN, D(1000), {"SCHY": D(20)}, STEP, "USD", "reinvestment", RATES)
    assert [(o.symbol, o.reason) for o in orders] == [("SCHY", "500.00 of 1,000 USD")]


@given(
    amount=st.decimals(0, 50_000, places=2),
    blanks=st.integers(1, 20),
    ask=st.decimals(D("0.01"), D(900), places=2),
)
def test_purchases_never_cost_more_than_there_is(
    amount: Decimal, blanks: int, ask: Decimal
) -> None:
    plan = Plan(securities=tuple(PlannedSecurity(f"S{n}") for n in range(blanks)))
    asks = {f"S{n}": ask for n in range(blanks)}
    orders = purchases(plan, amount, asks, STEP, "USD", "reinvestment", RATES)
    paid = sum(Fraction(o.quantity) * unit_cost(o.limit_price or D(0), RATES) for o in orders)
    assert paid <= amount
    assert sum(most_cost(o.quantity, o.limit_price or D(0), RATES) for o in orders) <= amount
