"""Indicators, folded one bar at a time in exact decimals: ranges, VWAP and stops."""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal

from aggregates.errors import DomainError
from aggregates.market import MINUTE, Bar
from aggregates.money import divide_half_even, from_scaled

EXACT = Context(prec=60)  # a price of 6 decimals × a fraction keeps every digit
VWAP_SCALE = 10**6  # a quotient has to end somewhere: six decimals, half to even (0036)


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
    def edges(self) -> tuple[Decimal, Decimal]:
        """High and low of a window that has bars. Raises DomainError where it has none."""
        if self.high is None or self.low is None:
            raise DomainError("There is no range: no bar of its window came.")
        return self.high, self.low

    @property
    def valid(self) -> bool:
        """Bars in at least half of the minutes, and in one at the very least."""
        return is_range(self.bars, self.minutes)


def is_range(bars: int, minutes: int) -> bool:
    """Whether so many bars in a window of so many minutes make a range."""
    return bars > 0 and 2 * bars >= minutes


def vwap_of(price_volume: Decimal, volume: int) -> Decimal | None:
    """The mean price of the units traded, by ``price_volume`` as ``SessionVwap`` has it."""
    if volume <= 0:
        return None
    above, below = price_volume.as_integer_ratio()
    return from_scaled(divide_half_even(above * VWAP_SCALE, below * 3 * volume), VWAP_SCALE)


class SessionVwap:
    """Volume-weighted average price of the bars folded so far, each at its typical price.

    The typical price is (high + low + close) ÷ 3; ``price_volume`` is the sum of
    (high + low + close) × volume, exact, so that the division by three comes last.
    """

    def __init__(self) -> None:
        self.price_volume = Decimal(0)
        self.volume = 0

    def fold(self, bar: Bar) -> None:
        typical = EXACT.add(EXACT.add(bar.high, bar.low), bar.close)
        traded = EXACT.multiply(typical, Decimal(bar.volume))
        self.price_volume = EXACT.add(self.price_volume, traded)
        self.volume += bar.volume

    @property
    def value(self) -> Decimal | None:
        """To six decimals, half to even; None while nothing was traded."""
        return vwap_of(self.price_volume, self.volume)
