"""Executions from totals, for a broker that tells only what an order has come to by now.

Two totals of one order are an execution in between: its units, and the cash that brings the worth
of the first to that of the second. What the bot has recorded is where it goes on after a restart,
so nothing is told twice; what was told and not recorded may come back joined to what followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import msgspec

from aggregates.money import PRICE_SCALE, plain
from aggregates.order_messages import Side
from brokers.port import Execution

CENT = Fraction(1, 100)


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What an order had come to at ``at`` (its last fill, UTC): ``quantity`` units at ``average``
    each, of ``multiplier`` shares."""

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    average: Decimal
    at: datetime
    multiplier: int = 1

    @property
    def worth(self) -> Fraction:
        """What it moved, as exactly as the average says it."""
        return Fraction(self.average) * Fraction(self.quantity) * self.multiplier


class Increments:
    """``recorded`` is every execution that the bot has of this account, in order; ``settles_on``
    gives the day from the moment of an execution.

    A total below what is known is an older answer and changes nothing. ``contradictions`` says in
    words where the same quantity is told with another worth.
    """

    def __init__(
        self, recorded: Sequence[Execution], settles_on: Callable[[datetime], date]
    ) -> None:
        self._settles_on = settles_on
        self._known: dict[str, tuple[Decimal, Fraction]] = {}  # quantity and worth told, by order
        self._executions: list[Execution] = []
        self.contradictions: list[str] = []
        for execution in recorded:
            self._hold(execution)

    def since(self, sequence: int) -> Sequence[Execution]:
        return self._executions[max(sequence, 0) :]

    def take(self, totals: Iterable[Total]) -> None:
        """In the order of their last fills."""
        for total in sorted(totals, key=lambda t: (t.at, t.broker_order_id, t.quantity)):
            quantity, worth = self._known.get(total.broker_order_id, (Decimal(0), Fraction(0)))
            if total.quantity > quantity:
                self._hold(self._execution(total, total.quantity - quantity, total.worth - worth))
            elif total.quantity == quantity and abs(total.worth - worth) > CENT:
                self._contradict(
                    f"The broker told {quantity:f} filled of order {total.client_order_id} twice, "
                    "with different prices."
                )

    def _hold(self, execution: Execution) -> None:
        """Numbered as it comes: also one that was recorded under another number."""
        number = len(self._executions) + 1
        self._executions.append(msgspec.structs.replace(execution, sequence=number))
        quantity, worth = self._known.get(execution.broker_order_id, (Decimal(0), Fraction(0)))
        self._known[execution.broker_order_id] = (
            plain(quantity + execution.quantity),
            worth + _worth(execution),
        )

    def _contradict(self, said: str) -> None:
        if said not in self.contradictions:
            self.contradictions.append(said)

    def _execution(self, total: Total, quantity: Decimal, worth: Fraction) -> Execution:
        """Costs are no part of totals: they come as activities of their own. What parts of shares
        moved is no whole number of cents, and the broker does not say how it rounds."""
        parts = int(total.quantity) != total.quantity or int(quantity) != quantity
        amount = Decimal(round(worth * 100)) / 100
        return Execution(
            sequence=0,
            execution_id=f"{total.broker_order_id}:{total.quantity:f}",
            client_order_id=total.client_order_id,
            broker_order_id=total.broker_order_id,
            symbol=total.symbol,
            side=total.side,
            quantity=plain(quantity),
            price=_price(worth, quantity * total.multiplier, total.average),
            currency="USD",
            commission=Decimal(0),
            fees=Decimal(0),
            net_amount=None if parts else (-amount if total.side == "buy" else amount),
            executed_at=total.at,
            settles_on=self._settles_on(total.at),
        )


def _worth(execution: Execution) -> Fraction:
    """What it moved as it was told; only parts of shares come without a statement of it."""
    if execution.net_amount is None:
        return Fraction(execution.price) * Fraction(execution.quantity)
    return abs(Fraction(execution.net_amount))


def _price(worth: Fraction, shares: Decimal, average: Decimal) -> Decimal:
    """To six decimals. Of a small part of a large order a rounded average leaves nothing sensible:
    then it is the average."""
    price = worth / Fraction(shares)
    if abs(price - Fraction(average)) > Fraction(average) / 2:
        price = Fraction(average)
    return plain(Decimal(round(price * PRICE_SCALE)) / PRICE_SCALE)
