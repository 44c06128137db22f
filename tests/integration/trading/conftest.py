"""A synthetic trading day through the real supervisor, and one order at a time at its desk."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.market import MINUTE, Bar, Quote
from aggregates.order import Order
from aggregates.order_messages import IntendOrder
from brokers.fault_draws import Scripted
from brokers.faulty import FaultyBroker
from brokers.port import BrokerOrder, Execution, OrderRequest
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, provision
from runtime.desk import Desk
from runtime.outbox import Outbox
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


# One order at a time


class Flat:
    """A market at 100 dollars that trades so many shares each minute."""

    def __init__(self, hours: SessionHours, volume: int) -> None:
        starts = [hours.open + i * MINUTE for i in range(390)]
        price, ask = Decimal(100), Decimal("100.01")
        self._bars = [
            Bar(
                symbol="ALFA", start=at, open=price, high=price, low=price, close=price,
                volume=volume,
            )
            for at in starts
        ]  # fmt: skip
        self._quotes = [
            Quote(symbol="ALFA", start=at, bid=price, bid_size=1, ask=ask, ask_size=1)
            for at in starts
        ]

    def symbols(self) -> tuple[str, ...]:
        return ("ALFA",)

    def days(self) -> tuple[date, ...]:
        return (DAY,)

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        return self._bars if (symbol, day) == ("ALFA", DAY) else ()

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        return self._quotes if (symbol, day) == ("ALFA", DAY) else ()

    def describe(self) -> str:
        return "flat"


class Desktop:
    """A bot in its session, its outbox and its line; ``start`` makes them anew from the disk."""

    def __init__(self, root: Path, volume: int, per_minute: int | None) -> None:
        self.folder, self._per_minute = DataFolder(root), per_minute
        self.folder.simulated_broker.parent.mkdir(parents=True)
        self.calendar = TradingCalendar("XNYS", DAY, DAY)
        (self.hours,) = self.calendar.sessions(DAY, DAY)
        self.market = Flat(self.hours, volume)
        self.clock = VirtualClock(self.hours.open - timedelta(days=1))
        self.behind = SimulatedBroker(
            self.folder.simulated_broker, self.market, self.clock, self.calendar,
            starting_cash=CASH, seed=1,
        )  # fmt: skip
        self.faults = Scripted()
        self.line = FaultyBroker(
            self.behind, self.clock, self.faults, requests_per_minute=per_minute
        )
        self.start()
        provision(self.bot, symbols=("ALFA",), deposit=CASH, at=self.clock.now(), demo=True)
        self.bot.views.catch_up()
        self.clock.wait_until(self.hours.open + 10 * MINUTE)
        self.behind.bars("ALFA", self.hours.open, self.clock.now())

    def start(self) -> None:
        self.bot = Bot(
            self.folder, demo_settings(), clock=self.clock, broker=self.line,
            calendar=self.calendar, fresh_blind_key=bytes(32),
        )  # fmt: skip

    def sit_down(self, *order_ids: str) -> None:
        self.desk = Desk(self.bot.store, self.bot.views.books, self.hours)
        self.outbox = Outbox(self.bot.dispatch, self.line, self.clock, self.desk, DAY)
        for order_id in order_ids:
            self.desk.refresh(order_id)

    def restart(self, *order_ids: str) -> None:
        self.bot.close()
        self.start()
        self.line.reconnect(self.behind)
        self.sit_down(*order_ids)

    def script(self, **script: Sequence[str]) -> None:
        self.faults._script = {call: list(faults) for call, faults in script.items()}

    def intend(self, order_id: str = "o1", side: str = "buy", quantity: int = 100) -> Order:
        self.bot.dispatch(
            IntendOrder(
                at=self.clock.now(), effective_date=DAY, order_id=order_id,
                bot_identity=self.bot.identity, instrument_id="XNYS:ALFA", symbol="ALFA",
                sleeve="trading", side="sell" if side == "sell" else "buy", order_type="market",
                quantity=Decimal(quantity), strategy="OPEN", reason="a test",
                held=Decimal(quantity),
            ),
            command_id=f"decide:{order_id}",
        )  # fmt: skip
        return self.desk.refresh(order_id)

    def send(self, order_id: str = "o1", **terms: Any) -> Order:
        self.intend(order_id, **terms)
        self.outbox.send(order_id)
        return self.order(order_id)

    def order(self, order_id: str = "o1") -> Order:
        return self.desk.orders[order_id]

    def look(self, after: timedelta = timedelta(0)) -> Order:
        """One round of looking, as in a session's minute."""
        self.clock.wait_until(self.clock.now() + after)
        self.outbox.read_fills()
        self.outbox.settle_open()
        self.outbox.read_states()
        return self.order("o1")

    def sent(self, order_id: str = "o1") -> int:
        name = self.order(order_id).terms.client_order_id
        return sum(client_order_id == name for _, client_order_id in self.line.sent)


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[Callable[..., Desktop]]:
    """`sitting(volume, per_minute)`: ten minutes after the open, nothing ordered."""
    made: list[Desktop] = []

    def make(volume: int = 100_000, per_minute: int | None = None) -> Desktop:
        made.append(Desktop(tmp_path / "bot", volume, per_minute))
        made[-1].sit_down()
        return made[-1]

    yield make
    for one in made:
        one.bot.close()
