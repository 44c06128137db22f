"""Orders of the holdings sleeve: sized by what is there, sent once, seen to their end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.control import STREAM as CONTROL
from aggregates.control import Control
from aggregates.order import Order, order_stream
from runtime.desk import Desk
from runtime.guard import KillAsked, KillOrder
from runtime.kill_switch import kill_without_session
from strategies.planned_order import PlannedOrder

D = Decimal


def order(side: Any, symbol: str, quantity: str, context: Any = "rebalance") -> PlannedOrder:
    return PlannedOrder(
        symbol=symbol, side=side, quantity=D(quantity), context=context, reason="test"
    )


def states(done: Any) -> dict[str, tuple[str, str]]:
    return {f"{one.side} {one.symbol}": (one.state, f"{one.filled:f}") for one in done}


def test_sales_come_before_purchases_and_pay_for_them(rig: Any) -> None:
    rig.hold("SCHD", "990.5")
    done = rig.orders().carry_out("b", [order("buy", "SCHY", "300"), order("sell", "SCHD", "400")])
    assert states(done) == {
        "sell SCHD": ("filled", "400.000000000"), "buy SCHY": ("filled", "300.000000000"),
    }  # fmt: skip
    sell, buy = rig.broker.sent
    assert (sell.side, sell.order_type, buy.side, buy.order_type) == (
        "sell", "market", "buy", "limit",
    )  # fmt: skip
    assert buy.limit_price == D("100.53")  # what is asked, and half a percent, in cents
    assert rig.equal()
    assert [one.value for one in done] == [D("39992.00"), D("30006.00")]
    assert all(one.costs > 0 for one in done)


def test_a_purchase_is_cut_to_what_its_purse_holds(rig: Any) -> None:
    rig.plan("SCHD")
    rig.gain("1000.00")
    rig.day(1)
    rig.run()
    pool, cash = rig.purses.pool, rig.purses.float
    (one,) = rig.orders().carry_out("b", [order("buy", "SCHY", "500", "reinvestment")])
    assert one.filled < D("0.12")  # what was left of 720.00 in the pool, though 500 were asked for
    assert 0 <= rig.purses.pool < pool
    assert rig.purses.float == cash


def test_purchases_of_one_batch_share_their_purse(rig: Any) -> None:
    wanted = [order("buy", "SCHD", "700"), order("buy", "SCHY", "700"), order("buy", "BIL", "1")]
    done = rig.orders().carry_out("b", wanted)
    assert done[0].filled == 700
    assert D("280") < done[1].filled < D("300")
    assert (done[2].state, done[2].filled) == ("skipped", 0)
    assert "the float has 0.0" in done[2].reason
    assert rig.purses.float >= 0


def test_a_broker_that_refuses_an_order_half_way_is_said_and_the_rest_goes_on(rig: Any) -> None:
    rig.plan("SCHD", "SCHY")
    rig.gain("1000.00")
    rig.day(1)
    rig.broker.refused.add("SCHD")
    rig.run()
    assert "SCHD not bought: SCHD is not traded now." in rig.steps["reinvest"]
    assert "bought" in rig.steps["reinvest"]
    assert rig.units().keys() == {"1130.SCHY"}
    assert rig.purses.pool > 360  # SCHD's half waits for the next session
    rig.broker.refused.clear()
    rig.day(2)
    rig.run()
    assert rig.units().keys() == {"1130.SCHD", "1130.SCHY"}
    assert rig.equal()


def test_what_is_not_filled_in_time_is_cancelled(make_holdings: Callable[..., Any]) -> None:
    rig = make_holdings(volume=100)  # ten shares a minute
    rig.day()
    began = rig.clock.now()
    (one,) = rig.orders().carry_out("b", [order("buy", "SCHD", "500")])
    assert one.state == "cancelled"
    assert 30 < one.filled < 70
    assert "not filled within 5 minutes" in one.reason
    assert rig.clock.now() - began < timedelta(minutes=7)
    assert rig.simulated.open_orders() == []
    assert rig.units() == {"1130.SCHD": f"{one.filled.normalize():f}"}
    assert rig.equal()


def test_a_batch_is_planned_once(rig: Any) -> None:
    rig.hold("SCHD", "10")
    orders = rig.orders()
    first = orders.carry_out("b", [order("sell", "SCHD", "3")])
    again = rig.orders().carry_out("b", [order("sell", "SCHD", "5"), order("sell", "SCHY", "5")])
    assert again == first
    assert len(rig.broker.sent) == 1
    assert orders.carry_out("c", []) == ()


def test_a_security_without_a_quote_is_not_bought(rig: Any) -> None:
    rig.market.quiet.add(("BIL", rig.hours.day))
    rig.forget()
    (one,) = rig.orders().carry_out("b", [order("buy", "BIL", "1")])
    assert (one.state, one.reason) == ("skipped", "no quote for more than five minutes")


def test_after_the_close_nothing_is_intended(make_holdings: Callable[..., Any]) -> None:
    rig = make_holdings()
    rig.day(minutes=390)
    (one,) = rig.orders().carry_out("b", [order("buy", "SCHD", "2")])
    assert (one.state, one.reason, one.wanted) == ("skipped", "the market is closed", D(2))
    assert rig.bot.store.load(Order, order_stream("2026-03-02-b-SCHD-buy")).intent is None


# A security that is also traded intraday


def test_only_the_long_term_units_are_sold_of_a_security_that_is_also_traded(rig: Any) -> None:
    rig.hold("ALFA", "4")
    rig.hold("ALFA", "6", sleeve="trading")
    (one,) = rig.orders().carry_out("b", [order("sell", "ALFA", "10")])
    assert (one.wanted, one.filled) == (D(4), D(4))
    assert rig.units() == {"1110.ALFA": "6"}
    assert rig.at_broker() == {"ALFA": "6"}


def test_units_that_the_broker_does_not_hold_are_not_sold(rig: Any) -> None:
    rig.hold("ALFA", "4")
    rig.fill("trading", "ALFA", "buy", D(100), 0)  # in our books alone
    (one,) = rig.orders().carry_out("b", [order("sell", "ALFA", "4")])
    assert one.filled == 3


def test_the_desk_of_trading_counts_no_order_of_the_holdings(rig: Any) -> None:
    rig.hold("SCHD", "20")
    rig.orders().carry_out("b", [order("sell", "SCHD", "5"), order("buy", "SCHY", "5")])
    rig.bot.views.catch_up()
    desk = Desk(rig.bot.store, rig.bot.views.books, rig.hours)
    for side, symbol in (("sell", "SCHD"), ("buy", "SCHY")):
        desk.refresh(f"2026-03-02-b-{symbol}-{side}")
    assert (desk.symbols, desk.open_positions(), desk.exposure()) == (set(), 0, 0)


# Kill


def killed_after(rig: Any, waits: int) -> Callable[[datetime], None]:
    left = [waits]

    def wait(moment: datetime) -> None:
        rig.clock.wait_until(moment)
        left[0] -= 1
        if not left[0]:
            raise KillAsked(KillOrder("page", "test"))

    return wait


def test_a_kill_touches_no_holding_and_its_orders_begin_nothing_more(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(volume=100)
    rig.day()
    rig.plan("SCHD", "SCHY", sweep=True)
    rig.hold("SCHD", "20")
    rig.wait = killed_after(rig, 5)
    with pytest.raises(KillAsked):
        rig.run()
    sent = len(rig.broker.sent)
    kill_without_session(rig.bot, "page", "test")
    assert rig.bot.store.load(Control, CONTROL).flat
    assert len(rig.broker.sent) == sent
    assert {o.symbol for o in rig.simulated.open_orders()} == {"SCHD", "SCHY"}  # not its business
    assert "sell" not in {o.side for o in rig.broker.sent}


def test_what_was_filled_before_a_kill_is_booked(make_holdings: Callable[..., Any]) -> None:
    rig = make_holdings(volume=100)
    rig.day()
    rig.wait = killed_after(rig, 9)
    with pytest.raises(KillAsked):
        rig.orders().carry_out("b", [order("buy", "SCHD", "500")])
    assert rig.units() == {"1130.SCHD": rig.at_broker()["SCHD"]}
    assert rig.equal()


# The low-risk vehicle of the tax reserve


def test_the_tax_reserve_is_held_in_the_security_that_the_user_names(rig: Any) -> None:
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    held = rig.purses
    assert held.tax_vehicle > 1960
    assert held.tax_cash + held.tax_vehicle == D("2000.00")  # costs are paid by the float
    assert rig.units().keys() == {"1130.SCHD", "1140.BIL"}
    assert "tax reserve: bought" in rig.steps["reinvest"]
    assert rig.equal()


@pytest.mark.parametrize("price", ["100", "90", "112"])
def test_another_choice_brings_it_back_and_the_reserve_does_not_fall(rig: Any, price: str) -> None:
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    rig.price("BIL", price)
    rig.plan("SCHD", seen=1)
    rig.day(2)
    rig.run()
    held = rig.purses
    assert held.tax_vehicle == 0
    assert held.tax_cash >= D("2000.00")
    assert (held.tax_cash > D("2000.00")) == (price == "112")  # what it gained stays in it
    assert "1140.BIL" not in rig.units()
    assert rig.equal()


def test_while_a_sale_may_still_fill_no_other_one_is_made_for_the_same_float(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(volume=1000)  # a hundred shares a minute
    rig.day()
    rig.plan("SCHD", float_target="90")
    for _ in range(8):
        rig.hold("SCHD", "100")
    rig.broker.deaf = True
    rig.run()
    assert len(rig.broker.sent) == 1
    assert "below the target: sold" in rig.steps["float"]
    rig.broker.deaf = False
    rig.clock.wait_until(rig.clock.now() + timedelta(minutes=30))
    assert 99 < D(rig.at_broker()["SCHD"]) < 100  # 70,000 and a thousandth were missing
