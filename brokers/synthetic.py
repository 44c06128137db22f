"""Invented minute bars and quotes for machines without data, always labelled synthetic.

Seeded and the same on every platform: integers throughout, one generator for each symbol and day.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from aggregates.market import MINUTE, Bar, Quote
from aggregates.money import from_scaled
from brokers.market_data import DayCache, MarketDataError
from config.calendar import SessionHours

DEFAULT_SYMBOLS = ("ALFA", "BRVO", "CHRL", "DLTA", "EKHO")  # none of them is listed anywhere

_POINTS = 100  # prices walk in hundredths of a cent
_LEAST = 100 * _POINTS  # no price falls below one dollar
_BP = 10_000  # basis points of one
_RANGE_MINUTES = 30  # the opening range forms before a day's trend sets in


class _Profile(NamedTuple):
    """Character of a symbol: first price in cents, the rest per minute."""

    cents: int
    move_tenth_bp: int  # size of a typical move
    volume: int  # shares in an ordinary minute
    spread_bp: int
    hole_permille: int  # minutes without a trade
    wide_permille: int  # quotes wider than anybody should trade at


class _Minute(NamedTuple):
    """Prices and spread in cents; ``volume`` 0 is a minute without a trade, a hole."""

    start: datetime
    open: int
    high: int
    low: int
    close: int
    volume: int
    spread: int


_PROFILES = {
    "ALFA": _Profile(18_240, 45, 9_000, 2, 2, 8),
    "BRVO": _Profile(6_415, 60, 15_000, 3, 2, 8),
    "CHRL": _Profile(2_780, 75, 22_000, 6, 2, 12),
    "DLTA": _Profile(41_500, 50, 4_000, 3, 4, 8),
    "EKHO": _Profile(3_860, 80, 200, 25, 30, 40),  # thin: orders fill in parts
}


class SyntheticMarketData:
    """Minute bars and quotes of the given sessions, regular hours only.

    Each day opens with a gap from the close before it, trades on a U-shaped volume curve, and
    trends up, down or not at all after its first half hour. Some minutes have no trade, some
    quotes are wider than 1.5 % of the price, and one default symbol is so thin that orders fill
    in parts. The first of ``sessions`` starts each symbol at the price of its character.
    """

    def __init__(
        self,
        seed: int,
        sessions: Sequence[SessionHours],
        symbols: Sequence[str] = DEFAULT_SYMBOLS,
    ) -> None:
        self._seed = seed
        self._symbols = tuple(sorted(set(symbols)))
        self._sessions = sorted(sessions, key=lambda session: session.day)
        self._place = {session.day: place for place, session in enumerate(self._sessions)}
        if not self._symbols or not sessions or len(self._place) != len(sessions):
            raise MarketDataError(
                f"Synthetic data needs symbols and sessions, each once; given were {len(symbols)} "
                f"symbols and {len(sessions)} sessions. Choose days on which the exchange trades."
            )
        self._closes: dict[str, list[int]] = {symbol: [] for symbol in self._symbols}
        self._minutes = DayCache(self._make_minutes)
        self._bars = DayCache(self._make_bars)
        self._quotes = DayCache(self._make_quotes)

    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    def days(self) -> tuple[date, ...]:
        return tuple(self._place)

    def bars(self, symbol: str, day: date) -> tuple[Bar, ...]:
        return self._bars.get(symbol, day)

    def quotes(self, symbol: str, day: date) -> tuple[Quote, ...]:
        return self._quotes.get(symbol, day)

    def describe(self) -> str:
        days = self.days()
        return (
            f"synthetic minute bars, seed {self._seed}, of {', '.join(self._symbols)}; "
            f"days: {len(days)}, {days[0]} to {days[-1]}"
        )

    def _make_bars(self, symbol: str, day: date) -> tuple[Bar, ...]:
        return tuple(
            Bar(
                symbol=symbol,
                start=minute.start,
                open=_dollars(minute.open),
                high=_dollars(minute.high),
                low=_dollars(minute.low),
                close=_dollars(minute.close),
                volume=minute.volume,
            )
            for minute in self._minutes.get(symbol, day)
            if minute.volume
        )

    def _make_quotes(self, symbol: str, day: date) -> tuple[Quote, ...]:
        quotes = []
        for minute in self._minutes.get(symbol, day):
            bid = max(minute.close - minute.spread // 2, 1)
            quotes.append(
                Quote(
                    symbol=symbol,
                    start=minute.start,
                    bid=_dollars(bid),
                    bid_size=100 + minute.volume // 20 // 100 * 100,
                    ask=_dollars(bid + minute.spread),
                    ask_size=100 + minute.volume // 25 // 100 * 100,
                )
            )
        return tuple(quotes)

    def _make_minutes(self, symbol: str, day: date) -> list[_Minute]:
        if symbol not in self._closes or day not in self._place:
            raise MarketDataError(
                f"There is no synthetic data of {symbol} for {day}. Nothing was guessed; ask for "
                f"one of {', '.join(self._symbols)} and for a session that was given."
            )
        closes, place = self._closes[symbol], self._place[day]
        # Whichever day is asked for first, every day before it is walked first.
        for earlier in range(len(closes), place + 1):
            made = self._walk(symbol, earlier, closes[-1] if closes else None)
            closes.append(made[-1].close)
        return self._walk(symbol, place, closes[place - 1] if place else None)

    def _walk(self, symbol: str, place: int, close_before: int | None) -> list[_Minute]:
        """One session of one symbol; the same for the same seed, symbol, day and close before."""
        session = self._sessions[place]
        rng = random.Random(f"{self._seed}:{symbol}:{session.day}")  # noqa: S311  # nosec B311
        profile = _PROFILES.get(symbol) or _invent(f"{self._seed}:{symbol}")
        if close_before is None:
            price = profile.cents * _POINTS
        else:
            price = close_before * _POINTS
            price += price * 8 * _noise(rng) // (1_000 * 1_000)  # gaps of typically 0.8 %
        count = (session.close - session.open) // MINUTE
        trend = _Trend(rng, count, price)
        minutes = []
        for number in range(count):
            lively = 2 if number < _RANGE_MINUTES else 1  # the first half hour moves the most
            step = lively * price * profile.move_tenth_bp // (10 * _BP)
            opened = max(price + step * _noise(rng) // 4_000, _LEAST)
            price = max(opened + step * _noise(rng) // 1_000 + trend.pull(number, opened), _LEAST)
            up, down = rng.randrange(step + 1) // 2, rng.randrange(step + 1) // 2
            minutes.append(
                _Minute(
                    start=session.open + number * MINUTE,
                    open=opened // _POINTS,
                    high=(max(opened, price) + up) // _POINTS,
                    low=(min(opened, price) - down) // _POINTS,
                    close=price // _POINTS,
                    volume=_volume(rng, profile, number, count),
                    spread=_spread(rng, profile, price),
                )
            )
        return minutes


class _Trend:
    """Where a day is drawn to after its first half hour: up, down, or back to where it opened."""

    def __init__(self, rng: random.Random, count: int, opened: int) -> None:
        kind = rng.randrange(100)
        self._direction = 1 if kind < 40 else -1 if kind < 70 else 0
        self._opened = opened
        self._first = _RANGE_MINUTES + rng.randrange(40)
        self._last = min(self._first + 45 + rng.randrange(90), count)
        self._drift_tenth_bp = 20 + rng.randrange(30)

    def pull(self, number: int, price: int) -> int:
        if not self._direction:
            return (self._opened - price) // 25
        if self._first <= number < self._last:
            return self._direction * price * self._drift_tenth_bp // (10 * _BP)
        return 0


def _noise(rng: random.Random) -> int:
    """About normal, mean 0, spread 1,000, never beyond 3,000."""
    return (
        rng.randrange(-1_000, 1_001) + rng.randrange(-1_000, 1_001) + rng.randrange(-1_000, 1_001)
    )


def _volume(rng: random.Random, profile: _Profile, number: int, count: int) -> int:
    """Shares of one minute: four times as many at open and close as at noon; 0 is a hole."""
    if rng.randrange(1_000) < profile.hole_permille:
        return 0
    from_noon = abs(2 * number - count + 1) * 1_000 // count
    weight = 500 + 1_500 * from_noon * from_noon // 1_000_000
    return 1 + profile.volume * weight * rng.randrange(500, 1_501) // 1_000_000


def _spread(rng: random.Random, profile: _Profile, price: int) -> int:
    """Cents between bid and ask; now and then above 1.5 % of the price."""
    wide = rng.randrange(1_000) < profile.wide_permille
    bp = rng.randrange(170, 400) if wide else profile.spread_bp * rng.randrange(50, 151) // 100
    return max(price * bp // (_BP * _POINTS), 1)


def _invent(key: str) -> _Profile:
    """A character for a symbol without one, from the seed and its name alone."""
    rng = random.Random(key)  # noqa: S311  # nosec B311
    return _Profile(
        cents=rng.randrange(1_500, 30_000),
        move_tenth_bp=rng.randrange(40, 80),
        volume=rng.randrange(1_000, 20_000),
        spread_bp=rng.randrange(2, 10),
        hole_permille=5,
        wide_permille=10,
    )


def _dollars(cents: int) -> Decimal:
    return from_scaled(cents, 100)
