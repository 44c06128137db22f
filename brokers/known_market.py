"""What of a market data source can be known at an instant.

A source holds whole days, the future of a simulated day included. A bar or quote of minute m is
known from m + 1 minute on (decision 0002); nothing else of the source is ever handed on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TypeVar

from aggregates.market import Bar, Quote
from brokers.market_data import MarketData

Row = TypeVar("Row", Bar, Quote)


class KnownMarket:
    """What of a source can be known at an instant: complete minutes only, never the future."""

    def __init__(self, source: MarketData) -> None:
        self.source = source
        self._symbols = frozenset(source.symbols())
        self._days = source.days()

    def knows(self, symbol: str) -> bool:
        return symbol in self._symbols

    def has_day(self, day: date) -> bool:
        return day in self._days

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        """Bars with ``start <= bar.start`` and ``bar.end <= min(end, now)``, in order."""
        until, found = min(end, now), list[Bar]()
        # One day more to the left: the minutes of a day's file may reach into the next UTC day.
        first = max(start.toordinal() - 1, date.min.toordinal())
        for day in self._days_up_to(until)[bisect_left(self._days, date.fromordinal(first)) :]:
            bars = self.source.bars(symbol, day)
            found += bars[
                bisect_left(bars, start, key=_start) : bisect_right(bars, until, key=_end)
            ]
        return found

    def quote(self, symbol: str, now: datetime) -> Quote | None:
        """The latest quote known at ``now``, of whatever day; None when there is none."""
        return self._latest(self.source.quotes, symbol, now)

    def last_bar(self, symbol: str, now: datetime) -> Bar | None:
        """The latest bar complete at ``now``: its close is the last known price."""
        return self._latest(self.source.bars, symbol, now)

    def _latest(
        self, read: Callable[[str, date], Sequence[Row]], symbol: str, now: datetime
    ) -> Row | None:
        for day in reversed(self._days_up_to(now)):
            rows = read(symbol, day)
            if place := bisect_right(rows, now, key=_end):
                return rows[place - 1]
        return None

    def _days_up_to(self, moment: datetime) -> tuple[date, ...]:
        return self._days[: bisect_right(self._days, moment.date())]


def _start(row: Bar | Quote) -> datetime:
    return row.start


def _end(row: Bar | Quote) -> datetime:
    return row.end
