"""OPEN and the simulated fills a second time, in plain lines that import nothing of the project.

Written from docs/decisions/0001 (the strategy) and 0002 (the fills) alone. Minutes are minutes of
the UTC day; every number is an exact fraction; a fill is side, minute, units, price, commission,
fees and what it adds to the cash. The bars are read where they lie, none is written down here.
"""

import csv
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

DAYS = [f"2013-10-{day:02}" for day in range(7, 12)]
SESSION_OPEN, SESSION_CLOSE = 13 * 60 + 30, 20 * 60  # 09:30 and 16:00 in New York on these days
SYMBOLS = ["AIG", "BAC", "IBM", "SPY"]
RULES: dict[str, Any] = {
    # the settings that a demo starts with
    "OPEN_ANALYSIS_TIME": 30,
    "OPEN_BREAKOUT_TIME": 60,
    "OPEN_MONITORING_TIME": 60,
    "STRAT_OPEN_BUFFER": Fraction("0.0005"),
    "TRADING_TRAILING_STOP_PCT": Fraction("0.005"),
    "TOTAL_ALLOCATION": Fraction("0.5"),
    "WEIGHT_OPEN": Fraction(1),
    "MAX_RISK_PER_TRADE": Fraction("0.005"),
    "DAILY_LOSS_LIMIT": Fraction("0.02"),
    "MAX_OPEN_POSITIONS": 4,
    "MAX_TRADES": 10,
    "MAX_SPREAD_PCT": Fraction("0.015"),
    "MIN_VOLUME_THRESHOLD": 10000,
    "FRACTIONAL": True,
    # what no setting says
    "part of cash": Fraction("0.99"),
    "part of volume": Fraction("0.1"),
    "part of spread": Fraction("0.5"),
    "commission": Fraction("0.005"),
    "SEC fee": Fraction("0.0000278"),
    "FINRA fee": Fraction("0.000166"),
}


@dataclass
class Position:
    day: str
    symbol: str
    close: Fraction  # of the signal's bar
    low: Fraction  # of the opening range: the initial stop
    wanted: Fraction  # units of the entry that are not filled yet
    held: Fraction = Fraction(0)
    mark: Fraction = Fraction(0)  # high-water mark
    exit: str = ""  # the reason, once an exit is due
    fills: list[tuple[Any, ...]] = field(default_factory=list)


@cache
def minutes(path: Path) -> dict[int, dict[str, Fraction]]:
    with path.open(newline="") as lines:
        rows = [(row.pop("ts"), row) for row in csv.DictReader(lines)]
    read = {ts: {name: Fraction(text) for name, text in row.items()} for ts, row in rows}
    return {int(ts[11:13]) * 60 + int(ts[14:16]): row for ts, row in read.items()}


class Day:
    """One session of all symbols; `play` goes through its minutes."""

    def __init__(self, folder: Path, day: str, cash: Fraction, rules: dict[str, Any]) -> None:
        self.day, self.start, self.cash, self.r = day, cash, cash, rules
        self.bars = {s: minutes(folder / "bars" / s / f"{day}.csv") for s in SYMBOLS}
        self.quotes = {s: minutes(folder / "quotes" / s / f"{day}.csv") for s in SYMBOLS}
        self.range_end = min(SESSION_OPEN + rules["OPEN_ANALYSIS_TIME"], SESSION_CLOSE - 5)
        self.entries_end = min(self.range_end + rules["OPEN_BREAKOUT_TIME"], SESSION_CLOSE - 5)
        self.end = min(self.entries_end + rules["OPEN_MONITORING_TIME"], SESSION_CLOSE - 5)
        self.signals: dict[str, tuple[str, str, int, str]] = {}  # day, symbol, minute, outcome
        self.positions: dict[str, Position] = {}
        self.killed = False

    def play(self) -> None:
        for now in range(SESSION_OPEN + 1, SESSION_CLOSE + 1):  # the bar of now - 1 is complete
            at_work = now <= self.end or any(p.held for p in self.positions.values())
            for position in self.positions.values():
                self.fill(position, now - 1)
            if at_work and self.positions and not self.killed:
                self.killed = self.start - self.equity(now) >= self.most_lost
            if self.killed:
                self.sell_everything()
                continue
            for position in self.positions.values():
                self.watch(position, now)
            for symbol in SYMBOLS:
                if self.range_end < now <= self.entries_end and symbol not in self.signals:
                    self.look(symbol, now)

    @property
    def most_lost(self) -> Fraction:
        limit: Fraction = self.r["DAILY_LOSS_LIMIT"]
        return limit * self.start

    def sell_everything(self) -> None:
        for position in self.positions.values():
            position.exit, position.wanted = position.exit or "kill switch", Fraction(0)

    def spread(self, symbol: str, now: int) -> Fraction | None:
        """Ask minus bid of the latest quote known at `now`; none if older than five minutes."""
        known = (self.quotes[symbol].get(minute) for minute in range(now - 1, now - 7, -1))
        return next((q["ask"] - q["bid"] for q in known if q), None)

    def fill(self, p: Position, minute: int) -> None:
        side, left = (-1, p.held) if p.exit else (1, p.wanted)
        bar, spread = self.bars[p.symbol].get(minute), self.spread(p.symbol, minute)
        if not left or bar is None or spread is None:
            return
        most = Fraction(bar["volume"] * self.r["part of volume"] // 1)
        units = left if left // 1 <= most else most
        price = round(bar["open"] + side * spread * self.r["part of spread"], 6)
        commission, fees = units * self.r["commission"], Fraction(0)
        if side < 0:
            fees = units * price * self.r["SEC fee"] + units * self.r["FINRA fee"]
        net = -round(side * units * price + commission + fees, 2)
        self.cash += net
        p.held += side * units
        p.wanted -= units if side > 0 else 0
        if units:
            p.fills.append((side, minute, units, price, commission, fees, net))

    def watch(self, p: Position, now: int) -> None:
        bar = self.bars[p.symbol].get(now - 1)
        if p.held and bar and not p.exit:
            trailing = p.mark * (1 - self.r["TRADING_TRAILING_STOP_PCT"])
            if now <= self.end and bar["low"] <= max(p.low, trailing):
                p.exit = "trailing stop" if trailing > p.low else "stop"
            p.mark = max(p.mark, bar["high"])
        if now >= self.end:
            p.exit = p.exit or "end of monitoring"
        if p.exit:
            p.wanted = Fraction(0)  # what is left of the entry is cancelled

    def look(self, symbol: str, now: int) -> None:
        bars = self.bars[symbol]
        window = [bars[m] for m in range(SESSION_OPEN, self.range_end) if m in bars]
        bar = bars.get(now - 1)
        if bar is None or 2 * len(window) < self.range_end - SESSION_OPEN:
            return
        high, low = max(b["high"] for b in window), min(b["low"] for b in window)
        if bar["close"] > high * (1 + self.r["STRAT_OPEN_BUFFER"]):
            entry = self.sized(symbol, bar["close"], low, now)
            volume = sum((b["volume"] for b in window), Fraction(0))
            allowed = self.allowed(entry, volume, now)
            self.signals[symbol] = (self.day, symbol, now, "taken" if allowed else "refused")
            if allowed:
                self.positions[symbol] = entry
        elif bar["close"] < low * (1 - self.r["STRAT_OPEN_BUFFER"]):
            self.signals[symbol] = (self.day, symbol, now, "no_instrument")

    def equity(self, now: int) -> Fraction:
        worth = self.cash
        for symbol, position in self.positions.items():
            latest = max(minute for minute in self.bars[symbol] if minute < now)
            worth += position.held * self.bars[symbol][latest]["close"]
        return worth

    def sized(self, symbol: str, close: Fraction, low: Fraction, now: int) -> Position:
        allocated = self.r["TOTAL_ALLOCATION"] * self.equity(now) * self.r["WEIGHT_OPEN"]
        units = min(
            self.r["MAX_RISK_PER_TRADE"] * self.equity(now) / (close - low),
            allocated / self.r["MAX_OPEN_POSITIONS"] / close,
            self.cash * self.r["part of cash"] / close,
        )
        step = Fraction(1, 10**9) if self.r["FRACTIONAL"] else Fraction(1)
        return Position(self.day, symbol, close, low, units // step * step)

    def allowed(self, entry: Position, volume: Fraction, now: int) -> bool:
        equity, spread = self.equity(now), self.spread(entry.symbol, now)
        live = [p for p in self.positions.values() if p.wanted or p.held]
        invested = equity - self.cash + sum(p.wanted * p.close for p in [*live, entry])
        return (
            entry.wanted > 0
            and self.start - equity < self.most_lost
            and entry.wanted * (entry.close - entry.low) <= self.r["MAX_RISK_PER_TRADE"] * equity
            and invested <= self.r["TOTAL_ALLOCATION"] * equity
            and len(live) + 1 <= self.r["MAX_OPEN_POSITIONS"]
            and len(self.positions) + 1 <= self.r["MAX_TRADES"]
            and spread is not None
            and spread / entry.close <= self.r["MAX_SPREAD_PCT"]
            and volume >= self.r["MIN_VOLUME_THRESHOLD"]
        )


def reference(folder: Path, rules: dict[str, Any]) -> list[Day]:
    """The five days, each with the cash that the one before left; a kill is the last of them."""
    days: list[Day] = []
    cash = Fraction(100_000)
    for day in DAYS:
        days.append(Day(folder, day, cash, {**RULES, **rules}))
        days[-1].play()
        cash = days[-1].cash
        if days[-1].killed:
            break
    return days
