"""Every recorded decision, derived again (`tbot replay --decisions`): what the history must say of
why something was traded, or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from aggregates.order_messages import OrderIntended
from aggregates.session import Decided, PhaseStarted, SessionOpened
from config.calendar import SessionHours
from config.settings import demo_settings
from eventstore.feed import Feed
from projections.ledger_records import AsOf
from runtime.settings_history import revisions
from strategies.derivation import Day, differences

TOPICS = ("Session.Opened", "Session.PhaseStarted", "Session.Decided", "Order.Intended")


class Unequal(msgspec.Struct, frozen=True):
    """A decision that comes out otherwise; ``differences`` in words."""

    position: int
    decision_id: str
    differences: tuple[str, ...]


class Replayed(NamedTuple):
    """``counts``: decisions by kind and outcome."""

    counts: Counter[tuple[str, str]]
    unequal: tuple[Unequal, ...]


def replay_decisions(feed: Feed, until: int | None = None) -> Replayed:
    """In the order of recording, up to a position. Reads each event once."""
    days: dict[str, Day] = {}
    waiting: dict[str, Decimal | None] = {}
    counts: Counter[tuple[str, str]] = Counter()
    unequal: list[Unequal] = []
    for row in feed.all():
        if until is not None and row.position > until:
            break
        if row.topic not in TOPICS:
            continue
        event = feed.event(row)
        if isinstance(event, SessionOpened):
            days[event.label] = _day(feed, event)
        elif isinstance(event, PhaseStarted) and event.phase == "mid":
            label = event.effective_date.isoformat()
            days[label] = days[label]._replace(mid_since=event.occurred_at)
        elif isinstance(event, Decided):
            counts[event.kind, event.outcome] += 1
            found = differences(event, days[event.effective_date.isoformat()])
            if found:
                unequal.append(Unequal(row.position, event.decision_id, tuple(found)))
            if event.order_id is not None:
                waiting[event.order_id] = Decimal(event.inputs["quantity"])
        elif isinstance(event, OrderIntended) and event.order_id in waiting:
            unequal += _ordered(row.position, event, waiting.pop(event.order_id))
    unequal += [
        Unequal(0, order_id, ("it was taken, and no order was intended",)) for order_id in waiting
    ]
    return Replayed(counts, tuple(unequal))


def _ordered(position: int, event: OrderIntended, quantity: Decimal | None) -> Iterator[Unequal]:
    """The order is for what was decided."""
    if event.quantity != quantity:
        said = f"quantity of the order: recorded {event.quantity:f}, decided {quantity:f}"
        yield Unequal(position, event.order_id, (said,))


def _day(feed: Feed, opened: SessionOpened) -> Day:
    """The settings that the session was opened with; what they lack has its default."""
    known = revisions(feed, AsOf(position=opened.settings_position))
    values = known[-1].values if known else {}
    hours = SessionHours(opened.effective_date, opened.opens_at, opened.closes_at)
    return Day(demo_settings(values), hours)
