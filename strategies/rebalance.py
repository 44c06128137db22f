"""The preview of a rebalance, and what stands between it and its execution (M36). Pure.

The specification's "Reads current portfolio weights. Calculates deviations from targets. Executes
fractional buy/sell orders to correct", shown "with exact orders and outcomes before confirming".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import msgspec

from aggregates.holdings_plan import weights
from aggregates.money import Money, exponent, from_scaled, plain
from aggregates.rebalance_values import (
    LeftAlone,
    Preview,
    PreviewedOrder,
    Purses,
    WeighedSecurity,
)
from strategies.planned_order import SMALLEST
from strategies.rebalance_moves import Leg, Planner, price_of
from strategies.rebalance_values import HeldSecurity, Situation

_SHARE = Decimal("0.0001")  # percent


def preview(situation: Situation) -> Preview:
    """What a rebalance would do now; the same for the same situation. Raises nothing of its own."""
    planner = Planner(situation)
    legs = planner.legs()
    orders = _orders(situation, planner, legs)
    after = {leg.held.symbol: _units_after(leg) for leg in legs}
    return Preview(
        plan=situation.version,
        currency=situation.currency,
        securities=tuple(_weighed(situation, planner, after)),
        orders=tuple(orders),
        left=tuple(_left_alone(situation, planner, after.keys())),
        float_target=situation.float_target,
        before=situation.purses,
        after=_purses_after(situation.purses, orders),
        digest=digest_of(situation),
    )


def digest_of(situation: Situation) -> str:
    """SHA-256 over everything that a preview is made from."""
    return hashlib.sha256(msgspec.json.encode(situation)).hexdigest()


def _units_after(leg: Leg) -> Decimal:
    return leg.held.units + (leg.quantity if leg.side == "buy" else -leg.quantity)


# What the preview says


def _orders(situation: Situation, planner: Planner, legs: Sequence[Leg]) -> list[PreviewedOrder]:
    """The tax is split over the sales that gain, no cent lost."""
    scale = 10 ** exponent(situation.currency)
    gains = [max(leg.gain, 0) for leg in legs]
    whole = Money(planner.tax(legs), situation.currency)
    taxes = [share.minor for share in whole.split(gains)] if any(gains) else [0] * len(legs)
    return [
        PreviewedOrder(
            symbol=leg.held.symbol,
            side=leg.side,
            quantity=plain(leg.quantity),
            price=leg.held.price or Decimal(0),
            value=from_scaled(leg.value, scale),
            costs=from_scaled(leg.costs, scale),
            gain=from_scaled(leg.gain, scale) if leg.side == "sell" else None,
            tax=from_scaled(tax, scale),
        )
        for leg, tax in zip(legs, taxes, strict=True)
    ]


def _purses_after(before: Purses, orders: Iterable[PreviewedOrder]) -> Purses:
    cash = tax = Decimal(0)
    for order in orders:
        cash += (order.value if order.side == "sell" else -order.value) - order.costs
        tax += order.tax
    return msgspec.structs.replace(
        before, float=before.float + cash - tax, tax_cash=before.tax_cash + tax
    )


def _weighed(
    situation: Situation, planner: Planner, units_after: dict[str, Decimal]
) -> Iterable[WeighedSecurity]:
    """Shares are of what has a price; the targets are the plan's all the same."""
    targets = weights(situation.plan)
    later = {
        h.symbol: price_of(h) * Fraction(units_after.get(h.symbol, h.units)) for h in planner.priced
    }
    whole = sum(later.values(), Fraction(0))
    for held in situation.securities:
        value = planner.values.get(held.symbol)
        yield WeighedSecurity(
            symbol=held.symbol,
            units=held.units,
            cost=held.cost,
            price=held.price,
            price_at=held.price_at if held.price is not None else None,
            value=None if value is None else _money(value, situation.currency),
            share=_percent(value, planner.total),
            target=_percent(targets.get(held.symbol, Fraction(0)), Fraction(1)) or Decimal(0),
            share_after=_percent(later.get(held.symbol), whole),
        )


def _money(amount: Fraction, currency: str) -> Decimal:
    return Money(1, currency).share(amount * 10 ** exponent(currency)).decimal


def _percent(part: Fraction | None, whole: Fraction) -> Decimal | None:
    if part is None or not whole:
        return None
    exact = part * 100 / whole
    steps = round(exact / Fraction(_SHARE))  # of fractions: half to even
    return (Decimal(steps) * _SHARE).quantize(_SHARE, ROUND_HALF_EVEN)


def _left_alone(
    situation: Situation, planner: Planner, moved: Iterable[str]
) -> Iterable[LeftAlone]:
    moved = set(moved)
    for held in situation.securities:
        if held.symbol not in moved:
            yield LeftAlone(symbol=held.symbol, why=_why(situation, planner, held))


def _why(situation: Situation, planner: Planner, held: HeldSecurity) -> str:
    if held.price is None:
        return held.no_price
    if not planner.weights:
        return (
            "no security of the plan has a price"
            if situation.plan.securities
            else ("the plan names no security")
        )
    if not planner.total + max(planner.spare, Fraction(0)):
        return "nothing is held, and no cash is to be invested"
    share, wanted = planner.values[held.symbol], planner.weights[held.symbol] * planner.total
    off = _percent(share - wanted, planner.total) or Decimal(0)
    if abs(off) <= situation.plan.drift_band and planner.weights[held.symbol]:
        return f"within the band of {situation.plan.drift_band:f} points (off by {off:.2f})"
    return (
        f"the order would be below {SMALLEST:f} {situation.currency}, or its costs above its value"
    )
