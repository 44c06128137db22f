"""CLOSE's half of the derivation: its plan from the recorded moves, its signals from the range."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from strategies.closing import NO_MOVE, UP, plan_of, reasons, window_of
from strategies.derived import Compared, Day, Half, Inputs, Side, has_range, without_range
from strategies.protocol import as_text


def _plan(i: Inputs) -> tuple[str, str] | None:
    return plan_of(i.number("session_open"), i.number("window_open"), i.number("window_close"))


def _signal(i: Inputs, day: Day) -> Iterator[Compared]:
    window = window_of(day.settings, day.hours)
    plan, direction = _plan(i) or ("none", "none")
    yield "plan", i.text("plan"), plan
    yield "direction", i.text("direction"), direction
    yield "range_start", i.text("range_start"), as_text(window.start)
    yield "range_end", i.text("range_end"), as_text(window.analysis_end)
    yield "range that holds", True, has_range(i)


def _side(i: Inputs, _day: Day) -> Side:
    close, up = i.number("close"), i.text("direction") == UP
    if up and close > i.number("range_high"):
        return "strength"
    return "weakness" if not up and close < i.number("range_low") else "neither"


def _stops(i: Inputs, _day: Day) -> tuple[Decimal, Decimal]:
    return i.number("range_low"), i.number("range_high")


def _why_not(reason: str, i: Inputs, day: Day) -> Iterator[Compared]:
    if reason != NO_MOVE:
        yield from without_range(reason, i, day)
    else:
        yield "range that holds", True, has_range(i)
        yield "plan", None, _plan(i)


HALF = Half(
    window=lambda _, day: window_of(day.settings, day.hours),
    signal=_signal,
    side=_side,
    stops=_stops,
    reasons=lambda i: reasons(i.text("plan")),
    why_not=_why_not,
)
