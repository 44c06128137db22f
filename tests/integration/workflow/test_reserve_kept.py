"""What was set aside stays so: through a vehicle's losses, crashes, and a float too small."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

D = Decimal


def reserve(rig: Any) -> Decimal:
    held = rig.purses
    return D(held.tax_cash + held.tax_vehicle)


@pytest.fixture
def vehicle(rig: Any) -> Any:
    """2,000.00 of tax reserve lie in BIL, bought at 100; it is worth 90 on Wednesday, and the plan
    names no vehicle any more."""
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    assert reserve(rig) == D("2000.00")
    rig.price("BIL", "90")
    rig.plan("SCHD", seen=1)
    rig.day(2)
    return rig


def test_a_vehicles_loss_is_put_back_by_the_next_session_when_the_process_ended(
    vehicle: Any,
    ended_at: Any,
) -> None:
    with ended_at("holdings.batch_ended"):
        vehicle.run()
    assert reserve(vehicle) < 2000
    vehicle.day(4)  # nothing ran on Thursday
    vehicle.run()
    assert (reserve(vehicle), vehicle.purses.tax_vehicle) == (D("2000.00"), 0)
    assert "197.91 that the tax reserve's security lost or cost" in vehicle.steps["float"]
    assert vehicle.equal()


def test_a_loss_is_put_back_once_however_often_the_process_ends(
    vehicle: Any, ended_at: Any
) -> None:
    with ended_at("holdings.batch_ended"):
        vehicle.run()
    with ended_at("holdings.whole"):
        vehicle.run()
    assert reserve(vehicle) == D("2000.00")
    vehicle.run()
    assert reserve(vehicle) == D("2000.00")
    vehicle.day(3)
    vehicle.run()
    assert reserve(vehicle) == D("2000.00")
    assert vehicle.equal()


def test_a_gain_of_the_vehicle_stays_in_the_reserve_and_a_later_loss_does_not_eat_it(
    rig: Any,
) -> None:
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    rig.price("BIL", "110")
    rig.plan("SCHD", seen=1)
    rig.day(2)
    rig.run()
    gained = reserve(rig)
    assert gained > 2190
    rig.plan("SCHD", seen=2, tax_vehicle="BIL")
    rig.day(3)
    rig.run()
    rig.price("BIL", "100")
    rig.plan("SCHD", seen=3)
    rig.day(4)
    rig.run()
    assert reserve(rig) >= gained
    assert rig.equal()


# 3. never more than the float holds


def test_what_the_float_does_not_hold_waits_and_is_said(rig: Any) -> None:
    rig.plan("SCHD", tax_vehicle="BIL", float_target="0", tax_reserve="100")
    rig.gain("20000.00")
    rig.day(1)
    rig.run()
    rig.draw("99500.00")
    before = rig.purses.float
    rig.price("BIL", "80")
    rig.plan("SCHD", seen=1, float_target="0", tax_reserve="20", sweep=True)
    rig.day(2)
    rig.run()
    assert rig.purses.float == 0
    short = D("20000.00") - reserve(rig)
    assert short > 3000
    assert f"{before:,f} that the tax reserve's security lost or cost" in rig.steps["reinvest"]
    assert f"{short:,f} more when the float holds it" in rig.steps["reinvest"]
    assert rig.equal()
    rig.gain("3000.00", day=2)
    rig.day(3)
    rig.run()
    assert reserve(rig) == 20000 - short + 3000  # all of it, and nothing is swept
    assert (rig.purses.float, rig.purses.pool) == (0, 0)
    rig.gain("4000.00", day=3)
    rig.day(4)
    rig.run()
    assert reserve(rig) >= D("20600.00")  # whole again, and a fifth of Tuesday's gain
    assert rig.equal()


def test_securities_are_sold_for_what_the_float_does_not_hold(rig: Any) -> None:
    rig.plan("SCHD", tax_vehicle="BIL", float_target="0", tax_reserve="100")
    rig.hold("SCHD", "500")
    rig.gain("20000.00")
    rig.day(1)
    rig.run()
    rig.draw("49900.00")
    rig.price("BIL", "80")
    rig.plan("SCHD", seen=1, float_target="0")
    rig.day(2)
    rig.run()
    assert (rig.purses.float, reserve(rig) < 17_000) == (0, True)
    rig.day(3)
    rig.run()
    assert "which tax, payroll and the tax reserve's losses take" in rig.steps["float"]
    assert "sold" in rig.steps["float"]
    assert reserve(rig) == D("20000.00")
    assert rig.purses.float >= 0
    assert rig.equal()


# What is spent already is not invested again


def test_a_rebalances_gain_is_taxed_and_not_invested_a_second_time(holdings_like: Any) -> None:
    rig = holdings_like
    before = rig.purses
    rig.day(2)
    rig.run()
    done = rig.allocated()
    assert done.holdings > 900
    assert done.tax == (done.holdings / 5).quantize(D("0.01"))
    assert (done.reinvested, rig.purses.pool) == (0, 0)
    assert rig.purses.float == before.float - done.tax
    said = "of rebalances and of the tax reserve's security are invested or reserved already"
    assert said in done.arithmetic[2]


@pytest.fixture
def holdings_like(rig: Any) -> Any:
    """A rebalance sold 50 SCHD at a gain of 20 each on Tuesday, and bought SCHY with it."""
    rig.plan("SCHD", "SCHY")
    rig.hold("SCHD", "200")
    rig.day(1)
    rig.price("SCHD", "120")
    orders = [
        rig.planned("SCHD", "sell", "50", "rebalance"),
        rig.planned("SCHY", "buy", "59", "rebalance"),
    ]
    rig.orders().carry_out("rebalance-1", orders)
    return rig


# 12b. the sweep


def test_nothing_is_swept_while_an_allocation_is_refused(rig: Any) -> None:
    rig.plan("SCHD", "SCHY", float_target="0", sweep=True, tax_reserve="100")
    rig.gain("4000.00")
    rig.hold("SCHD", "950")
    rig.draw("5500.00")
    rig.market.quiet.add(("SCHD", rig.market.days()[1]))  # so nothing can be sold for it
    rig.forget()
    rig.day(1)
    rig.gain("-1000.00", day=1)
    left = rig.purses.float
    assert 0 < left < 4000
    rig.run()
    assert rig.steps["gains"].startswith("refused: RESERVE")
    assert rig.purses.float == left
    assert (
        "sweep: nothing, the gains since 2026-03-02 wait for their reserves"
        in (rig.steps["reinvest"])
    )


def test_a_gain_of_the_past_that_came_to_be_known_today_is_not_swept_either(
    rig: Any, ended_at: Any
) -> None:
    rig.plan("SCHD", float_target="0", sweep=True)
    rig.gain("100.00")
    rig.draw("50000.00")
    rig.day(1)
    with ended_at("holdings.allocated"):
        rig.run()
    rig.gain("1500.00", day=0)
    rig.run()
    assert "sweep: bought" in rig.steps["reinvest"]
    assert 1500 <= rig.purses.float < 2300


# 15. purses never below 0


@pytest.mark.parametrize("price", ["0.20", "0.50", "1.00", "0.01"])
def test_cheap_shares_with_a_commission_each_leave_the_pool_at_0_or_above(
    rig: Any, price: str
) -> None:
    rig.plan("SCHD", float_target="1")
    rig.market.volume = 10_000_000
    rig.market.spread = D("0.0001")
    rig.price("SCHD", price)
    rig.set_aside("1000")
    rig.run()
    assert "bought" in rig.steps["reinvest"]
    assert 0 <= rig.purses.pool < 30
    assert rig.equal()


def test_a_loss_of_the_vehicle_on_the_day_is_put_back_the_same_day(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings()
    rig.day()
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    rig.price("BIL", "95")
    rig.plan("SCHD", seen=1)
    rig.day(2)
    rig.run()
    assert reserve(rig) == D("2000.00")
    assert "that the tax reserve's security lost or cost" in rig.steps["reinvest"]
