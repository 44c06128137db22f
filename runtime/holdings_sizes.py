"""How much of a planned order of the long-term holdings can be sold or paid for now."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from aggregates.holdings import HoldingsDay
from aggregates.order import FINAL, Order, order_stream
from brokers.port import BrokerError, KeysRefused
from runtime.bootstrap import Bot
from runtime.flatten import QUOTE_LIVES, units_by_sleeve
from runtime.purses import purses_of
from strategies.cost_rates import rates_of
from strategies.planned_order import (
    SMALLEST,
    PlannedOrder,
    buy_limit,
    buyable,
    most_cost,
    whole_steps,
)

Sized = list[PlannedOrder | str]  # the order as it can be, or why it cannot be

_ZERO = Decimal(0)
_PURSES = {"reinvestment": "pool", "tax-reserve": "tax_cash"}


def purse_of(context: str) -> str:
    """The purse that a purchase is paid from, as the posting rules have it."""
    return _PURSES.get(context, "float")


class HoldingsSizes:
    """At one moment of ``day``. Views must be caught up. Raises KeysRefused."""

    def __init__(self, bot: Bot, day: HoldingsDay) -> None:
        self._bot, self._day = bot, day
        self._step = bot.broker.capabilities.quantity_step
        self._rates = rates_of(bot.settings.BROKER_NAME)

    def of_sales(self, orders: Sequence[PlannedOrder]) -> Sized:
        """What both sides know of: more would be sold short, or out of trading's units."""
        books = self._bot.views.books
        try:
            there = {p.symbol: p.quantity for p in self._bot.broker.positions()}
        except KeysRefused:
            raise
        except BrokerError as e:
            return [f"what the broker holds is not known: {e}" for _ in orders]
        trading, _ = units_by_sleeve(books)
        mapping = books.chart().mapping
        held = {(p.code.partition(".")[0], p.symbol): p.quantity for p in books.positions()}
        found: Sized = []
        for order in orders:
            vehicle = order.context == "tax-reserve"
            account = mapping["tax_reserve_vehicle" if vehicle else "holdings_securities"]
            ours = held.get((account, order.symbol), _ZERO)
            free = there.get(order.symbol, _ZERO) - trading.get(order.symbol, _ZERO)
            quantity = self._steps(min(order.quantity, ours, free))
            if quantity > 0:
                found.append(msgspec.structs.replace(order, quantity=quantity))
            else:
                found.append(f"the books hold {ours:f} of it long-term, the broker {free:f}")
        return found

    def of_purchases(self, orders: Sequence[PlannedOrder]) -> Sized:
        """Each with a limit price, and no more than its purse pays for beside what is on order."""
        left = self.unspent()
        found: Sized = []
        for order in orders:
            limit = order.limit_price or self._limit(order.symbol)
            if isinstance(limit, str):
                found.append(limit)
                continue
            purse = purse_of(order.context)
            quantity = min(self._steps(order.quantity), self._buyable(left[purse], limit))
            if quantity * limit < SMALLEST:
                wanted, there = order.quantity * limit, left[purse]
                name = purse.replace("_", " ")
                said = f"{wanted:.2f} is wanted, the {name} has {there:f} to spend"
                found.append(f"purchases below {SMALLEST:f} are refused by brokers: {said}")
                continue
            left[purse] -= most_cost(quantity, limit, self._rates)
            found.append(msgspec.structs.replace(order, quantity=quantity, limit_price=limit))
        return found

    def unspent(self) -> dict[str, Decimal]:
        """The cash of each purse, less what purchases of the day that are still open may take."""
        held = purses_of(self._bot.views.books)
        names = ("float", "tax_cash", "pool")
        left: dict[str, Decimal] = {name: getattr(held, name) for name in names}
        for intended in self._day.batches.values():
            for order_id in intended.order_ids if intended.side == "buy" else ():
                order = self._bot.store.load(Order, order_stream(order_id))
                if order.state not in FINAL:
                    open_units, limit = order.open_quantity.decimal, order.terms.limit_price
                    most = most_cost(open_units, limit or _ZERO, self._rates)
                    left[purse_of(order.terms.context)] -= most
        return left

    def _buyable(self, amount: Decimal, limit: Decimal) -> Decimal:
        return buyable(amount, limit, self._step, self._rates)

    def _limit(self, symbol: str) -> Decimal | str:
        """The limit price of a purchase, or why there is none. No price is ever guessed."""
        try:
            quote = self._bot.broker.quote(symbol)
        except KeysRefused:
            raise
        except BrokerError as e:
            return f"no quote can be had: {e}"
        if quote is None or self._bot.clock.now() - quote.end > QUOTE_LIVES:
            return "no quote for more than five minutes"
        return buy_limit(quote.ask)

    def _steps(self, quantity: Decimal) -> Decimal:
        return whole_steps(Fraction(max(quantity, _ZERO)), self._step)
