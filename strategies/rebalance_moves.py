"""What a rebalance buys and sells, exactly (decision 0032). Pure; fractions and integers inside.

What is outside the band goes to its target. What is within it is left alone, unless the others
cannot pay for each other: then the securities furthest to the other side give, or take, as much as
is needed. Costs and the tax on what the sales realize come out of the purchases, never out of the
float.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from aggregates.holdings_plan import weights
from aggregates.money import Money, divide_half_even, exponent
from aggregates.order_messages import Side
from strategies.indicators import EXACT
from strategies.planned_order import SMALLEST
from strategies.rebalance_values import HeldSecurity, Situation

# Costs and tax follow from the orders, and the orders from what those leave. Each pass is nearer by
# the tax reserve's share; where that is far above one half, the purchases are cut in the end.
PASSES = 40


class Leg(NamedTuple):
    """One order. ``value``, ``costs`` and ``gain`` in minor units; a purchase has no gain."""

    held: HeldSecurity
    side: Side
    quantity: Decimal
    value: int
    costs: int
    gain: int

    @property
    def cash(self) -> int:
        """Signed change of cash."""
        return (self.value if self.side == "sell" else -self.value) - self.costs


class Planner:
    """One situation. ``priced`` are the securities that can be weighed, ``weights`` their shares
    of what they are worth together: 1 in sum, or nothing at all."""

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self._scale = 10 ** exponent(situation.currency)
        self._step = Fraction(situation.step)
        shares = weights(situation.plan)
        self.priced = [held for held in situation.securities if held.price is not None]
        whole = sum((shares.get(h.symbol, Fraction(0)) for h in self.priced), Fraction(0))
        self.weights = {
            h.symbol: shares.get(h.symbol, Fraction(0)) / whole for h in self.priced if whole
        }
        self.values = {h.symbol: price_of(h) * Fraction(h.units) for h in self.priced}
        self.total = sum(self.values.values(), Fraction(0))
        self.spare = self._spare()

    def _spare(self) -> Fraction:
        """What the float can give to the securities, or, below 0, what it lacks."""
        if self._s.float_target is None:
            return Fraction(0)  # not known while a price is missing: the float stays as it is
        spare = Fraction(self._s.purses.float) - Fraction(self._s.float_target)
        # sweep off: what is above the float target stays cash, but for what was sold to buy others
        return spare if self._s.plan.sweep else min(spare, Fraction(self._s.unspent))

    def legs(self) -> list[Leg]:
        """Sales, then purchases, the greatest first. Together they leave the float no lower than
        it was, or than its target."""
        outside: set[str] = set()
        charges, legs = 0, list[Leg]()
        for _ in range(PASSES if self.weights else 0):
            moves = self._moves(Fraction(charges, self._scale), outside)
            legs = [leg for symbol in moves if (leg := self._leg(symbol, moves[symbol]))]
            found = sum(leg.costs for leg in legs) + self.tax(legs)
            if found == charges:
                break
            charges = found
        affordable = self._within_budget(legs)
        return sorted(affordable, key=lambda leg: (leg.side != "sell", -leg.value, leg.held.symbol))

    def tax(self, legs: Iterable[Leg]) -> int:
        """What the next allocation keeps of the gains; none of a loss."""
        gain = max(sum(leg.gain for leg in legs), 0)
        return Money(gain, self._s.currency).share(Fraction(self._s.plan.tax_reserve) / 100).minor

    # -- how much to move ------------------------------------------------------------------

    def _moves(self, charges: Fraction, outside: set[str]) -> dict[str, Fraction]:
        """Major units to buy (above 0) or sell of each security. ``outside`` grows by those that
        are outside the band, and never shrinks: so the passes come to an end."""
        goal = max(self.total + self.spare - charges, Fraction(0))
        gaps = {
            h.symbol: self.weights[h.symbol] * goal - self.values[h.symbol] for h in self.priced
        }
        outside |= {symbol for symbol, gap in gaps.items() if self._is_outside(symbol, gap, goal)}
        if not outside and self.spare <= 0:
            return {}
        moves = {symbol: gap for symbol, gap in gaps.items() if symbol in outside}
        lacking = sum(moves.values(), Fraction(0)) - (goal - self.total)
        side = -1 if lacking > 0 else 1
        inside = sorted(gaps.keys() - outside, key=lambda symbol: (-side * gaps[symbol], symbol))
        for symbol in inside:
            part = min(abs(lacking), max(side * gaps[symbol], Fraction(0)))
            moves[symbol] = side * part
            lacking += moves[symbol]
        return {symbol: moves[symbol] for symbol in gaps if moves.get(symbol)}

    def _is_outside(self, symbol: str, gap: Fraction, goal: Fraction) -> bool:
        # drift_band=0: whatever is off by anything is moved. What is not planned (or planned with
        # 0 %) is sold however little it is.
        if not self.weights[symbol]:
            return bool(self.values[symbol])
        return abs(gap) > Fraction(self._s.plan.drift_band) / 100 * goal

    # -- orders ----------------------------------------------------------------------------

    def _leg(self, symbol: str, move: Fraction) -> Leg | None:
        """The order for a move, in whole steps: a sale rounded up, a purchase down."""
        held = next(h for h in self.priced if h.symbol == symbol)
        if move > 0:
            return self._purchase(held, move / price_of(held))
        if not self.weights[symbol]:
            leg = self._sell(held, held.units)
            return leg if leg.cash > 0 else None  # its costs would be more than it brings
        leg = self._sell(held, min(-self._steps(move / price_of(held)), held.units))
        return leg if leg.value >= SMALLEST * self._scale else None

    def _purchase(self, held: HeldSecurity, units: Fraction) -> Leg | None:
        quantity = self._steps(units)
        exact = Fraction(quantity)
        costs = self._minor(exact * Fraction(self._s.costs.per_share))
        value = self._minor(exact * price_of(held))
        worth_it = quantity > 0 and value >= SMALLEST * self._scale
        return Leg(held, "buy", quantity, value, costs, 0) if worth_it else None

    def _steps(self, units: Fraction) -> Decimal:
        """The greatest whole number of steps that is not above ``units``."""
        return EXACT.multiply(Decimal(units // self._step), self._s.step)

    def _sell(self, held: HeldSecurity, quantity: Decimal) -> Leg:
        rates, units = self._s.costs, Fraction(quantity)
        proceeds = units * price_of(held)
        fees = units * Fraction(rates.per_share_sold) + proceeds * Fraction(rates.of_proceeds)
        costs = self._minor(units * Fraction(rates.per_share)) + self._minor(fees)
        relieved = self._minor(Fraction(held.cost) * units / Fraction(held.units))
        value = self._minor(proceeds)
        return Leg(held, "sell", quantity, value, costs, value - relieved - costs)

    def _minor(self, amount: Fraction) -> int:
        return divide_half_even(amount.numerator * self._scale, amount.denominator)

    # -- never more than there is ----------------------------------------------------------

    def _within_budget(self, legs: list[Leg]) -> list[Leg]:
        """Purchases cut, the greatest first, to what the sales leave and the float can give."""
        sales = [leg for leg in legs if leg.side == "sell"]
        purchases = {leg.held.symbol: leg for leg in legs if leg.side == "buy"}
        budget = sum(leg.cash for leg in sales) - self.tax(sales) + self.spare * self._scale // 1
        while (over := -sum(leg.cash for leg in purchases.values()) - budget) > 0 and purchases:
            greatest = max(purchases.values(), key=lambda leg: (leg.value, leg.held.symbol))
            fewer = Fraction(over, self._scale) / price_of(greatest.held)
            cut = self._purchase(greatest.held, Fraction(greatest.quantity) - fewer)
            if cut is None:
                del purchases[greatest.held.symbol]
            else:
                purchases[greatest.held.symbol] = cut
        return sales + list(purchases.values())


def price_of(held: HeldSecurity) -> Fraction:
    """Of one that has a price."""
    return Fraction(held.price or 0)
