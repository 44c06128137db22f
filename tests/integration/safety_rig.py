"""A bot on the simulated broker whose session has begun, and a broker in between that can be told
what to do: be slow, not answer, know of dividends."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aggregates.capital import RecordDeposit
from aggregates.market import Bar, Quote
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.session import Decide, OpenSession, Session, StartPhase, session_stream
from brokers.port import Activity, Asset, BrokerUnavailable, OrderRequest
from brokers.simulated import SimulatedBroker
from config.calendar import TradingCalendar
from config.clock import VirtualClock, from_micros
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.desk import Desk
from runtime.outbox import Outbox

DAY = date(2026, 3, 2)
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTES = 390
SYMBOLS = ("ALFA", "BRVO")
CALENDAR = TradingCalendar("XNYS", date(2026, 2, 20), date(2026, 3, 10))
DEPOSIT = Decimal("100000.00")
D = Decimal


class Market:
    """Every minute from one before the open on at 100.00, quoted 99.98 to 100.02, for two days.

    ``volume`` is that of every bar; from minute ``stops`` of the first day on nothing is traded or
    quoted.
    """

    def __init__(self, volume: int, stops: int) -> None:
        self._volume, self._stops = volume, stops

    def symbols(self) -> tuple[str, ...]:
        return SYMBOLS

    def days(self) -> tuple[date, ...]:
        return (DAY, DAY + timedelta(days=1))

    def describe(self) -> str:
        return "made up"

    def _minutes(self, day: date) -> Sequence[datetime]:
        first = OPEN + (day - DAY)
        last = self._stops if day == DAY else MINUTES
        return [first + n * MINUTE for n in range(-1, last)]

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        price = {"open": D(100), "high": D(100), "low": D(100), "close": D(100)}
        return [
            Bar(symbol=symbol, start=start, volume=self._volume, **price)
            for start in self._minutes(day)
        ]

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        price: dict[str, Any] = {"bid": D("99.98"), "ask": D("100.02")}
        return [
            Quote(symbol=symbol, start=start, bid_size=1, ask_size=1, **price)
            for start in self._minutes(day)
        ]


class Between:
    """The simulated broker, with what it cannot do by itself. ``asked`` lists (method, when)."""

    def __init__(self, broker: SimulatedBroker, clock: VirtualClock) -> None:
        self._broker, self._clock = broker, clock
        self.asked: list[tuple[str, datetime]] = []
        self.slow = timedelta(0)  # what every question takes
        self.silent = False  # nothing is answered
        self.told: list[Activity] = []
        self.halted = False
        self.fractionable = True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._broker, name)
        if name == "capabilities" or not callable(found):
            return found

        def call(*given: Any) -> Any:
            self._clock.wait_until(self._clock.now() + self.slow)
            self.asked.append((name, self._clock.now()))
            if self.silent:
                raise BrokerUnavailable("no answer.")
            return found(*given)

        return call

    def activities(self, first: date) -> Sequence[Activity]:
        if self.silent:
            raise BrokerUnavailable("no answer.")
        return [a for a in self.told if a.day >= first]

    def asset(self, symbol: str) -> Asset | None:
        return Asset(
            symbol=symbol, tradable=True, fractionable=self.fractionable,
            halted=True if self.halted else None,
        )  # fmt: skip

    def times(self, name: str) -> list[datetime]:
        return [at for asked, at in self.asked if asked == name]


class Rig:
    """A bot in its session; killed and made again in the same folder it goes on."""

    def __init__(
        self, root: Path, *, volume: int = 100_000, stops: int = MINUTES, deposit: bool = True
    ) -> None:
        self.folder = DataFolder(root)
        root.mkdir(exist_ok=True)
        self.clock = VirtualClock(OPEN)
        self.simulated = SimulatedBroker(
            root / "broker.db", Market(volume, stops), self.clock, CALENDAR,
            starting_cash=DEPOSIT, seed=7,
        )  # fmt: skip
        self.clock.wait_until(self.simulated.processed_until())
        self.broker: Any = Between(self.simulated, self.clock)
        self.bot = Bot(
            self.folder, demo_settings(), clock=self.clock, broker=self.broker, calendar=CALENDAR,
            fresh_blind_key=bytes(32),
        )  # fmt: skip
        self.clock.wait_until(from_micros(self.bot.store.head().recorded_at))
        at = OPEN - timedelta(days=3)
        opening = opening_commands(
            self.bot.settings, symbols=SYMBOLS, deposit=DEPOSIT if deposit else None, at=at,
            demo=True,
        )  # fmt: skip
        for command_id, commands in opening.items():
            self.bot.dispatch(*commands, command_id=command_id)
        self.hours = CALENDAR.sessions(DAY, DAY)[0]
        self.take_up()

    def take_up(self) -> None:
        """Desk and outbox anew, as after a restart."""
        self.bot.views.catch_up()
        self.desk = Desk(self.bot.store, self.bot.views.books, self.hours)
        self.desk.load(self.session())
        self.outbox = Outbox(self.bot.dispatch, self.broker, self.clock, self.desk, self.hours.day)

    def session(self) -> Session:
        return self.bot.store.load(Session, session_stream(str(self.hours.day)))

    def close(self) -> None:
        self.bot.close()
        self.simulated.close()

    # -- what a session does ---------------------------------------------------------------

    def open_session(self) -> None:
        when: dict[str, Any] = {"at": self.clock.now(), "effective_date": self.hours.day}
        opened = OpenSession(
            **when, label=str(self.hours.day), opens_at=self.hours.open,
            closes_at=self.hours.close, symbols=SYMBOLS, settings_position=1,
        )  # fmt: skip
        self.bot.dispatch(opened, command_id="session")
        self.bot.dispatch(StartPhase(**when, phase="open"), command_id="phase")

    def decide(self, order_id: str, symbol: str, side: Any, quantity: str) -> None:
        """A decision with its order's intent, not sent yet."""
        when: dict[str, Any] = {"at": self.clock.now(), "effective_date": self.hours.day}
        self.bot.dispatch(
            Decide(
                **when, decision_id=order_id, strategy="OPEN", symbol=symbol, kind="entry",
                outcome="taken", reason="test", inputs={}, verdicts=(), order_id=order_id,
            ),
            self.intent(order_id, symbol, side, quantity),
            command_id=f"decide:{order_id}",
            correlation=order_id,
        )  # fmt: skip
        self.desk.refresh(order_id)

    def intent(
        self, order_id: str, symbol: str, side: Any, quantity: str, sleeve: Any = "trading"
    ) -> IntendOrder:
        return IntendOrder(
            at=self.clock.now(), effective_date=self.hours.day, order_id=order_id,
            bot_identity=self.bot.identity, instrument_id=f"XNYS:{symbol}", symbol=symbol,
            sleeve=sleeve, side=side, order_type="market", quantity=D(quantity),
            strategy="OPEN", reason="test", held=D(quantity) if side == "sell" else None,
        )  # fmt: skip

    def order(self, order_id: str, symbol: str, side: Any, quantity: str) -> None:
        self.decide(order_id, symbol, side, quantity)
        self.outbox.send(order_id)

    def buy(self, symbol: str = "ALFA", quantity: str = "10") -> None:
        """Bought and filled, two minutes later."""
        self.order(f"buy-{symbol}", symbol, "buy", quantity)
        self.pass_minutes(2)
        self.outbox.read_fills()
        self.bot.views.catch_up()

    def hold_long_term(self, symbol: str, quantity: str) -> None:
        """A purchase of the holdings sleeve, at the broker and in the books."""
        order_id = f"holding-{symbol}"
        intended = self.intent(order_id, symbol, "buy", quantity, "holdings")
        self.bot.dispatch(intended, command_id=order_id)
        order = self.desk.refresh(order_id)
        del self.desk.orders[order_id]
        self.by_hand(symbol, "buy", quantity, order.terms.client_order_id)
        self.pass_minutes(2)
        done = self.simulated.fills_since(0)[-1]
        self.bot.dispatch(
            RecordFill(
                at=done.executed_at, effective_date=self.hours.day, order_id=order_id,
                **{
                    name: getattr(done, name)
                    for name in (
                        "execution_id", "quantity", "price", "currency", "commission", "fees",
                        "net_amount", "settles_on",
                    )
                },
            ),
            command_id=f"fill:simulated:{done.execution_id}",
            correlation=order_id,
            causation=f"decide:{order_id}",
        )  # fmt: skip
        self.bot.views.catch_up()

    def by_hand(self, symbol: str, side: Any, quantity: str, order_id: str = "by-hand") -> None:
        """An order at the broker that this bot did not send."""
        self.simulated.submit(
            OrderRequest(
                client_order_id=order_id, symbol=symbol, side=side, order_type="market",
                quantity=D(quantity),
            )
        )  # fmt: skip

    def deposit(self, amount: str) -> None:
        self.bot.dispatch(
            RecordDeposit(
                at=self.clock.now(), effective_date=self.hours.day, reference=f"deposit-{amount}",
                currency="USD", amount=D(amount), reason="test",
            ),
            command_id=f"deposit-{amount}",
        )  # fmt: skip
        self.bot.views.catch_up()

    def pass_minutes(self, minutes: int) -> None:
        self.clock.wait_until(self.clock.now() + minutes * MINUTE)

    # -- what a person would see -----------------------------------------------------------

    def at_broker(self) -> dict[str, str]:
        return {p.symbol: f"{p.quantity:f}" for p in self.simulated.positions()}

    def sold(self) -> dict[str, str]:
        """What the broker sold in all, by symbol."""
        sold: dict[str, Decimal] = {}
        for execution in self.simulated.fills_since(0):
            if execution.side == "sell":
                sold[execution.symbol] = sold.get(execution.symbol, D(0)) + execution.quantity
        return {symbol: f"{units:f}" for symbol, units in sold.items()}

    def topics(self, family: str) -> list[str]:
        rows = self.bot.views.feed.page(topics=(family,), limit=1000)
        return [row.topic.partition(".")[2] for row in rows]

    def events(self, topic: str) -> list[Any]:
        feed = self.bot.views.feed
        return [feed.event(row) for row in feed.page(topics=(topic,), limit=1000)]
