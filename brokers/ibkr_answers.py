"""What an order is at Interactive Brokers, and what its status means. Pure.

https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/#order-status-message
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from ib_async.order import Order

from aggregates.money import plain
from aggregates.order_messages import OrderType
from brokers.ibkr_symbols import symbol_of
from brokers.ibkr_told import OpenOrder, Unreadable
from brokers.port import BrokerOrder, BrokerState, OrderRefused, OrderRequest
from brokers.request_checks import check_terms

_FINAL: Mapping[str, BrokerState] = {
    "Filled": "filled",
    "Cancelled": "cancelled",
    "ApiCancelled": "cancelled",
}
PENDING = frozenset({"PendingSubmit", "ApiPending"})  # it is not known yet what becomes of it
_TYPES: Mapping[str, OrderType] = {"MKT": "market", "LMT": "limit", "STP": "stop"}
_WIRE_TYPES = {name: wire for wire, name in _TYPES.items()}


def state(status: str, quantity: Decimal, filled: Decimal, *, completed: bool) -> BrokerState:
    """A status that is new to us counts as open: the order stays watched. Inactive is a rejection
    only among the completed orders: listed as open, an inactive order may come alive again."""
    if quantity and filled >= quantity:
        return "filled"
    if completed and status == "Inactive":
        return "rejected"
    if found := _FINAL.get(status):
        return found
    if completed:
        raise Unreadable("status of a completed order")
    return "partially_filled" if filled else "accepted"


def broker_order(
    found: OpenOrder, status: str, filled: Decimal, submitted: datetime, updated: datetime,
    *, completed: bool,
) -> BrokerOrder:  # fmt: skip
    """IBKR tells no time of an open order: both times are the caller's."""
    order = found.order
    if order.action not in ("BUY", "SELL"):
        raise Unreadable("side of an order")
    # of a completed order the total may be left out: then its status alone tells how it ended
    total = decimal_of(order.totalQuantity)
    quantity, now = max(total, filled), state(status, total, filled, completed=completed)
    rejected = now == "rejected"
    return BrokerOrder(
        client_order_id=order.orderRef or f"ibkr-{order.permId}",
        broker_order_id=str(order.permId),
        symbol=symbol_of(found.contract),
        side="buy" if order.action == "BUY" else "sell",
        order_type=_order_type(order),
        quantity=quantity,
        filled_quantity=filled,
        state=now,
        error_code="rejected" if rejected else "",
        reason=found.state.completedStatus[:300] or "rejected by IBKR" if rejected else "",
        submitted_at=submitted,
        updated_at=updated,
    )


def _order_type(order: Order) -> OrderType | Literal["other"]:
    return _TYPES.get(order.orderType, "other")


def decimal_of(value: Any) -> Decimal:
    """A number as ``ibkr_wire`` reads it; one that was not sent, a default of the library, is 0."""
    return plain(value) if isinstance(value, Decimal) and value < 10**24 else Decimal(0)


def wire_order(request: OrderRequest, account: str) -> Order:
    """A day order in regular hours. Raises OrderRefused before anything is sent."""
    check_terms(request)
    if request.quantity != int(request.quantity):
        raise OrderRefused("not_fractionable", "IBKR takes orders for whole units only by its API.")
    order = Order(
        action=request.side.upper(), orderType=_WIRE_TYPES[request.order_type], tif="DAY",
        orderRef=request.client_order_id, account=account,
    )  # fmt: skip
    order.totalQuantity = plain(request.quantity)  # type: ignore[assignment] # as text, exactly
    if request.limit_price is not None:
        order.lmtPrice = plain(request.limit_price)
    if request.stop_price is not None:
        order.auxPrice = plain(request.stop_price)
    return order
