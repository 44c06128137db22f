"""OPEN, the opening-range breakout (M10). The arithmetic is docs/decisions/0001."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from decimal import Decimal

from aggregates.errors import DomainError
from aggregates.market import MINUTE, Bar
from aggregates.session import DecisionKind
from config.calendar import SessionHours
from config.clock import local_to_utc
from config.settings import Settings
from strategies.indicators import EXACT, OpeningRange, PositionStop
from strategies.protocol import Holding, Signal, Window, as_text, minute_of

BEFORE_CLOSE = timedelta(minutes=5)  # no window reaches nearer to the close
ONE = Decimal(1)


def window_of(settings: Settings, hours: SessionHours) -> Window:
    """The windows of one session in UTC; on a half day they are cut 5 minutes before the close."""
    latest = hours.close - BEFORE_CLOSE
    start = local_to_utc(hours.day, settings.START_TIME_OPEN, settings.TIMEZONE)
    analysed = start + settings.OPEN_ANALYSIS_TIME * MINUTE
    entered = analysed + settings.OPEN_BREAKOUT_TIME * MINUTE
    watched = entered + settings.OPEN_MONITORING_TIME * MINUTE
    return Window(*(min(edge, latest) for edge in (start, analysed, entered, watched)))


def edges(high: Decimal, low: Decimal, buffer: Decimal) -> tuple[Decimal, Decimal]:
    """A close above the first is strength, one below the second weakness."""
    above = EXACT.multiply(high, EXACT.add(ONE, buffer))
    return above, EXACT.multiply(low, EXACT.subtract(ONE, buffer))


class SymbolDay:
    """The day of one symbol: its bars, its range and, while it is held, its stops."""

    def __init__(self, window: Window) -> None:
        self.opening = OpeningRange(window.start, window.analysis_end)
        self.bars: list[Bar] = []
        self.stop: PositionStop | None = None

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
        if self.stop is not None:
            self.stop.fold(bar)

    def watch(self, since: datetime, until: datetime, fraction: Decimal) -> PositionStop:
        """The stops of the position first filled at ``since``; the day's bars are folded once."""
        if self.stop is None or self.stop.since != since:
            self.stop = PositionStop(since, until, self.opening, fraction)
            for bar in self.bars:
                self.stop.fold(bar)
        return self.stop


class OpeningRangeBreakout:
    """Long on strength above the opening range, flat by the end of monitoring.

    One instance serves one session. ``symbols`` are those it may enter; bars and holdings of
    other symbols are watched all the same, so nothing that is held goes without its stop.
    """

    name = "OPEN"

    def __init__(self, settings: Settings, hours: SessionHours, symbols: Sequence[str]) -> None:
        self.settings, self.hours = settings, hours
        self.window = window_of(settings, hours)
        self._days: dict[str, SymbolDay] = {s: SymbolDay(self.window) for s in sorted(set(symbols))}
        self._tradable = tuple(self._days)
        self._without_range: set[str] = set()

    def self_check(self) -> list[str]:
        """Windows that cannot work on this day; each fault names the keys to change (M10)."""
        w, s, faults = self.window, self.settings, []
        if w.start < self.hours.open:
            faults.append(
                f"OPEN: START_TIME_OPEN {s.START_TIME_OPEN:%H:%M} {s.TIMEZONE} is "
                f"{as_text(w.start)}, before the session of {self.hours.day} opens at "
                f"{as_text(self.hours.open)}; set a later start."
            )
        if w.breakout_end <= w.analysis_end:
            faults.append(
                f"OPEN: no minute is left for entries on {self.hours.day}: the range would be "
                f"known at {as_text(w.analysis_end)}, 5 minutes before the close; start earlier "
                f"(START_TIME_OPEN) or shorten OPEN_ANALYSIS_TIME."
            )
        return faults

    def on_bar(self, bar: Bar) -> None:
        if (day := self._days.get(bar.symbol)) is None:
            day = self._days[bar.symbol] = SymbolDay(self.window)
        day.fold(bar)

    def analysis_volume(self, symbol: str) -> int | None:
        """Shares traded in the analysis window, or None when no bar of it came."""
        day = self._days.get(symbol)
        return day.opening.volume if day is not None and day.opening.bars else None

    def entries(self, now: datetime, decided: Set[str]) -> list[Signal]:
        minute = minute_of(now)
        if minute < self.window.analysis_end:
            return []
        found = (
            self._first_signal(symbol, minute)
            for symbol in self._tradable
            if symbol not in decided and symbol not in self._without_range
        )
        return [signal for signal in found if signal is not None]

    def exits(self, now: datetime, holdings: Mapping[str, Holding]) -> list[Signal]:
        found = (self._exit(holdings[s], now) for s in sorted(holdings) if holdings[s].quantity > 0)
        return [signal for signal in found if signal is not None]

    def finished(self, now: datetime) -> bool:
        return now >= self.window.monitoring_end

    def _first_signal(self, symbol: str, minute: datetime) -> Signal | None:
        day = self._days[symbol]
        opening, bar = day.opening, day.last
        if not opening.valid or opening.high is None or opening.low is None:
            self._without_range.add(symbol)
            return _signal(symbol, "no_range", "no range", None, None, _measured(opening))
        if bar is None or bar.end != minute or not self._entry_time(minute):
            return None
        above, below = edges(opening.high, opening.low, self.settings.STRAT_OPEN_BUFFER)
        if below <= bar.close <= above:
            return None
        inputs = _measured(opening) | {
            "buffer": as_text(self.settings.STRAT_OPEN_BUFFER),
            "breakout_above": as_text(above),
            "breakdown_below": as_text(below),
            "bar_start": as_text(bar.start),
            "close": as_text(bar.close),
        }
        if bar.close > above:
            inputs["initial_stop"] = as_text(opening.low)
            reason = "close above the opening range"
            return _signal(symbol, "entry", reason, bar.close, opening.low, inputs)
        # SHORT_TYPE_OPEN=disabled: weakness is recorded, and nothing is bought on it.
        inputs["short_type"] = self.settings.SHORT_TYPE_OPEN
        reason = "bearish, no instrument"
        return _signal(symbol, "bearish", reason, bar.close, None, inputs)

    def _entry_time(self, minute: datetime) -> bool:
        return self.window.analysis_end < minute <= self.window.breakout_end

    def _exit(self, held: Holding, now: datetime) -> Signal | None:
        if (day := self._days.get(held.symbol)) is None:
            day = self._days[held.symbol] = SymbolDay(self.window)
        since = minute_of(held.first_fill_at)
        fraction = self.settings.TRADING_TRAILING_STOP_PCT
        touch = day.watch(since, self.window.monitoring_end, fraction).touch
        if touch is None and not self.finished(now):
            return None
        inputs = {
            "quantity": as_text(held.quantity),
            "average_price": as_text(held.average_price),
            "first_fill_at": as_text(since),
        }
        if touch is not None:
            inputs |= {
                "bar_start": as_text(touch.bar.start),
                "low": as_text(touch.bar.low),
                "close": as_text(touch.bar.close),
                "stop": as_text(touch.stop),
                "initial_stop": as_text(touch.initial_stop),
                "trailing_stop": as_text(touch.trailing_stop),
                "trailing_fraction": as_text(fraction),
                "high_water_mark": as_text(touch.high_water_mark),
            }
            reason = "trailing stop" if touch.trailing else "stop"
            return _signal(held.symbol, "exit", reason, touch.bar.close, None, inputs)
        close = day.last.close if day.last is not None else None
        inputs |= {
            "monitoring_end": as_text(self.window.monitoring_end),
            "bar_start": as_text(day.last.start if day.last is not None else None),
            "close": as_text(close),
        }
        return _signal(held.symbol, "exit", "end of monitoring", close, None, inputs)


def _signal(
    symbol: str,
    kind: DecisionKind,
    reason: str,
    price: Decimal | None,
    stop: Decimal | None,
    inputs: dict[str, str],
) -> Signal:
    return Signal(
        strategy="OPEN",
        symbol=symbol,
        kind=kind,
        reason=reason,
        price=price,
        stop=stop,
        inputs=inputs,
    )


def _measured(opening: OpeningRange) -> dict[str, str]:
    return {
        "range_start": as_text(opening.start),
        "range_end": as_text(opening.end),
        "range_bars": as_text(opening.bars),
        "range_minutes": as_text(opening.minutes),
        "range_high": as_text(opening.high),
        "range_low": as_text(opening.low),
        "analysis_volume": as_text(opening.volume),
    }
