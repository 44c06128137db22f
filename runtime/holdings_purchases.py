"""What was set aside is bought: the tax reserve's vehicle, the pool, and the sweep (M32, M34)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from aggregates.capital import CapitalEntry, Earmark, capital_stream
from aggregates.holdings_plan import Plan, weights
from config.calendar import SessionHours
from projections.holdings_queries import HoldingsQueries
from projections.ledger_records import AsOf
from runtime.bootstrap import Bot
from runtime.holdings_orders import HoldingsOrders, in_words
from runtime.holdings_prices import Quoted, quotes
from runtime.purses import purses_of
from strategies.holdings_allocation import purchases
from strategies.holdings_rules import RulesBroken, check_purchases, refuse
from strategies.planned_order import (
    SMALLEST,
    Context,
    PlannedOrder,
    buy_limit,
    buyable,
    most_cost,
)

_ZERO = Decimal(0)


class HoldingsPurchases:
    """Of one session under one plan. Raises what ``HoldingsOrders.carry_out`` raises."""

    def __init__(self, bot: Bot, hours: SessionHours, orders: HoldingsOrders, plan: Plan) -> None:
        self._bot, self._hours, self._orders, self._plan = bot, hours, orders, plan
        self._step = bot.broker.capabilities.quantity_step

    # -- the tax reserve -------------------------------------------------------------------

    def tax_vehicle(self) -> str:
        """The reserve's cash into its security, units of any other one back into cash.

        What the orders cost, or lose, comes from the float: a reserve does not fall.
        """
        sold = self._orders.carry_out("tax-reserve-out", list(self._no_longer()))
        asked = quotes(self._bot, filter(None, [self._plan.tax_vehicle]))
        bought = self._orders.carry_out("tax-reserve", list(self._into_vehicle(asked)))
        self._make_whole()
        said = in_words((*sold, *bought))
        # no vehicle: the tax reserve is held in cash
        if self._plan.tax_vehicle and not (asked or bought):
            said += f"{self._plan.tax_vehicle} is not quoted, the reserve stays in cash"
        return said

    def _no_longer(self) -> Iterator[PlannedOrder]:
        books, vehicle = self._bot.views.books, self._plan.tax_vehicle
        account = books.chart().mapping["tax_reserve_vehicle"]
        for p in books.positions():
            if p.code.partition(".")[0] == account and p.symbol != vehicle:
                yield PlannedOrder(
                    symbol=p.symbol, side="sell", quantity=p.quantity, context="tax-reserve",
                    reason=f"the plan holds the tax reserve in {vehicle or 'cash'}",
                )  # fmt: skip

    def _into_vehicle(self, asked: Mapping[str, Quoted]) -> Iterator[PlannedOrder]:
        for symbol, quoted in asked.items():
            limit = buy_limit(quoted.ask)
            cash = purses_of(self._bot.views.books).tax_cash
            quantity = buyable(cash, limit, self._step)
            if quantity > 0:
                yield PlannedOrder(
                    symbol=symbol, side="buy", quantity=quantity, limit_price=limit,
                    context="tax-reserve", reason="the plan holds the tax reserve in it",
                )  # fmt: skip

    def _make_whole(self) -> None:
        """What the vehicle's orders of the day took from the reserve, back from the float."""
        bot, day = self._bot, self._hours.day
        reference = f"holdings-{day}-vehicle-costs"
        taken = -self._changed_by_orders()
        if taken <= 0 or bot.store.load(CapitalEntry, capital_stream(reference)).version:
            return
        bot.dispatch(
            Earmark(
                at=bot.clock.now(),
                effective_date=day,
                reference=reference,
                currency=bot.settings.CURRENCY_CODE,
                amount=taken,
                reason="costs of holding the tax reserve in a security",
                purse_from="float",
                purse_to="tax_reserve",
                context="tax-reserve",
            ),
            command_id=reference,
        )
        bot.views.catch_up()

    def _changed_by_orders(self) -> Decimal:
        """Of the reserve as a whole, in cash and at cost, by today's orders of its vehicle."""
        books, day = self._bot.views.books, self._hours.day
        mapping = books.chart().mapping
        reserve = {mapping["tax_reserve"], mapping["tax_reserve_vehicle"]}
        amounts = (
            posting.amount
            for entry in books.journal(AsOf(date=day), since=day)
            if (entry.topic, entry.context) == ("Order.Filled", "tax-reserve")
            for posting in entry.postings
            if posting.code.partition(".")[0] in reserve
        )
        return sum(amounts, _ZERO)

    # -- the securities --------------------------------------------------------------------

    def pool(self) -> str:
        """What was set aside for reinvestment, by the plan's shares."""
        pool = purses_of(self._bot.views.books).pool
        return self._buy("reinvestment", pool, _ZERO)

    def sweep(self, target: Decimal | None) -> str:
        """Cash above the float's target, by the plan's shares; today's gains wait for their taxes.

        ``target`` None: a price is missing, so what is above it is not known.
        """
        # sweep off: what is above the target stays in the float
        if not self._plan.sweep or target is None:
            return ""
        views, day = self._bot.views, self._hours.day
        today = HoldingsQueries(views.books, views.trading).realized(day, day)
        kept = max(today.trading, _ZERO) + max(today.holdings, _ZERO)
        excess = purses_of(views.books).float - target - kept
        return self._buy("sweep", max(excess, _ZERO), target)

    def _buy(self, context: Context, amount: Decimal, target: Decimal) -> str:
        if self._orders.begun(context, "buy"):
            return in_words(self._orders.carry_out(context, ()))
        if amount < SMALLEST:
            return ""
        wanted = [symbol for symbol, weight in weights(self._plan).items() if weight]
        asks = {symbol: quoted.ask for symbol, quoted in quotes(self._bot, wanted).items()}
        currency = self._bot.settings.CURRENCY_CODE
        orders = purchases(self._plan, amount, asks, self._step, currency, context)
        costs = {o.symbol: most_cost(o.quantity, o.limit_price or _ZERO) for o in orders}
        breaches = check_purchases(
            self._plan,
            costs,
            purse="float" if context == "sweep" else "reinvestment_pool",
            held=purses_of(self._bot.views.books),
            target=target,
            currency=currency,
        )
        try:
            refuse(breaches)
        except RulesBroken as e:
            return str(e)
        silent = [s for s in wanted if s not in asks]
        said = [in_words(self._orders.carry_out(context, orders))]
        said += [f"{', '.join(silent)} not bought: not quoted now"] if silent else []
        return "; ".join(filter(None, said))
