"""What the holdings' day had no price for when it valued the account last (M31)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from aggregates.holdings import StepDone, day_stream
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf

NO_PRICE = "no_price_today"  # the figure of the step "value" that says it in words
DAY = timedelta(days=1)
LOOK_BACK_DAYS = 10  # in which there was a session


class Unpriced(NamedTuple):
    day: date
    said: str


def unpriced_of(feed: Feed, as_of: AsOf = NOW) -> Unpriced | None:
    """None when the newest valuation that both clocks know had a price for everything."""
    until = FOREVER if as_of.position is None else as_of.position
    if (day := as_of.date or _newest(feed, until)) is None:
        return None
    for back in range(LOOK_BACK_DAYS):
        that = day - back * DAY
        for row in feed.stream(day_stream(that)):
            event = feed.event(row) if row.position <= until else None
            if isinstance(event, StepDone) and event.step == "value":
                said = event.figures.get(NO_PRICE, "")
                return Unpriced(that, said) if said else None
    return None


def _newest(feed: Feed, until: int) -> date | None:
    topics = ("HoldingsDay.StepDone",)
    rows = feed.page(topics=topics, before=until + 1, newest_first=True, limit=1)
    return feed.event(rows[0]).effective_date if rows else None
