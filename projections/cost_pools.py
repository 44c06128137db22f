"""Cost pools: average cost or first in, first out, in the order of (effective date, position).

Pure arithmetic in integers: units are 1e-9, costs are minor units. One pool is one account of one
security (1110.SYM): the sleeves never share a lot (architecture, rule 5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal, NamedTuple

import msgspec

from aggregates.errors import DomainError
from aggregates.money import divide_half_even

Kind = Literal["buy", "sell", "split"]


class Movement(NamedTuple):
    """One purchase, sale or split. Sorting movements gives the order that costs follow.

    ``amount`` is the gross cost or gross proceeds, minor units; the ratio is for splits.
    """

    effective_date: str
    position: int
    kind: Kind
    units: int
    amount: int
    new_units: int = 1
    old_units: int = 1


class LotChange(NamedTuple):
    """What a movement did to one lot; ``lot`` is the position of the purchase that opened it."""

    lot: int
    acquired_on: str
    units: int
    cost: int


class Outcome(NamedTuple):
    """What a movement did to its pool: change of units and cost, the gain, the lots touched."""

    units: int
    cost: int
    gain_short: int
    gain_long: int
    lots: tuple[LotChange, ...]


class Lot(msgspec.Struct, gc=False):
    lot: int
    acquired_on: str
    units: int
    cost: int


class Pool:
    """Units and cost of one security in one sleeve, with its lots oldest first."""

    def __init__(self, method: str, units: int = 0, cost: int = 0) -> None:
        self.method = method
        self.units = units
        self.cost = cost
        self.lots: deque[Lot] = deque()
        self.last: tuple[str, int] = ("", 0)

    def apply(self, m: Movement) -> Outcome:
        """Fold one movement that comes after all before it. Raises DomainError when short."""
        if m.kind == "buy":
            self.buy(m.effective_date, m.position, m.units, m.amount)
            change = LotChange(m.position, m.effective_date, m.units, m.amount)
            return Outcome(m.units, m.amount, 0, 0, (change,))
        if m.kind == "sell":
            cost, short, long, relieved = self.sell(m.effective_date, m.position, m.units, m.amount)
            return Outcome(-m.units, -cost, short, long, tuple(LotChange(*r) for r in relieved))
        return self._split(m)

    def buy(self, effective: str, position: int, units: int, amount: int) -> None:
        """A lot more. ``effective`` is its ISO date, ``amount`` its gross cost in minor units."""
        self.last = (effective, position)
        self.units += units
        self.cost += amount
        self.lots.append(Lot(position, effective, units, amount))

    def sell(
        self, effective: str, position: int, units: int, amount: int
    ) -> tuple[int, int, int, list[tuple[int, str, int, int]]]:
        """Relieve the oldest lots: cost, short and long-term gain, and LotChange rows as tuples.

        ``amount`` is the gross proceeds. Raises DomainError for more than is held.
        """
        if units > self.units:
            raise DomainError(
                f"the sale of {units / 1e9:g} units on {effective} is more than the "
                f"{self.units / 1e9:g} held then. Compare the fills with the broker's statement."
            )
        relieved = self._relieve(units)
        if self.method == "fifo":
            cost = -sum(change[3] for change in relieved)
        else:
            # the sale of the last unit relieves exactly what is left
            cost = divide_half_even(self.cost * units, self.units) if self.units else 0
        self.last = (effective, position)
        self.units -= units
        self.cost -= cost
        if not relieved or relieved[0][1][:4] == effective[:4]:
            return cost, amount - cost, 0, relieved  # the oldest lot is of this year: all short
        long = self._long_gain(effective, units, amount, relieved, cost)
        return cost, amount - cost - long, long, relieved

    def _long_gain(
        self,
        effective: str,
        sold: int,
        amount: int,
        relieved: list[tuple[int, str, int, int]],
        cost: int,
    ) -> int:
        """The part of the gain on units held for more than a year, first in, first out."""
        long = [change for change in relieved if held_over_a_year(change[1], effective)]
        units = -sum(change[2] for change in long)
        if not units:
            return 0
        proceeds = divide_half_even(amount * units, sold)
        if self.method == "fifo":
            return proceeds + sum(change[3] for change in long)
        return proceeds - divide_half_even(cost * units, sold)

    def _relieve(self, units: int) -> list[tuple[int, str, int, int]]:
        lots, changes = self.lots, []
        # a lot that a reverse split left without a unit goes when its turn comes
        while units or (lots and not lots[0].units):
            lot = lots[0]
            held, cost = lot.units, lot.cost
            if units >= held:
                lots.popleft()
                taken = held
            else:
                taken = units
                cost = divide_half_even(cost * taken, held)
                lot.units = held - taken
                lot.cost -= cost
            units -= taken
            if taken or cost:
                changes.append((lot.lot, lot.acquired_on, -taken, -cost))
        return changes

    def _split(self, m: Movement) -> Outcome:
        self.last = (m.effective_date, m.position)
        before = self.units
        self.units = divide_half_even(before * m.new_units, m.old_units)
        changes, running, given = [], 0, 0
        for lot in self.lots:
            if not lot.units and not lot.cost:
                continue  # it is no lot any more: who reads the pool from the tables has none
            running += lot.units
            # cumulative rounding: the lots always add up to the pool
            total = divide_half_even(running * m.new_units, m.old_units)
            changes.append(LotChange(lot.lot, lot.acquired_on, total - given - lot.units, 0))
            lot.units, given = total - given, total
        return Outcome(self.units - before, 0, 0, 0, tuple(changes))


def recompute(method: str, movements: Iterable[Movement]) -> tuple[Pool, dict[int, Outcome]]:
    """The pool and every movement's outcome from scratch, in the order that costs follow."""
    pool = Pool(method)
    return pool, {m.position: pool.apply(m) for m in sorted(movements)}


def held_over_a_year(acquired_on: str, sold_on: str) -> bool:
    """Long term: held for more than a year, counted from the day after the purchase.

    26 USC 1222; Rev. Rul. 66-7: bought on 28 February 2023, the year begins on 1 March, and a sale
    on 29 February 2024 is still within it.
    """
    begins = date.fromisoformat(acquired_on) + timedelta(days=1)
    try:
        over = begins.replace(year=begins.year + 1)
    except ValueError:  # begun on 29 February
        over = date(begins.year + 1, 3, 1)
    return date.fromisoformat(sold_on) >= over
