"""MID a second time, in plain lines that import nothing of the project.

Written from docs/decisions/0036 alone. Minutes are counted from the session's open, every number is
an exact fraction, and the bars of a day are `{minute: (open, high, low, close, volume)}`. Whatever
is wanted is taken to be bought in the next minute that has a bar.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

Rules = dict[str, Any]
Signal = tuple[int, str, Fraction | None, Fraction | None] | None
Bars = dict[int, tuple[Fraction, Fraction, Fraction, Fraction, int]]
RULES: Rules = {
    "start": 60,
    "analysis": 15,
    "breakout": 60,
    "monitoring": 60,
    "last": 385,  # five minutes before the close
    "threshold": Fraction("0.003"),
    "trailing": Fraction("0.005"),
}


def vwaps(bars: Bars) -> dict[int, Fraction | None]:
    """After each bar: all the money so far over all the shares so far, to six decimals."""
    money, shares = Fraction(0), 0
    found: dict[int, Fraction | None] = {}
    for minute, (_, high, low, close, volume) in sorted(bars.items()):
        money += (high + low + close) / 3 * volume
        shares += volume
        found[minute] = round(money / shares, 6) if shares else None
    return found


def edges(rules: Rules) -> list[int]:
    start = min(rules["start"], rules["last"])
    lengths = rules["analysis"], rules["breakout"], rules["monitoring"]
    return [min(start + sum(lengths[:n]), rules["last"]) for n in range(4)]


def signal(bars: Bars, rules: Rules) -> Signal:
    """(minute, what, close, stop) of the first signal, or of having none; None without either."""
    start, analysed, entered, _ = edges(rules)
    seen = sum(start <= minute < analysed for minute in bars)
    if not seen or seen < (analysed - start) / 2:
        return (analysed, "no range", None, None)
    means, far = vwaps(bars), rules["threshold"]
    for minute in range(analysed, entered):
        mean = means.get(minute)
        if mean is None:
            continue
        close = bars[minute][3]
        if close < mean * (1 - far):
            return (minute + 1, "long", close, close * (1 - far))
        if close > mean * (1 + far):
            return (minute + 1, "bearish", close, close * (1 + far))
    return None


def exit_(bars: Bars, bought: int, long: bool, rules: Rules) -> tuple[int, str]:
    """(minute, reason) at which a position is due that was first filled in the minute `bought`."""
    end = edges(rules)[3]
    before = [bars[minute][3] for minute in sorted(bars) if minute < bought]
    means, side = vwaps(bars), 1 if long else -1
    stop = before[-1] * (1 - side * rules["threshold"]) if before else None
    trailing: Fraction | None = None
    for minute, (worst, best, close) in watched(bars, bought, end, long):
        levels = [level for level in (stop, trailing) if level is not None]
        # how far the worst price is on the good side of each stop; none may be at or past it
        if levels and min(side * (worst - level) for level in levels) <= 0:
            is_trailing = stop is None or (trailing is not None and side * trailing > side * stop)
            return (minute + 1, "trailing stop" if is_trailing else "stop")
        mean = means[minute]
        if mean is not None and side * (close - mean) >= 0:
            return (minute + 1, "VWAP reached")
        mark = best * (1 - side * rules["trailing"])
        trailing = mark if trailing is None else side * max(side * trailing, side * mark)
    return (end, "end of monitoring")


def watched(
    bars: Bars, bought: int, end: int, long: bool
) -> Iterator[tuple[int, tuple[Fraction, Fraction, Fraction]]]:
    for minute, (_, high, low, close, _volume) in sorted(bars.items()):
        if bought <= minute < end:
            yield minute, ((low, high, close) if long else (high, low, close))


def play(bars: Bars, rules: Rules) -> tuple[Signal, tuple[int, str] | None]:
    """The signal, and the exit of what is bought on it; None where nothing is."""
    found = signal(bars, rules)
    if found is None or found[1] == "no range":
        return found, None
    later = [minute for minute in sorted(bars) if minute >= found[0]]
    if not later or later[0] >= edges(rules)[3]:
        return found, None
    return found, exit_(bars, later[0], found[1] == "long", rules)
