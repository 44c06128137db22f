"""An exit that no strategy asked for, as commands: of the kill switch, or found done by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from aggregates.base import Command
from aggregates.order_messages import IntendOrder, Sleeve
from aggregates.session import Decide, Session, session_stream
from runtime.bootstrap import Bot
from runtime.instruments import id_of


def exit_commands(
    bot: Bot,
    *,
    order_id: str,
    day: date,
    at: datetime,
    symbol: str,
    quantity: Decimal,
    held: Decimal,
    reason: str,
    inputs: dict[str, str],
    sleeve: Sleeve = "trading",
    context: str = "trading",
) -> list[Command]:
    """The intent, and before it the decision where the day's session is open to hold one. ``held``
    is what the sleeve holds of it by the books.

    Before a session and after its close nothing is decided in it: the intent stands alone then.
    """
    strategy = strategy_of(bot, symbol, sleeve)
    intent = IntendOrder(
        at=at,
        effective_date=day,
        order_id=order_id,
        bot_identity=bot.identity,
        instrument_id=id_of(bot, symbol),
        symbol=symbol,
        sleeve=sleeve,
        side="sell",
        order_type="market",
        quantity=quantity,
        strategy=strategy,
        context=context,
        reason=reason,
        held=held,
    )
    session = bot.store.load(Session, session_stream(day.isoformat()))
    if not session.label or session.closed:
        return [intent]
    decision = Decide(
        at=at,
        effective_date=day,
        decision_id=order_id,
        strategy=strategy,
        symbol=symbol,
        kind="exit",
        outcome="taken",
        reason=reason,
        inputs=inputs,
        verdicts=(),
        order_id=order_id,
    )
    return [decision, intent]


def strategy_of(bot: Bot, symbol: str, sleeve: Sleeve = "trading") -> str:
    """Whose purchase is sold: the round trip is closed under its name. Views must be caught up."""
    bought = [
        order.strategy
        for order in bot.views.orders.of_symbol(symbol)
        if (order.side, order.sleeve) == ("buy", sleeve) and order.filled
    ]
    return bought[-1] if bought else "none"
