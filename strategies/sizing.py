"""How much to buy: exact arithmetic, rounded down to what the broker can hold (decision 0001)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec

from aggregates.errors import DomainError
from aggregates.money import exact_decimal
from config.settings import Settings
from strategies.indicators import EXACT

WHOLE_SHARE = Decimal(1)
SPENDABLE = Fraction(99, 100)  # the rest of the cash float stays for the spread and the costs


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities in units of the instrument, each rounded down to the step; 0 buys nothing.

    ``usual`` is the least of the three, and ``quantity`` the same but in defense mode, which allows
    a share of it. ``risk_per_share`` is signal price − stop.
    """

    quantity: Decimal
    usual: Decimal
    risk_per_share: Decimal
    by_risk: Decimal
    by_allocation: Decimal
    by_cash: Decimal


def weight_of(settings: Settings, strategy: str) -> Decimal:
    """The strategy's share of the allocation; 0 for one that has none."""
    # WEIGHT_…=0: its signals are judged, and their size is 0.
    weights = {
        "OPEN": settings.WEIGHT_OPEN,
        "MID": settings.WEIGHT_MID,
        "CLOSE": settings.WEIGHT_CLOSE,
    }
    return weights.get(strategy, Decimal(0))


def size(
    settings: Settings,
    *,
    equity: Decimal,
    cash_float: Decimal,
    price: Decimal,
    stop: Decimal,
    step: Decimal,
    weight: Decimal,
    defense: bool = False,
) -> Sizing:
    """The quantity for one entry; the rules of ``risk`` judge it afterwards.

    ``equity`` and ``cash_float`` in the base currency, ``price`` and ``stop`` per unit,
    ``step`` the broker's smallest quantity, ``weight`` the strategy's share of the allocation,
    ``defense`` whether defense mode was switched on by hand.
    A stop that is not below the price leaves the risk unknown: every bound by risk is 0.

    Raises DomainError for a step or price that is not above 0, InexactNumber for a float.
    """
    if exact_decimal(step) <= 0 or exact_decimal(price) <= 0:
        raise DomainError(
            f"Nothing can be sized at a price of {price} in steps of {step}; nothing was ordered. "
            f"Both must be above 0: look at the bar and at the broker's quantity step."
        )
    # FRACTIONAL=true: the broker's step. false: whole shares, even where the broker could do less.
    unit = step if settings.FRACTIONAL else max(step, WHOLE_SHARE)
    worth, cash, cost = (Fraction(exact_decimal(n)) for n in (equity, cash_float, price))
    risk = EXACT.subtract(price, exact_decimal(stop))
    may_lose = Fraction(settings.MAX_RISK_PER_TRADE) * worth
    defense = defense or settings.DEFENSE_MODE_ACTIVE
    share = Fraction(_allocation(settings, defense)) * Fraction(exact_decimal(weight))
    may_invest = share * worth / settings.MAX_OPEN_POSITIONS
    by_risk = _down(may_lose / Fraction(risk), unit) if risk > 0 else Decimal(0)
    by_allocation = _down(may_invest / cost, unit)
    by_cash = _down(cash * SPENDABLE / cost, unit)
    usual = min(by_risk, by_allocation, by_cash)
    return Sizing(
        quantity=_defended(settings, defense, usual, unit),
        usual=usual,
        risk_per_share=risk,
        by_risk=by_risk,
        by_allocation=by_allocation,
        by_cash=by_cash,
    )


def _allocation(settings: Settings, defense: bool) -> Decimal:
    # DEFENSE_MODE_ACTIVE=true: the smaller of the two allocations is shared out.
    if defense:
        return min(settings.TOTAL_ALLOCATION, settings.DEFENSE_MODE_TOTAL_ALLOCATION)
    return settings.TOTAL_ALLOCATION


def _defended(settings: Settings, defense: bool, usual: Decimal, unit: Decimal) -> Decimal:
    # DEFENSE_MODE_ACTIVE=true: a trade has DEFENSE_MODE_TRADE_LIMIT_PCT of its usual size.
    if defense:
        return _down(Fraction(usual) * Fraction(settings.DEFENSE_MODE_TRADE_LIMIT_PCT), unit)
    return usual


def _down(exact: Fraction, unit: Decimal) -> Decimal:
    """The greatest multiple of the unit that is not above ``exact``; never below 0."""
    steps = exact // Fraction(unit)
    return EXACT.multiply(Decimal(steps), unit) if steps > 0 else Decimal(0)
