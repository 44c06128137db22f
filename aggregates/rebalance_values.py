"""What a rebalance says: securities, orders and what they should bring, and what came of it.

Amounts are exact decimals of the base currency, shares percentages with four decimals. The same
values go to the page, into the request and into the event that reports the result.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from aggregates.order_messages import Side

_ZERO = Decimal(0)


class Purses(msgspec.Struct, frozen=True, kw_only=True):
    """The account's money by what it is kept for: cash, but for the tax vehicle, at cost."""

    float: Decimal
    tax_cash: Decimal
    tax_vehicle: Decimal
    payroll: Decimal
    pool: Decimal


class WeighedSecurity(msgspec.Struct, frozen=True, kw_only=True):
    """One security: what is held of it, and its share of the long-term part before and after.

    Without a price ``price_at``, ``value`` and the shares are None; ``target`` is the plan's.
    """

    symbol: str
    units: Decimal
    cost: Decimal
    price: Decimal | None
    price_at: datetime | None
    value: Decimal | None
    share: Decimal | None
    target: Decimal
    share_after: Decimal | None


class PreviewedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """``value`` is quantity × price, ``costs`` commission and fees, all estimated.

    ``gain`` (sales only) is what the sale realizes after its costs; ``tax`` is its part of what the
    next allocation keeps for taxes of all sales together.
    """

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    value: Decimal
    costs: Decimal
    gain: Decimal | None = None
    tax: Decimal = _ZERO


class LeftAlone(msgspec.Struct, frozen=True, kw_only=True):
    symbol: str
    why: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A rebalance before it is done. ``plan`` is the version of the holdings plan.

    ``after`` includes what the next allocation moves into the tax reserve. ``digest``
    (SHA-256, hex) changes with everything that the preview was made from.
    """

    plan: int
    currency: str
    securities: tuple[WeighedSecurity, ...]
    orders: tuple[PreviewedOrder, ...]
    left: tuple[LeftAlone, ...]
    float_target: Decimal | None
    before: Purses
    after: Purses
    digest: str

    def of(self, side: Side) -> tuple[PreviewedOrder, ...]:
        return tuple(order for order in self.orders if order.side == side)

    @property
    def proceeds(self) -> Decimal:
        """What the sales bring, before costs."""
        return sum((o.value for o in self.of("sell")), _ZERO)

    @property
    def purchases(self) -> Decimal:
        return sum((o.value for o in self.of("buy")), _ZERO)

    @property
    def costs(self) -> Decimal:
        return sum((o.costs for o in self.orders), _ZERO)

    @property
    def gain(self) -> Decimal:
        """What all sales together realize after costs; a loss is below 0."""
        return sum((o.gain for o in self.orders if o.gain is not None), _ZERO)

    @property
    def tax(self) -> Decimal:
        return sum((o.tax for o in self.orders), _ZERO)


class CarriedOut(msgspec.Struct, frozen=True, kw_only=True):
    """One order of the preview and what became of it. ``wanted`` is what was ordered at last.

    ``previewed`` and ``value`` are quantity × price as estimated and as filled; ``state`` is the
    order's last one, or "not sent"; ``reason`` says why less was done.
    """

    symbol: str
    side: Side
    previewed_quantity: Decimal
    previewed: Decimal
    previewed_costs: Decimal
    wanted: Decimal
    filled: Decimal
    value: Decimal
    costs: Decimal
    state: str
    reason: str

    @property
    def difference(self) -> Decimal:
        """Value as filled less value as previewed."""
        return self.value - self.previewed
