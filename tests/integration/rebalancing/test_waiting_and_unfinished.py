"""What waits and why, what half a rebalance leaves behind, and one plan in one look at it."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates.capital import RecordWithdrawal
from aggregates.errors import DomainError
from aggregates.instrument import RegisterInstrument
from aggregates.order_messages import IntendOrder
from brokers.port import BrokerUnavailable
from runtime import rebalance_now, rebalancing
from runtime.capital import look
from runtime.holdings_float import value_account
from runtime.holdings_view import HoldingsView
from runtime.queries import Queries

D = Decimal
Make = Callable[..., Any]


def uneven(make: Make, **fields: Any) -> Any:
    """SCHD 60 units, SCHY 40, both at 100, to be half and half; not due for six months."""
    rig = make()
    rig.plan("SCHD", "SCHY", float_target="10", **fields)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "40")
    return rig


def silent(*_: Any) -> Any:
    raise BrokerUnavailable("no answer.")


def next_rebalance(rig: Any) -> Any:
    with closing(Queries(rig.folder)) as queries:
        return HoldingsView(queries).next_rebalance()


# While books and broker differ nothing more is begun


def test_what_differs_after_one_request_keeps_the_next_one_waiting(
    holdings_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = uneven(holdings_rig)
    first, second = rig.ask("top_up"), rig.ask()
    really = rebalancing.top_up_now

    def and_money_goes(*given: Any) -> Any:
        done = really(*given)
        rig.broker.more_cash -= D("777")
        return done

    monkeypatch.setattr(rebalancing, "top_up_now", and_money_goes)
    rig.serve()
    assert rig.request(first).stage == "done"
    assert rig.request(second).stage == "waiting"
    assert rig.broker.sent == []
    rig.broker.more_cash += D("777")
    rig.serve()
    assert rig.request(second).stage == "done"


def test_one_that_was_begun_goes_on_and_the_others_wait_while_books_and_broker_differ(
    holdings_rig: Make,
    ended_at: Any,
) -> None:
    rig = uneven(holdings_rig)
    begun, other = rig.ask(), rig.ask("top_up")
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    again.broker.more_cash += D("77.00")
    again.serve()
    assert again.request(begun).stage == "done"
    assert again.request(other).stage == "waiting"


# A broker that is silent for a moment is waited for


def test_a_silent_moment_before_the_sales_is_waited_out(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.broker.positions = silent
    rig.serve()
    assert rig.request(asked).stage == "under way"
    assert rig.broker.sent == []
    del rig.broker.positions
    rig.serve()
    assert rig.request(asked).stage == "done"
    assert rig.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]


def test_a_silent_moment_between_sales_and_purchases_is_waited_out(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.broker.quote = silent
    rig.serve()
    assert [r.side for r in rig.broker.sent] == ["sell"]
    assert rig.request(asked).stage == "under way"
    del rig.broker.quote
    rig.serve()
    assert [r.side for r in rig.broker.sent] == ["sell", "buy"]
    assert rig.request(asked).stage == "done"


def test_a_silent_moment_before_a_top_up_is_waited_out(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig, auto_rebalance=False)
    rig.plan("SCHD", "SCHY", seen=1, float_target="95", auto_rebalance=False)
    asked = rig.ask("top_up")
    rig.broker.positions = silent
    rig.serve()
    assert rig.request(asked).stage == "under way"
    del rig.broker.positions
    rig.serve()
    assert "sold" in rig.request(asked).said
    assert rig.purses.float >= 94_990


# Half a rebalance is no rebalance: it is due again the next session


def test_half_a_rebalance_is_due_again_and_what_it_sold_is_bought(
    holdings_rig: Make, ended_at: Any
) -> None:
    rig = uneven(holdings_rig)
    before = rig.purses.float
    asked = rig.ask()
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    again.day(1)
    again.serve()
    found = again.request(asked)
    assert found.stage == "unfinished"
    assert "It is unfinished" in found.said
    due = again.request(f"rebalance-due-{again.hours.day}")
    assert (due.stage, due.reason) == ("done", "the one before is unfinished")
    assert [(o.side, o.symbol) for o in due.preview.orders] == [("buy", "SCHY")]
    assert again.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]
    assert before - D("1.00") < again.purses.float < before + D("5.00")
    again.day(2)
    sent = len(again.broker.sent)
    again.serve()
    assert len(again.broker.sent) == sent
    assert next_rebalance(again).last == again.hours_of(1).day


def test_the_page_says_that_it_is_unfinished_and_when_it_goes_on(
    holdings_rig: Make, ended_at: Any
) -> None:
    rig = uneven(holdings_rig, auto_rebalance=False)
    first = next_rebalance(rig)
    asked = rig.ask()
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    again.day(1)
    again.serve()
    assert again.request(asked).stage == "unfinished"
    due = next_rebalance(again)
    assert (due.last, due.unfinished) == (first.last, again.hours_of(0).day)
    assert due.on == again.hours_of(1).day
    # nobody asked for more: by hand, the preview has what is left of it
    assert again.broker.sent == []
    assert [(o.side, o.symbol) for o in again.preview().orders] == [("buy", "SCHY")]
    again.asked = 1
    again.ask()
    again.serve()
    assert next_rebalance(again)[1:] == (again.hours.day, 6, False, None)


def test_a_purchase_that_was_dropped_before_it_left_is_made_up_for(
    holdings_rig: Make, ended_at: Any
) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    with ended_at("holdings.batch_intended", nth=2):
        rig.serve()
    again = holdings_rig()
    again.clock.wait_until(again.clock.now() + timedelta(minutes=5))
    again.serve()
    assert again.result(asked)["SCHY"].state == "not sent"
    assert again.request(asked).stage == "unfinished"
    again.day(1)
    again.serve()
    assert again.request(f"rebalance-due-{again.hours.day}").stage == "done"
    assert again.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]


def test_sales_that_the_market_did_not_take_are_no_reason_to_begin_again(
    holdings_rig: Make,
) -> None:
    rig = uneven(holdings_rig)
    rig.broker.refused = {"SCHD"}
    asked = rig.ask()
    rig.serve()
    assert rig.request(asked).stage == "done"
    rig.day(1)
    rig.serve()
    assert rig.bot.views.feed.page(topics=("Holdings.RequestStarted",), after=0)[1:] == []


# Money that purchases are promised is nobody else's


def drawn(rig: Any, amount: str) -> str:
    """What the capital page says of a withdrawal; empty: it may be booked."""
    custody: Any = SimpleNamespace(store=rig.bot.store, folder=rig.folder)
    command = RecordWithdrawal(
        at=rig.clock.now(), effective_date=rig.hours.day, reference="draw", currency="USD",
        amount=D(amount), reason="test",
    )  # fmt: skip
    with closing(Queries(rig.folder)) as queries:
        return " ".join(map(str, look(custody, queries, command).refused))


def test_between_sales_and_purchases_what_is_to_be_bought_cannot_be_drawn(
    holdings_rig: Make,
    ended_at: Any,
) -> None:
    rig = uneven(holdings_rig)
    before = [bool(drawn(rig, amount)) for amount in ("88000", "89000")]
    asked = rig.ask()
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    assert again.purses.float > 90_900
    assert [bool(drawn(again, amount)) for amount in ("88000", "89000")] == before == [False, True]
    assert "beside 1,000." in drawn(again, "89000")
    assert "for purchases under way" in drawn(again, "89000")
    again.serve()
    assert again.request(asked).stage == "done"
    assert "beside" not in drawn(again, "89000")


def test_what_an_open_purchase_may_take_cannot_be_drawn(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    buy: dict[str, Any] = {
        "at": rig.clock.now(), "effective_date": rig.hours.day, "bot_identity": rig.bot.identity,
        "sleeve": "trading", "side": "buy", "strategy": "OPEN", "context": "trading",
        "reason": "test",
    }  # fmt: skip
    limited = IntendOrder(
        **buy, order_id="o1", instrument_id="XNYS:ALFA", symbol="ALFA", order_type="limit",
        quantity=D(10), limit_price=D(100),
    )  # fmt: skip
    rig.bot.dispatch(limited, command_id="o1")
    assert "beside 1,010.05 USD for purchases under way" in drawn(rig, "89000")
    at_market = IntendOrder(
        **buy, order_id="o2", instrument_id="XNYS:BIL", symbol="BIL", order_type="market",
        quantity=D(1),
    )  # fmt: skip
    rig.bot.dispatch(at_market, command_id="o2")
    with pytest.raises(DomainError, match="no price says what it takes"):
        drawn(rig, "1")


def test_an_open_purchase_of_puts_takes_a_hundred_times_its_price(holdings_rig: Make) -> None:
    rig, put = uneven(holdings_rig), "ALFA260313P00097000"
    now: dict[str, Any] = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    rig.bot.dispatch(
        RegisterInstrument(
            **now, symbol=put, name=put, kind="option", currency="USD", exchange="XNYS",
            multiplier=100,
        ),
        IntendOrder(
            **now, order_id="o1", bot_identity=rig.bot.identity, instrument_id=f"XNYS:{put}",
            symbol=put, sleeve="trading", side="buy", order_type="limit", quantity=D(2),
            limit_price=D("5.00"), strategy="OPEN", reason="test",
        ),
        command_id="o1",
    )  # fmt: skip
    assert "beside 1,011.00 USD for purchases under way" in drawn(rig, "89000")


# The float's target is one figure


@pytest.mark.parametrize("target", ["33.33", "10.01", "59.99"])
def test_previews_pages_and_the_daily_check_have_the_same_float_target(
    holdings_rig: Make, target: str
) -> None:
    rig = holdings_rig()
    plan = rig.plan("SCHD", "SCHY", float_target=target)
    rig.hold("SCHD", "333.333")
    rig.hold("SCHY", "100.1")
    daily = value_account(rig.bot, rig.hours, plan, "test").target
    assert rig.preview().float_target == daily
    with closing(Queries(rig.folder)) as queries:
        assert queries.holdings(plan=plan).float_target == daily


# A plan and its version are of one reading


def test_a_plan_that_is_saved_while_one_is_planned_is_not_carried_out_as_the_old_one(
    holdings_rig: Make,
    monkeypatch: pytest.MonkeyPatch,
    ended_at: Any,
) -> None:
    rig = uneven(holdings_rig, rebalance_months=3)
    with ended_at("rebalance.sold"):
        rig.ask()
        rig.serve()  # so that one is due
    again = holdings_rig()
    again.day(1)
    saved: list[Any] = []
    really = rebalance_now.day_prices

    def and_a_save(*given: Any) -> Any:
        saved.append(again.plan(("SCHD", "100"), seen=1)) if not saved else None
        return really(*given)

    monkeypatch.setattr(rebalance_now, "day_prices", and_a_save)
    again.serve()
    due = again.request(f"rebalance-due-{again.hours.day}")
    planned = {s.symbol: s.target for s in due.preview.securities}
    assert (due.preview.plan, planned["SCHD"]) in ((1, D("50.0000")), (2, D("100.0000")))
