"""A short trading day: symbols that break out of a narrow range, some of them thinly traded."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal

from aggregates.market import MINUTE, Bar, Quote
from config.calendar import SessionHours, TradingCalendar

DAY = date(2026, 3, 4)
SYMBOLS = ("ALFA", "BRVO", "CHRL", "DLTA")
SESSION = timedelta(minutes=60)
ANALYSIS, BREAKOUT, MONITORING = 5, 10, 15
SETTINGS = {
    "OPEN_ANALYSIS_TIME": str(ANALYSIS),
    "OPEN_BREAKOUT_TIME": str(BREAKOUT),
    "OPEN_MONITORING_TIME": str(MONITORING),
    "MIN_VOLUME_THRESHOLD": "0",
    "MAX_OPEN_POSITIONS": "2",
    "MAX_TRADES": "3",
}
# All strategies one after another within three quarters of the hour, with puts on weakness.
ALL_STRATEGIES = SETTINGS | {
    "OPEN_ANALYSIS_TIME": "3",
    "OPEN_BREAKOUT_TIME": "6",
    "OPEN_MONITORING_TIME": "6",
    "STRAT_MID_ENABLED": "true",
    "START_TIME_MID": "09:45",
    "MID_ANALYSIS_TIME": "3",
    "MID_BREAKOUT_TIME": "6",
    "MID_MONITORING_TIME": "5",
    "STRAT_MID_VWAP_THRESHOLD": "0.001",
    "STRAT_CLOSE_ENABLED": "true",
    "START_TIME_CLOSE": "10:00",
    "CLOSE_ANALYSIS_TIME": "3",
    "CLOSE_BREAKOUT_TIME": "5",
    "CLOSE_MONITORING_TIME": "5",
    "SHORT_TYPE_OPEN": "LongPut",
    "SHORT_TYPE_MID": "LongPut",
    "SHORT_TYPE_CLOSE": "LongPut",
    "WEIGHT_OPEN": "0.4",
    "WEIGHT_MID": "0.3",
    "WEIGHT_CLOSE": "0.3",
    "MAX_TRADES": "8",
}
VIX = "at,level\n2026-03-03,25.00\n"
CENT = Decimal("0.01")


class ShortDays(TradingCalendar):
    """The exchange's days, each over an hour after its open."""

    def sessions(self, first: date, last: date) -> list[SessionHours]:
        return [
            SessionHours(hours.day, hours.open, hours.open + SESSION)
            for hours in super().sessions(first, last)
        ]


class SmallMarket:
    """Implements ``brokers.market_data.MarketData`` for one session, drawn from a seed."""

    def __init__(self, seed: int, opens: datetime) -> None:
        self._day = opens.date()
        self._bars: dict[str, tuple[Bar, ...]] = {}
        self._quotes: dict[str, tuple[Quote, ...]] = {}
        for symbol in SYMBOLS:
            rng = random.Random(f"{seed} {symbol}")
            made = list(_walk(rng, symbol, opens))
            self._bars[symbol] = tuple(bar for bar in made if bar.volume)
            self._quotes[symbol] = tuple(
                Quote(
                    symbol=symbol, start=bar.start, bid=bar.close - CENT, bid_size=100,
                    ask=bar.close + CENT, ask_size=100,
                )
                for bar in made
            )  # fmt: skip

    def symbols(self) -> tuple[str, ...]:
        return SYMBOLS

    def days(self) -> tuple[date, ...]:
        return (self._day,)

    def bars(self, symbol: str, day: date) -> tuple[Bar, ...]:
        return self._bars[symbol] if day == self._day else ()

    def quotes(self, symbol: str, day: date) -> tuple[Quote, ...]:
        return self._quotes[symbol] if day == self._day else ()

    def describe(self) -> str:
        return "synthetic, of the fault programme"


def _walk(rng: random.Random, symbol: str, opens: datetime):  # type: ignore[no-untyped-def]
    """A narrow range, then a trend that may turn; thin ones fill orders in many parts."""
    price = rng.randrange(2_000, 9_000)  # cents
    thin = rng.random() < 0.5
    starts = ANALYSIS + rng.randrange(BREAKOUT)
    turns = starts + rng.randrange(2, 20)
    trend = rng.choice((8, 8, 8, 8, 5, -6))  # hundredths of a per cent a minute
    for minute in range(SESSION // MINUTE):
        drift = 0 if minute < starts else trend if minute < turns else -trend
        was, price = price, price + price * (drift + rng.randrange(-3, 4)) // 10_000
        low, high = min(was, price) - rng.randrange(3), max(was, price) + rng.randrange(3)
        volume = rng.randrange(10, 500) if thin and minute < 50 else rng.randrange(9_000, 30_000)
        if rng.random() < 0.05:
            volume = 0
        yield Bar(
            symbol=symbol, start=opens + minute * MINUTE, open=_dollars(was), high=_dollars(high),
            low=_dollars(low), close=_dollars(price), volume=volume,
        )  # fmt: skip


def _dollars(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
