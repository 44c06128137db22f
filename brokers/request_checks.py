"""What every broker refuses about a request itself, whatever the account holds.

Each check raises OrderRefused before anything is sent. The checks that need the account, the hours
or the market are the broker's.
"""

from __future__ import annotations

from decimal import Decimal

from aggregates.errors import InexactNumber
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, to_scaled
from brokers.port import OrderRefused, OrderRequest

LONGEST_ID = 48  # of the port
_LARGEST = 2**63 - 1  # what an integer column holds


def check_terms(request: OrderRequest) -> None:
    """Id, quantity and prices."""
    check_id(request)
    quantity_units(request)
    price_units(request, "limit", request.limit_price)
    price_units(request, "stop", request.stop_price)


def check_id(request: OrderRequest) -> None:
    if not 0 < len(request.client_order_id) <= LONGEST_ID:
        raise OrderRefused(
            "invalid_id", f"The client order id must have 1 to {LONGEST_ID} characters."
        )


def quantity_units(request: OrderRequest) -> int:
    """The quantity in 1e-9 shares: above zero, not finer than that."""
    try:
        units = to_scaled(request.quantity, QUANTITY_SCALE, "quantity")
    except InexactNumber as e:
        raise OrderRefused("invalid_quantity", str(e)) from e
    if not 0 < units <= _LARGEST:
        raise OrderRefused(
            "invalid_quantity", f"Quantity {request.quantity} is not above 0 or is too large."
        )
    return units


def price_units(request: OrderRequest, order_type: str, price: Decimal | None) -> int | None:
    """A limit order has a limit price, a stop order a stop price, no other order has either."""
    if (price is None) == (request.order_type == order_type):
        raise OrderRefused(
            "invalid_price", f"A {order_type} price belongs to {order_type} orders only."
        )
    if price is None:
        return None
    try:
        units = to_scaled(price, PRICE_SCALE, "price")
    except InexactNumber as e:
        raise OrderRefused("invalid_price", str(e)) from e
    if not 0 < units <= _LARGEST:
        raise OrderRefused("invalid_price", f"{price} is not above 0 or is too large.")
    return units
