"""The day of one symbol: its bars, and the positions that are watched by them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from aggregates.errors import DomainError
from aggregates.market import Bar
from strategies.indicators import OpeningRange
from strategies.protocol import Window, as_text
from strategies.stops import PositionStop, Touch


class Watch(Protocol):
    """Whether a position is due to be sold, by the bars of one symbol alone."""

    since: datetime

    def fold(self, bar: Bar) -> None: ...

    def due(self) -> Due | None: ...


class Due(NamedTuple):
    """Why a position is sold: the bar that gave rise to it, and what justifies it, as text."""

    reason: str
    bar: Bar
    inputs: dict[str, str]


class SymbolDay:
    """The day of one symbol: its bars, its analysis window, and the positions it is watched for."""

    def __init__(self, window: Window) -> None:
        self.opening = OpeningRange(window.start, window.analysis_end)
        self.bars: list[Bar] = []
        self.watches: dict[str, Watch] = {}  # by what is held: itself, or bought on its weakness

    @property
    def last(self) -> Bar | None:
        return self.bars[-1] if self.bars else None

    def fold(self, bar: Bar) -> None:
        if self.bars and bar.start <= self.bars[-1].start:
            raise DomainError(
                f"The bar {bar.symbol} {as_text(bar.start)} came after that of "
                f"{as_text(self.bars[-1].start)}; it was not used. Give each bar once, in order."
            )
        self.bars.append(bar)
        if bar.start < self.opening.end:
            self.opening.fold(bar)
        if self.watches:
            for watch in self.watches.values():
                watch.fold(bar)

    def watch(self, held: str, watch: Watch) -> Watch:
        """Watch what is held from now on; the day's bars are folded once."""
        for bar in self.bars:
            watch.fold(bar)
        self.watches[held] = watch
        return watch


class StopWatch:
    """A position that ends at its stop, as ``PositionStop`` finds it."""

    def __init__(self, stop: PositionStop, fraction: Decimal) -> None:
        self.since, self.fold = stop.since, stop.fold  # a bar goes straight to the stop
        self._stop, self._fraction = stop, fraction

    def due(self) -> Due | None:
        touch = self._stop.touch
        return None if touch is None else stopped(touch, self._fraction)


def stopped(touch: Touch, fraction: Decimal) -> Due:
    extreme, mark = ("high", "low_water_mark") if touch.mirrored else ("low", "high_water_mark")
    bar = touch.bar
    inputs = {
        "bar_start": as_text(bar.start),
        extreme: as_text(bar.high if touch.mirrored else bar.low),
        "close": as_text(bar.close),
        "stop": as_text(touch.stop),
        "initial_stop": as_text(touch.initial_stop),
        "trailing_stop": as_text(touch.trailing_stop),
        "trailing_fraction": as_text(fraction),
        mark: as_text(touch.mark),
    }
    return Due("trailing stop" if touch.trailing else "stop", bar, inputs)
