"""OPEN, the opening-range breakout (M10). The arithmetic is docs/decisions/0001."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import EXACT
from strategies.protocol import Signal, Window, as_text
from strategies.session_strategy import SessionStrategy, measured
from strategies.symbol_day import SymbolDay
from strategies.windows import BEFORE_CLOSE, Times, local_start

ONE = Decimal(1)
STRENGTH, WEAKNESS = "close above the opening range", "close below the opening range"


def times_of(s: Settings) -> Times:
    return Times(
        s.START_TIME_OPEN, s.OPEN_ANALYSIS_TIME, s.OPEN_BREAKOUT_TIME, s.OPEN_MONITORING_TIME
    )


def window_of(settings: Settings, hours: SessionHours) -> Window:
    """The windows of one session in UTC; on a half day they are cut 5 minutes before the close."""
    times = times_of(settings)
    return times.window(local_start(times, settings, hours), hours.close - BEFORE_CLOSE)


def edges(high: Decimal, low: Decimal, buffer: Decimal) -> tuple[Decimal, Decimal]:
    """A close above the first is strength, one below the second weakness."""
    above = EXACT.multiply(high, EXACT.add(ONE, buffer))
    return above, EXACT.multiply(low, EXACT.subtract(ONE, buffer))


class OpeningRangeBreakout(SessionStrategy[SymbolDay]):
    """Long on strength above the opening range, and bearish on weakness below it."""

    name = "OPEN"

    def __init__(self, settings: Settings, hours: SessionHours, symbols: Sequence[str]) -> None:
        self.times = times_of(settings)
        window = window_of(settings, hours)
        super().__init__(settings, hours, symbols, window, settings.SHORT_TYPE_OPEN)

    def _new_day(self) -> SymbolDay:
        return SymbolDay(self.window)

    def _signal(self, symbol: str, bar: Bar) -> Signal | None:
        # STRAT_OPEN_ENABLED=false: this is seen and recorded all the same, and a rule refuses it.
        opening, buffer = self._days[symbol].opening, self.settings.STRAT_OPEN_BUFFER
        high, low = opening.edges
        above, below = edges(high, low, buffer)
        if below <= bar.close <= above:
            return None
        inputs = measured(opening) | {
            "buffer": as_text(buffer),
            "breakout_above": as_text(above),
            "breakdown_below": as_text(below),
            "bar_start": as_text(bar.start),
            "close": as_text(bar.close),
        }
        if bar.close > above:
            return self._strength(symbol, STRENGTH, bar, low, inputs)
        return self._weakness(symbol, WEAKNESS, bar, high, inputs)
