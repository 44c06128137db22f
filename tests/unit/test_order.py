"""The life of an order: what may follow what, and what a broker's odd reports change."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from aggregates.base import Event
from aggregates.errors import DomainError
from aggregates.order import FINAL, Order, client_order_id, order_stream
from aggregates.order_messages import (
    IntendOrder,
    OrderAccepted,
    OrderCancelled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderOutcomeUnknown,
    OrderRejected,
    OrderSubmitted,
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
    RequestCancel,
)
from eventstore.codec import command_content

D = Decimal
AT = datetime(2013, 10, 7, 14, 0, tzinfo=UTC)
DAY = date(2013, 10, 7)
WHEN: dict[str, Any] = {"at": AT, "effective_date": DAY, "order_id": "o1"}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": DAY, "order_id": "o1"}

INTEND = IntendOrder(
    **WHEN,
    bot_identity="DEMO_USA_SIM_01",
    instrument_id="XNYS:SPY",
    symbol="SPY",
    sleeve="trading",
    side="buy",
    order_type="market",
    quantity=D(10),
    strategy="OPEN",
    reason="breakout",
)
SUBMIT = RecordSubmission(**WHEN)
ACCEPT = RecordAcceptance(**WHEN, broker_order_id="b-7")
UNKNOWN = RecordUnknownOutcome(**WHEN, reason="time-out")
REQUEST_CANCEL = RequestCancel(**WHEN, reason="stop")
CANCEL = RecordCancellation(**WHEN, reason="asked")
REJECT = RecordRejection(**WHEN, error_code="NO_FUNDS", reason="no funds")
EXPIRE = RecordExpiry(**WHEN)


def fill(execution: str = "e1", quantity: str = "10", **more: Any) -> RecordFill:
    fields = {
        "quantity": D(quantity), "price": D("100.25"), "currency": "USD", "commission": D("0.35"),
        "fees": D("0.0123"), "net_amount": None, "settles_on": date(2013, 10, 10),
    }  # fmt: skip
    return RecordFill(**WHEN, execution_id=execution, **(fields | more))


def filled(quantity: str, cumulative: str, execution: str = "e1", **more: Any) -> OrderFilled:
    fields = {
        "execution_id": execution, "instrument_id": "XNYS:SPY", "symbol": "SPY",
        "sleeve": "trading", "side": "buy", "quantity": D(quantity), "price": D("100.25"),
        "currency": "USD", "commission": D("0.35"), "fees": D("0.0123"), "net_amount": None,
        "settles_on": date(2013, 10, 10), "strategy": "OPEN", "context": "trading",
        "cumulative_quantity": D(cumulative),
    }  # fmt: skip
    return OrderFilled(**THEN, **(fields | more))


INTENDED = OrderIntended(
    **THEN,
    client_order_id=client_order_id("DEMO_USA_SIM_01", "o1"),
    instrument_id="XNYS:SPY",
    symbol="SPY",
    sleeve="trading",
    side="buy",
    order_type="market",
    quantity=D(10),
    limit_price=None,
    stop_price=None,
    strategy="OPEN",
    context="trading",
    reason="breakout",
)
SUBMITTED = OrderSubmitted(**THEN)
ACCEPTED = OrderAccepted(**THEN, broker_order_id="b-7")
LOST = OrderOutcomeUnknown(**THEN, reason="time-out")
CANCELLED = OrderCancelled(**THEN, unfilled_quantity=D(10), reason="asked")
REJECTED = OrderRejected(**THEN, error_code="NO_FUNDS", reason="no funds")
EXPIRED = OrderExpired(**THEN, unfilled_quantity=D(10))

# How each state is reached.
PAST: dict[str, tuple[Event, ...]] = {
    "new": (),
    "intended": (INTENDED,),
    "submitted": (INTENDED, SUBMITTED),
    "accepted": (INTENDED, SUBMITTED, ACCEPTED),
    "unknown": (INTENDED, SUBMITTED, LOST),
    "filled": (INTENDED, SUBMITTED, ACCEPTED, filled("10", "10", "e0")),
    "cancelled": (INTENDED, SUBMITTED, ACCEPTED, CANCELLED),
    "rejected": (INTENDED, SUBMITTED, REJECTED),
    "expired": (INTENDED, SUBMITTED, ACCEPTED, EXPIRED),
}
STEPS: dict[str, tuple[Callable[[Order, Any], None], Any]] = {
    "intend": (Order.intend, INTEND),
    "submit": (Order.record_submission, SUBMIT),
    "accept": (Order.record_acceptance, ACCEPT),
    "fill": (Order.record_fill, fill()),
    "part": (Order.record_fill, fill(quantity="4")),
    "unknown": (Order.record_unknown_outcome, UNKNOWN),
    "request": (Order.request_cancel, REQUEST_CANCEL),
    "cancel": (Order.record_cancellation, CANCEL),
    "reject": (Order.record_rejection, REJECT),
    "expire": (Order.record_expiry, EXPIRE),
}
# State by step: the state that follows; "no": refused; "=": nothing new and nothing wrong;
# "ask": the request is recorded, and the state waits for the broker's word.
TABLE = """
            intend    submit    accept   fill   part      unknown request cancel    reject   expire
new         intended  no        no       no     no        no      no      no        no       no
intended    no        submitted no       filled accepted  no      ask     cancelled no       no
submitted   no        no        accepted filled accepted  unknown ask     cancelled rejected expired
accepted    no        no        =        filled accepted  no      ask     cancelled rejected expired
unknown     no        no        accepted filled accepted  no      ask     cancelled rejected expired
filled      no        no        =        no     no        no      =       no        no       no
cancelled   no        no        =        filled cancelled no      =       =         no       no
rejected    no        no        no       filled accepted  no      =       no        no       no
expired     no        no        =        filled expired   no      =       no        no       =
"""


def transitions() -> list[tuple[str, str, str]]:
    head, *rows = TABLE.strip().splitlines()
    names = head.split()
    found = [(r.split()[0], n, w) for r in rows for n, w in zip(names, r.split()[1:], strict=True)]
    assert len(found) == len(PAST) * len(STEPS)
    return found


@pytest.mark.parametrize(("state", "step", "follows"), transitions())
def test_every_step_in_every_state(given: Any, state: str, step: str, follows: str) -> None:
    order = Order(order_stream("o1"))
    case = given(order, *PAST[state])
    assert order.state == state
    case.when(*STEPS[step])
    match follows:
        case "no":
            case.refused()
            assert order.state == state
        case "=":
            case.then()
            assert order.state == state
        case "ask":
            assert isinstance(case.event, OrderCancelRequested)
            assert order.state == state
        case _:
            assert case.event is not None
            assert order.state == follows


def test_a_refusal_says_what_the_order_is(given: Any) -> None:
    case = given(Order("order-o1"), *PAST["filled"])
    case.when(Order.record_cancellation, CANCEL).refused("o1 is filled", "cannot become cancelled")
    given(Order("order-o2")).when(Order.record_fill, fill()).refused("never intended")
    given(Order("order-o1"), INTENDED).when(Order.intend, INTEND).refused("intended already")


def test_the_whole_life_in_events(given: Any) -> None:
    case = given(Order(order_stream("o1")))
    case.when(Order.intend, INTEND).then(INTENDED)
    case.when(Order.record_submission, SUBMIT).then(SUBMITTED)
    case.when(Order.record_acceptance, ACCEPT).then(ACCEPTED)
    case.when(Order.record_fill, fill("e1", "4")).then(filled("4", "4", "e1"))
    case.when(Order.record_fill, fill("e2", "6.0")).then(filled("6.0", "10", "e2"))
    order = case.aggregate
    assert order.state == "filled"
    assert order.filled_value == D("1002.50")
    assert order.open_quantity.units == 0
    assert order.broker_order_id == "b-7"


# Names


def test_the_client_order_id_follows_from_the_intent_alone() -> None:
    """Asked again after a crash it is the same; another bot or order never shares it."""
    first = client_order_id("DEMO_USA_SIM_01", "o1")
    assert first == client_order_id("DEMO_USA_SIM_01", "o1")
    assert len(first) == 36
    others = {client_order_id("DEMO_USA_SIM_02", "o1"), client_order_id("DEMO_USA_SIM_01", "o2")}
    assert len(others | {first}) == 3
    # pinned: a changed derivation would send every open order again under a new name
    assert client_order_id("X", "y") == "tb1-f6b66878106f6470ec059b3e5160bffb"


# Fills as brokers report them


def test_a_repeated_execution_counts_once(given: Any) -> None:
    case = given(Order("order-o1"), *PAST["accepted"])
    case.when(Order.record_fill, fill("e1", "4"), fill("e1", "4"), fill("e1", "5"))
    case.then(filled("4", "4", "e1"))
    case.when(Order.record_fill, fill("e1", "4")).then()
    assert case.aggregate.filled.decimal == 4


def test_more_than_ordered_is_refused_and_says_by_how_much(given: Any) -> None:
    case = given(Order("order-o1"), *PAST["accepted"], filled("4", "4", "e0"))
    case.when(Order.record_fill, fill("e1", "6.000000001"))
    case.refused("6.000000001 is more than the 6 open", "Nothing was recorded", "statement")


def test_a_fill_may_come_after_the_cancellation(given: Any) -> None:
    """The broker filled before it cancelled: the shares are ours, whatever the order is called."""
    case = given(Order("order-o1"), *PAST["cancelled"])
    case.when(Order.record_fill, fill("e1", "4")).then(filled("4", "4"))
    assert case.aggregate.state == "cancelled"
    case.when(Order.record_cancellation, CANCEL).then()


def test_a_fill_may_come_before_the_acceptance(given: Any) -> None:
    """The acceptance is still news afterwards: only it carries the broker's own order id."""
    for quantity, state in (("4", "accepted"), ("10", "filled")):
        case = given(Order("order-o1"), *PAST["submitted"])
        case.when(Order.record_fill, fill("e1", quantity))
        assert case.aggregate.state == state
        case.when(Order.record_acceptance, ACCEPT).then(ACCEPTED)
        assert (case.aggregate.state, case.aggregate.broker_order_id) == (state, "b-7")
        case.when(Order.record_acceptance, ACCEPT).then()


def test_the_broker_cannot_accept_one_order_under_two_ids(given: Any) -> None:
    case = given(Order("order-o1"), *PAST["accepted"])
    other = msgspec.structs.replace(ACCEPT, broker_order_id="b-8")
    case.when(Order.record_acceptance, other).refused("is accepted")


def test_an_unknown_outcome_is_resolved_by_what_the_broker_says(given: Any) -> None:
    for step, follows in (
        ("accept", "accepted"), ("part", "accepted"), ("fill", "filled"), ("reject", "rejected"),
        ("cancel", "cancelled"), ("expire", "expired"),
    ):  # fmt: skip
        case = given(Order("order-o1"), *PAST["unknown"]).when(*STEPS[step])
        assert case.aggregate.state == follows
    # never by sending again
    given(Order("order-o1"), *PAST["unknown"]).when(Order.record_submission, SUBMIT).refused()


def test_what_is_left_open_is_stated_when_an_order_ends(given: Any) -> None:
    for decide, command in ((Order.record_cancellation, CANCEL), (Order.record_expiry, EXPIRE)):
        case = given(Order("order-o1"), *PAST["accepted"], filled("4", "4", "e0"))
        assert case.when(decide, command).event.unfilled_quantity == D(6)


def test_a_cancel_is_asked_for_once(given: Any) -> None:
    case = given(Order("order-o1"), *PAST["accepted"])
    case.when(Order.request_cancel, REQUEST_CANCEL, REQUEST_CANCEL)
    case.then(OrderCancelRequested(**THEN, reason="stop"))
    case.when(Order.request_cancel, REQUEST_CANCEL).then()


# What must never be recorded, as an event stays for good


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": D(0)}, "quantity must be above 0"),
        ({"quantity": D(-1)}, "quantity must be above 0"),
        ({"quantity": D("0.0000000001")}, "more decimals"),
        ({"quantity": 1.5}, "float"),
        ({"price": D("-0.01")}, "price is negative"),
        ({"price": D("NaN")}, "finite"),
        ({"price": 100.25}, "float"),
        # the ledger holds six decimals: a recorded seventh would stop it for good
        ({"price": D("100.1234567")}, "more decimals"),
        ({"commission": 0.35}, "float"),
        ({"commission": D("NaN")}, "finite"),
        ({"fees": D("Infinity")}, "finite"),
        ({"net_amount": 0.0}, "float"),
        ({"net_amount": D("NaN")}, "finite"),
        ({"currency": "usd"}, "ISO 4217"),
    ],
)
def test_a_fill_that_could_not_be_posted_is_refused(
    given: Any, change: dict[str, Any], words: str
) -> None:
    command = msgspec.structs.replace(fill(), **change)
    given(Order("order-o1"), *PAST["accepted"]).when(Order.record_fill, command).refused(words)


def test_fractions_of_a_cent_and_rebates_are_facts(given: Any) -> None:
    command = fill(commission=D("-0.002"), fees=D("0.00000001"), net_amount=D("-1002.4980"))
    event = given(Order("order-o1"), *PAST["accepted"]).when(Order.record_fill, command).event
    assert (event.commission, event.net_amount) == (D("-0.002"), D("-1002.4980"))
    assert str(event.net_amount) == "-1002.4980"  # the broker's own decimals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": D(0)}, "quantity must be above 0"),
        ({"quantity": D("-1")}, "quantity must be above 0"),
        ({"quantity": D("1.0000000001")}, "more decimals"),
        ({"quantity": 10.0}, "float"),
        ({"order_type": "limit"}, "limit price"),
        ({"limit_price": D(1)}, "limit price"),
        ({"order_type": "stop"}, "stop price"),
        ({"stop_price": D(1)}, "stop price"),
        ({"order_type": "limit", "limit_price": D(0)}, "above 0"),
        ({"order_type": "stop", "stop_price": D("NaN")}, "finite"),
        ({"order_type": "stop", "stop_price": 1.0}, "float"),
        ({"at": AT.replace(tzinfo=None)}, "not UTC"),
        ({"at": AT.astimezone(timezone(timedelta(hours=-4)))}, "not UTC"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    given: Any, change: dict[str, Any], words: str
) -> None:
    command = msgspec.structs.replace(INTEND, **change)
    given(Order("order-o1")).when(Order.intend, command).refused(words)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (None, "does not say how much of it is held"), (D(0), "sleeve holds 0"),
        (D("9.999999999"), "would sell 10 SPY, and the trading sleeve holds 9.999999999"),
        (D(-10), "sleeve holds -10"),
    ],
)  # fmt: skip
def test_nothing_is_sold_short(given: Any, held: Decimal | None, words: str) -> None:
    """The sleeve must hold what is sold, to the last unit (M11)."""
    sell = msgspec.structs.replace(INTEND, side="sell", held=held)
    given(Order("order-o1")).when(Order.intend, sell).refused(
        words, "Nothing was intended", "no short sales"
    )


@pytest.mark.parametrize("held", ["10", "10.000000001", "500"])
def test_what_is_held_can_be_sold_and_the_event_says_nothing_of_it(given: Any, held: str) -> None:
    sell = msgspec.structs.replace(INTEND, side="sell", held=D(held))
    sold = given(Order("order-o1")).when(Order.intend, sell).event
    assert (sold.side, sold.quantity) == ("sell", D(10))
    assert "held" not in sold.__struct_fields__
    later = msgspec.structs.replace(sell, held=D(11))  # asked again, it is the same command
    assert command_content(later) == command_content(sell)


def test_limit_and_stop_orders_carry_their_price(given: Any) -> None:
    for kind in ("limit", "stop"):
        change: dict[str, Any] = {"order_type": kind, f"{kind}_price": D("99.5")}
        command = msgspec.structs.replace(INTEND, **change)
        event = given(Order("order-o1")).when(Order.intend, command).event
        assert event == msgspec.structs.replace(INTENDED, **change)


# Folding cannot fail


ODD = st.lists(
    st.sampled_from(
        [SUBMITTED, ACCEPTED, LOST, CANCELLED, REJECTED, EXPIRED,
         OrderCancelRequested(**THEN, reason="stop"), filled("4", "4", "e1"),
         filled("4", "8", "e2"), filled("10", "10", "e3"), INTENDED]
    ),
    max_size=12,
)  # fmt: skip


@hypothesis_given(ODD)
def test_applying_never_raises_whatever_followed_the_intent(events: list[Event]) -> None:
    """Also what no broker should say: history is folded, judged only when something is asked."""
    order = Order("order-o1")
    for event in (INTENDED, *events):
        order.fold(event)
    assert order.version == len(events) + 1
    assert order.filled.units == 10**9 * sum(
        int(e.quantity) for e in events if isinstance(e, OrderFilled)
    )


@hypothesis_given(st.lists(st.sampled_from(sorted(STEPS)), max_size=14), st.integers(1, 10))
def test_an_order_never_fills_more_than_its_quantity_nor_leaves_a_final_state(
    steps: list[str], part: int
) -> None:
    """Whatever is reported in whatever order: refusals change nothing, and the fold agrees."""
    order, number = Order("order-o1"), 0
    order.intend(INTEND)
    history = [new.event for new in order.collect_events()]
    for step in steps:
        decide, command = STEPS[step]
        if step in ("fill", "part"):
            number += 1
            command = fill(f"e{number}", str(part))
        before = order.state
        try:
            decide(order, msgspec.structs.replace(command, at=AT + timedelta(seconds=number)))
        except DomainError:
            assert order.state == before
        history += [new.event for new in order.collect_events()]
        assert 0 <= order.filled.units <= 10 * 10**9
        reopened = before == "rejected" and step in ("fill", "part")  # the broker has it after all
        assert before not in FINAL or order.state in (before, "filled") or reopened
        assert (order.open_quantity.units == 0) == (order.state == "filled")
    again = Order("order-o1")
    for event in history:
        again.fold(event)
    assert vars(again) == vars(order)
