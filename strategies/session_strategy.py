"""What the strategies have in common: the one signal of each symbol, its exits, its words.

Each strategy says when there is a signal (``_signal``) and what the day of a symbol holds
(``_new_day``), and may bring its own watch over a position (``_new_watch``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from aggregates.market import Bar
from aggregates.session import DecisionKind
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import OpeningRange
from strategies.protocol import Holding, Signal, Window, as_text, minute_of
from strategies.stops import PositionStop
from strategies.symbol_day import StopWatch, SymbolDay, Watch
from strategies.windows import Times

ENDED = "end of monitoring"
DISABLED = "disabled"
UNBOUGHT = "bearish, no instrument"
DayT = TypeVar("DayT", bound=SymbolDay)


class SessionStrategy(Generic[DayT]):
    """Flat by the end of monitoring. One instance serves one session.

    ``symbols`` are those it may enter; bars and holdings of other symbols are watched all the
    same, so nothing that is held goes without its stop.
    """

    name: str
    times: Times

    def __init__(
        self,
        settings: Settings,
        hours: SessionHours,
        symbols: Sequence[str],
        window: Window,
        short_type: str,
    ) -> None:
        self.settings, self.hours, self.window = settings, hours, window
        self._short_type = short_type
        self._days: dict[str, DayT] = {s: self._new_day() for s in sorted(set(symbols))}
        self._tradable = tuple(self._days)
        self._without_range: set[str] = set()

    # -- what a strategy brings of its own -------------------------------------------------

    def _new_day(self) -> DayT:
        raise NotImplementedError

    def _signal(self, symbol: str, bar: Bar) -> Signal | None:
        """What this bar, which ended in a minute in which entries are allowed, says."""
        raise NotImplementedError

    def _new_watch(self, day: DayT, since: datetime, mirrored: bool) -> Watch:
        """By default the analysis window's edges are the initial stops."""
        fraction, until = self.settings.TRADING_TRAILING_STOP_PCT, self.window.monitoring_end
        stop = PositionStop(since, until, day.opening, fraction, mirrored)
        return StopWatch(stop, fraction)

    # -- the protocol ----------------------------------------------------------------------

    def self_check(self) -> list[str]:
        """Windows that cannot work on this day; each fault names the keys to change (M10)."""
        w, n, faults = self.window, self.name, []
        if w.start < self.hours.open:
            faults.append(
                f"{n}: START_TIME_{n} {self.times.start:%H:%M} {self.settings.TIMEZONE} is "
                f"{as_text(w.start)}, before the session of {self.hours.day} opens at "
                f"{as_text(self.hours.open)}; set a later start."
            )
        if w.breakout_end <= w.analysis_end:
            faults.append(
                f"{n}: no minute is left for entries on {self.hours.day}: the range would be "
                f"known at {as_text(w.analysis_end)}, {self._why_latest()}; start earlier "
                f"(START_TIME_{n}) or shorten {n}_ANALYSIS_TIME."
            )
        return faults

    def _why_latest(self) -> str:
        return "5 minutes before the close"

    def on_bar(self, bar: Bar) -> None:
        (self._days.get(bar.symbol) or self._day(bar.symbol)).fold(bar)

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

    # -- entries ---------------------------------------------------------------------------

    def _first_signal(self, symbol: str, minute: datetime) -> Signal | None:
        day = self._days[symbol]
        if not day.opening.valid:
            return self._no_trade(symbol, "no range", {})
        bar = day.last
        if bar is None or bar.end != minute or not self._entry_time(minute):
            return None
        return self._signal(symbol, bar)

    def _entry_time(self, minute: datetime) -> bool:
        return self.window.analysis_end < minute <= self.window.breakout_end

    def _no_trade(self, symbol: str, reason: str, inputs: dict[str, str]) -> Signal:
        """Said once, and standing for the day."""
        self._without_range.add(symbol)
        told = measured(self._days[symbol].opening) | inputs
        return self._say(symbol, "no_range", reason, None, None, told)

    def _strength(
        self, symbol: str, reason: str, bar: Bar, stop: Decimal, inputs: dict[str, str]
    ) -> Signal:
        inputs["initial_stop"] = as_text(stop)
        return self._say(symbol, "entry", reason, bar.close, stop, inputs)

    def _weakness(
        self, symbol: str, reason: str, bar: Bar, stop: Decimal, inputs: dict[str, str]
    ) -> Signal:
        """``stop`` is above the price: where the underlying has risen too far."""
        inputs["short_type"] = self._short_type
        # SHORT_TYPE_…=disabled: weakness is recorded, and nothing is bought on it.
        if self._short_type == DISABLED:
            return self._say(symbol, "bearish", UNBOUGHT, bar.close, None, inputs)
        inputs["initial_stop"] = as_text(stop)
        return self._say(symbol, "bearish", reason, bar.close, stop, inputs)

    # -- exits -----------------------------------------------------------------------------

    def _exit(self, held: Holding, now: datetime) -> Signal | None:
        day, since = self._day(held.underlying or held.symbol), minute_of(held.first_fill_at)
        watch = day.watches.get(held.symbol)
        if watch is None or watch.since != since:
            watch = day.watch(held.symbol, self._new_watch(day, since, bool(held.underlying)))
        due = watch.due()
        if due is None and not self.finished(now):
            return None
        inputs = {
            "quantity": as_text(held.quantity),
            "average_price": as_text(held.average_price),
            "first_fill_at": as_text(since),
        }
        if held.underlying:
            inputs["underlying"] = held.underlying
        if due is not None:
            inputs |= due.inputs
            return self._say(held.symbol, "exit", due.reason, due.bar.close, None, inputs)
        close = day.last.close if day.last is not None else None
        inputs |= self._ended() | {
            "bar_start": as_text(day.last.start if day.last is not None else None),
            "close": as_text(close),
        }
        return self._say(held.symbol, "exit", ENDED, close, None, inputs)

    def _ended(self) -> dict[str, str]:
        return {"monitoring_end": as_text(self.window.monitoring_end)}

    def _day(self, symbol: str) -> DayT:
        if (day := self._days.get(symbol)) is None:
            day = self._days[symbol] = self._new_day()
        return day

    def _say(
        self,
        symbol: str,
        kind: DecisionKind,
        reason: str,
        price: Decimal | None,
        stop: Decimal | None,
        inputs: dict[str, str],
    ) -> Signal:
        return Signal(
            strategy=self.name,
            symbol=symbol,
            kind=kind,
            reason=reason,
            price=price,
            stop=stop,
            inputs=inputs,
        )


def measured(opening: OpeningRange) -> dict[str, str]:
    """The analysis window of a symbol, as far as it was seen."""
    return {
        "range_start": as_text(opening.start),
        "range_end": as_text(opening.end),
        "range_bars": as_text(opening.bars),
        "range_minutes": as_text(opening.minutes),
        "range_high": as_text(opening.high),
        "range_low": as_text(opening.low),
        "analysis_volume": as_text(opening.volume),
    }
