"""The events of one stream that both clocks know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from aggregates.base import Event
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf


def known_events(feed: Feed, stream: str, as_of: AsOf = NOW) -> Iterator[tuple[Envelope, Event]]:
    """In order, each with its row. Raises MissingKey when the key of an event is not here."""
    until = as_of.date or date.max
    position = FOREVER if as_of.position is None else as_of.position
    for row in feed.stream(stream):
        if row.position > position:
            return
        event = feed.event(row)
        if event.effective_date <= until:
            yield row, event
