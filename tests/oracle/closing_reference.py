"""CLOSE a second time, in plain lines that import nothing of the project.

Written from docs/decisions/0036 alone; the bars are as in the reference of MID beside this file.
The day is gone through once, minute by minute, as somebody would at a screen.
"""

from fractions import Fraction
from typing import Any

Bars = dict[int, tuple[Fraction, Fraction, Fraction, Fraction, int]]
Signal = tuple[int, str, Fraction | None, Fraction | None] | None
RULES: dict[str, Any] = {
    "start": 300,
    "analysis": 15,
    "breakout": 30,
    "monitoring": 30,
    "last": 385,
    "trailing": Fraction("0.005"),
}


def play(bars: Bars, rules: dict[str, Any]) -> tuple[Signal, tuple[int, str] | None]:
    """The signal (minute, what, close, stop) and the exit (minute, reason); None where none is."""
    start = min(rules["start"], rules["last"])
    analysed = min(start + rules["analysis"], rules["last"])
    entered = min(analysed + rules["breakout"], rules["last"])
    end = min(entered + rules["monitoring"], rules["last"])

    window = [bars[minute] for minute in range(start, analysed) if minute in bars]
    if not window or 2 * len(window) < analysed - start:
        return (analysed, "no range", None, None), None
    top, bottom = max(bar[1] for bar in window), min(bar[2] for bar in window)
    wanted = direction(bars[min(bars)][0], window[0][0], window[-1][3])
    if not wanted:
        return (analysed, "no move of the day", None, None), None

    for minute in range(analysed, entered):
        if minute not in bars:
            continue
        close = bars[minute][3]
        if wanted == "long" and close > top:
            return (minute + 1, "long", close, bottom), sold(bars, minute, end, bottom, 1, rules)
        if wanted == "bearish" and close < bottom:
            return (minute + 1, "bearish", close, top), sold(bars, minute, end, top, -1, rules)
    return None, None


def direction(opened: Fraction, window_opened: Fraction, closed: Fraction) -> str:
    """A day that goes on is followed; one that does not is bet against."""
    if closed > opened:
        return "long" if closed > window_opened else "bearish"
    if closed < opened:
        return "bearish" if closed < window_opened else "long"
    return ""


def sold(
    bars: Bars, signal: int, end: int, stop: Fraction, side: int, rules: dict[str, Any]
) -> tuple[int, str] | None:
    """`side` is 1 for a long position; with its prices below zero, a bearish one is as long."""
    best: Fraction | None = None
    for minute in range(signal + 1, end):
        if minute not in bars:
            continue
        _, high, low, _, _ = bars[minute]
        worst, top = (low, high) if side > 0 else (-high, -low)
        trail = None if best is None else best * (1 - side * rules["trailing"])
        if worst <= side * stop or (trail is not None and worst <= trail):
            trailing = trail is not None and trail > side * stop
            return (minute + 1, "trailing stop" if trailing else "stop")
        best = top if best is None else max(best, top)
    return None if best is None else (end, "end of monitoring")
