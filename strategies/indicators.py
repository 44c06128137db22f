"""Indicators, folded one bar at a time in exact decimals: opening range and stops."""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal

import msgspec

from aggregates.market import MINUTE, Bar

EXACT = Context(prec=60)  # a price of 6 decimals × a fraction keeps every digit


class OpeningRange:
    """Greatest high, least low and volume of the bars that start in ``[start, end)`` (UTC).

    A missing minute is never filled in: the range counts the bars it got.
    """

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.high: Decimal | None = None
        self.low: Decimal | None = None
        self.bars = 0
        self.volume = 0

    def fold(self, bar: Bar) -> None:
        if not self.start <= bar.start < self.end:
            return
        self.high = bar.high if self.high is None else max(self.high, bar.high)
        self.low = bar.low if self.low is None else min(self.low, bar.low)
        self.bars += 1
        self.volume += bar.volume

    @property
    def minutes(self) -> int:
        """Length of the window: how many bars a range without a hole would have."""
        return (self.end - self.start) // MINUTE

    @property
    def valid(self) -> bool:
        """Bars in at least half of the minutes, and in one at the very least."""
        return is_range(self.bars, self.minutes)


def is_range(bars: int, minutes: int) -> bool:
    """Whether so many bars in a window of so many minutes make a range."""
    return bars > 0 and 2 * bars >= minutes


def trailing_level(high_water_mark: Decimal, fraction: Decimal) -> Decimal:
    return EXACT.multiply(high_water_mark, EXACT.subtract(Decimal(1), fraction))


def is_trailing(initial: Decimal | None, trailing: Decimal | None) -> bool:
    """Whether the trailing stop is the higher of the two."""
    return trailing is not None and (initial is None or trailing > initial)


class TrailingStop:
    """``high-water mark × (1 − fraction)``; the mark is the greatest high folded so far."""

    def __init__(self, fraction: Decimal) -> None:
        self._fraction = fraction
        self.high_water_mark: Decimal | None = None
        self.level: Decimal | None = None

    def fold(self, high: Decimal) -> None:
        if self.high_water_mark is None or high > self.high_water_mark:
            self.high_water_mark = high
            self.level = trailing_level(high, self._fraction)


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """The bar that ended a trade, and the stops as they stood before it."""

    bar: Bar
    stop: Decimal
    initial_stop: Decimal | None
    trailing_stop: Decimal | None
    high_water_mark: Decimal | None

    @property
    def trailing(self) -> bool:
        """The trailing stop was the higher of the two."""
        return is_trailing(self.initial_stop, self.trailing_stop)


class PositionStop:
    """The stops of one position: the low of ``opening``, or the trailing stop when higher.

    Bars that start at or after ``since`` and end by ``until`` are watched. Nothing but bars
    goes in, so one built late from the day's bars stands where one folded live does.
    """

    def __init__(
        self, since: datetime, until: datetime, opening: OpeningRange, fraction: Decimal
    ) -> None:
        self.since, self._last_start = since, until - MINUTE
        self._opening = opening
        self._trailing = TrailingStop(fraction)
        self.touch: Touch | None = None

    def fold(self, bar: Bar) -> None:
        """Judge the bar by the stop as it stood before; only then let its high raise it."""
        if self.touch is not None or not self.since <= bar.start <= self._last_start:
            return
        # While the range is still forming there is no range's low yet.
        initial = self._opening.low if bar.start >= self._opening.end else None
        trailing = self._trailing.level
        stops = [stop for stop in (initial, trailing) if stop is not None]
        if stops and bar.low <= max(stops):
            self.touch = Touch(
                bar=bar,
                stop=max(stops),
                initial_stop=initial,
                trailing_stop=trailing,
                high_water_mark=self._trailing.high_water_mark,
            )
            return
        self._trailing.fold(bar.high)
