"""The orders of a confirmed rebalance on their way, and each one against its preview (M36)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregates.money import Money
from aggregates.rebalance_values import CarriedOut, Preview, PreviewedOrder
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.holdings_orders import Executed, HoldingsOrders, Wait
from strategies.planned_order import PlannedOrder
from strategies.rebalance_checks import NOT_SENT, purchases_for

_ZERO = Decimal(0)


def carry_out(
    bot: Bot, hours: SessionHours, wait: Wait, request_id: str, confirmed: Preview
) -> tuple[CarriedOut, ...]:
    """Sales, then purchases of what they brought; each order of the preview and what became of it.

    A batch that was intended before an interruption goes on as it was; with the hours of an earlier
    day no further one is intended. Raises KeysRefused, and what ``wait`` raises.
    """
    orders = HoldingsOrders(bot, hours, wait)
    sales = confirmed.of("sell")
    sold = orders.carry_out(request_id, _planned(sales))
    reach("rebalance.sold")
    done = [_carried_out(sale, sold, sale, confirmed.currency) for sale in sales]
    purchases = purchases_for(confirmed, done, bot.broker.capabilities.quantity_step)
    bought = orders.carry_out(request_id, _planned(purchases))
    reach("rebalance.bought")
    left = {order.symbol: order for order in purchases}
    done += [
        _carried_out(order, bought, left.get(order.symbol), confirmed.currency)
        for order in confirmed.of("buy")
    ]
    return tuple(done)


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
        state=found.state if found and found.order_id else NOT_SENT,
        reason=_why(previewed, found, sent),
    )


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
