"""What only the gateway of Interactive Brokers can do: ids that roll back, costs that come late,
corrections, cut lines."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from beside import beside
from msgspec.structs import replace

from aggregates.market import MINUTE
from brokers.ibkr import IbkrBroker
from brokers.port import (
    BrokerError,
    BrokerUnavailable,
    DuplicateOrder,
    KeysRefused,
    OrderRefused,
    OutcomeUnknown,
)

D = Decimal
fake, say = beside("fakes/ibkr_gateway"), beside("fakes/ibkr_messages")
CUT = say.error(-1, 1100, "Connectivity between IB and TWS has been lost")
BACK = say.error(-1, 1102, "Connectivity between IB and TWS has been restored")


@pytest.fixture
def ibkr(make_rig: Any) -> Any:
    return make_rig("ibkr")


def quick(ibkr: Any, **other: Any) -> Any:
    """Another adapter, whose patience is short."""
    ibkr.broker = ibkr.again(replace(ibkr.access, timeout_s=0.1, retries=0, **other))
    return ibkr.broker


# --- the connection ---------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_gateway_that_never_answers_is_unavailable_in_time(ibkr: Any, silent: int) -> None:
    broker = quick(ibkr, port=silent)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="did not tell the positions: no answer in time"):
        broker.positions()
    assert time.monotonic() - began < 1


def test_no_gateway_at_all_is_said(ibkr: Any) -> None:
    broker = quick(ibkr, port=1)
    with pytest.raises(BrokerUnavailable, match="refused"):
        broker.account()
    assert ibkr.actions[-1].outcome.endswith("refused")


def test_a_client_id_in_use_is_a_fault_and_nothing_is_believed(ibkr: Any) -> None:
    assert list(ibkr.broker.self_check()) == []
    other = IbkrBroker(
        replace(ibkr.access, timeout_s=0.1), ibkr.clock, ibkr._sessions, tell=ibkr.actions.append
    )
    try:
        (fault,) = other.self_check()
        assert "Client id 7 is in use" in fault
        with pytest.raises(BrokerUnavailable, match="in use"):
            other.positions()
    finally:
        other.close()
    assert ibkr.broker.account().cash == 100_000


def test_a_lost_connection_is_made_again_at_the_next_question(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    assert ibkr.broker.positions()
    while ibkr.broker.news().ask:
        assert ibkr.broker.order("one").state == "filled"
    ibkr.gateway.drop()
    assert [p.quantity for p in ibkr.broker.positions()] == [10]
    assert ibkr.broker.news().ask
    assert [a.method for a in ibkr.actions].count("CONNECT") == 2


def test_what_changes_by_itself_is_news(ibkr: Any) -> None:
    ibkr.broker.submit(ibkr.ask())
    while ibkr.broker.news().ask:
        ibkr.broker.order("a-1")
    ibkr.trade("ALFA", "4")
    deadline = time.monotonic() + 5
    while not ibkr.broker.news().ask:
        assert time.monotonic() < deadline


def test_while_the_gateway_has_lost_ibkr_nothing_is_believed(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    ibkr.gateway.say_to_all(CUT)
    with pytest.raises(BrokerUnavailable, match="lost the connection to IBKR's own servers"):
        ibkr.broker.positions()
    with pytest.raises(OutcomeUnknown, match="was not sent"):
        ibkr.broker.submit(ibkr.ask("two"))
    assert ibkr.sent("two") == 0
    ibkr.gateway.say_to_all(BACK)
    assert [p.quantity for p in ibkr.broker.positions()] == [10]
    assert ibkr.broker.news().ask


def test_a_position_that_cannot_be_read_is_not_left_out(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    ibkr.gateway.fault("garbled_after", "61", times=9)
    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        ibkr.broker.positions()


def test_a_late_answer_is_never_taken_for_the_answer_to_another_question(ibkr: Any) -> None:
    broker = quick(ibkr)
    assert list(broker.positions()) == []
    ibkr.gateway.fault("mute_after", "61")
    with pytest.raises(BrokerUnavailable):
        broker.positions()
    ibkr.buy("one", "10")
    assert [p.quantity for p in broker.positions()] == [10]


def test_no_line_of_the_log_and_no_error_has_the_account(ibkr: Any, capfd: Any) -> None:
    ibkr.buy("one", "10")
    with pytest.raises(OrderRefused) as no:
        ibkr.broker.submit(ibkr.ask(quantity="2000"))
    ibkr.gateway.fault("garbled_after", "61", times=9)
    with pytest.raises(BrokerUnavailable) as silence:
        ibkr.broker.positions()
    said = f"{ibkr.actions} {no.value} {silence.value} {capfd.readouterr()}"
    assert "insufficient" in said
    assert ibkr.access.account not in said


# --- orders -----------------------------------------------------------------------------------


def test_order_ids_that_roll_back_change_no_order(ibkr: Any) -> None:
    for name in ("one", "two"):
        ibkr.broker.submit(ibkr.ask(name, order_type="limit", limit_price=D(90)))
    ibkr.gateway.next_id = 1
    broker = ibkr.again()
    broker.submit(ibkr.ask("three", quantity="3"))
    there = {order.ref: (order.order_id, order.quantity) for order in ibkr.books.orders.values()}
    assert {name: quantity for name, (_, quantity) in there.items()} == {
        "one": 10, "two": 10, "three": 3
    }  # fmt: skip
    assert there["three"][0] > there["two"][0]


def test_an_order_id_that_a_completed_order_had_is_passed_over(ibkr: Any) -> None:
    for name in ("one", "two", "three"):
        ibkr.buy(name, "1")
    ibkr.gateway.next_id = 1
    broker = ibkr.again()
    assert broker.submit(ibkr.ask("four")).state == "accepted"
    assert (ibkr.orders_there("four"), ibkr.sent("four")) == (1, 2)


def test_an_order_refused_after_it_was_accepted_is_rejected(ibkr: Any) -> None:
    ibkr.broker.submit(ibkr.ask())
    ibkr.gateway.reject("a-1", "trading was halted")
    found = ibkr.broker.order("a-1")
    assert (found.state, found.error_code) == ("rejected", "not_tradable")
    assert ibkr.broker.news().ask


def test_an_order_that_became_inactive_is_rejected(ibkr: Any) -> None:
    ibkr.broker.submit(ibkr.ask())
    ibkr.books.reject("a-1", "Rejected by the exchange")
    found = ibkr.broker.order("a-1")
    assert (found.state, found.reason) == ("rejected", "Rejected by the exchange")


def test_an_order_with_executions_that_is_listed_nowhere_is_not_none(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    ibkr.books.orders.clear()
    with pytest.raises(BrokerUnavailable, match="does not list it"):
        ibkr.broker.order("one")
    with pytest.raises(OutcomeUnknown):
        ibkr.broker.submit(ibkr.ask("one"))
    ibkr.clock.wait_until(ibkr.clock.now() + timedelta(seconds=31))
    found = ibkr.broker.order("one")  # it stays so: the gateway was restarted
    assert (found.state, found.filled_quantity) == ("cancelled", 10)
    with pytest.raises(DuplicateOrder):
        ibkr.broker.submit(ibkr.ask("one"))
    assert ibkr.sent("one") == 1


def test_an_order_of_another_client_id_is_seen_and_cannot_be_cancelled_here(ibkr: Any) -> None:
    ibkr.broker.submit(ibkr.ask())
    other = ibkr.again(replace(ibkr.access, client_id=8))
    with pytest.raises(DuplicateOrder):
        other.submit(ibkr.ask())
    with pytest.raises(BrokerError, match="client id 7"):
        other.cancel("a-1")
    assert other.order("a-1").state == "accepted"


def test_an_order_by_hand_is_among_the_open_ones_under_a_name_of_its_own(ibkr: Any) -> None:
    ibkr.broker.submit(ibkr.ask())
    by_hand = ibkr.books.by_ref("a-1")
    by_hand.ref, by_hand.order_id = "", 0
    (found,) = ibkr.broker.open_orders()
    assert found.client_order_id == f"ibkr-{by_hand.perm_id}"


def test_two_orders_of_one_name_are_a_fault(ibkr: Any) -> None:
    for name in ("one", "two"):
        ibkr.broker.submit(ibkr.ask(name))
    ibkr.books.by_ref("two").ref = "one"
    ibkr.broker.open_orders()
    assert "IBKR lists more than one order one." in ibkr.broker.self_check()


def test_an_order_that_is_kept_under_another_name_is_a_fault(ibkr: Any) -> None:
    ibkr.books.longest_ref = 5
    ibkr.broker.submit(ibkr.ask("much-longer"))
    assert "IBKR has order much-longer as much-." in ibkr.broker.self_check()


def test_an_order_that_the_gateway_is_silent_about_is_unknown_in_time(ibkr: Any) -> None:
    broker = quick(ibkr)
    ibkr.gateway.fault("mute_before", fake.PLACE)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="no answer in time"):
        broker.submit(ibkr.ask())
    with pytest.raises(OutcomeUnknown, match="may still arrive"):
        broker.submit(ibkr.ask())
    assert ibkr.sent("a-1") == 1
    assert time.monotonic() - began < 1


def test_an_order_is_dated_by_when_it_was_seen_and_changed_here(ibkr: Any, sessions: Any) -> None:
    ibkr.broker.close()
    broker = IbkrBroker(ibkr.access, ibkr.clock, sessions, tell=ibkr.actions.append)
    try:
        accepted = broker.submit(ibkr.ask())
        ibkr.clock.wait_until(ibkr.clock.now() + MINUTE)
        assert broker.order("a-1") == accepted
        ibkr.trade("ALFA", "4")
        changed = broker.order("a-1")
        assert changed.submitted_at == accepted.submitted_at
        assert changed.updated_at - accepted.updated_at >= MINUTE
    finally:
        broker.close()


def test_what_a_killed_process_sent_is_not_sent_again_while_it_is_under_way(
    make_rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on asks for the order first, as it must, and IBKR does not list it yet."""
    ibkr = make_rig("ibkr", settle_s=2)
    ibkr.delay_request()
    with pytest.raises(OutcomeUnknown):
        ibkr.broker.submit(ibkr.ask())
    broker = ibkr.again()
    assert broker.order("a-1") is None
    began = ibkr.clock.now()
    broker.submit(ibkr.ask("new"))
    assert ibkr.clock.now() - began < timedelta(seconds=1), "what is new need not wait"
    monkeypatch.setattr(ibkr.clock, "wait_until", lambda _moment: ibkr.gateway.calm())
    with pytest.raises(DuplicateOrder):
        broker.submit(ibkr.ask())
    assert (ibkr.sent("a-1"), ibkr.orders_there("a-1")) == (1, 1)


# --- fills ------------------------------------------------------------------------------------


def test_an_execution_without_its_cost_waits_for_it_and_holds_up_no_other(ibkr: Any) -> None:
    broker = quick(ibkr)
    broker.submit(ibkr.ask(quantity="30"))
    ibkr.trade("ALFA", "10")
    ibkr.books.fills[0].cost_told = False
    assert list(broker.fills_since(0)) == []
    ibkr.trade("ALFA", "5")
    assert [(f.sequence, f.quantity) for f in broker.fills_since(0)] == [(1, 5)]
    ibkr.books.fills[0].cost_told = True
    assert [(f.sequence, f.quantity) for f in broker.fills_since(1)] == [(2, 10)]
    assert {f.commission for f in broker.fills_since(0)} == {D(1)}


def test_a_cost_that_never_comes_is_not_passed_over(ibkr: Any) -> None:
    broker = quick(ibkr)
    broker.submit(ibkr.ask(quantity="30"))
    ibkr.trade("ALFA", "10")
    ibkr.books.fills[0].cost_told = False
    assert list(broker.fills_since(0)) == []
    ibkr.clock.wait_until(ibkr.clock.now() + timedelta(seconds=31))
    with pytest.raises(BrokerUnavailable, match="does not tell the cost of execution"):
        broker.fills_since(0)
    ibkr.trade("ALFA", "5")
    assert [f.quantity for f in broker.fills_since(0)] == [5]  # what is known is told all the same


def test_an_execution_by_hand_whose_cost_is_not_told_to_us_holds_up_nothing(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    by_hand = ibkr.books.by_ref("one")
    by_hand.client_id, by_hand.ref, by_hand.order_id = 0, "", 0
    ibkr.books.fills[0].cost_told = False
    began = time.monotonic()
    assert list(ibkr.broker.fills_since(0)) == []
    ibkr.clock.wait_until(ibkr.clock.now() + timedelta(seconds=31))
    assert list(ibkr.broker.fills_since(0)) == []
    assert time.monotonic() - began < 0.5
    assert [p.quantity for p in ibkr.broker.positions()] == [10]


def test_a_corrected_execution_is_not_booked_twice(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    (first,) = ibkr.broker.fills_since(0)
    ibkr.books.correct(ibkr.books.fills[0], "100.05")
    assert list(ibkr.broker.fills_since(0)) == [first]
    (fault,) = ibkr.broker.self_check()
    assert "10 at 100.02 is now 10 at 100.05" in fault
    (again,) = ibkr.again().fills_since(0)
    assert (again.execution_id, again.price) == (first.execution_id, D("100.05"))


def test_executions_of_another_account_are_not_ours(ibkr: Any) -> None:
    ibkr.buy("one", "10")
    ibkr.books.by_ref("one").account = "DU7654321"
    assert list(ibkr.broker.fills_since(0)) == []
    assert ibkr.broker.order("one") is None


# --- the account ------------------------------------------------------------------------------


def test_another_account_than_the_expected_one_ends_everything(ibkr: Any) -> None:
    ibkr.gateway.account = "DU7654321"
    with pytest.raises(KeysRefused, match="another account"):
        ibkr.broker.positions()
    assert ibkr.gateway.asked == []


def test_a_port_for_paper_with_an_account_of_real_money_is_a_fault(ibkr: Any) -> None:
    ibkr.broker = ibkr.again(replace(ibkr.access, paper=False))
    (fault,) = ibkr.broker.self_check()
    assert "is for real money, and the account of IBKR_ACCOUNT is not" in fault


def test_other_currencies_in_the_account_are_a_fault(ibkr: Any) -> None:
    ibkr.gateway.foreign_cash = {"EUR": "5.00", "CHF": "0.00"}
    assert list(ibkr.broker.self_check()) == [
        "The account holds EUR, too; only USD is known here."
    ]  # fmt: skip
    assert ibkr.broker.account().cash == 100_000
    ibkr.gateway.foreign_cash, ibkr.gateway.base = {}, "EUR"
    (fault,) = ibkr.broker.self_check()
    assert "base currency is EUR" in fault
