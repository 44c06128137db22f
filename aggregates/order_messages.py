"""What can be asked of an order (commands) and what can happen to it (events)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal

from aggregates.base import Command, Event, topic

Side = Literal["buy", "sell"]
Sleeve = Literal["trading", "holdings"]
OrderType = Literal["market", "limit", "stop"]

# Contexts of orders that are booked after the fact and were never sent: what somebody sold by hand,
# and options that expired for nothing.
BY_HAND, EXPIRED = "correction", "expiry"
NEVER_SENT = frozenset({BY_HAND, EXPIRED})


@topic("Order.Intended")
class OrderIntended(Event, frozen=True, kw_only=True):
    order_id: str
    client_order_id: str
    instrument_id: str
    symbol: str
    sleeve: Sleeve
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    strategy: str
    context: str
    reason: str


@topic("Order.Submitted")
class OrderSubmitted(Event, frozen=True, kw_only=True):
    """The request left for the broker; its answer is not known yet."""

    order_id: str


@topic("Order.Accepted")
class OrderAccepted(Event, frozen=True, kw_only=True):
    order_id: str
    broker_order_id: str


@topic("Order.Filled")
class OrderFilled(Event, frozen=True, kw_only=True):
    """One execution. ``net_amount`` is the cash effect that the broker states, if it states one.

    ``commission`` and ``fees`` may hold fractions of the minor unit; postings round them once.
    ``context`` tags the posting: trading, top-up, tax-reserve, reinvestment, rebalance, …
    An option that expired is a fill at 0 with the context expiry.
    """

    order_id: str
    execution_id: str
    instrument_id: str
    symbol: str
    sleeve: Sleeve
    side: Side
    quantity: Decimal
    price: Decimal
    currency: str
    commission: Decimal
    fees: Decimal
    net_amount: Decimal | None
    settles_on: date
    strategy: str
    context: str
    cumulative_quantity: Decimal


@topic("Order.CancelRequested")
class OrderCancelRequested(Event, frozen=True, kw_only=True):
    order_id: str
    reason: str


@topic("Order.Cancelled")
class OrderCancelled(Event, frozen=True, kw_only=True):
    order_id: str
    unfilled_quantity: Decimal
    reason: str


@topic("Order.Rejected")
class OrderRejected(Event, frozen=True, kw_only=True):
    order_id: str
    error_code: str
    reason: str


@topic("Order.Expired")
class OrderExpired(Event, frozen=True, kw_only=True):
    order_id: str
    unfilled_quantity: Decimal


@topic("Order.OutcomeUnknown")
class OrderOutcomeUnknown(Event, frozen=True, kw_only=True):
    order_id: str
    reason: str


class IntendOrder(Command, frozen=True, kw_only=True):
    """``held`` is what the sleeve holds of the instrument, by the books: a sell must state it and
    may not exceed it, so that nothing is ever sold short. It is of the moment, not of the order."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "held"})

    order_id: str
    bot_identity: str
    instrument_id: str
    symbol: str
    sleeve: Sleeve
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    strategy: str
    context: str = "trading"
    reason: str
    held: Decimal | None = None


class RecordSubmission(Command, frozen=True, kw_only=True):
    order_id: str


class RecordAcceptance(Command, frozen=True, kw_only=True):
    order_id: str
    broker_order_id: str


class RecordFill(Command, frozen=True, kw_only=True):
    order_id: str
    execution_id: str
    quantity: Decimal
    price: Decimal
    currency: str
    commission: Decimal
    fees: Decimal
    net_amount: Decimal | None
    settles_on: date


class RequestCancel(Command, frozen=True, kw_only=True):
    order_id: str
    reason: str


class RecordCancellation(Command, frozen=True, kw_only=True):
    order_id: str
    reason: str


class RecordRejection(Command, frozen=True, kw_only=True):
    order_id: str
    error_code: str
    reason: str


class RecordExpiry(Command, frozen=True, kw_only=True):
    order_id: str


class RecordUnknownOutcome(Command, frozen=True, kw_only=True):
    order_id: str
    reason: str
