"""The kill switch: blocked, cancelled, sold, latched; then nothing leaves for the broker."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.control import STREAM, Control, RequestControl, ResetKill
from aggregates.errors import DomainError
from brokers.port import KeysRefused
from eventstore.errors import StoreUnreadable
from runtime.kill_switch import KillSwitch, kill_without_session


def kill(rig: Any, source: Any = "page", reason: str = "test") -> bool:
    return KillSwitch(rig.bot, rig.desk, rig.outbox).run(source, reason)


def control(rig: Any) -> Control:
    found: Control = rig.bot.store.load(Control, STREAM)
    return found


def left(rig: Any) -> tuple[str, ...]:
    (event,) = rig.events("Control.Killed")
    found: tuple[str, ...] = event.left
    return found


def test_everything_of_trading_is_sold_and_the_holdings_stay(rig: Any) -> None:
    rig.hold_long_term("ALFA", "7")
    rig.buy("ALFA", "10")
    rig.buy("BRVO", "5")
    assert kill(rig)
    assert rig.at_broker() == {"ALFA": "7"}
    assert rig.sold() == {"ALFA": "10", "BRVO": "5"}
    assert control(rig).killed
    assert rig.topics("Control") == [
        "KillStarted", "KillStepDone", "KillStepDone", "KillStepDone", "Killed",
    ]  # fmt: skip
    assert left(rig) == ()


def test_an_open_entry_is_cancelled_and_buys_nothing_more(rig: Any) -> None:
    rig.order("late", "ALFA", "buy", "10")
    assert kill(rig)
    assert rig.at_broker() == {}
    assert rig.desk.orders["late"].state == "cancelled"


def test_a_partly_filled_entry_is_cancelled_and_what_it_bought_is_sold(make_rig: Any) -> None:
    rig = make_rig(volume=40)  # four shares a minute
    rig.order("large", "ALFA", "buy", "10")
    rig.pass_minutes(1)
    assert kill(rig)
    assert rig.at_broker() == {}
    assert rig.sold() == {"ALFA": "4"}


def test_an_entry_that_was_not_sent_yet_never_is(rig: Any) -> None:
    """The process ended between the intent and the broker; the kill comes after the restart."""
    rig.decide("waiting", "ALFA", "buy", "10")
    rig.take_up()
    assert kill(rig)
    assert rig.broker.times("submit") == []
    assert rig.desk.orders["waiting"].state == "cancelled"


def test_a_slow_broker_hears_of_the_first_cancel_at_once(rig: Any) -> None:
    for number in range(3):
        rig.order(f"open-{number}", "ALFA", "buy", "1")
    begun, rig.broker.asked, rig.broker.slow = rig.clock.now(), [], timedelta(seconds=1.5)
    kill(rig)
    name, at = rig.broker.asked[0]
    assert name == "cancel"
    assert at - begun <= timedelta(seconds=2)
    assert len(rig.broker.times("cancel")) >= 3


def test_entries_are_refused_from_the_first_event_on(rig: Any) -> None:
    rig.order("open", "ALFA", "buy", "1")
    seen = []
    cancel = rig.outbox.cancel

    def watched(order: Any, reason: str) -> None:
        with pytest.raises(DomainError, match="a kill is under way"):
            rig.decide("another", "BRVO", "buy", "1")
        seen.append(order.terms.order_id)
        cancel(order, reason)

    rig.outbox.cancel = watched
    kill(rig)
    assert seen == ["open"]


def test_after_the_latch_nothing_is_asked_of_the_broker(rig: Any) -> None:
    rig.buy("ALFA", "10")
    kill(rig)
    rig.broker.asked = []
    assert kill(rig), "asked again, it says what came of it"
    for side in ("buy", "sell"):
        with pytest.raises(DomainError, match="latched"):
            rig.decide(f"after-{side}", "ALFA", side, "1")
    assert rig.broker.asked == []


def test_it_stays_latched_through_a_restart_until_it_is_reset(rig: Any) -> None:
    kill(rig)
    rig.take_up()
    assert control(rig).entries_blocked
    when = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    rig.bot.dispatch(ResetKill(**when, reason="all is well"), command_id="reset")
    assert "stopped" in control(rig).entries_blocked
    rig.bot.dispatch(
        RequestControl(**when, action="kill", source="page", reason="again"), command_id="again"
    )
    assert kill(rig)
    assert control(rig).kills == 2


def test_a_closed_market_is_recorded_and_latched_all_the_same(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.clock.wait_until(rig.hours.close + timedelta(minutes=1))
    rig.broker.asked = []
    assert not kill(rig)
    assert control(rig).killed
    assert left(rig) == ("ALFA 10: the market is closed since 2026-03-02 21:00 UTC",)
    assert rig.broker.times("submit") == []


def test_a_symbol_that_is_not_traded_is_left_with_its_reason(make_rig: Any) -> None:
    rig = make_rig(stops=5)
    rig.buy("ALFA", "10")
    rig.pass_minutes(10)
    assert not kill(rig)
    assert left(rig) == ("ALFA 10: no quote for more than five minutes",)
    assert rig.at_broker() == {"ALFA": "10"}


def test_a_halted_symbol_is_said_to_be_halted(make_rig: Any) -> None:
    rig = make_rig(stops=5)
    rig.buy("ALFA", "10")
    rig.pass_minutes(4)
    rig.broker.halted = True
    assert not kill(rig)
    assert left(rig) == ("ALFA 10: halted",)


def test_a_silent_broker_is_not_taken_for_flat(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.broker.silent = True
    assert not kill(rig)
    assert control(rig).killed
    assert "not known" in " ".join(left(rig))


def test_a_broker_that_answers_again_is_asked_again(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.broker.silent = True
    answers_at = rig.clock.now() + timedelta(seconds=40)

    def wait(moment: Any) -> None:
        rig.clock.wait_until(moment)
        rig.broker.silent = rig.clock.now() < answers_at

    assert KillSwitch(rig.bot, rig.desk, rig.outbox, wait).run("broker", "silent")
    assert rig.at_broker() == {}


def test_refused_keys_end_in_a_latch_that_says_so(rig: Any, monkeypatch: Any) -> None:
    rig.buy("ALFA", "10")

    def refuse(*_: Any) -> None:
        raise KeysRefused("the broker does not accept the keys.")

    for name in ("fills_since", "positions", "cancel", "order", "open_orders"):
        monkeypatch.setattr(rig.broker, name, refuse, raising=False)
    assert not kill(rig)
    assert "does not accept the keys" in " ".join(left(rig))


def test_units_that_the_books_do_not_hold_are_left_to_a_person(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.by_hand("BRVO", "buy", "3")
    rig.pass_minutes(2)
    assert not kill(rig)
    assert rig.at_broker() == {"BRVO": "3"}
    assert left(rig) == ("BRVO 3: our books do not hold it for trading; it is left to a person",)


def test_what_was_sold_by_hand_is_not_sold_again(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.by_hand("ALFA", "sell", "10")
    rig.pass_minutes(2)
    assert kill(rig)
    assert rig.sold() == {"ALFA": "10"}


def test_without_a_session_what_was_carried_over_is_sold(rig: Any) -> None:
    """The next morning, before the supervisor has opened the session."""
    rig.buy("ALFA", "10")
    rig.clock.wait_until(rig.hours.open + timedelta(days=1, minutes=5))
    assert kill_without_session(rig.bot, "watchdog", "the supervisor hangs")
    assert rig.at_broker() == {}
    assert control(rig).killed
    rig.bot.views.catch_up()
    assert rig.bot.views.books.positions() == []


def test_the_round_trip_is_closed_under_the_name_of_its_strategy(rig: Any) -> None:
    rig.buy("ALFA", "10")
    kill(rig, "loss", "the day's loss is too large")
    rig.bot.views.catch_up()
    (trade,) = rig.bot.views.trading.trades()
    assert (trade.strategy, trade.symbol, trade.quantity) == ("OPEN", "ALFA", Decimal(10))


def test_where_nothing_can_be_recorded_orders_are_cancelled_and_nothing_is_sold(
    rig: Any, monkeypatch: Any
) -> None:
    rig.buy("ALFA", "10")
    rig.order("open", "ALFA", "buy", "1")

    def full(*_: Any, **__: Any) -> None:
        raise StoreUnreadable("the disk is full.")

    monkeypatch.setattr(rig.bot, "dispatch", full)
    rig.broker.asked = []
    with pytest.raises(StoreUnreadable):
        kill(rig)
    assert [name for name, _ in rig.broker.asked] == ["cancel"]
    assert rig.simulated.open_orders() == []
