"""TradeBot's own engine on made bars: a whole bot in a folder, its sessions under a virtual clock.

The code is that of a live day: supervisor, open phase, all rules, outbox, the simulated broker on
its own durable file, and every decision and order in the store before the next step.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aggregates.market import MINUTE, Bar, Quote
from aggregates.order_messages import OrderFilled
from aggregates.session import Decided
from benchmarks import engine_core as core
from benchmarks.engine_files import keep_to_one_core, read_market
from benchmarks.engine_market import SPREAD, MadeBar, Market
from brokers.simulated import SimulatedBroker
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import Settings, demo_settings
from runtime.bootstrap import Bot, provision
from runtime.started import start_up_is_over
from runtime.supervisor import Supervisor

KEY = hashlib.sha256(b"tradebot benchmark blind").digest()
EXCHANGE = "XNYS"


class MadeMarketData:
    """Bars and quotes of the made market, in memory before anything is timed."""

    def __init__(self, market: Market, days: Sequence[date]) -> None:
        self._days = tuple(days)
        self._bars: dict[tuple[str, date], tuple[Bar, ...]] = {}
        self._quotes: dict[tuple[str, date], tuple[Quote, ...]] = {}
        self._symbols = tuple(sorted(market.bars))
        for symbol, of_days in market.bars.items():
            for day, opened, made in zip(days, market.opens, of_days, strict=True):
                start = datetime.fromtimestamp(opened, UTC)
                starts = [start + n * MINUTE for n in range(len(made))]
                self._bars[symbol, day] = tuple(map(_bar, [symbol] * len(made), starts, made))
                self._quotes[symbol, day] = tuple(map(_quote, [symbol] * len(made), starts, made))

    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    def days(self) -> tuple[date, ...]:
        return self._days

    def bars(self, symbol: str, day: date) -> tuple[Bar, ...]:
        return self._bars[symbol, day]

    def quotes(self, symbol: str, day: date) -> tuple[Quote, ...]:
        return self._quotes[symbol, day]

    def describe(self) -> str:
        return f"made bars of {len(self._symbols)} symbols"


def engine_settings(changes: dict[str, str] | None = None) -> Settings:
    """Limits that no entry runs into: every signal is an order, in every program."""
    return demo_settings(
        {
            "FRACTIONAL": "false",
            "OPEN_ANALYSIS_TIME": str(core.ANALYSIS_END),
            "OPEN_BREAKOUT_TIME": str(core.BREAKOUT_END - core.ANALYSIS_END),
            "OPEN_MONITORING_TIME": str(core.MONITORING_END - core.BREAKOUT_END),
            "STRAT_OPEN_BUFFER": str(Decimal(core.BUFFER[0]) / core.BUFFER[1]),
            "TRADING_TRAILING_STOP_PCT": str(Decimal(core.TRAILING[0]) / core.TRAILING[1]),
            "MAX_RISK_PER_TRADE": str(core.RISK_PER_TRADE),
            "TOTAL_ALLOCATION": str(core.ALLOCATION),
            "MAX_OPEN_POSITIONS": str(core.MAX_POSITIONS),
            "MAX_TRADES": "500",
            "DAILY_LOSS_LIMIT": "1",
        }
        | (changes or {})
    )


class Engine:
    """A bot with its broker and market, provisioned and ready to play."""

    def __init__(
        self, folder: Path, market: Market, settings: Settings, clock_kind: Any = VirtualClock,
        broker_kind: Any = SimulatedBroker,
    ) -> None:  # fmt: skip
        first, last = (datetime.fromtimestamp(market.opens[n], UTC).date() for n in (0, -1))
        calendar = TradingCalendar(EXCHANGE, first, last)
        self.sessions = calendar.sessions(first, last)
        data = MadeMarketData(market, [hours.day for hours in self.sessions])
        start = self.sessions[0].open - timedelta(days=1)
        self.clock, root = clock_kind(start), DataFolder(folder)
        root.simulated_broker.parent.mkdir(parents=True)
        self.broker = broker_kind(
            root.simulated_broker, data, self.clock, calendar,
            starting_cash=Decimal(core.CASH), seed=1,
        )  # fmt: skip
        self.bot = Bot(root, settings, clock=self.clock, broker=self.broker, calendar=calendar,
                       fresh_blind_key=KEY)  # fmt: skip
        provision(self.bot, symbols=data.symbols(), deposit=Decimal(core.CASH), at=start, demo=True)
        self.supervisor = Supervisor(self.bot, data.symbols())
        start_up_is_over()  # as the process of a day does

    def play(self) -> float:
        """All sessions; returns the seconds that they took."""
        start = time.perf_counter()
        for hours in self.sessions:
            self.supervisor.run_session(hours)
        return time.perf_counter() - start

    def trades(self) -> list[core.Trade]:
        """Entries and exits as the history tells them, and that every one of them was filled."""
        bought: dict[tuple[date, str], int] = {}
        found, fills = [], 0
        hours = {session.day: session for session in self.sessions}
        number = {session.day: n for n, session in enumerate(self.sessions)}
        feed = self.bot.views.feed
        for row in feed.page(topics=(Decided.topic, OrderFilled.topic), limit=1_000_000):
            event = feed.event(row)
            if isinstance(event, OrderFilled):
                fills += 1
            elif isinstance(event, Decided) and event.outcome == "taken":
                day = event.effective_date
                minute = _minutes(event.occurred_at, hours[day])
                if event.kind == "entry":
                    bought[day, event.symbol] = minute
                else:
                    found.append(core.Trade(number[day], event.symbol,
                                            bought[day, event.symbol], minute))  # fmt: skip
        assert fills == 2 * len(found) == 2 * len(bought), "an order was not filled at once"
        return found

    def close(self) -> None:
        self.bot.close()
        self.broker.close()


def _minutes(moment: datetime, hours: SessionHours) -> int:
    return (moment - hours.open) // MINUTE


def _bar(symbol: str, start: datetime, made: MadeBar) -> Bar:
    opened, high, low, close = (Decimal(price).scaleb(-2) for price in made[:4])
    return Bar(symbol=symbol, start=start, open=opened, high=high, low=low, close=close,
               volume=made.volume)  # fmt: skip


def _quote(symbol: str, start: datetime, made: MadeBar) -> Quote:
    bid = Decimal(made.close - SPREAD // 2).scaleb(-2)
    return Quote(symbol=symbol, start=start, bid=bid, bid_size=1_000,
                 ask=bid + Decimal(SPREAD).scaleb(-2), ask_size=1_000)  # fmt: skip


def run(market: Market, folder: Path) -> dict[str, Any]:
    engine = Engine(folder, market, engine_settings())
    seconds = engine.play()
    found = {
        "seconds": seconds,
        "trades": engine.trades(),
        "events": engine.bot.store.head().position,
    }
    engine.close()
    return found


if __name__ == "__main__":
    keep_to_one_core()
    print(json.dumps(run(read_market(Path(sys.argv[1])), Path(sys.argv[2]))))
