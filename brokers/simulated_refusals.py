"""What the simulated broker refuses about a request itself, whatever the account holds.

Each check hands back the number in the file's units or raises OrderRefused. The checks that need
the account, the hours or the market are in ``simulated``.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from fractions import Fraction

from aggregates.errors import InexactNumber
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, to_scaled
from brokers.port import OrderRefused, OrderRequest

_LARGEST = 2**63 - 1  # what an integer column holds


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


def draws_refusal(seed: int, share: Decimal, client_order_id: str) -> bool:
    """Whether this order is one of the ``share`` that is refused at random; 0 refuses none.

    Follows from the seed and the id alone: asked again, after a restart too, it draws the same.
    """
    digest = hashlib.sha256(f"{seed}\n{client_order_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < Fraction(share) * 2**64
