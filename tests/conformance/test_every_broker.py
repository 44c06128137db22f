"""What every broker adapter does, whatever is behind it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.market import MINUTE
from brokers.port import (
    BrokerError,
    BrokerUnavailable,
    DuplicateOrder,
    KeysRefused,
    OrderRefused,
    OutcomeUnknown,
)
from config.clock import local_date

D = Decimal


def state(rig: Any, client_order_id: str = "a-1") -> tuple[str, Decimal]:
    found = rig.broker.order(client_order_id)
    return found.state, found.filled_quantity


def held(broker: Any) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in broker.positions()}


# --- orders -----------------------------------------------------------------------------------


def test_an_order_is_there_once_and_says_what_was_asked(rig: Any) -> None:
    quantity = rig.units("24.5")
    accepted = rig.broker.submit(
        rig.ask("a-1", quantity=quantity, order_type="limit", limit_price=D("90.5"))
    )
    assert (accepted.client_order_id, accepted.state) == ("a-1", "accepted")
    assert (accepted.symbol, accepted.side, accepted.order_type) == ("ALFA", "buy", "limit")
    assert (accepted.quantity, accepted.filled_quantity) == (D(quantity), 0)
    assert accepted.submitted_at.utcoffset() == timedelta(0)
    assert accepted.broker_order_id
    assert rig.broker.order("a-1") == accepted
    assert list(rig.broker.open_orders()) == [accepted]
    assert rig.orders_there("a-1") == 1


def test_an_order_that_nobody_placed_is_none(rig: Any) -> None:
    assert rig.broker.order("nobody") is None
    with pytest.raises(BrokerError, match="nobody"):
        rig.broker.cancel("nobody")
    assert list(rig.broker.open_orders()) == []


def test_an_id_that_is_known_is_a_duplicate_and_changes_nothing(rig: Any) -> None:
    first = rig.broker.submit(rig.ask())
    with pytest.raises(DuplicateOrder):
        rig.broker.submit(rig.ask(quantity="99"))
    assert rig.broker.order("a-1") == first
    assert rig.orders_there("a-1") == 1


@pytest.mark.parametrize(
    ("terms", "error_code"),
    [
        ({"symbol": "NONE"}, "unknown_symbol"),
        ({"quantity": "0"}, "invalid_quantity"),
        ({"quantity": "-1"}, "invalid_quantity"),
        ({"quantity": "NaN"}, "invalid_quantity"),
        ({"quantity": "0.0000000001"}, "invalid_quantity"),
        ({"order_type": "limit"}, "invalid_price"),
        ({"order_type": "stop", "limit_price": D("9")}, "invalid_price"),
        ({"limit_price": D("9")}, "invalid_price"),
        ({"order_type": "limit", "limit_price": D("-9")}, "invalid_price"),
        ({"side": "sell"}, "short_sale"),
        ({"quantity": "1001"}, "insufficient_cash"),
    ],
)
def test_what_is_refused_says_why_and_does_not_exist(
    rig: Any, terms: dict[str, Any], error_code: str
) -> None:
    with pytest.raises(OrderRefused) as refusal:
        rig.broker.submit(rig.ask(**terms))
    assert refusal.value.error_code == error_code
    assert refusal.value.reason
    assert rig.broker.order("a-1") is None
    assert rig.orders_there("a-1") == 0


def test_a_refused_fraction_is_no_order(rig: Any) -> None:
    rig.need("no_fractions")
    rig.no_fractions("ALFA")
    assert rig.broker.asset("ALFA").fractionable is False
    with pytest.raises(OrderRefused, match="not_fractionable"):
        rig.broker.submit(rig.ask(quantity="0.5"))
    assert rig.orders_there("a-1") == 0
    assert rig.broker.submit(rig.ask(quantity="1")).state == "accepted"


def test_a_symbol_is_known_or_not(rig: Any) -> None:
    asset = rig.broker.asset("ALFA")
    fractions = rig.broker.capabilities.fractional
    assert (asset.symbol, asset.tradable, asset.fractionable) == ("ALFA", True, fractions)
    assert rig.broker.asset("NONE") is None


def test_a_halted_symbol_takes_no_order_and_fills_none(rig: Any) -> None:
    rig.need("halt")
    rig.broker.submit(rig.ask("before"))
    rig.halt("ALFA")
    assert rig.broker.asset("ALFA").tradable is False
    with pytest.raises(OrderRefused, match="not_tradable"):
        rig.broker.submit(rig.ask())
    rig.trade("ALFA", "100")
    assert state(rig, "before") == ("accepted", 0)


# --- outcomes that nobody knows ---------------------------------------------------------------


def test_a_lost_answer_is_unknown_and_found_by_asking(rig: Any) -> None:
    rig.need("lost_answer")
    rig.lose_answer()
    with pytest.raises(OutcomeUnknown, match="a-1"):
        rig.broker.submit(rig.ask())
    assert state(rig) == ("accepted", 0)
    assert (rig.orders_there("a-1"), rig.sent("a-1")) == (1, 1)


def test_a_lost_request_is_none_only_when_it_cannot_arrive_any_more(rig: Any) -> None:
    rig.need("lost_request")
    rig.lose_request()
    with pytest.raises(OutcomeUnknown):
        rig.broker.submit(rig.ask())
    with pytest.raises(OutcomeUnknown, match="may still arrive"):
        rig.broker.order("a-1")
    with pytest.raises(OutcomeUnknown):
        rig.broker.cancel("a-1")
    rig.settle()
    assert rig.broker.order("a-1") is None
    assert (rig.orders_there("a-1"), rig.sent("a-1")) == (0, 1)


def test_a_request_that_arrives_late_is_never_taken_for_none(rig: Any) -> None:
    rig.need("late_request")
    rig.delay_request()
    with pytest.raises(OutcomeUnknown):
        rig.broker.submit(rig.ask())
    with pytest.raises(OutcomeUnknown):
        rig.broker.order("a-1")
    rig.settle()
    assert state(rig) == ("accepted", 0)
    assert (rig.orders_there("a-1"), rig.sent("a-1")) == (1, 1)


def test_reads_are_tried_again_and_orders_are_not(rig: Any) -> None:
    rig.need("busy")
    rig.be_busy(2)
    assert rig.broker.account().cash == 100_000
    assert rig.reads() == 3

    rig.be_busy_for_orders()
    with pytest.raises(OutcomeUnknown):
        rig.broker.submit(rig.ask())
    assert rig.sent("a-1") == 1

    rig.be_busy(99)
    before = rig.reads()
    with pytest.raises(BrokerUnavailable, match="the positions"):
        rig.broker.positions()
    assert rig.reads() == before + 3


# --- fills ------------------------------------------------------------------------------------


def test_partial_fills_add_up_to_what_the_order_says(rig: Any) -> None:
    whole = D(rig.units("24.5"))
    rig.broker.submit(rig.ask(quantity=str(whole)))
    assert list(rig.broker.fills_since(0)) == []
    seen: list[tuple[str, Decimal]] = []
    for shares in ("10", "9", "8"):
        rig.trade("ALFA", shares)
        seen.append(state(rig))
        rig.broker.fills_since(0)  # as the bot looks every few seconds
    assert seen == [("partially_filled", 10), ("partially_filled", 19), ("filled", whole)]

    fills = rig.broker.fills_since(0)
    assert [(f.sequence, f.quantity) for f in fills] == [(1, 10), (2, 9), (3, whole - 19)]
    assert {(f.client_order_id, f.symbol, f.side) for f in fills} == {("a-1", "ALFA", "buy")}
    assert {f.broker_order_id for f in fills} == {rig.broker.order("a-1").broker_order_id}
    assert {f.price for f in fills} == {D("100.02")}
    assert {f.currency for f in fills} == {"USD"}
    assert all(f.executed_at.utcoffset() == timedelta(0) for f in fills)
    # in the exchange's own days: in UTC it is the next one already when the evening ends there
    assert all(f.settles_on > local_date(f.executed_at, "America/New_York") for f in fills)
    assert list(rig.broker.open_orders()) == []


def test_fills_since_goes_on_where_it_was(rig: Any) -> None:
    rig.broker.submit(rig.ask(quantity="30"))
    rig.trade("ALFA", "10")
    first = rig.broker.fills_since(0)
    for _ in range(2):
        rig.trade("ALFA", "10")
        later = rig.broker.fills_since(first[-1].sequence)
    assert [f.sequence for f in later] == [2, 3]
    assert list(rig.broker.fills_since(0)) == [*first, *later]
    assert list(rig.broker.fills_since(3)) == []


def test_an_execution_that_is_told_twice_is_one(rig: Any) -> None:
    rig.need("told_twice")
    rig.broker.submit(rig.ask())
    rig.tell_twice()
    for shares in ("4", "6"):
        rig.trade("ALFA", shares)
        fills = rig.broker.fills_since(0)
    assert [f.quantity for f in fills] == [4, 6]
    assert len({f.execution_id for f in fills}) == 2
    assert list(rig.broker.fills_since(2)) == []


def test_a_restart_finds_the_same_orders_and_executions(rig: Any) -> None:
    rig.broker.submit(rig.ask(quantity="20"))
    rig.trade("ALFA", "5")
    rig.trade("ALFA", "5")
    before, order = rig.broker.fills_since(0), rig.broker.order("a-1")
    other = rig.restarted(before)
    assert list(other.fills_since(0)) == list(before)
    assert other.order("a-1") == order
    with pytest.raises(DuplicateOrder):
        other.submit(rig.ask(quantity="20"))


def test_cancelling_keeps_what_was_filled(rig: Any) -> None:
    rig.broker.submit(rig.ask(quantity="25"))
    rig.trade("ALFA", "10")
    rig.broker.cancel("a-1")
    rig.trade("ALFA", "10")
    assert state(rig) == ("cancelled", 10)
    assert held(rig.broker) == {"ALFA": 10}
    assert list(rig.broker.open_orders()) == []

    rig.broker.cancel("a-1")  # final: nothing changes, nothing is raised
    assert state(rig) == ("cancelled", 10)


def test_a_fill_after_the_cancellation_counts(rig: Any) -> None:
    rig.need("late_fill")
    rig.broker.submit(rig.ask(quantity="25"))
    rig.broker.cancel("a-1")
    rig.broker.fills_since(0)
    rig.fill_late("a-1", "7")
    assert state(rig) == ("cancelled", 7)
    assert [f.quantity for f in rig.broker.fills_since(0)] == [7]
    assert held(rig.broker) == {"ALFA": 7}


def test_limits_and_stops_wait_for_their_price(rig: Any) -> None:
    rig.buy("first", "10")
    rig.broker.submit(
        rig.ask("low", quantity="5", order_type="limit", limit_price=D("95"), symbol="ALFA")
    )
    rig.broker.submit(rig.ask("out", "sell", quantity="10", order_type="stop", stop_price=D("96")))
    rig.trade("ALFA", "50")
    assert (state(rig, "low")[0], state(rig, "out")[0]) == ("accepted", "accepted")
    rig.price("94")
    rig.trade("ALFA", "50")
    assert (state(rig, "low")[0], state(rig, "out")[0]) == ("filled", "filled")
    assert held(rig.broker) == {"ALFA": 5}


# --- the account ------------------------------------------------------------------------------


def test_positions_and_cash_are_what_was_bought_and_sold(rig: Any) -> None:
    assert held(rig.broker) == {}
    assert rig.broker.account().currency == "USD"
    units = rig.units("10.123456789")
    rig.buy("one", units)
    rig.buy("two", "3", "BRVO")
    assert held(rig.broker) == {"ALFA": D(units), "BRVO": 3}
    rig.broker.submit(rig.ask("out", "sell", quantity=units))
    rig.trade("ALFA", "11")
    assert held(rig.broker) == {"BRVO": 3}

    fills = rig.broker.fills_since(0)
    signed = sum((f.quantity * f.price * (1 if f.side == "sell" else -1) for f in fills), D(0))
    costs = sum((f.commission + f.fees for f in fills), D(0))
    # each statement of cash may be rounded to a cent
    assert abs(rig.broker.account().cash - (100_000 + signed - costs)) <= D("0.01") * len(fills)


def test_a_snapshot_that_is_missing_is_not_flat(rig: Any) -> None:
    rig.need("no_snapshot")
    rig.buy("one", "10")
    rig.lose_snapshot()
    with pytest.raises(BrokerUnavailable):
        rig.broker.positions()


def test_what_was_moved_by_hand_is_seen(rig: Any) -> None:
    rig.need("hand")
    rig.buy("one", "10")
    rig.hand("ALFA", rig.units("-2.5"))
    assert held(rig.broker) == {"ALFA": D(rig.units("-2.5"))}


def test_refused_keys_end_every_way_in(rig: Any) -> None:
    rig.need("keys")
    rig.refuse_keys()
    calls: list[Callable[[], object]] = [
        rig.broker.self_check, rig.broker.account, rig.broker.positions, rig.broker.open_orders,
        lambda: rig.broker.submit(rig.ask()), lambda: rig.broker.order("a-1"),
        lambda: rig.broker.fills_since(0), lambda: rig.broker.quote("ALFA"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(KeysRefused):
            call()


def test_a_sound_account_has_no_faults_and_a_wrong_clock_is_one(rig: Any) -> None:
    assert list(rig.broker.self_check()) == []
    rig.skew()
    assert any("clock" in fault for fault in rig.broker.self_check())


def test_bars_are_complete_and_not_of_the_future(rig: Any) -> None:
    rig.need("bars")
    first = rig.show_market()
    bars = rig.broker.bars("ALFA", first, first + timedelta(days=1))
    assert [bar.start for bar in bars] == [first, first + MINUTE, first + 2 * MINUTE]
    assert all(type(bar.close) is Decimal for bar in bars)
    assert [b.start for b in rig.broker.bars("ALFA", first + MINUTE, first + 2 * MINUTE)] == [
        first + MINUTE
    ]


def test_a_quote_is_not_of_the_future(rig: Any) -> None:
    rig.show_market()
    quote = rig.broker.quote("ALFA")
    assert (quote.bid, quote.ask) == (D("99.98"), D("100.02"))
    assert quote.end <= rig.broker.clock() + timedelta(seconds=1)


def test_activities_and_news_can_be_asked_for(rig: Any) -> None:
    assert list(rig.broker.activities(rig.broker.clock().date())) == []
    assert rig.broker.news().ask is True  # at first nobody knows what was missed
