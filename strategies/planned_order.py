"""An order of the long-term holdings, planned and not yet intended; sizes in exact arithmetic."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, from_scaled, plain
from aggregates.order_messages import Side
from strategies.cost_rates import CostRates

Context = Literal["top-up", "reinvestment", "tax-reserve", "rebalance", "sweep"]

# A purchase may cost so much more than the price that was asked when it was planned.
PRICE_ROOM = Decimal("1.005")
COSTS_ROOM = Fraction(101, 100)  # beside the commission: fees, and what each fill is rounded by
SMALLEST = Decimal(1)  # major units: brokers refuse fractions that are worth less


class PlannedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """``limit_price`` None: a sale at the market, a purchase at most ``buy_limit`` of the quote.

    ``context`` tags the posting and says which purse pays: reinvestment the pool, tax-reserve the
    tax reserve, every other one the float.
    """

    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None = None
    context: Context
    reason: str


def buy_limit(ask: Decimal) -> Decimal:
    """The highest price that a purchase may be filled at, in ticks: cents, 0.0001 below 1."""
    tick = Decimal("0.01") if ask >= 1 else Decimal("0.0001")
    return plain((ask * PRICE_ROOM).quantize(tick, ROUND_CEILING))


def unit_cost(limit: Decimal, rates: CostRates) -> Fraction:
    """What one unit can take from the purse that pays for it, at the most."""
    return Fraction(limit) * COSTS_ROOM + Fraction(rates.per_share)


def buyable(amount: Decimal, limit: Decimal, step: Decimal, rates: CostRates) -> Decimal:
    """The most units in whole steps that ``amount`` pays for at that price, costs included."""
    return whole_steps(Fraction(max(amount, Decimal(0))) / unit_cost(limit, rates), step)


def whole_steps(units: Fraction, step: Decimal) -> Decimal:
    """Rounded down to what the broker can hold, and to what the books can."""
    smallest = max(Fraction(step), Fraction(1, QUANTITY_SCALE))
    whole = int(units / smallest) * smallest * QUANTITY_SCALE
    return plain(from_scaled(int(whole), QUANTITY_SCALE))


def most_cost(quantity: Decimal, limit: Decimal, rates: CostRates) -> Decimal:
    """What a purchase can take from its purse at the most, rounded up."""
    exact = Fraction(quantity) * unit_cost(limit, rates) * PRICE_SCALE
    return from_scaled(-int(-exact // 1), PRICE_SCALE)
