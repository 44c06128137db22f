"""Stops of one position, folded one bar at a time in exact decimals.

A long position is watched by its own bars and ends at a low. One that was bought on weakness (M11)
is watched by the bars of its underlying, mirrored: it ends at a high.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from aggregates.market import MINUTE, Bar
from strategies.indicators import EXACT

ONE = Decimal(1)


def trailing_level(mark: Decimal, fraction: Decimal) -> Decimal:
    """The trailing stop below a mark that rises."""
    return EXACT.multiply(mark, EXACT.subtract(ONE, fraction))


def mirrored_level(mark: Decimal, fraction: Decimal) -> Decimal:
    """The trailing stop above a mark that falls."""
    return EXACT.multiply(mark, EXACT.add(ONE, fraction))


def is_trailing(initial: Decimal | None, trailing: Decimal | None) -> bool:
    """Whether the trailing stop is the higher of the two."""
    return trailing is not None and (initial is None or trailing > initial)


def is_mirrored_trailing(initial: Decimal | None, trailing: Decimal | None) -> bool:
    """Whether the trailing stop is the lower of the two."""
    return trailing is not None and (initial is None or trailing < initial)


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


class MirroredTrailingStop:
    """``low-water mark × (1 + fraction)``; the mark is the least low folded so far."""

    def __init__(self, fraction: Decimal) -> None:
        self._fraction = fraction
        self.low_water_mark: Decimal | None = None
        self.level: Decimal | None = None

    def fold(self, low: Decimal) -> None:
        if self.low_water_mark is None or low < self.low_water_mark:
            self.low_water_mark = low
            self.level = mirrored_level(low, self._fraction)


class Edges(Protocol):
    """Where the initial stops lie: ``low`` of a long position, ``high`` of a mirrored one. They
    hold for bars that start at ``end`` or later."""

    end: datetime
    high: Decimal | None
    low: Decimal | None


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """The bar that ended a trade, and the stops as they stood before it. ``mark`` is the greatest
    high, or the least low of a mirrored position."""

    bar: Bar
    stop: Decimal
    initial_stop: Decimal | None
    trailing_stop: Decimal | None
    mark: Decimal | None
    mirrored: bool = False

    @property
    def trailing(self) -> bool:
        """The trailing stop was the nearer of the two."""
        nearer = is_mirrored_trailing if self.mirrored else is_trailing
        return nearer(self.initial_stop, self.trailing_stop)


class PositionStop:
    """The stops of a long position: the low of ``edges``, or the trailing stop when higher.

    Bars that start at or after ``since`` and end by ``until`` are watched. Nothing but bars
    goes in, so one built late from the day's bars stands where one folded live does.
    """

    def __init__(self, since: datetime, until: datetime, edges: Edges, fraction: Decimal) -> None:
        self.since, self._last_start = since, until - MINUTE
        self._edges = edges
        self._trailing = TrailingStop(fraction)
        self.touch: Touch | None = None

    def fold(self, bar: Bar) -> None:
        """Judge the bar by the stop as it stood before; only then let its high raise it."""
        if self.touch is not None or not self.since <= bar.start <= self._last_start:
            return
        # While the range is still forming there is no range's low yet.
        initial = self._edges.low if bar.start >= self._edges.end else None
        trailing = self._trailing.level
        stops = [stop for stop in (initial, trailing) if stop is not None]
        if stops and bar.low <= max(stops):
            self.touch = Touch(
                bar=bar,
                stop=max(stops),
                initial_stop=initial,
                trailing_stop=trailing,
                mark=self._trailing.high_water_mark,
            )
            return
        self._trailing.fold(bar.high)


class MirroredStop:
    """The stops of a position bought on weakness, by the bars of its underlying: the high of
    ``edges``, or the trailing stop when lower. All else is as in ``PositionStop``."""

    def __init__(self, since: datetime, until: datetime, edges: Edges, fraction: Decimal) -> None:
        self.since, self._last_start = since, until - MINUTE
        self._edges = edges
        self._trailing = MirroredTrailingStop(fraction)
        self.touch: Touch | None = None

    def fold(self, bar: Bar) -> None:
        """Judge the bar by the stop as it stood before; only then let its low bring it down."""
        if self.touch is not None or not self.since <= bar.start <= self._last_start:
            return
        initial = self._edges.high if bar.start >= self._edges.end else None
        trailing = self._trailing.level
        stops = [stop for stop in (initial, trailing) if stop is not None]
        if stops and bar.high >= min(stops):
            self.touch = Touch(
                bar=bar,
                stop=min(stops),
                initial_stop=initial,
                trailing_stop=trailing,
                mark=self._trailing.low_water_mark,
                mirrored=True,
            )
            return
        self._trailing.fold(bar.low)
