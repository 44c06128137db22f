"""One synthetic trading day through the real supervisor, with settings and a line as told."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.port import BrokerOrder, Execution, OrderRequest
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, provision
from runtime.queries import Queries
from runtime.supervisor import Supervisor

DAY = date(2026, 3, 4)  # three entries with seed 1
CASH = Decimal("100000.00")


class BadLine(SimulatedBroker):
    """The simulated broker behind a line that misbehaves as told, on the n-th submission."""

    fault: Callable[[OrderRequest], None] | None = None
    on = 1
    arrives = False  # whether the faulty submission reaches the broker all the same
    sent: list[str]
    intent_was_on_disk: Callable[[str], bool]

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append(request.client_order_id)
        assert self.intent_was_on_disk(request.client_order_id), "sent before its intent was stored"
        if self.fault and len(self.sent) == self.on:
            if self.arrives:
                super().submit(request)
            self.fault(request)
        return super().submit(request)

    def fills_since(self, sequence: int) -> list[Execution]:
        """Every report comes again, and again."""
        found = list(super().fills_since(sequence))
        return found + found


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Callable[..., tuple[BadLine, Queries]]]:
    """Play one synthetic day over a line with one fault; gives the line and what was booked."""
    opened: list[Queries] = []

    def play(
        fault: Callable[[OrderRequest], None] | None = None,
        on: int = 1,
        *,
        arrives: bool = False,
        settings: dict[str, str] | None = None,
    ) -> tuple[BadLine, Queries]:
        folder = DataFolder(tmp_path / f"day{len(opened)}")
        folder.simulated_broker.parent.mkdir(parents=True)
        calendar = TradingCalendar("XNYS", DAY, DAY)
        sessions = calendar.sessions(DAY - timedelta(days=2), DAY)
        market = SyntheticMarketData(1, sessions)
        clock = VirtualClock(sessions[-2].close)
        line = BadLine(folder.simulated_broker, market, clock, calendar, starting_cash=CASH, seed=1)
        line.fault, line.on, line.arrives, line.sent = fault, on, arrives, []
        bot = Bot(
            folder,
            demo_settings(settings),
            clock=clock,
            broker=line,
            calendar=calendar,
            fresh_blind_key=bytes(32),
        )
        provision(bot, symbols=market.symbols(), deposit=CASH, at=clock.now(), demo=True)
        line.intent_was_on_disk = lambda client_id: bool(
            bot.views.feed.page(topics=("Order.Intended",), text=client_id)
        )
        Supervisor(bot, market.symbols()).run_session(sessions[-1])
        bot.close()
        queries = Queries(folder)
        opened.append(queries)
        return line, queries

    yield play
    for queries in opened:
        queries.close()
