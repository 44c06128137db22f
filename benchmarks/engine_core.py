"""OPEN's arithmetic (decision 0001) as plain functions on whole cents, for the other programs.

TradeBot runs its own strategy on exact decimals with its rules and records; that both do the same
trades, minute for minute, is checked at the end of every run. Nothing but the standard library.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.engine_market import MadeBar

ANALYSIS_END, BREAKOUT_END, MONITORING_END = 30, 150, 385  # minutes after the open
BUFFER = (5, 10_000)  # a breakout is 0.05 % above the range
TRAILING = (5, 1_000)  # the trailing stop is 0.5 % below the high-water mark
RISK_PER_TRADE, ALLOCATION, MAX_POSITIONS, SPENDABLE = 0.005, 0.5, 20, 0.99
CASH = 1_000_000  # dollars at the start


class Trade(NamedTuple):
    """Minutes of the session at whose start the orders were placed."""

    day: int
    symbol: str
    bought: int
    sold: int


class SymbolDay:
    """What is remembered of one symbol in one session."""

    __slots__ = ("bought", "decided", "high", "low", "mark", "sold")

    def __init__(self) -> None:
        self.high, self.low, self.mark = 0, 1 << 60, 0
        self.decided = False
        self.bought: int | None = None
        self.sold: int | None = None


def signal(day: SymbolDay, minute: int, high: float, low: float, close: float) -> str:
    """Fold the complete bar of ``minute``; returns "buy", "sell" or nothing.

    An order placed at the end of a minute fills at the open of the next one.
    """
    now = minute + 1
    if now <= ANALYSIS_END:
        day.high, day.low = max(day.high, high), min(day.low, low)
        return ""
    if day.bought is not None:
        return _exit(day, now, high, low)
    if day.decided or now > BREAKOUT_END:
        return ""
    if close * BUFFER[1] > day.high * (BUFFER[1] + BUFFER[0]):
        day.decided, day.bought = True, now
        return "buy"
    if close * BUFFER[1] < day.low * (BUFFER[1] - BUFFER[0]):
        day.decided = True  # weakness: noted, not traded
    return ""


def _exit(day: SymbolDay, now: int, high: float, low: float) -> str:
    """The stops as they stood before this bar; then its high may raise them."""
    if day.sold is not None:
        return ""
    touched = low <= day.low or low * TRAILING[1] <= day.mark * (TRAILING[1] - TRAILING[0])
    if (touched and now <= MONITORING_END) or now >= MONITORING_END:
        day.sold = now
        return "sell"
    day.mark = max(day.mark, high)
    return ""


def shares(day: SymbolDay, close: float, equity: float, cash: float) -> int:
    """Whole shares: the least by risk, by allocation and by cash. Money in cents."""
    by_risk = RISK_PER_TRADE * equity / (close - day.low)
    by_allocation = ALLOCATION * equity / MAX_POSITIONS / close
    return int(min(by_risk, by_allocation, SPENDABLE * cash / close))


def plain_trades(bars: dict[str, list[list[MadeBar]]]) -> list[Trade]:
    """The trades alone, symbol by symbol: what every engine must come to."""
    found = []
    for symbol, days in bars.items():
        for number, made in enumerate(days):
            day = SymbolDay()
            for minute, bar in enumerate(made):
                if signal(day, minute, bar.high, bar.low, bar.close) == "sell":
                    found.append(Trade(number, symbol, day.bought or 0, minute + 1))
    return found
