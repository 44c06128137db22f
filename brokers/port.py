"""The port: what the supervisor may ask of a broker. Every adapter passes the same suite.

Errors tell three cases apart: the broker refused (``OrderRefused``), it has the order already
(``DuplicateOrder``), or nobody knows (``OutcomeUnknown``): ask again by client order id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from aggregates.errors import TradeBotError
from aggregates.market import Bar, Quote
from aggregates.order_messages import OrderType, Side

BrokerState = Literal["accepted", "partially_filled", "filled", "cancelled", "rejected", "expired"]


class BrokerError(TradeBotError):
    """Something between us and the broker."""


class OrderRefused(BrokerError):
    """The broker said no; no order exists there."""

    def __init__(self, error_code: str, reason: str) -> None:
        super().__init__(f"{error_code}: {reason}")
        self.error_code, self.reason = error_code, reason


class DuplicateOrder(BrokerError):
    """The client order id is known there: the order exists, ask for it."""


class OutcomeUnknown(BrokerError):
    """The request may or may not have arrived. Never send again; ask by client order id."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker can do. ``quantity_step`` is the smallest fraction of a share."""

    name: str
    fractional: bool
    quantity_step: Decimal
    order_types: frozenset[OrderType]
    long_equity: bool
    inverse_etf: bool
    long_put: bool
    simulated: bool


class Account(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    cash: Decimal


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True):
    symbol: str
    quantity: Decimal


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A day order."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class BrokerOrder(msgspec.Struct, frozen=True, kw_only=True):
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    filled_quantity: Decimal
    state: BrokerState
    error_code: str
    reason: str
    submitted_at: datetime
    updated_at: datetime


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill. ``sequence`` grows by one per execution of the account: the cursor of the feed.

    ``commission`` and ``fees`` are what the broker computes, with fractions of the minor unit;
    ``net_amount`` is the signed change of cash that it states (buy negative), to the minor unit.
    """

    sequence: int
    execution_id: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    currency: str
    commission: Decimal
    fees: Decimal
    net_amount: Decimal | None
    executed_at: datetime
    settles_on: date


class Broker(Protocol):
    """Everything is synchronous and bounded in time; lists are complete or an error is raised."""

    @property
    def capabilities(self) -> Capabilities: ...

    def self_check(self) -> Sequence[str]:
        """Faults that forbid trading, in words; empty when all is well."""

    def clock(self) -> datetime:
        """The broker's own time, UTC."""

    def account(self) -> Account: ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def open_orders(self) -> Sequence[BrokerOrder]: ...

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """The order under this id, or None when the broker surely has none."""

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        """Executions with a greater sequence, in order."""

    def submit(self, request: OrderRequest) -> BrokerOrder: ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for cancellation; read the outcome from ``order``. Unknown ids raise BrokerError."""

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote known now, or None."""

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        """Complete one-minute bars with ``start <= bar.start`` and ``bar.end <= min(end, now)``."""
