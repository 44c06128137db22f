"""What can be known at an instant, against a search of every row."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from aggregates.market import MINUTE, Bar, Quote
from brokers.known_market import KnownMarket

DAYS = (date(2013, 12, 2), date(2013, 12, 3), date(2013, 12, 5))
ONE = Decimal(1)


class Rows:
    """Bars with holes from 14:30 of each day until 00:40 of the next one, quotes in some minutes;
    THIN has a single bar, NONE has none."""

    def __init__(self) -> None:
        draw = random.Random(7)
        self._bars: dict[tuple[str, date], list[Bar]] = {}
        for symbol, share in (("FULL", 1.0), ("HOLES", 0.4), ("THIN", 0.0), ("NONE", -1.0)):
            for day in DAYS:
                first = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
                starts = [first + n * MINUTE for n in range(610) if draw.random() < share]
                starts = [first + 5 * MINUTE] if not share else starts
                self._bars[symbol, day] = [_bar(symbol, start) for start in starts]

    def symbols(self) -> tuple[str, ...]:
        return ("FULL", "HOLES", "NONE", "THIN")

    def days(self) -> tuple[date, ...]:
        return DAYS

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        return self._bars[symbol, day]

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        return [
            Quote(symbol=symbol, start=b.start, bid=ONE, bid_size=1, ask=ONE, ask_size=1)
            for b in self._bars[symbol, day][::3]
        ]

    def describe(self) -> str:
        return "made rows"

    def every_bar(self, symbol: str) -> list[Bar]:
        return [bar for day in DAYS for bar in self._bars[symbol, day]]


def _bar(symbol: str, start: datetime) -> Bar:
    return Bar(symbol=symbol, start=start, open=ONE, high=ONE, low=ONE, close=ONE, volume=1)


def test_every_span_holds_its_complete_bars_and_no_other() -> None:
    rows, draw = Rows(), random.Random(1)
    market = KnownMarket(rows)
    first, found = datetime(2013, 12, 2, 14, tzinfo=UTC), 0
    for _ in range(3_000):
        symbol = draw.choice(rows.symbols())
        start, end, now = (
            first + timedelta(minutes=draw.randrange(4 * 1440), seconds=draw.choice((0, 0, 30)))
            for _ in range(3)
        )
        end = draw.choice((end, start + MINUTE))  # the usual question: the last minute
        now = draw.choice((now, end))
        expected = [
            b for b in rows.every_bar(symbol) if start <= b.start and b.end <= min(end, now)
        ]
        assert list(market.bars(symbol, start, end, now)) == expected
        found += bool(expected)
    assert found > 400


def test_minute_after_minute_over_days_each_bar_comes_once() -> None:
    rows = Rows()
    market = KnownMarket(rows)
    now = datetime(2013, 12, 2, 14, tzinfo=UTC)
    got: list[Bar] = []
    for _ in range(4 * 1440):
        got += market.bars("HOLES", now, now + MINUTE, now + MINUTE)
        now += MINUTE
    assert got == rows.every_bar("HOLES")


def test_the_latest_quote_and_bar_are_the_last_complete_ones() -> None:
    rows, draw = Rows(), random.Random(2)
    market = KnownMarket(rows)
    for _ in range(500):
        symbol = draw.choice(rows.symbols())
        now = datetime(2013, 12, 2, 14, tzinfo=UTC) + timedelta(seconds=draw.randrange(4 * 86_400))
        bars = [b for b in rows.every_bar(symbol) if b.end <= now]
        assert market.last_bar(symbol, now) == (bars[-1] if bars else None)
        quotes = [q for day in DAYS for q in rows.quotes(symbol, day) if q.end <= now]
        assert market.quote(symbol, now) == (quotes[-1] if quotes else None)
