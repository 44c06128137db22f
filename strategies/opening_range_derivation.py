"""OPEN's half of the derivation: its signals from the recorded range."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from strategies.derived import Compared, Day, Half, Inputs, Side, has_range, without_range
from strategies.opening_range import STRENGTH, WEAKNESS, edges, window_of
from strategies.protocol import as_text


def _signal(i: Inputs, day: Day) -> Iterator[Compared]:
    buffer, window = day.settings.STRAT_OPEN_BUFFER, window_of(day.settings, day.hours)
    above, below = edges(i.number("range_high"), i.number("range_low"), buffer)
    yield "buffer", i.number("buffer"), buffer
    yield "breakout_above", i.number("breakout_above"), above
    yield "breakdown_below", i.number("breakdown_below"), below
    yield "range_start", i.text("range_start"), as_text(window.start)
    yield "range_end", i.text("range_end"), as_text(window.analysis_end)
    yield "range that holds", True, has_range(i)


def _side(i: Inputs, _day: Day) -> Side:
    close = i.number("close")
    if close > i.number("breakout_above"):
        return "strength"
    return "weakness" if close < i.number("breakdown_below") else "neither"


def _stops(i: Inputs, _day: Day) -> tuple[Decimal, Decimal]:
    return i.number("range_low"), i.number("range_high")


HALF = Half(
    window=lambda _, day: window_of(day.settings, day.hours),
    signal=_signal,
    side=_side,
    stops=_stops,
    reasons=lambda _: (STRENGTH, WEAKNESS),
    why_not=without_range,
)
