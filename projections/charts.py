"""The chart of accounts as of both clocks, from the few events that adopted or changed one."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from aggregates.chart_of_accounts import STREAM, Chart, ChartAdopted, ChartChanged
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf


class Adoption(NamedTuple):
    """The event that made a version of the chart, with its stored row."""

    row: Envelope
    event: ChartAdopted | ChartChanged

    @property
    def chart(self) -> Chart:
        return self.event.chart


def adoptions(feed: Feed, as_of: AsOf = NOW) -> list[Adoption]:
    """Every version that both clocks know, in the order of recording; the last is in force."""
    until = as_of.date or date.max
    position = FOREVER if as_of.position is None else as_of.position
    rows = (row for row in feed.stream(STREAM) if row.position <= position)
    return [
        Adoption(row, event)
        for row in rows
        if isinstance(event := feed.event(row), ChartAdopted | ChartChanged)
        and event.effective_date <= until
    ]
