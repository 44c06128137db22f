"""The chart of accounts as of both clocks, from the few events that adopted or changed one."""

from __future__ import annotations

from typing import NamedTuple

from aggregates.chart_of_accounts import STREAM, Chart, ChartAdopted, ChartChanged
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf


class Adoption(NamedTuple):
    """The event that made a version of the chart, with its stored row."""

    row: Envelope
    event: ChartAdopted | ChartChanged

    @property
    def chart(self) -> Chart:
        return self.event.chart


def adoptions(feed: Feed, as_of: AsOf = NOW) -> list[Adoption]:
    """Every version that both clocks know, in the order of recording; the last is in force."""
    return [
        Adoption(row, event)
        for row, event in known_events(feed, STREAM, as_of)
        if isinstance(event, ChartAdopted | ChartChanged)
    ]
