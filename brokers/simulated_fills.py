"""How the simulated broker fills: price, volume, costs (decision 0002). Pure; integers inside.

Quantities count 1e-9 shares and prices 1e-6 dollars, as in the broker's tables, so nothing here
depends on a decimal context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from aggregates.market import Bar, Quote
from aggregates.money import (
    PRICE_SCALE,
    QUANTITY_SCALE,
    divide_half_even,
    exponent,
    from_scaled,
    to_scaled,
)
from aggregates.order_messages import OrderType, Side

QUOTE_LIFE = timedelta(minutes=5)
VOLUME_SHARE = 10  # one tenth of what the bar traded

# Costs as exact integers: the unit of a cost is 1e-22 dollars, where price × quantity × rate ends.
_COST_DECIMALS = 22
_COST_SCALE = 10**_COST_DECIMALS
_GROSS_TO_COST = _COST_SCALE // (PRICE_SCALE * QUANTITY_SCALE)
_COMMISSION = 5 * _COST_SCALE // (1_000 * QUANTITY_SCALE)  # 0.005 a share
_FINRA_FEE = 166 * _COST_SCALE // (1_000_000 * QUANTITY_SCALE)  # 0.000166 a share sold
_SEC_FEE = 278 * _COST_SCALE // (10_000_000 * PRICE_SCALE * QUANTITY_SCALE)  # 0.0000278 of proceeds


class RestingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What of an open order decides about its fills. ``number`` is the place of its arrival."""

    number: int
    symbol: str
    side: Side
    order_type: OrderType
    open_units: int
    limit_units: int | None
    stop_units: int | None
    arrived_at: datetime


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    order: RestingOrder
    quantity_units: int
    price_units: int


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Exact commission and fees; ``net_minor`` is the signed change of cash, rounded once."""

    commission: Decimal
    fees: Decimal
    net_minor: int


def fill_minute(orders: Sequence[RestingOrder], bar: Bar, quote: Quote | None) -> Iterator[Fill]:
    """The fills of one symbol's orders, given in order of arrival, in one complete bar.

    ``quote`` is the latest one known when the bar started.
    """
    if quote is None or bar.start - quote.end > QUOTE_LIFE or not bar.volume:
        return  # nobody knows the spread, or nothing traded
    room = bar.volume // VOLUME_SHARE
    for order in orders:
        if bar.start < order.arrived_at:
            continue
        price = fill_price(order, bar, quote)
        quantity = fill_quantity(order.open_units, room)
        if price is not None and quantity:
            room -= quantity // QUANTITY_SCALE
            yield Fill(order=order, quantity_units=quantity, price_units=price)


def fill_price(order: RestingOrder, bar: Bar, quote: Quote) -> int | None:
    """The price in 1e-6 dollars, or None when the bar does not fill this order.

    A buyer pays half the spread, a seller gives it up: mirrored prices let one formula serve
    both, with every price of a seller negated, so that lower is better.
    """
    sign = 1 if order.side == "buy" else -1
    opened, spread = _units(bar.open), _units(quote.spread)
    best, worst = sorted((sign * _units(bar.low), sign * _units(bar.high)))
    twice = 2 * sign * opened + spread  # kept doubled until it is rounded once, half to even
    if order.limit_units is not None:
        limit = sign * order.limit_units
        if best > limit:
            return None
        twice = min(twice, 2 * limit)
    elif order.stop_units is not None:
        stop = sign * order.stop_units
        if worst < stop:
            return None
        twice = 2 * max(stop, sign * opened) + spread
    price = sign * divide_half_even(twice, 2)
    return price if price > 0 else None  # a spread wider than the price states no market


def fill_quantity(open_units: int, room: int) -> int:
    """At most ``room`` whole shares; a remainder below one share comes along with the last."""
    return open_units if open_units // QUANTITY_SCALE <= room else room * QUANTITY_SCALE


def costs(side: Side, quantity_units: int, price_units: int, currency: str) -> Costs:
    """Commission on both sides; the SEC and FINRA fees on sells."""
    gross = quantity_units * price_units
    commission = quantity_units * _COMMISSION
    fees = gross * _SEC_FEE + quantity_units * _FINRA_FEE if side == "sell" else 0
    signed = gross * _GROSS_TO_COST * (1 if side == "sell" else -1) - commission - fees
    return Costs(
        commission=plain(from_scaled(commission, _COST_SCALE)),
        fees=plain(from_scaled(fees, _COST_SCALE)),
        net_minor=divide_half_even(signed, 10 ** (_COST_DECIMALS - exponent(currency))),
    )


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent: 100, not 1E+2."""
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _units(price: Decimal) -> int:
    return to_scaled(price, PRICE_SCALE, "price")
