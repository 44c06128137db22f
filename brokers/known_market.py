"""What of a market data source can be known at an instant.

A source holds whole days, the future of a simulated day included. A bar or quote of minute m is
known from m + 1 minute on (decision 0002); nothing else of the source is ever handed on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Generic, NamedTuple, TypeVar

from aggregates.market import MINUTE, Bar, Quote
from brokers.market_data import DayCache, MarketData

Row = TypeVar("Row", Bar, Quote)


class _Day(NamedTuple, Generic[Row]):
    """Rows of one symbol and day, and their starts beside them: searched a thousand times."""

    rows: Sequence[Row]
    starts: list[datetime]


class KnownMarket:
    """What of a source can be known at an instant: complete minutes only, never the future.

    A source gives each day whole, and the same whenever it is asked: it is read once.
    """

    def __init__(self, source: MarketData) -> None:
        self.source = source
        self.symbols = frozenset(source.symbols())
        self._days = source.days()
        self._bars = DayCache[_Day[Bar]](lambda s, day: _searchable(source.bars(s, day)))
        self._quotes = DayCache[_Day[Quote]](lambda s, day: _searchable(source.quotes(s, day)))
        self._asked_last: dict[str, _Day[Bar]] = {}

    def has_day(self, day: date) -> bool:
        return day in self._days

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Sequence[Bar]:
        """Bars with ``start <= bar.start`` and ``bar.end <= min(end, now)``, in order."""
        until = end if end < now else now
        last = until - MINUTE  # the latest start of a bar that is complete by then
        if asked_last := self._asked_last.get(symbol):
            rows, starts = asked_last
            if starts[0] <= start and last <= starts[-1]:  # minute after minute, within one day
                return rows[bisect_left(starts, start) : bisect_right(starts, last)]
        found = list[Bar]()
        # One day more to the left: the minutes of a day's file may reach into the next UTC day.
        first = date.fromordinal(max(start.toordinal() - 1, date.min.toordinal()))
        for day in self._days_up_to(until)[bisect_left(self._days, first) :]:
            rows, starts = asked_day = self._bars.get(symbol, day)
            if starts and start <= starts[-1]:
                found += rows[bisect_left(starts, start) : bisect_right(starts, last)]
                self._asked_last[symbol] = asked_day
        return found

    def quote(self, symbol: str, now: datetime) -> Quote | None:
        """The latest quote known at ``now``, of whatever day; None when there is none."""
        return self._latest(self._quotes.get, symbol, now)

    def last_bar(self, symbol: str, now: datetime) -> Bar | None:
        """The latest bar complete at ``now``: its close is the last known price."""
        return self._latest(self._bars.get, symbol, now)

    def _latest(
        self, read: Callable[[str, date], _Day[Row]], symbol: str, now: datetime
    ) -> Row | None:
        for day in reversed(self._days_up_to(now)):
            rows, starts = read(symbol, day)
            if place := bisect_right(starts, now - MINUTE):
                return rows[place - 1]
        return None

    def _days_up_to(self, moment: datetime) -> tuple[date, ...]:
        return self._days[: bisect_right(self._days, moment.date())]


def _searchable(rows: Sequence[Row]) -> _Day[Row]:
    return _Day(rows, [row.start for row in rows])
