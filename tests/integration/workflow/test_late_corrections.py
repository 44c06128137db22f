"""What becomes known about dates that were allocated before: due is added, nothing is lowered."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.books import ReverseEntry
from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan

D = Decimal


@pytest.fixture
def allocated(rig: Any) -> Any:
    """1,000.00 of Monday and a loss of 500.00 of Tuesday, allocated on Tuesday and Wednesday."""
    rig.plan("SCHD", float_target="0")
    rig.gain("1000.00")
    rig.day(1)
    rig.run()
    rig.gain("-500.00", day=1)
    rig.day(2)
    rig.run()
    assert (rig.purses.tax_cash, rig.purses.payroll) == (D("200.00"), D("80.00"))
    return rig


@pytest.mark.parametrize(
    ("late", "of_day", "tax", "payroll", "over"),
    [
        ("300.00", 0, "260.00", "104.00", "0.00"),  # Monday gained more
        ("-300.00", 0, "200.00", "80.00", "60.00"),  # Monday gained less: shown, not lowered
        ("-1600.00", 0, "200.00", "80.00", "200.00"),  # all of it was too much, and no more
        ("300.00", 1, "200.00", "80.00", "0.00"),  # Tuesday stays a loss
        ("600.00", 1, "220.00", "88.00", "0.00"),  # Tuesday is a gain by now
    ],
)
def test_a_correction_counts_for_the_date_that_it_is_about(
    allocated: Any, late: str, of_day: int, tax: str, payroll: str, over: str
) -> None:
    allocated.gain(late, day=of_day)
    allocated.day(3)
    allocated.run()
    done = allocated.allocated()
    assert (allocated.purses.tax_cash, allocated.purses.payroll) == (D(tax), D(payroll))
    assert (done.late_trading, done.trading, done.over_reserved) == (D(late), 0, D(over))
    assert allocated.equal()
    allocated.day(4)  # and it counts once
    allocated.run()
    done = allocated.allocated()
    assert (done.tax, done.late_trading, done.over_reserved) == (0, 0, D(over))


def test_a_correction_takes_nothing_from_the_gain_of_another_date(allocated: Any) -> None:
    allocated.gain("-300.00", day=0)
    allocated.gain("100.00", day=2)
    allocated.day(3)
    allocated.run()
    done = allocated.allocated()
    assert (done.tax, done.trading, done.late_trading) == (D("20.00"), D("100.00"), D("-300.00"))
    assert allocated.purses.tax_cash == D("220.00")
    assert "late about earlier dates: -300.00 and 0.00" in allocated.steps["gains"]


def test_what_a_correction_took_and_another_gives_back_is_reserved_once(allocated: Any) -> None:
    for day, late in ((3, "-300.00"), (4, "350.00")):
        allocated.gain(late, day=0)
        allocated.day(day)
        allocated.run()
    assert allocated.purses.tax_cash == D("210.00")  # a fifth of 1,050
    assert allocated.allocated().over_reserved == 0


def test_a_reversal_is_a_correction_of_its_entry_s_date(rig: Any) -> None:
    rig.plan("SCHD", float_target="0")
    sale = rig.gain("1000.00")
    rig.day(1)
    rig.run()
    for position in (sale, sale - 2):  # the sale, then the purchase before it
        rig.bot.views.catch_up()
        movements = tuple(rig.bot.views.books.unit_movements(position))
        rig.bot.dispatch(
            ReverseEntry(
                at=rig.clock.now(), effective_date=rig.hours.day, reversed_position=position,
                reason="of another account", movements=movements,
            ),
            command_id=f"reverse-{position}",
        )  # fmt: skip
    rig.broker.more_cash -= D("1000.00")
    rig.day(2)
    rig.run()
    done = rig.allocated()
    assert (done.late_trading, done.tax, done.over_reserved) == (D("-1000.00"), 0, D("200.00"))
    assert rig.purses.tax_cash == D("200.00")
    assert rig.equal()


def test_gains_from_before_the_plan_s_first_day_at_the_exchange_are_nobody_s_to_set_aside(
    rig: Any,
) -> None:
    """Tuesday's session has begun at the exchange, and the entity's zone still writes Monday."""
    rig.gain("1000.00")
    rig.day(1)
    plan = Plan(securities=(PlannedSecurity("SCHD"),), float_target=D(0))
    monday = rig.hours.day - timedelta(days=1)
    saved = SavePlan(at=rig.clock.now(), effective_date=monday, plan=plan, seen=0)
    rig.bot.dispatch(saved, command_id="plan")
    rig.gain("500.00", day=1)
    rig.day(2)
    rig.run()
    assert (rig.allocated().first, rig.allocated().trading) == (monday + timedelta(1), D("500.00"))
    assert rig.purses.tax_cash == D("100.00")
