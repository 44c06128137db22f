"""MID, the reversion to VWAP (M10). The arithmetic is docs/decisions/0036."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from aggregates.market import MINUTE, Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.closing import window_of as closing_window
from strategies.indicators import EXACT, SessionVwap
from strategies.protocol import Signal, Window, as_text, next_minute
from strategies.session_strategy import SessionStrategy, measured
from strategies.stops import PositionStop
from strategies.symbol_day import Due, SymbolDay, Watch, stopped
from strategies.windows import BEFORE_CLOSE, Times, local_start

ONE = Decimal(1)
STRENGTH, WEAKNESS = "close far below VWAP", "close far above VWAP"
REACHED = "VWAP reached"


def times_of(s: Settings) -> Times:
    return Times(s.START_TIME_MID, s.MID_ANALYSIS_TIME, s.MID_BREAKOUT_TIME, s.MID_MONITORING_TIME)


def window_of(settings: Settings, hours: SessionHours, not_before: datetime) -> Window:
    """From the later of START_TIME_MID and the first whole minute from ``not_before`` on. Cut 5
    minutes before the close, and where CLOSE begins: phases follow each other."""
    times, latest = times_of(settings), hours.close - BEFORE_CLOSE
    # STRATEGY_OVERRIDE=MID: CLOSE does not run, and cuts nothing.
    if settings.STRAT_CLOSE_ENABLED and settings.STRATEGY_OVERRIDE == "none":
        latest = min(latest, closing_window(settings, hours).start)
    return times.window(max(local_start(times, settings, hours), next_minute(not_before)), latest)


def bounds(vwap: Decimal, threshold: Decimal) -> tuple[Decimal, Decimal]:
    """A close below the first is stretched down, one above the second is stretched up."""
    below = EXACT.multiply(vwap, EXACT.subtract(ONE, threshold))
    return below, EXACT.multiply(vwap, EXACT.add(ONE, threshold))


def initial_stops(close: Decimal, threshold: Decimal) -> tuple[Decimal, Decimal]:
    """The same distance again, beyond the last close before the purchase: below a long position,
    and above the underlying of one that was bought on weakness."""
    return bounds(close, threshold)


class VwapDay(SymbolDay):
    """With the session's VWAP."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.vwap = SessionVwap()

    def fold(self, bar: Bar) -> None:
        super().fold(bar)
        self.vwap.fold(bar)


class EntryEdges:
    """The initial stops of one position, by the last close before its first fill."""

    def __init__(self, since: datetime) -> None:
        self.end = since
        self.low: Decimal | None = None
        self.high: Decimal | None = None


class VwapWatch:
    """A position that ends at its stop, or at VWAP. Folded with every bar of the session."""

    def __init__(
        self, since: datetime, until: datetime, mirrored: bool, settings: Settings
    ) -> None:
        self.since, self._last_start, self._mirrored = since, until - MINUTE, mirrored
        self._threshold = settings.STRAT_MID_VWAP_THRESHOLD
        self._fraction = settings.TRADING_TRAILING_STOP_PCT
        self._vwap, self._edges = SessionVwap(), EntryEdges(since)
        self._stop = PositionStop(since, until, self._edges, self._fraction, mirrored)
        self._due: Due | None = None

    def due(self) -> Due | None:
        return self._due

    def fold(self, bar: Bar) -> None:
        """The stop is looked at first: within a minute nobody knows what came first."""
        self._vwap.fold(bar)
        if bar.start < self.since:
            self._edges.low, self._edges.high = initial_stops(bar.close, self._threshold)
        elif self._due is None:
            self._stop.fold(bar)
            if self._stop.touch is not None:
                self._due = stopped(self._stop.touch, self._fraction)
            elif bar.start <= self._last_start and self._reached(bar):
                self._due = Due(REACHED, bar, self._told(bar))

    def _reached(self, bar: Bar) -> bool:
        vwap = self._vwap.value
        if vwap is None:
            return False
        return bar.close <= vwap if self._mirrored else bar.close >= vwap

    def _told(self, bar: Bar) -> dict[str, str]:
        bar_start = {"bar_start": as_text(bar.start), "close": as_text(bar.close)}
        return bar_start | vwap_inputs(self._vwap)


class VwapReversion(SessionStrategy[VwapDay]):
    """Long where the price is far below the session's VWAP, bearish where it is far above: either
    way it is expected to come back."""

    name = "MID"

    def __init__(
        self,
        settings: Settings,
        hours: SessionHours,
        symbols: Sequence[str],
        not_before: datetime,
    ) -> None:
        self.times = times_of(settings)
        window = window_of(settings, hours, not_before)
        super().__init__(settings, hours, symbols, window, settings.SHORT_TYPE_MID)

    def _new_day(self) -> VwapDay:
        return VwapDay(self.window)

    def _new_watch(self, day: VwapDay, since: datetime, mirrored: bool) -> Watch:  # noqa: ARG002
        return VwapWatch(since, self.window.monitoring_end, mirrored, self.settings)

    def _signal(self, symbol: str, bar: Bar) -> Signal | None:
        day, threshold = self._days[symbol], self.settings.STRAT_MID_VWAP_THRESHOLD
        if (vwap := day.vwap.value) is None:
            return None
        below, above = bounds(vwap, threshold)
        if below <= bar.close <= above:
            return None
        inputs = (
            measured(day.opening)
            | vwap_inputs(day.vwap)
            | {
                "threshold": as_text(threshold),
                "stretched_below": as_text(below),
                "stretched_above": as_text(above),
                "bar_start": as_text(bar.start),
                "close": as_text(bar.close),
            }
        )
        stop_below, stop_above = initial_stops(bar.close, threshold)
        if bar.close < below:
            return self._strength(symbol, STRENGTH, bar, stop_below, inputs)
        return self._weakness(symbol, WEAKNESS, bar, stop_above, inputs)

    def _ended(self) -> dict[str, str]:
        """When the window began is no setting's alone, so it is told."""
        return {"range_start": as_text(self.window.start)} | super()._ended()

    def _why_latest(self) -> str:
        return "5 minutes before the close or where CLOSE begins"


def vwap_inputs(vwap: SessionVwap) -> dict[str, str]:
    return {
        "price_volume": as_text(vwap.price_volume),
        "session_volume": as_text(vwap.volume),
        "vwap": as_text(vwap.value),
    }
