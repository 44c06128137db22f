"""What the outbox makes of each answer, and of none: one order at a time, on a scripted line."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.control import RequestControl, StartKill
from brokers.port import BrokerUnavailable, Execution, KeysRefused, OrderRequest
from config.clock import VirtualClock
from runtime.order_records import OrderRecords
from runtime.pace import Urgency

DAY = date(2026, 3, 4)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
Sitting = Callable[..., Any]  # see conftest


# Unclear answers


def test_a_request_that_never_arrived_is_given_up_only_when_it_cannot_arrive_any_more(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(submit=["before"])
    assert at.send().state == "unknown"
    assert at.look(after=29 * SECOND).state == "unknown"
    order = at.look(after=SECOND)
    assert order.state == "rejected"
    assert at.sent() == 1


def test_a_request_whose_answer_was_lost_is_found_and_never_sent_again(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(submit=["after"])
    assert at.send().state == "unknown"
    order = at.look()
    assert (order.state, order.broker_order_id) == ("accepted", "SIM-000001")
    assert at.look(after=MINUTE).state == "filled"
    assert at.sent() == 1


def test_what_arrives_late_is_found_also_by_a_process_that_does_not_know_of_it(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(submit=["late"])
    at.faults.choose = lambda choices: choices[-1]  # type: ignore[assignment, method-assign]
    at.send()
    at.restart("o1")
    assert at.look(after=20 * SECOND).state == "unknown", "the broker has none, and it may arrive"
    assert at.look(after=10 * SECOND).state == "accepted"
    assert at.sent() == 1


def test_a_silent_broker_raises_nothing_and_is_noted_with_its_time(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(submit=["silent"], order=["silent"] * 3, fills=["silent"])
    began = at.clock.now()
    assert at.send().state == "unknown"
    assert at.look(after=MINUTE).state == "unknown"
    assert at.outbox.unreachable_since == began
    at.look(after=MINUTE)
    assert at.look(after=MINUTE).state == "rejected"
    assert at.outbox.unreachable_since is None


def test_refused_keys_end_it(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    at = sitting()

    def refuse(_: OrderRequest) -> None:
        raise KeysRefused("the keys are not accepted")

    with monkeypatch.context() as patched:
        patched.setattr(at.line, "submit", refuse)
        with pytest.raises(KeysRefused):
            at.send()
    assert at.order().state == "submitted"
    assert at.look().state == "accepted", "with keys that are accepted it goes on"


def test_a_duplicate_is_asked_for(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill between intent and answer, when asking says too little."""
    at = sitting()
    at.intend()
    submit = at.line.submit

    def arrived_before(request: OrderRequest) -> Any:
        at.behind.submit(request)
        return submit(request)

    monkeypatch.setattr(at.line, "submit", arrived_before)
    at.outbox.send("o1")
    assert (at.order().state, at.order().broker_order_id) == ("accepted", "SIM-000001")


def test_a_fill_of_what_was_given_up_brings_the_order_back(
    sitting: Sitting,
) -> None:
    at = sitting(volume=500)
    at.script(submit=["before"])
    terms = at.send().terms
    assert at.look(after=MINUTE).state == "rejected"
    at.behind.submit(
        OrderRequest(
            client_order_id=terms.client_order_id, symbol="ALFA", side="buy",
            order_type="market", quantity=terms.quantity,
        )
    )  # fmt: skip
    assert (at.look(after=MINUTE).state, at.order().filled.decimal) == ("accepted", 50)
    at.outbox.cancel(at.order(), "it was given up")
    assert at.order().state == "cancelled"


# What waits


def test_what_the_process_died_with_is_asked_for_before_it_is_sent(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.intend()
    at.restart("o1")
    assert at.look(after=MINUTE).state == "accepted"
    assert at.sent() == 1


def test_a_purchase_that_waited_too_long_is_not_sent_and_a_sale_is(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.send("held", quantity=10)
    at.clock.wait_until(at.clock.now() + MINUTE)
    at.outbox.read_fills()
    at.intend("o1")
    at.intend("out", side="sell", quantity=10)
    assert at.look(after=3 * MINUTE).state == "cancelled"
    assert at.sent() == 0
    assert at.order("out").state == "accepted"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_purchase_that_waits_is_not_sent_once_entries_are_blocked(
    sitting: Sitting, how: str
) -> None:
    at = sitting()
    at.intend()
    asked = {"at": at.clock.now(), "effective_date": DAY, "source": "page", "reason": "a test"}
    command = RequestControl(action="stop", **asked) if how == "stop" else StartKill(**asked)
    at.bot.dispatch(command, command_id="blocked")
    assert at.look().state == "cancelled"
    assert at.sent() == 0


def test_the_limit_of_requests_holds_purchases_back_and_lets_sales_through(
    sitting: Sitting,
) -> None:
    at = sitting(per_minute=16)
    at.send("held", quantity=10)
    at.clock.wait_until(at.clock.now() + MINUTE)
    at.outbox.read_fills()
    while at.outbox._line.pace.take(Urgency.ENTRY):
        pass
    assert at.send("o1").state == "intended"
    assert at.sent() == 0
    assert at.send("out", side="sell", quantity=10).state == "accepted"
    assert at.look(after=MINUTE).state == "accepted"


# Cancelling


@pytest.mark.parametrize("fault", ["before", "after", "ignored", "slow", "silent"])
def test_a_cancellation_is_asked_for_until_the_broker_says_that_it_is_done(
    sitting: Sitting, fault: str
) -> None:
    at = sitting(volume=200)
    at.send()
    at.script(cancel=[fault, fault])
    at.outbox.cancel(at.order(), "a test")
    for _ in range(3):
        at.look(after=MINUTE)
    order = at.order()
    assert (order.state, order.cancel_reason) == ("cancelled", "a test")
    assert order.filled.decimal + order.open_quantity.decimal == 100


def test_asked_twice_for_other_reasons_the_first_one_stands(
    sitting: Sitting,
) -> None:
    at = sitting(volume=500)
    at.send()
    at.script(cancel=["ignored"])
    at.outbox.cancel(at.order(), "first")
    at.outbox.cancel(at.order(), "second")
    assert (at.order().state, at.order().cancel_reason) == ("cancelled", "first")


def test_what_was_never_sent_is_cancelled_without_the_broker(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(order=["silent"] * 9, cancel=["silent"] * 9)
    at.outbox.cancel(at.intend(), "a test")
    assert at.order().state == "cancelled"
    assert at.sent() == 0


def test_what_may_be_on_its_way_is_cancelled_when_it_turns_up(
    sitting: Sitting,
) -> None:
    at = sitting(volume=500)
    at.script(submit=["late"])
    at.outbox.cancel(at.send(), "a test")
    assert at.order().state == "unknown"
    assert at.look(after=2 * SECOND).state == "cancelled"
    assert at.behind.order(at.order().terms.client_order_id).state == "cancelled"  # type: ignore[union-attr]


# Executions


def test_an_order_ends_only_when_all_its_executions_are_told(
    sitting: Sitting,
) -> None:
    at = sitting(volume=500)
    at.send()
    at.clock.wait_until(at.clock.now() + MINUTE)
    at.script(fills=["withheld"])
    at.outbox.read_fills()
    at.outbox.cancel(at.order(), "a test")
    assert at.order().state == "accepted"
    assert at.outbox.reports.owed == {"o1": Decimal(50)}
    assert at.outbox.reports.ended_there == {"o1"}
    order = at.look(after=MINUTE)
    assert (order.state, order.filled.decimal) == ("cancelled", 50)
    assert not at.outbox.reports.owed
    assert not at.outbox.reports.ended_there


def test_told_twice_and_in_another_order_each_execution_counts_once(
    sitting: Sitting,
) -> None:
    at = sitting(volume=300)
    at.send()
    at.clock.wait_until(at.clock.now() + 2 * MINUTE)
    at.script(fills=["reordered", "twice"])
    assert at.outbox.read_fills() == 2
    assert at.look(after=2 * MINUTE).state == "filled"
    told = at.bot.views.feed.page(topics=("Order.Filled",))
    assert len(told) == 4


def test_an_execution_that_was_passed_over_is_found_because_the_order_counts_it(
    sitting: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that lists one late, under a number that was read past already."""
    at = sitting(volume=500)
    at.send()
    at.clock.wait_until(at.clock.now() + 2 * MINUTE)
    fills = at.line.fills_since
    with monkeypatch.context() as patched:
        patched.setattr(at.line, "fills_since", lambda after: fills(after)[1:])
        assert at.look().filled.decimal == 50
    assert at.outbox.reports.owed == {"o1": Decimal(50)}
    assert at.look().state == "filled"


def test_more_than_was_ordered_is_not_booked_and_stops_nothing(
    sitting: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = sitting()
    at.send()
    fills = at.line.fills_since

    def one_too_many(sequence: int) -> list[Execution]:
        found = list(fills(sequence))
        more = [
            msgspec.structs.replace(e, execution_id="X-2", sequence=e.sequence + 1) for e in found
        ]
        return found + more

    monkeypatch.setattr(at.line, "fills_since", one_too_many)
    assert at.look(after=MINUTE).state == "filled"
    assert list(at.outbox.reports.unrecorded) == ["X-2"]
    assert at.order().filled.decimal == 100


def test_another_process_was_first_and_its_word_stands(
    sitting: Sitting,
) -> None:
    at = sitting()
    order = at.send()
    clock = VirtualClock(at.clock.now())
    other = OrderRecords(at.bot.dispatch, clock, at.desk, DAY)
    other.cancelled(order, "by another process")
    seen = OrderRecords(at.bot.dispatch, clock, at.desk, DAY).cancelled(order, "by this one")
    assert seen.state == "cancelled"
    reasons = [
        at.bot.views.feed.event(r) for r in at.bot.views.feed.page(topics=("Order.Cancelled",))
    ]
    assert [r.reason for r in reasons] == ["by another process"]  # type: ignore[attr-defined]


def test_a_broker_that_does_not_say_what_is_held_never_says_nothing(
    sitting: Sitting,
) -> None:
    at = sitting()
    at.script(other=["outage"])
    with pytest.raises(BrokerUnavailable):
        at.line.positions()
    with pytest.raises(BrokerUnavailable):
        at.line.open_orders()
    later: datetime = at.clock.now() + MINUTE
    at.clock.wait_until(later)
    assert list(at.line.positions()) == []
