"""MID's half of the derivation: its signals and its own exit from the recorded sums of VWAP."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from aggregates.errors import DomainError
from strategies.derived import Compared, Day, Half, Inputs, Side, has_range, without_range
from strategies.indicators import vwap_of
from strategies.protocol import Window, as_text
from strategies.vwap_reversion import (
    REACHED,
    STRENGTH,
    WEAKNESS,
    bounds,
    initial_stops,
    window_of,
)


def _window(i: Inputs, day: Day) -> Window:
    """By when the phase was begun; where that is not known, by the recorded start, which must not
    be before START_TIME_MID then."""
    since = day.mid_since or i.time("range_start")
    return window_of(day.settings, day.hours, since)


def _vwap(i: Inputs) -> Decimal:
    vwap = vwap_of(i.number("price_volume"), int(i.text("session_volume")))
    if vwap is None:
        raise DomainError("The session_volume is 0, and so there is no VWAP.")
    return vwap


def _signal(i: Inputs, day: Day) -> Iterator[Compared]:
    threshold, window = day.settings.STRAT_MID_VWAP_THRESHOLD, _window(i, day)
    below, above = bounds(_vwap(i), threshold)
    yield "vwap", i.number("vwap"), _vwap(i)
    yield "threshold", i.number("threshold"), threshold
    yield "stretched_below", i.number("stretched_below"), below
    yield "stretched_above", i.number("stretched_above"), above
    yield "range_start", i.text("range_start"), as_text(window.start)
    yield "range_end", i.text("range_end"), as_text(window.analysis_end)
    yield "range that holds", True, has_range(i)


def _side(i: Inputs, _day: Day) -> Side:
    close = i.number("close")
    if close < i.number("stretched_below"):
        return "strength"
    return "weakness" if close > i.number("stretched_above") else "neither"


def _stops(i: Inputs, day: Day) -> tuple[Decimal, Decimal]:
    return initial_stops(i.number("close"), day.settings.STRAT_MID_VWAP_THRESHOLD)


def _own_exit(reason: str, i: Inputs, _day: Day) -> Iterator[Compared]:
    vwap, close = _vwap(i), i.number("close")
    yield "reason", reason, REACHED
    yield "vwap", i.number("vwap"), vwap
    yield "VWAP is reached", True, close <= vwap if "underlying" in i.texts else close >= vwap


HALF = Half(
    window=_window,
    signal=_signal,
    side=_side,
    stops=_stops,
    reasons=lambda _: (STRENGTH, WEAKNESS),
    why_not=without_range,
    own_exit=_own_exit,
)
