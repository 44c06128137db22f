"""Bars, holdings, brief signals for tests of strategies; minutes count from 09:30 in New York."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.market import Bar
from config.calendar import SessionHours
from strategies.protocol import Holding, Signal

D = Decimal
MINUTE = timedelta(minutes=1)
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
HOURS = SessionHours(date(2013, 10, 7), OPEN, OPEN + timedelta(minutes=390))


def at(minute: int) -> datetime:
    return OPEN + minute * MINUTE


def bar(
    minute: int,
    close: str,
    *,
    opened: str = "",
    high: str = "",
    low: str = "",
    symbol: str = "SPY",
    volume: int = 100,
) -> Bar:
    """Without other prices it is traded at the close alone."""
    return Bar(
        symbol=symbol,
        start=at(minute),
        open=D(opened or close),
        high=D(high or close),
        low=D(low or close),
        close=D(close),
        volume=volume,
    )


def held(first_fill: int, symbol: str = "SPY", *, on_weakness_of: str = "") -> dict[str, Holding]:
    return {
        symbol: Holding(
            symbol=symbol,
            quantity=D(5),
            average_price=D(40),
            first_fill_at=at(first_fill),
            underlying=on_weakness_of,
        )
    }


def fed(strategy: Any, *bars: Bar) -> Any:
    for each in bars:
        strategy.on_bar(each)
    return strategy


def brief(signals: list[Signal]) -> list[tuple[str, str, str]]:
    return [(s.symbol, s.kind, s.reason) for s in signals]
