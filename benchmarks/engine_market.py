"""Minute bars for three engines, the same for the same seed. Nothing but the standard library.

Prices are whole cents, so that every program that is fed them compares the same numbers exactly.
"""

from __future__ import annotations

import random
from typing import NamedTuple

MINUTES = 390  # of a session without a half day
SPREAD = 2  # cents between bid and ask


class MadeBar(NamedTuple):
    """One minute: prices in cents, volume in shares."""

    open: int
    high: int
    low: int
    close: int
    volume: int


class Market(NamedTuple):
    """``bars[symbol][day][minute]``; ``opens`` holds each session's first instant, UTC seconds."""

    opens: list[int]
    bars: dict[str, list[list[MadeBar]]]

    @property
    def count(self) -> int:
        return sum(len(day) for days in self.bars.values() for day in days)


def made_market(seed: int, symbols: int, opens: list[int], minutes: int = MINUTES) -> Market:
    """A walk for each symbol, without a hole; volumes so large that every order fills at once."""
    names = [f"MADE{chr(ord('A') + number // 26)}{chr(ord('A') + number % 26)}"
             for number in range(symbols)]  # fmt: skip
    return Market(opens, {name: _walk(f"{seed}:{name}", len(opens), minutes) for name in names})


def _walk(key: str, days: int, minutes: int) -> list[list[MadeBar]]:
    draw = random.Random(key)
    price, found = draw.randrange(4_000, 30_000), []
    for _ in range(days):
        drift = draw.choice((-6, 0, 0, 6)) * price // 100_000  # some days have a direction
        step = price // 1_500
        day = []
        for _ in range(minutes):
            opened = max(price + draw.randint(-1, 1), 2_000)
            price = max(opened + drift + draw.randint(-step, step), 2_000)
            high = max(opened, price) + draw.randint(0, step)
            low = min(opened, price) - draw.randint(0, step)
            day.append(MadeBar(opened, high, low, price, draw.randrange(100_000, 400_000)))
        found.append(day)
    return found
