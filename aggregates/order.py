"""Orders: intended → submitted → accepted → filled in parts / cancelled / rejected / expired.

An unclear answer from the broker is a state of its own (``unknown``), resolved by asking, never by
sending again. Every order belongs to one sleeve: ``trading`` or ``holdings``.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Literal

from aggregates.base import Aggregate, Event, check, check_utc, record
from aggregates.money import Price, Quantity, exact_decimal, plain
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

State = Literal[
    "new", "intended", "submitted", "accepted", "unknown", "filled", "cancelled", "rejected",
    "expired",
]  # fmt: skip
FINAL: frozenset[State] = frozenset({"filled", "cancelled", "rejected", "expired"})


def order_stream(order_id: str) -> str:
    return f"order-{order_id}"


def client_order_id(bot_identity: str, order_id: str) -> str:
    """Follows from the intent alone; 36 characters, below every broker's limit (48 at Alpaca)."""
    digest = hashlib.sha256(f"{bot_identity}\n{order_id}".encode()).hexdigest()
    return f"tb1-{digest[:32]}"


def check_covered(c: IntendOrder) -> None:
    """Never a short sale (M11): a sell states what its sleeve holds, and does not exceed it."""
    check(
        c.held is not None,
        f"Order {c.order_id} would sell {c.symbol} and does not say how much of it is held. "
        "Nothing was intended; there are no short sales.",
    )
    assert c.held is not None  # noqa: S101 - for the type checker; check raised above
    check(
        Quantity.of(c.quantity) <= Quantity.of(c.held),
        f"Order {c.order_id} would sell {plain(c.quantity):f} {c.symbol}, and the {c.sleeve} "
        f"sleeve holds {plain(c.held):f}. Nothing was intended; there are no short sales.",
    )


class Order(Aggregate):
    """The life of one order. Fills count by execution id, so a repeated report changes nothing."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: State = "new"
        self.intent: OrderIntended | None = None
        self.broker_order_id = ""
        self.filled = Quantity(0)
        self.filled_value = Decimal(0)
        self.first_filled_at: datetime | None = None
        self.executions: set[str] = set()
        self.cancel_requested = False
        self.cancel_reason = ""
        self.sent_at: datetime | None = None  # when it was last on its way, as far as is known
        self.reopened = 0  # by fills of what was taken as rejected

    @property
    def terms(self) -> OrderIntended:
        """What was intended; every later step needs it."""
        if self.intent is None:
            check(False, f"{self.id} was never intended; an order begins with its intent on disk.")
        assert self.intent is not None  # noqa: S101 - for the type checker; check raised above
        return self.intent

    @property
    def open_quantity(self) -> Quantity:
        return Quantity.of(self.terms.quantity) - self.filled

    def intend(self, c: IntendOrder) -> None:
        check(self.state == "new", f"Order {c.order_id} was intended already.")
        check_utc(c.at)
        check(Quantity.of(c.quantity).units > 0, f"Order {c.order_id}: quantity must be above 0.")
        check(
            (c.limit_price is not None) == (c.order_type == "limit"),
            f"Order {c.order_id}: a limit price belongs to limit orders, and only to them.",
        )
        check(
            (c.stop_price is not None) == (c.order_type == "stop"),
            f"Order {c.order_id}: a stop price belongs to stop orders, and only to them.",
        )
        for price in (c.limit_price, c.stop_price):
            check(price is None or exact_decimal(price) > 0, "A price is above 0.")
        if c.side == "sell":
            check_covered(c)
        own_id = client_order_id(c.bot_identity, c.order_id)
        self.emit(record(OrderIntended, c, client_order_id=own_id))

    def record_submission(self, c: RecordSubmission) -> None:
        self.check_state("submitted", "intended")
        self.emit(record(OrderSubmitted, c))

    def record_acceptance(self, c: RecordAcceptance) -> None:
        if self.broker_order_id == c.broker_order_id and self.broker_order_id:
            return  # the broker repeated itself
        if self.state not in ("accepted", "filled") or self.broker_order_id:
            self.check_state("accepted", "submitted", "unknown")
        # else a fill came before the acceptance, and only now the broker's own id is known
        self.emit(record(OrderAccepted, c))

    def record_fill(self, c: RecordFill) -> None:
        """A fill is a fact: it is taken in every state but before the intent, also after cancel."""
        if c.execution_id in self.executions:
            return  # the broker repeated itself; the first report stands
        terms = self.terms
        check_utc(c.at)
        quantity = Quantity.of(c.quantity)
        check(quantity.units > 0, f"Fill {c.execution_id}: quantity must be above 0.")
        check(
            Price.of(c.price, c.currency).units >= 0, f"Fill {c.execution_id}: price is negative."
        )
        for amount in (c.commission, c.fees, c.net_amount):
            if amount is not None:
                exact_decimal(amount)  # a float or NaN would be recorded for good
        check(
            quantity <= self.open_quantity,
            f"Fill {c.execution_id} of {quantity} is more than the {self.open_quantity} open on "
            f"order {c.order_id}. Nothing was recorded; compare with the broker's statement.",
        )
        self.emit(
            record(
                OrderFilled,
                c,
                instrument_id=terms.instrument_id,
                symbol=terms.symbol,
                sleeve=terms.sleeve,
                side=terms.side,
                strategy=terms.strategy,
                context=terms.context,
                cumulative_quantity=plain((self.filled + quantity).decimal),
            )
        )

    def request_cancel(self, c: RequestCancel) -> None:
        check(self.state != "new", f"{self.id} was never intended; there is nothing to cancel.")
        if self.state in FINAL or self.cancel_requested:
            return  # nothing is left to cancel
        self.emit(record(OrderCancelRequested, c))

    def record_cancellation(self, c: RecordCancellation) -> None:
        if self.state == "cancelled":
            return
        self.check_state("cancelled", "intended", "submitted", "accepted", "unknown")
        self.emit(record(OrderCancelled, c, unfilled_quantity=plain(self.open_quantity.decimal)))

    def record_rejection(self, c: RecordRejection) -> None:
        self.check_state("rejected", "submitted", "accepted", "unknown")
        self.emit(record(OrderRejected, c))

    def record_expiry(self, c: RecordExpiry) -> None:
        if self.state == "expired":
            return
        self.check_state("expired", "submitted", "accepted", "unknown")
        self.emit(record(OrderExpired, c, unfilled_quantity=plain(self.open_quantity.decimal)))

    def record_unknown_outcome(self, c: RecordUnknownOutcome) -> None:
        self.check_state("unknown", "submitted")
        self.emit(record(OrderOutcomeUnknown, c))

    def check_state(self, wanted: State, *allowed: State) -> None:
        check(
            self.state in allowed,
            f"Order {self.terms.order_id} is {self.state}; it cannot become {wanted}.",
        )

    def apply(self, event: Event) -> None:
        match event:
            case OrderIntended():
                self.intent, self.state = event, "intended"
            case OrderSubmitted():
                self.state, self.sent_at = "submitted", event.occurred_at
            case OrderAccepted():
                self.broker_order_id = event.broker_order_id
                self.state = "filled" if self.state == "filled" else "accepted"
            case OrderFilled():
                self._apply_fill(event)
            case OrderCancelRequested():
                self.cancel_requested, self.cancel_reason = True, event.reason
            case OrderCancelled():
                self.state = "cancelled"
            case OrderRejected():
                self.state = "rejected"
            case OrderExpired():
                self.state = "expired"
            case OrderOutcomeUnknown():
                self.state, self.sent_at = "unknown", event.occurred_at

    def _apply_fill(self, event: OrderFilled) -> None:
        self.executions.add(event.execution_id)
        self.filled = self.filled + Quantity.of(event.quantity)
        self.filled_value += event.quantity * event.price
        self.first_filled_at = self.first_filled_at or event.occurred_at
        if not self.open_quantity.units:
            self.state = "filled"
        elif self.state in ("intended", "submitted", "unknown", "rejected"):
            self.reopened += self.state == "rejected"
            self.state = "accepted"  # a fill proves that the broker has the order
