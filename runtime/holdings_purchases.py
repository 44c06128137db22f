"""What was set aside is bought: the tax reserve's vehicle, the pool, and the sweep (M32, M34)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from aggregates.holdings_plan import Plan, weights
from config.calendar import SessionHours
from projections.reserve_losses import reserve_short
from runtime.bootstrap import Bot
from runtime.holdings_measured import DAY, measure
from runtime.holdings_orders import HoldingsOrders, in_words
from runtime.holdings_prices import Quoted, quotes
from runtime.holdings_reserve import make_whole
from runtime.instruments import as_named
from runtime.purses import purses_of
from strategies.cost_rates import rates_of
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
        self._rates = rates_of(bot.settings.BROKER_NAME)

    # -- the tax reserve -------------------------------------------------------------------

    def tax_vehicle(self) -> str:
        """The reserve's cash into its security, units of any other one back into cash.

        What the orders cost, or lose, comes from the float: a reserve does not fall.
        """
        sold = self._orders.carry_out("tax-reserve-out", list(self._no_longer()))
        asked = quotes(self._bot, filter(None, [self._plan.tax_vehicle]))
        bought = self._orders.carry_out("tax-reserve", list(self._into_vehicle(asked)))
        said = [in_words((*sold, *bought))]
        # no vehicle: the tax reserve is held in cash
        if self._plan.tax_vehicle and not (asked or bought):
            said.append(f"{self._plan.tax_vehicle} is not quoted, the reserve stays in cash")
        said.append(make_whole(self._bot, self._hours))
        return "; ".join(filter(None, said))

    def _no_longer(self) -> Iterator[PlannedOrder]:
        books = self._bot.views.books
        vehicle = as_named(self._plan, books).tax_vehicle  # renamed meanwhile, it is still the same
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
            quantity = buyable(cash, limit, self._step, self._rates)
            if quantity > 0:
                yield PlannedOrder(
                    symbol=symbol, side="buy", quantity=quantity, limit_price=limit,
                    context="tax-reserve", reason="the plan holds the tax reserve in it",
                )  # fmt: skip

    # -- the securities --------------------------------------------------------------------

    def pool(self) -> str:
        """What was set aside for reinvestment, by the plan's shares."""
        pool = purses_of(self._bot.views.books).pool
        return self._buy("reinvestment", pool, _ZERO)

    def sweep(self, target: Decimal) -> str:
        """Cash above the float's target, by the plan's shares, but for gains that nothing is set
        aside of yet, such as today's. Nothing at all while a reserve waits for the float."""
        # sweep off: what is above the target stays in the float
        if not self._plan.sweep:
            return ""
        if not self._orders.begun("sweep", "buy") and (why := self._reserves_due()):
            return why
        measured = measure(self._bot, self._hours.day)
        kept = measured.due.trading + measured.due.holdings if measured else _ZERO
        excess = purses_of(self._bot.views.books).float - target - kept
        return self._buy("sweep", max(excess, _ZERO), target)

    def _reserves_due(self) -> str:
        """What of the float tax and payroll wait for, in words; empty when nothing does."""
        if short := reserve_short(self._bot.views.books).amount:
            return f"nothing, the tax reserve waits for {short:,f} of its security's losses"
        over = measure(self._bot, self._hours.day - DAY)
        return f"nothing, the gains since {over.first} wait for their reserves" if over else ""

    def _buy(self, context: Context, amount: Decimal, target: Decimal) -> str:
        if self._orders.begun(context, "buy"):
            return in_words(self._orders.carry_out(context, ()))
        if amount < SMALLEST:
            return ""
        wanted = [symbol for symbol, weight in weights(self._plan).items() if weight]
        asks = {symbol: quoted.ask for symbol, quoted in quotes(self._bot, wanted).items()}
        currency = self._bot.settings.CURRENCY_CODE
        orders = purchases(self._plan, amount, asks, self._step, currency, context, self._rates)
        costs = {
            o.symbol: most_cost(o.quantity, o.limit_price or _ZERO, self._rates) for o in orders
        }
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
