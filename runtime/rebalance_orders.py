"""The orders of a confirmed rebalance on their way, and each one against its preview (M36)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregates.holdings_requests import LEFT_OUT
from aggregates.money import Money
from aggregates.order import order_stream
from aggregates.order_messages import OrderRejected
from aggregates.rebalance_values import CarriedOut, Preview, PreviewedOrder
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.holdings_orders import Executed, HoldingsOrders, Wait
from runtime.purses import purses_of
from strategies.planned_order import PlannedOrder
from strategies.rebalance_checks import NOT_SENT, purchases_for

NOT_AT_BROKER = "not_at_broker"  # the code of an order that was sent and got lost (0024)
_ZERO = Decimal(0)


def carry_out(
    bot: Bot, hours: SessionHours, wait: Wait, request_id: str, confirmed: Preview
) -> tuple[CarriedOut, ...]:
    """Sales, then purchases of what they brought; each order of the preview and what became of it.

    A batch that was intended before an interruption goes on as it was; with the hours of an earlier
    day no further one is intended. Raises BrokerError before a batch that the broker cannot be
    asked for now: nothing of it was intended, and it may be tried again. Raises KeysRefused, and
    what ``wait`` raises.
    """
    orders = HoldingsOrders(bot, hours, wait)
    sales = confirmed.of("sell")
    if sales and _begins(bot, hours) and not orders.begun(request_id, "sell"):
        bot.broker.positions()  # silent now: it waits, and no sale is skipped
    sold = orders.carry_out(request_id, _planned(sales))
    reach("rebalance.sold")
    done = [_carried_out(bot, sale, sold, sale, confirmed.currency) for sale in sales]
    purchases = purchases_for(confirmed, done, bot.broker.capabilities.quantity_step)
    if _begins(bot, hours) and not orders.begun(request_id, "buy"):
        for purchase in purchases:
            bot.broker.quote(purchase.symbol)
    bought = orders.carry_out(request_id, _planned(purchases))
    reach("rebalance.bought")
    left = {order.symbol: order for order in purchases}
    done += [
        _carried_out(bot, order, bought, left.get(order.symbol), confirmed.currency)
        for order in confirmed.of("buy")
    ]
    return tuple(done)


def _begins(bot: Bot, hours: SessionHours) -> bool:
    return hours.open <= bot.clock.now() < hours.close


def _planned(orders: Sequence[PreviewedOrder]) -> list[PlannedOrder]:
    return [
        PlannedOrder(
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            context="rebalance",
            reason="rebalance to the plan",
        )
        for order in orders
    ]


def _carried_out(
    bot: Bot,
    previewed: PreviewedOrder,
    executed: Sequence[Executed],
    sent: PreviewedOrder | None,
    currency: str,
) -> CarriedOut:
    """``sent`` is the order as it was sent at last, None for one that was left out."""
    same = (e for e in executed if (e.symbol, e.side) == (previewed.symbol, previewed.side))
    found = next(same, None)
    return CarriedOut(
        symbol=previewed.symbol,
        side=previewed.side,
        previewed_quantity=previewed.quantity,
        previewed=previewed.value,
        previewed_costs=previewed.costs,
        wanted=found.wanted if found else _ZERO,
        filled=found.filled if found else _ZERO,
        value=Money.rounded(found.value, currency).decimal if found else _ZERO,
        costs=Money.rounded(found.costs, currency).decimal if found else _ZERO,
        state=_state(bot, found, sent),
        reason=_why(previewed, found, sent),
    )


def _state(bot: Bot, found: Executed | None, sent: PreviewedOrder | None) -> str:
    """The order's last state; of one that never came there, whether there was no money for it."""
    if found is not None and found.order_id:
        return found.state if found.filled or _arrived(bot, found) else NOT_SENT
    if sent is None:
        return LEFT_OUT
    costs = sent.value + sent.costs
    return LEFT_OUT if sent.side == "buy" and _float(bot) < costs else NOT_SENT


def _arrived(bot: Bot, found: Executed) -> bool:
    """Whether the broker had the order, as far as is known."""
    feed = bot.views.feed
    ends = (feed.event(row) for row in feed.stream(order_stream(found.order_id)))
    lost = any(isinstance(e, OrderRejected) and e.error_code == NOT_AT_BROKER for e in ends)
    return found.sent and not lost


def _float(bot: Bot) -> Decimal:
    bot.views.catch_up_ledger()
    return purses_of(bot.views.books).float


def _why(previewed: PreviewedOrder, found: Executed | None, sent: PreviewedOrder | None) -> str:
    """Why less was done than previewed; empty when nothing is to be said."""
    if sent is None:
        return "the sales did not bring the money for it"
    if found is not None and found.filled < found.wanted:
        return found.reason or f"the order ended {found.state}"
    if sent.quantity < previewed.quantity:
        return "the sales brought less than previewed"
    if found is not None and found.wanted < sent.quantity:
        return found.reason or "no more could be sold or paid for"
    return ""
