"""The account's value at today's prices, and the cash float brought up to its target (M31)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from aggregates.holdings_plan import Plan
from aggregates.money import Money
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.holdings_orders import Executed, HoldingsOrders, in_words
from runtime.holdings_prices import day_prices, mark, quotes
from runtime.purses import purses_of
from strategies.holdings_allocation import Sellable, float_target, top_up
from strategies.planned_order import PlannedOrder

TOP_UPS = 3  # a sale brings what the market pays: what is still missing is sold after it
_ZERO = Decimal(0)


class Valued(NamedTuple):
    """``account`` is all cash, reserves included, and all positions at today's prices; None, and
    so the float's ``target``, while one of them has none."""

    account: Decimal | None
    target: Decimal | None
    unpriced: tuple[str, ...]


def value_account(bot: Bot, hours: SessionHours, plan: Plan, occasion: str) -> Valued:
    """Prices marked first, so that the value can be rebuilt."""
    bot.views.catch_up()
    positions = bot.views.books.positions()
    prices = day_prices(bot, hours, {p.symbol for p in positions})
    mark(bot, hours, occasion, prices)
    unpriced = sorted({p.symbol for p in positions} - prices.keys())
    if unpriced:
        return Valued(None, None, tuple(unpriced))
    currency = bot.settings.CURRENCY_CODE
    worth = (
        Money.rounded(p.quantity * p.multiplier * prices[p.symbol].price, currency).decimal
        for p in positions
    )
    value = purses_of(bot.views.books).cash + sum(worth, _ZERO)
    return Valued(value, float_target(plan, value, currency), ())


class FloatCheck:
    """Of one session."""

    def __init__(self, bot: Bot, hours: SessionHours, orders: HoldingsOrders) -> None:
        self._bot, self._hours, self._orders = bot, hours, orders

    def restore(self, target: Decimal, batch: str) -> tuple[str, dict[str, str]]:
        """Sales by market value, the largest first, until the float is at its target; what came of
        it, and the figures. Raises what ``HoldingsOrders.carry_out`` raises.

        A round that was begun before an interruption is seen to its end, and none is repeated.
        """
        before, sold = self._float(), list[Executed]()
        for number in range(1, TOP_UPS + 1):
            name = f"{batch}-{number}"
            begun = self._orders.begun(name, "sell")
            missing = target - self._float()
            if missing <= 0 and not begun:
                break
            done = self._orders.carry_out(name, () if begun else self._sales(missing))
            sold += done
            if not any(one.filled for one in done) or not all(one.over for one in done):
                break  # nothing sells now, or what is still open may yet bring it
        after = self._float()
        figures = {"target": f"{target:f}", "before": f"{before:f}", "after": f"{after:f}"}
        said = in_words(sold)
        if after < target:
            why = said or "nothing that could be sold is quoted now"
            return f"{after:,f} is {target - after:,f} below the target: {why}", figures
        return f"{after:,f} is at or above the target{f': {said}' if said else ''}", figures

    def _float(self) -> Decimal:
        self._bot.views.catch_up_ledger()
        return purses_of(self._bot.views.books).float

    def _sales(self, missing: Decimal) -> Sequence[PlannedOrder]:
        """Of the long-term securities alone, and of those that are quoted now."""
        books = self._bot.views.books
        account = books.chart().mapping["holdings_securities"]
        held = [p for p in books.positions() if p.code.partition(".")[0] == account]
        asked = quotes(self._bot, (p.symbol for p in held))
        sellable = [
            Sellable(symbol=p.symbol, units=p.quantity, bid=asked[p.symbol].bid)
            for p in held
            if p.symbol in asked
        ]
        return top_up(missing, sellable, self._bot.broker.capabilities.quantity_step)
