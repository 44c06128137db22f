"""Corrections of what was posted: by reversal only, with a reason (accounting, check 7)."""

from __future__ import annotations

from collections.abc import Iterable

from aggregates.base import Command
from aggregates.books import ReverseEntry, UnitMovement
from aggregates.errors import DomainError
from aggregates.money import QUANTITY_SCALE, to_scaled
from aggregates.order import Order, order_stream
from aggregates.order_messages import RecordFill
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from runtime.bootstrap import Bot
from runtime.dispatch import Recorded

REVERSIBLE = ("Order.Filled", "Capital.", "Instrument.Split")


def reverse_entry(bot: Bot, position: int, reason: str, *replacement: Command) -> Recorded:
    """Undo the entry that the event at ``position`` posted, at its own date, and re-cost after it.

    ``replacement`` commands are recorded in the same batch. Raises DomainError when the event
    posted no entry, was reversed before, or units would become negative at any date.
    """
    bot.views.catch_up()
    check_reversible(bot.views.feed, position)
    movements = bot.views.books.unit_movements(position)
    command = ReverseEntry(
        at=bot.clock.now(),
        effective_date=bot.today(),
        reversed_position=position,
        reason=reason,
        movements=(*movements, *_moved_by(bot, replacement, movements)),
    )
    # the replacement comes first, so that the units are never short in between
    done = bot.dispatch(*replacement, command, command_id=f"reverse:{position}")
    bot.views.catch_up()
    return done


def check_reversible(feed: Feed, position: int) -> Envelope:
    """The row of an event that posted an entry. Raises DomainError for any other event."""
    row = feed.at(position)
    if row is None or not row.topic.startswith(REVERSIBLE):
        raise DomainError(
            f"Event {position} posted no entry that could be reversed. Nothing was changed; the "
            "journal names the event of every entry."
        )
    return row


def _moved_by(
    bot: Bot, replacement: Iterable[Command], movements: list[UnitMovement]
) -> list[UnitMovement]:
    """Unit movements of the replacing fills, in the pool of the entry that they replace."""
    found = []
    for number, command in enumerate(replacement, start=bot.store.head().position + 1):
        if isinstance(command, RecordFill) and movements:
            side = bot.store.load(Order, order_stream(command.order_id)).terms.side
            units = to_scaled(command.quantity, QUANTITY_SCALE, "quantity")
            signed = units if side == "buy" else -units
            found.append(UnitMovement(command.effective_date, number, signed, movements[0].pool))
    return found
