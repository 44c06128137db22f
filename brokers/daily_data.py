"""A market of daily prices: each day opens at one price and ends at another (holdings over years).

Long-term holdings need no minutes, the broker does: a day is made of few of them. Every minute has
the day's open, until the symbol's turn; from then on it has the day's close. Nothing is invented
beyond that: what has no price on a day does not trade on it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import NamedTuple

from aggregates.market import MINUTE, Bar, Quote
from aggregates.money import from_scaled
from brokers.market_data import MarketDataError
from config.calendar import SessionHours

COLUMNS = ("symbol", "date", "open", "close")
VOLUME = 100_000_000  # so large that no order of a demo is filled in parts
SPREAD_BP = 2
_CENT = Decimal("0.01")


class DayPrices(NamedTuple):
    open: Decimal
    close: Decimal


Prices = Mapping[str, Mapping[date, DayPrices]]


class DailyMarket:
    """``minutes`` are counted from the open; the last one of the session always trades.

    ``turns`` gives by symbol the minute from which the close holds; without it, it is the last.
    """

    def __init__(
        self,
        prices: Prices,
        sessions: Iterable[SessionHours],
        minutes: Sequence[int],
        turns: Mapping[str, int],
        source: str,
    ) -> None:
        self._prices, self._minutes, self._turns = prices, tuple(minutes), turns
        self._hours = {hours.day: hours for hours in sessions}
        self._source = source

    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._prices))

    def days(self) -> tuple[date, ...]:
        """Sessions, also those on which some symbol did not trade."""
        return tuple(sorted(self._hours))

    def describe(self) -> str:
        return self._source

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        return [
            Bar(symbol=symbol, start=hours.open + minute * MINUTE, open=price, high=price,
                low=price, close=price, volume=VOLUME)
            for hours, minute, price in self._trades(symbol, day)
        ]  # fmt: skip

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        return [
            Quote(symbol=symbol, start=hours.open + minute * MINUTE, bid=price - half, bid_size=100,
                  ask=price + half, ask_size=100)
            for hours, minute, price in self._trades(symbol, day)
            for half in (max(_CENT, (price * SPREAD_BP / 20_000).quantize(_CENT)),)
        ]  # fmt: skip

    def _trades(self, symbol: str, day: date) -> Sequence[tuple[SessionHours, int, Decimal]]:
        hours, prices = self._hours.get(day), self._prices[symbol].get(day)
        if hours is None or prices is None:
            return ()
        last = int((hours.close - hours.open) / MINUTE) - 1
        turn = self._turns.get(symbol, last)
        minutes = [*(m for m in self._minutes if m < last), last]
        return [(hours, m, prices.close if m >= turn else prices.open) for m in minutes]


def read_daily(file: Path, symbols: Iterable[str]) -> dict[str, dict[date, DayPrices]]:
    """Columns symbol, date, open and close, in any order; others are ignored. Raises
    MarketDataError with the line, or for a symbol that the file does not have."""
    found: dict[str, dict[date, DayPrices]] = {symbol: {} for symbol in symbols}
    try:
        with file.open(encoding="utf-8", newline="") as text:
            rows = csv.DictReader(text)
            missing = [c for c in COLUMNS if c not in (rows.fieldnames or ())]
            if missing:
                raise MarketDataError(
                    f"{file} has no column {', '.join(missing)}. Nothing was read."
                )
            for row in rows:
                if row["symbol"] in found:
                    day = date.fromisoformat(row["date"])
                    found[row["symbol"]][day] = DayPrices(*_checked(row["open"], row["close"]))
    except (OSError, ValueError, ArithmeticError) as e:
        raise MarketDataError(
            f"{file} cannot be used: {e}. Nothing was read; correct it, or leave it out for "
            "synthetic prices."
        ) from e
    if absent := sorted(symbol for symbol, days in found.items() if not days):
        raise MarketDataError(f"{file} has no prices of {', '.join(absent)}. Nothing was read.")
    return found


def _checked(*texts: str) -> list[Decimal]:
    prices = [Decimal(text) for text in texts]
    for price in prices:
        if not (price.is_finite() and price > 1):
            raise ValueError(f"{price} is not a price above 1")
    return prices


def walk(
    rng: Random, days: Iterable[date], start: int, drift: int, move: int
) -> dict[date, DayPrices]:
    """A seeded walk: ``start`` in cents, ``drift`` and the typical ``move`` of a day in 1/100 of a
    basis point. Whole numbers throughout, so every machine walks the same way."""
    cents, found = start, {}
    for day in days:
        opened = _step(rng, cents, 0, move // 3)
        cents = _step(rng, opened, drift, move)
        found[day] = DayPrices(from_scaled(opened, 100), from_scaled(cents, 100))
    return found


def _step(rng: Random, cents: int, drift: int, move: int) -> int:
    # four dice add up to something like a bell, in whole numbers
    thrown = sum(rng.randint(-move, move) for _ in range(4)) // 2
    return max(200, cents + cents * (drift + thrown) // 1_000_000)
