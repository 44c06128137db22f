"""What a gateway of Interactive Brokers can tell: one row for each kind of message."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ib_async.contract import Contract
from ib_async.order import Order, OrderState

NONE = -1  # the number of what belongs to no question


class Unreadable(ValueError):
    """A message that is not what it should be; the text says where, and quotes nothing."""


class Told(NamedTuple):
    """One message. ``number`` is that of the question or order it is about, or NONE."""

    kind: str
    number: int
    row: Any = None


class Error(NamedTuple):
    code: int
    said: str


class OpenOrder(NamedTuple):
    contract: Contract
    order: Order
    state: OrderState


class Status(NamedTuple):
    """How an order stands; of an order by hand ``order_id`` is not above 0."""

    order_id: int
    perm_id: int
    client_id: int
    status: str
    filled: Decimal


class Fill(NamedTuple):
    execution_id: str
    perm_id: int
    client_id: int
    order_id: int
    order_ref: str
    account: str
    contract: Contract
    buys: bool
    quantity: Decimal
    price: Decimal
    executed_at: datetime


class Cost(NamedTuple):
    execution_id: str
    commission: Decimal
    currency: str


class Held(NamedTuple):
    account: str
    contract: Contract
    quantity: Decimal


class AccountValue(NamedTuple):
    account: str
    tag: str
    currency: str
    value: str


class WireBar(NamedTuple):
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Listing(NamedTuple):
    """Expiries and strikes that one exchange lists of one class of options."""

    exchange: str
    trading_class: str
    multiplier: str
    expiries: tuple[date, ...]
    strikes: tuple[Decimal, ...]


class Tick(NamedTuple):
    """``what`` is IBKR's number of the tick: 1 bid, 2 ask, 4 last, 49 halted, 45 last time."""

    what: int
    value: Decimal
    size: Decimal | None = None
