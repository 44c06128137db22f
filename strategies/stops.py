"""Stops of one position, folded one bar at a time in exact decimals.

A long position is watched by its own bars and ends at a low. One that was bought on weakness (M11)
is watched by the bars of its underlying, mirrored: it ends at a high.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from aggregates.market import MINUTE, Bar
from strategies.indicators import EXACT

ONE = Decimal(1)


def trailing_level(mark: Decimal, fraction: Decimal, mirrored: bool = False) -> Decimal:
    """The trailing stop below a mark that rises; mirrored, above one that falls."""
    away = EXACT.add(ONE, fraction) if mirrored else EXACT.subtract(ONE, fraction)
    return EXACT.multiply(mark, away)


def nearest(stops: Sequence[Decimal], mirrored: bool = False) -> Decimal:
    """The stop that prices come to first: the highest below them, or the lowest above."""
    return min(stops) if mirrored else max(stops)


def trails(initial: Decimal | None, trailing: Decimal | None, mirrored: bool = False) -> bool:
    """Whether the trailing stop is the nearer of the two."""
    if trailing is None or initial is None:
        return trailing is not None
    return trailing < initial if mirrored else trailing > initial


class TrailingStop:
    """``mark × (1 − fraction)``, the mark being the greatest high folded so far; mirrored,
    ``mark × (1 + fraction)`` with the least low."""

    def __init__(self, fraction: Decimal, mirrored: bool = False) -> None:
        self._fraction, self._mirrored = fraction, mirrored
        self.mark: Decimal | None = None
        self.level: Decimal | None = None

    def fold(self, extreme: Decimal) -> None:
        """The bar's high; mirrored, its low."""
        mark = self.mark
        if mark is None or (extreme < mark if self._mirrored else extreme > mark):
            self.mark = extreme
            self.level = trailing_level(extreme, self._fraction, self._mirrored)


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
        return trails(self.initial_stop, self.trailing_stop, self.mirrored)


class PositionStop:
    """The stops of a position. Long: the low of ``edges``, or the trailing stop when higher.
    Mirrored, by the bars of the underlying: the high of ``edges``, or the trailing stop when lower.

    Bars that start at or after ``since`` and end by ``until`` are watched. Nothing but bars
    goes in, so one built late from the day's bars stands where one folded live does.
    """

    def __init__(
        self,
        since: datetime,
        until: datetime,
        edges: Edges,
        fraction: Decimal,
        mirrored: bool = False,
    ) -> None:
        self.since, self._last_start = since, until - MINUTE
        self._edges, self._mirrored = edges, mirrored
        self._trailing = TrailingStop(fraction, mirrored)
        self.touch: Touch | None = None

    def fold(self, bar: Bar) -> None:
        """Judge the bar by the stop as it stood before; only then let its high raise it (mirrored,
        let its low bring it down)."""
        if self.touch is not None or not self.since <= bar.start <= self._last_start:
            return
        mirrored, edges = self._mirrored, self._edges
        initial = None
        if bar.start >= edges.end:  # while the range is still forming it has no edge yet
            initial = edges.high if mirrored else edges.low
        trailing = self._trailing.level
        stops = [stop for stop in (initial, trailing) if stop is not None]
        if stops:
            stop = nearest(stops, mirrored)
            if bar.high >= stop if mirrored else bar.low <= stop:
                self.touch = Touch(
                    bar=bar,
                    stop=stop,
                    initial_stop=initial,
                    trailing_stop=trailing,
                    mark=self._trailing.mark,
                    mirrored=mirrored,
                )
                return
        self._trailing.fold(bar.low if mirrored else bar.high)
