"""Sales that somebody made at the broker by hand, booked once a person has accepted them.

The broker's executions say what was sold and for how much, so nothing is guessed; that they are to
be booked as sales of this bot is what the person decides. The units leave the account that holds
them: what the ledger could not post is not recorded, and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from aggregates.base import Command
from aggregates.errors import DomainError
from aggregates.money import Money, Price, Quantity
from aggregates.order import Order, order_stream
from aggregates.order_messages import BY_HAND, RecordFill, RecordSubmission, Sleeve
from aggregates.reconciliation import Difference, Reconciliation
from brokers.port import Execution
from projections.ledger_records import Position
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.dry_run import dry_run
from runtime.exits import exit_commands
from runtime.option_expiry import book_accepted_expiry

_ZERO = Decimal(0)
# Where units are looked for, in this order: role of the account, sleeve and context of the sale.
_PLACES: tuple[tuple[str, Sleeve, str], ...] = (
    ("trading_securities", "trading", BY_HAND),
    ("trading_options", "trading", BY_HAND),
    ("holdings_securities", "holdings", BY_HAND),
    ("tax_reserve_vehicle", "holdings", "tax-reserve"),
)


class Accepted(NamedTuple):
    """In words: the sales that were ``booked`` now, and of each difference why it is ``left``."""

    booked: list[str]
    left: list[str]


class Part(NamedTuple):
    """What one account gives to a sale: all of it, but where no single one holds as much. It held
    ``held`` before."""

    sleeve: Sleeve
    context: str
    sale: Execution
    held: Decimal


def book_accepted(
    bot: Bot,
    desk: Desk | None,
    state: Reconciliation,
    strangers: Sequence[Execution],
    at_broker: Mapping[str, Decimal],
) -> Accepted:
    """Book the expiry, or the sales, behind each accepted difference that there still is, whole or
    not at all.

    Only sales that come to exactly what is missing: of anything else nothing is booked.
    """
    done = Accepted([], [])
    for difference_id, reason in state.accepted.items():
        difference = state.found[difference_id]
        if difference.kind == "option_expired" and _still_missing(bot, difference, at_broker):
            try:
                done.booked.append(book_accepted_expiry(bot, difference, reason))
            except DomainError as e:
                done.left.append(f"not booked: {difference.subject}: {e}")
            continue
        if difference.kind != "closed_by_hand" or not _still_missing(bot, difference, at_broker):
            continue
        sold = f"{-Decimal(difference.amount):f} {difference.subject} sold by hand"
        if why := _waits(bot, difference.subject):
            done.left.append(f"not booked yet: {sold}: {why}")
            continue
        sales = _sales(bot, strangers, difference.subject, -Decimal(difference.amount))
        if not sales:
            done.left.append(
                f"not booked: {sold}: the broker lists no sales that come to exactly as many"
            )
        for sale in sales:
            try:
                _book(bot, desk, sale, reason)
            except DomainError as e:
                done.left.append(f"not booked: {sold}: {e}")
                break
            done.booked.append(
                f"sold by hand: {sale.quantity:f} {sale.symbol} at {sale.price:f}, accepted: "
                f"{reason}"
            )
    return done


def _order_id(sale: Execution) -> str:
    return f"by-hand-{sale.execution_id}"


def _held(bot: Bot, symbol: str) -> list[Position]:
    bot.views.catch_up()
    return [p for p in bot.views.books.positions() if p.symbol == symbol]


def _still_missing(bot: Bot, difference: Difference, at_broker: Mapping[str, Decimal]) -> bool:
    ours = sum((p.quantity for p in _held(bot, difference.subject)), _ZERO)
    return at_broker.get(difference.subject, _ZERO) - ours == Decimal(difference.amount)


def _waits(bot: Bot, symbol: str) -> str:
    """Whether a sale of ours may be what is missing: booked too, its fill could not be posted."""
    ids = [
        o.order_id for o in bot.views.orders.unfinished() if (o.symbol, o.side) == (symbol, "sell")
    ]
    return f"order {', '.join(ids)} may still be filled, and may be it" if ids else ""


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


# Which account gives how much


def _parts(bot: Bot, sale: Execution) -> list[Part]:
    """The first account that holds as many gives all; else each in turn gives what it has."""
    held, mapping = _held(bot, sale.symbol), bot.views.books.chart().mapping
    units = {p.code.partition(".")[0]: p.quantity for p in held}
    there = [(place, units[mapping[place[0]]]) for place in _PLACES if mapping[place[0]] in units]
    enough = [one for one in there if one[1] >= sale.quantity][:1]
    given, left = [], sale.quantity
    for place, most in enough or there:
        if left > 0:
            given.append((place, min(left, most)))
            left -= given[-1][1]
    if left:
        raise DomainError(
            f"trading, the holdings and the tax reserve hold {left:f} too few. Nothing was "
            "recorded; compare the accounts with the broker's statement."
        )
    pieces = _split(sale, [quantity for _, quantity in given])
    return [
        Part(sleeve, context, piece, units[mapping[role]])
        for ((role, sleeve, context), _), piece in zip(given, pieces, strict=True)
    ]


def _split(sale: Execution, units: Sequence[Decimal]) -> list[Execution]:
    """The execution in pieces that add up to it, money to the minor unit."""
    if len(units) == 1:
        return [sale]
    weights = [Fraction(quantity) for quantity in units]
    commission = Money.rounded(sale.commission, sale.currency)
    fees = Money.rounded(sale.fees, sale.currency)
    gross = Price.of(sale.price, sale.currency).times(Quantity.of(sale.quantity))
    stated = sale.net_amount
    net = gross - commission - fees if stated is None else Money.rounded(stated, sale.currency)
    shares = zip(*(amount.split(weights) for amount in (commission, fees, net)), strict=True)
    return [
        msgspec.structs.replace(
            sale,
            execution_id=sale.execution_id if not number else f"{sale.execution_id}-{number + 1}",
            quantity=quantity,
            commission=share[0].decimal,
            fees=share[1].decimal,
            net_amount=share[2].decimal,
        )
        for number, (quantity, share) in enumerate(zip(units, shares, strict=True))
    ]


# Booking


def _book(bot: Bot, desk: Desk | None, sale: Execution, reason: str) -> None:
    """All parts in one batch, after the ledger has shown that it could post them.

    Raises DomainError when it could not; then nothing was recorded.
    """
    parts = _parts(bot, sale)
    commands = [command for part in parts for command in _commands(bot, part, reason)]
    dry_run(bot.store, bot.folder, *commands)
    order_id = _order_id(sale)
    bot.dispatch(*commands, command_id=f"by-hand:{order_id}", correlation=order_id)
    for part in parts:
        if desk is not None and part.sleeve == "trading":
            desk.refresh(_order_id(part.sale))


def _commands(bot: Bot, part: Part, reason: str) -> list[Command]:
    """Intent, submission and fill: at no time is there anything to send."""
    sale, order_id = part.sale, _order_id(part.sale)
    day = bot.calendar.date_of(sale.executed_at)
    commands: list[Command] = exit_commands(
        bot, order_id=order_id, day=day, at=sale.executed_at, symbol=sale.symbol,
        quantity=sale.quantity, held=part.held, reason=f"sold by hand: {reason}",
        sleeve=part.sleeve, context=part.context,
        inputs={"quantity": f"{sale.quantity:f}", "execution_id": sale.execution_id},
    )  # fmt: skip
    return [
        *commands,
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
