"""An equity curve three times: drawn here as SVG (works without script, prints), as data for
uPlot, and as figures in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from web.formatting import local_text, short_day

WIDTH, HEIGHT = 960, 220  # units of the drawing, not of the screen
TOP, BOTTOM = 12, 12


class Point(NamedTuple):
    """``value`` in the base currency at ``at`` (UTC); ``local`` says the same time there."""

    at: datetime
    label: str
    local: str
    value: Decimal
    position: int
    occasion: str


@dataclass(frozen=True)
class Curve:
    """What the template draws. ``path`` is SVG; ``data`` goes to the script, amounts as text."""

    points: tuple[Point, ...]
    path: str
    area: str
    low: Decimal
    high: Decimal
    data: dict[str, Any]

    @property
    def first(self) -> Point:
        return self.points[0]

    @property
    def last(self) -> Point:
        return self.points[-1]


def session_curve(equity: Sequence[Any], closed_at: int | None, exponent: int) -> Curve | None:
    """The account's value through one day; None when two points are not known.

    What was recorded after the close (``closed_at``, a position) belongs to another moment.
    """
    points = [
        Point(
            at=(at := datetime.fromisoformat(e.at)),
            label=f"{at:%H:%M:%S} UTC",
            local=local_text(at, "%H:%M:%S %Z"),
            value=e.equity,
            position=e.position,
            occasion=e.occasion,
        )
        for e in equity
        if closed_at is None or e.position <= closed_at
    ]
    return _curve(points, exponent, steps=True)


def daily_curve(sessions: Sequence[Any], exponent: int) -> Curve | None:
    """The account's value at each day's last mark; None when two days are not known."""
    points = [
        Point(_midnight(s.day), short_day(s.day), "", s.equity, 0, "close")
        for s in sessions
        if s.equity is not None
    ]
    return _curve(points, exponent, steps=False)


def balance_curve(
    ends: Sequence[tuple[date, Decimal]], until: date, name: str, exponent: int
) -> Curve | None:
    """A balance that stays until it moves: ``ends`` has each day's last one, in order. It is 0
    before the first; None when it never moved."""
    if not ends:
        return None
    points = [_end_of(ends[0][0] - timedelta(days=1), Decimal(0))]
    for day, value in ends:
        before = day - timedelta(days=1)
        if points[-1].at < _midnight(before):
            points.append(_end_of(before, points[-1].value))
        points.append(_end_of(day, value))
    if points[-1].at < _midnight(until):
        points.append(_end_of(until, points[-1].value))
    found = _curve(points, exponent, steps=False)
    if found:
        found.data["name"] = name
    return found


def _end_of(day: date, value: Decimal) -> Point:
    return Point(_midnight(day), short_day(day), "", value, 0, "end of day")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _curve(points: list[Point], exponent: int, *, steps: bool) -> Curve | None:
    if len(points) < 2 or points[0].at == points[-1].at:
        return None
    values = [p.value for p in points]
    low, high = min(values), max(values)
    place = _Place(points[0].at, points[-1].at, low, high)
    corners = [place(p.at, p.value) for p in points]
    path = f"M{corners[0]}" + "".join(_segment(corner, steps) for corner in corners[1:])
    data = {
        "times": [int(p.at.timestamp()) for p in points],
        "values": [str(p.value) for p in points],
        "labels": [" · ".join(filter(None, (p.label, p.local))) for p in points],
        "occasions": [p.occasion for p in points],
        "decimals": exponent,
        "steps": steps,
    }
    return Curve(tuple(points), path, f"{path}V{HEIGHT}H0Z", low, high, data)


def _segment(corner: str, steps: bool) -> str:
    x, y = corner.split(" ")
    return f"H{x}V{y}" if steps else f"L{x} {y}"


class _Place(NamedTuple):
    """From time and value to a corner of the drawing, to a tenth of a unit."""

    start: datetime
    end: datetime
    low: Decimal
    high: Decimal

    def __call__(self, at: datetime, value: Decimal) -> str:
        x = WIDTH * ((at - self.start) / (self.end - self.start))
        share = (self.high - value) / ((self.high - self.low) or 1)
        y = TOP + (HEIGHT - TOP - BOTTOM) * float(share)
        return f"{x:.1f} {y:.1f}"
