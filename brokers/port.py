"""The port: what the supervisor may ask of a broker. Every adapter passes the same suite.

Errors of an order tell three cases apart: the broker refused (``OrderRefused``), it has the order
already (``DuplicateOrder``), or nobody knows (``OutcomeUnknown``): ask again by client order id.
Asking raises ``BrokerUnavailable`` when there was no answer that can be believed: never an empty
list in its place. Keys that are refused raise ``KeysRefused`` from whatever was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from aggregates.errors import TradeBotError
from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from aggregates.order_messages import OrderType, Side
from config.calendar import SessionHours

BrokerState = Literal["accepted", "partially_filled", "filled", "cancelled", "rejected", "expired"]
ActivityKind = Literal[
    "dividend", "withholding", "interest", "fee", "transfer", "corporate_action",
    "option_expiry", "option_exercise", "other",
]  # fmt: skip
MAX_SKEW = timedelta(seconds=5)


class BrokerError(TradeBotError):
    """Something between us and the broker."""


class OrderRefused(BrokerError):
    """The broker said no; no order exists there.

    ``error_code`` is one of unknown_symbol, not_tradable, not_fractionable, invalid_quantity,
    invalid_price, insufficient_cash, short_sale, market_closed, rate_limited, account_blocked, or
    the adapter's own.
    """

    def __init__(self, error_code: str, reason: str) -> None:
        super().__init__(f"{error_code}: {reason}")
        self.error_code, self.reason = error_code, reason


class DuplicateOrder(BrokerError):
    """The client order id is known there: the order exists, ask for it."""


class OutcomeUnknown(BrokerError):
    """The request may or may not have arrived. Never send again; ask by client order id."""


class BrokerUnavailable(BrokerError):
    """No answer that can be believed, tried as often as allowed. Nothing is known; ask later."""


class KeysRefused(BrokerError):
    """The broker does not accept the keys: nothing more can be done there, shut down."""


class ApiAction(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it went, for the log: never a key, never what was sent or answered.

    ``at`` is when it was sent, UTC; ``endpoint`` the path without its query; ``outcome`` the HTTP
    status or the failure in words.
    """

    at: datetime
    broker: str
    method: str
    endpoint: str
    outcome: str
    duration_ms: int


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker can do. ``quantity_step`` is the smallest fraction of a share (options are
    traded in whole contracts, bought to open and sold to close only),
    ``bars_after`` how long after its minute a bar is there at the latest, as a rule, and
    ``requests_per_minute`` how many it takes; None: it does not count them."""

    name: str
    fractional: bool
    quantity_step: Decimal
    order_types: frozenset[OrderType]
    long_equity: bool
    inverse_etf: bool
    long_put: bool
    simulated: bool
    bars_after: timedelta = timedelta(0)
    requests_per_minute: int | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    cash: Decimal


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True):
    symbol: str
    quantity: Decimal


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol as the broker knows it. ``halted`` is None where the broker does not tell."""

    symbol: str
    tradable: bool
    fractionable: bool
    halted: bool | None


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A day order. ``client_order_id`` is never empty and at most 48 characters long."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class BrokerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the broker has it, one that was placed elsewhere included.

    Such a one may be of the type ``other``; placed by amount, its quantity is what is filled.
    """

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    order_type: OrderType | Literal["other"]
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


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What moved cash or shares without an order. ``code`` is the broker's own word for it.

    An ``option_expiry`` takes ``quantity`` contracts (below 0) away for nothing.

    ``net_amount`` is the signed change of cash; ``quantity`` the signed change of shares, or the
    shares that a dividend was paid on. A ``cancelled`` one was taken back by the broker.
    """

    activity_id: str
    kind: ActivityKind
    code: str
    day: date
    symbol: str
    quantity: Decimal | None
    net_amount: Decimal | None
    description: str
    cancelled: bool


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker told by itself since the last look.

    ``ask``: something may have been missed (or this broker tells nothing by itself), so orders
    and fills must be asked for. Fills are always asked for; a change of an order is the occasion.
    """

    orders: tuple[BrokerOrder, ...]
    ask: bool


class SessionCalendar(Protocol):
    """What brokers need of ``config.calendar.TradingCalendar``."""

    def session(self, day: date) -> SessionHours | None: ...

    def settles_on(self, day: date) -> date: ...


class Broker(Protocol):
    """Everything is synchronous and bounded in time; lists are complete or an error is raised."""

    @property
    def capabilities(self) -> Capabilities: ...

    def self_check(self) -> Sequence[str]:
        """Faults that forbid trading, in words; empty when all is well. Raises KeysRefused.

        A clock that differs from the broker's by more than ``MAX_SKEW`` is a fault.
        """

    def clock(self) -> datetime:
        """The broker's own time, UTC."""

    def account(self) -> Account: ...

    def asset(self, symbol: str) -> Asset | None:
        """What the broker says of a symbol, or None when it surely knows none."""

    def positions(self) -> Sequence[BrokerPosition]:
        """Everything held; empty only when the broker said that nothing is."""

    def open_orders(self) -> Sequence[BrokerOrder]: ...

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """The order under this id, or None when the broker surely has none.

        Raises OutcomeUnknown while a request that was sent may still arrive.
        """

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        """Executions with a greater sequence, in order; each execution id once."""

    def activities(self, first: date) -> Sequence[Activity]:
        """Dividends, fees, transfers and the like from that day on, in order of their day."""

    def news(self) -> News:
        """What came in since the last look; does not wait."""

    def submit(self, request: OrderRequest) -> BrokerOrder: ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for cancellation; read the outcome from ``order``. Unknown ids raise BrokerError.

        Raises OutcomeUnknown where it may not have arrived: asking again does no harm.
        """

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote known now, or None."""

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        """Complete one-minute bars with ``start <= bar.start`` and ``bar.end <= min(end, now)``."""

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Puts on it that expire from ``first`` to ``last``, with their quotes as they are now, by
        expiry and strike. Empty when there surely are none, or where ``long_put`` is not offered.
        """

    def index(self, symbol: str) -> IndexLevel | None:
        """The newest level of an index such as VIX, or None where the broker has none."""
