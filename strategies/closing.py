"""CLOSE, momentum or fade at the end of the day (M10). The arithmetic is docs/decisions/0036."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.protocol import Signal, Window, as_text
from strategies.session_strategy import SessionStrategy, measured
from strategies.symbol_day import SymbolDay
from strategies.windows import BEFORE_CLOSE, Times, local_start

UP, DOWN = "up", "down"
MOMENTUM, FADE = "momentum", "fade"
NO_MOVE = "no move of the day"


def times_of(s: Settings) -> Times:
    return Times(
        s.START_TIME_CLOSE, s.CLOSE_ANALYSIS_TIME, s.CLOSE_BREAKOUT_TIME, s.CLOSE_MONITORING_TIME
    )


def window_of(settings: Settings, hours: SessionHours) -> Window:
    """The windows of one session in UTC, cut 5 minutes before the close: flat before it."""
    times = times_of(settings)
    return times.window(local_start(times, settings, hours), hours.close - BEFORE_CLOSE)


def plan_of(opened: Decimal, window_opened: Decimal, closed: Decimal) -> tuple[str, str] | None:
    """What is looked for, and in which direction: momentum or fade, up or down.

    ``opened`` is the session's open, ``window_opened`` that of the analysis window, ``closed`` the
    window's last close. A window that went on as the day went is momentum in the day's direction;
    one that did not is a fade against it. None: the day has no direction.
    """
    day, window = closed - opened, closed - window_opened
    if day == 0:
        return None
    went_on = window > 0 if day > 0 else window < 0
    with_the_day, against = (UP, DOWN) if day > 0 else (DOWN, UP)
    return (MOMENTUM, with_the_day) if went_on else (FADE, against)


class ClosingDay(SymbolDay):
    """With the moves of the day and of the analysis window."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_opened: Decimal | None = None
        self.window_closed: Decimal | None = None

    def fold(self, bar: Bar) -> None:
        super().fold(bar)
        if self.opening.start <= bar.start < self.opening.end:
            self.window_closed = bar.close
            if self.window_opened is None:
                self.window_opened = bar.open

    def moves(self) -> tuple[Decimal, Decimal, Decimal] | None:
        """As ``plan_of`` takes them; None while the window has no bar."""
        if self.window_opened is None or self.window_closed is None:
            return None
        return self.bars[0].open, self.window_opened, self.window_closed


class Closing(SessionStrategy[ClosingDay]):
    """Out of the analysis window's range in the direction that the day and the window give."""

    name = "CLOSE"

    def __init__(self, settings: Settings, hours: SessionHours, symbols: Sequence[str]) -> None:
        self.times = times_of(settings)
        window = window_of(settings, hours)
        super().__init__(settings, hours, symbols, window, settings.SHORT_TYPE_CLOSE)

    def _new_day(self) -> ClosingDay:
        return ClosingDay(self.window)

    def _first_signal(self, symbol: str, minute: datetime) -> Signal | None:
        day = self._days[symbol]
        moves = day.moves()
        if day.opening.valid and moves is not None and plan_of(*moves) is None:
            return self._no_trade(symbol, NO_MOVE, _moved(moves))
        return super()._first_signal(symbol, minute)

    def _signal(self, symbol: str, bar: Bar) -> Signal | None:
        day = self._days[symbol]
        if (moves := day.moves()) is None or (plan := plan_of(*moves)) is None:
            return None
        (how, direction), (high, low) = plan, day.opening.edges
        if not (bar.close > high if direction == UP else bar.close < low):
            return None
        inputs = (
            measured(day.opening)
            | _moved(moves)
            | {
                "plan": how,
                "direction": direction,
                "bar_start": as_text(bar.start),
                "close": as_text(bar.close),
            }
        )
        up, down = reasons(how)
        if direction == UP:
            return self._strength(symbol, up, bar, low, inputs)
        return self._weakness(symbol, down, bar, high, inputs)


def reasons(how: str) -> tuple[str, str]:
    """The words for strength and weakness."""
    return f"{how}: close above the closing range", f"{how}: close below the closing range"


def _moved(moves: tuple[Decimal, Decimal, Decimal]) -> dict[str, str]:
    names = ("session_open", "window_open", "window_close")
    return {name: as_text(price) for name, price in zip(names, moves, strict=True)}
