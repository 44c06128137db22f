"""The account's value, and the cash float brought up to its target (M31).

What did not trade today counts at its last price, of five sessions ago at the most, which is said;
what is older is no price, and what it cost is none either, so it does not count, which is said too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import NamedTuple

from aggregates.holdings_plan import Plan
from aggregates.money import divide_half_even, exponent, from_scaled
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.holdings_orders import Executed, HoldingsOrders, in_words
from runtime.holdings_prices import day_prices, last_prices, mark, quotes
from runtime.purses import purses_of
from strategies.holdings_allocation import Sellable, float_target, top_up
from strategies.planned_order import PlannedOrder

TOP_UPS = 3  # a sale brings what the market pays: what is still missing is sold after it
OLDEST_PRICE = 5  # sessions: so long the last price stands for a security that does not trade
LOOK_BACK = timedelta(days=14)  # in which there were as many


class Valued(NamedTuple):
    """``account`` is all cash, reserves included, and all positions; ``target`` the least float.

    ``older`` has what did not trade today and counts at its last price, with that price's day;
    ``left_out`` what does not count, as its last price is too old, or as it never had one.
    """

    account: Decimal
    target: Decimal
    older: Mapping[str, date]
    left_out: Mapping[str, date | None]

    def in_words(self) -> str:
        """What has no price today; empty when everything has."""
        said = [f"{s} at its last price, of {day}" for s, day in sorted(self.older.items())]
        said += [
            f"{s} is not counted: {f'its last price is of {day}' if day else 'it has no price'}"
            for s, day in sorted(self.left_out.items())
        ]
        return "; ".join(said)


def value_account(bot: Bot, hours: SessionHours, plan: Plan, occasion: str) -> Valued:
    """Prices marked first, so that the value can be rebuilt. Raises BrokerUnavailable, as silence
    says of no security that it does not trade, and KeysRefused."""
    bot.views.catch_up()
    positions = bot.views.books.positions()
    today = day_prices(bot, hours, {p.symbol for p in positions}, answered=True)
    mark(bot, hours, occasion, today)
    prices = {symbol: Fraction(found.price) for symbol, found in today.items()}
    older, left_out = dict[str, date](), dict[str, date | None]()
    missing = {p.symbol for p in positions} - prices.keys()
    last, oldest = last_prices(bot) if missing else {}, _oldest(bot, hours)
    for symbol in sorted(missing):
        then = last.get(symbol)
        day = bot.calendar.date_of(then.at) if then else None
        if then is not None and day is not None and day >= oldest:
            older[symbol], prices[symbol] = day, then.price
        else:
            left_out[symbol] = day
    currency = bot.settings.CURRENCY_CODE
    scale: int = 10 ** exponent(currency)
    worth = 0
    for p in positions:
        exact = Fraction(p.quantity) * p.multiplier * prices.get(p.symbol, 0) * scale
        worth += divide_half_even(exact.numerator, exact.denominator)
    value = purses_of(bot.views.books).cash + from_scaled(worth, scale)
    return Valued(value, float_target(plan, value, currency), older, left_out)


def _oldest(bot: Bot, hours: SessionHours) -> date:
    """The first day whose prices still count."""
    days = bot.calendar.sessions(hours.day - LOOK_BACK, hours.day)
    return days[-1 - OLDEST_PRICE :][0].day


class FloatCheck:
    """Of one session."""

    def __init__(self, bot: Bot, hours: SessionHours, orders: HoldingsOrders) -> None:
        self._bot, self._hours, self._orders = bot, hours, orders

    def restore(self, target: Decimal, batch: str) -> tuple[str, dict[str, str]]:
        """Sales by market value, the largest first, until the float is at its target; what came of
        it, and the figures. Raises what ``HoldingsOrders.carry_out`` raises.

        A security that did not sell as wanted is not tried again, the others are. A round that was
        begun before an interruption is seen to its end, and none is repeated.
        """
        before, sold, stuck = self._float(), list[Executed](), set[str]()
        rounds = 0  # in which all was sold: each leaves a little, or nothing, to the next one
        for number in count(1):
            name = f"{batch}-{number}"
            begun = self._orders.begun(name, "sell")
            missing = target - self._float()
            if rounds == TOP_UPS or (missing <= 0 and not begun):
                break
            done = self._orders.carry_out(name, () if begun else self._sales(missing, stuck))
            sold += done
            if not self._orders.begun(name, "sell") or not all(one.over for one in done):
                break  # nothing sells now, or what is still open may yet bring it
            unsold = {one.symbol for one in done if one.refused}
            rounds += not unsold
            stuck |= unsold
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

    def _sales(self, missing: Decimal, stuck: Collection[str]) -> Sequence[PlannedOrder]:
        """Of the long-term securities alone, of those that are quoted now and are not stuck."""
        books = self._bot.views.books
        account = books.chart().mapping["holdings_securities"]
        held = [p for p in books.positions() if p.code.partition(".")[0] == account]
        asked = quotes(self._bot, (p.symbol for p in held if p.symbol not in stuck))
        sellable = [
            Sellable(symbol=p.symbol, units=p.quantity, bid=asked[p.symbol].bid)
            for p in held
            if p.symbol in asked
        ]
        return top_up(missing, sellable, self._bot.broker.capabilities.quantity_step)
