"""Sales that somebody made at the broker by hand, booked once a person has accepted them.

The broker's executions say what was sold and for how much, so nothing is guessed; that they are to
be booked as sales of this bot is what the person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from aggregates.base import Command
from aggregates.order import Order, order_stream
from aggregates.order_messages import RecordFill, RecordSubmission, Sleeve
from aggregates.reconciliation import Reconciliation
from brokers.port import Execution
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.exits import BY_HAND, exit_commands
from runtime.flatten import units_by_sleeve

_ZERO = Decimal(0)


def book_accepted(
    bot: Bot, desk: Desk | None, state: Reconciliation, strangers: Sequence[Execution]
) -> list[str]:
    """Book the sales behind each accepted difference; returns them in words.

    Only sales that come to exactly what is missing: of anything else nothing is booked.
    """
    words = []
    for difference_id, reason in state.accepted.items():
        difference = state.found[difference_id]
        if difference.kind != "closed_by_hand":
            continue
        sales = _sales(bot, strangers, difference.subject, -Decimal(difference.amount))
        for sale in sales:
            sleeve = _sleeve(bot, sale)
            if sleeve is not None:
                _book(bot, desk, sale, sleeve, reason)
                words.append(
                    f"sold by hand: {sale.quantity:f} {sale.symbol} at {sale.price:f}, accepted: "
                    f"{reason}"
                )
    return words


def _order_id(sale: Execution) -> str:
    return f"by-hand-{sale.execution_id}"


def _sales(
    bot: Bot, strangers: Sequence[Execution], symbol: str, missing: Decimal
) -> list[Execution]:
    """The newest sales that are not booked and come to exactly ``missing`` units, oldest first."""
    found: list[Execution] = []
    for execution in reversed(strangers):
        booked = bot.store.load(Order, order_stream(_order_id(execution))).intent is not None
        if (execution.symbol, execution.side) != (symbol, "sell") or booked:
            continue
        if missing <= 0:
            break
        found.append(execution)
        missing -= execution.quantity
    return found[::-1] if not missing else []


def _sleeve(bot: Bot, sale: Execution) -> Sleeve | None:
    """Trading's units first; None when neither sleeve holds as many."""
    bot.views.catch_up()
    trading, holdings = units_by_sleeve(bot.views.books)
    sleeves: Mapping[Sleeve, Mapping[str, Decimal]] = {"trading": trading, "holdings": holdings}
    for sleeve, units in sleeves.items():
        if units.get(sale.symbol, _ZERO) >= sale.quantity:
            return sleeve
    return None


def _book(bot: Bot, desk: Desk | None, sale: Execution, sleeve: Sleeve, reason: str) -> None:
    """Intent, submission and fill in one batch: at no time is there anything to send."""
    order_id, day = _order_id(sale), sale.executed_at.date()
    commands: list[Command] = exit_commands(
        bot, order_id=order_id, day=day, at=sale.executed_at, symbol=sale.symbol,
        quantity=sale.quantity, reason=f"sold by hand: {reason}", sleeve=sleeve, context=BY_HAND,
        inputs={"quantity": f"{sale.quantity:f}", "execution_id": sale.execution_id},
    )  # fmt: skip
    commands += [
        RecordSubmission(at=sale.executed_at, effective_date=day, order_id=order_id),
        RecordFill(
            at=sale.executed_at,
            effective_date=day,
            order_id=order_id,
            execution_id=sale.execution_id,
            quantity=sale.quantity,
            price=sale.price,
            currency=sale.currency,
            commission=sale.commission,
            fees=sale.fees,
            net_amount=sale.net_amount,
            settles_on=sale.settles_on,
        ),
    ]
    bot.dispatch(*commands, command_id=f"by-hand:{order_id}", correlation=order_id)
    if desk is not None and sleeve == "trading":
        desk.refresh(order_id)
