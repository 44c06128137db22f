"""A bot with a holdings plan on the simulated broker, over a few days, whose prices a test sets."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aggregates.capital import Earmark, RecordDeposit, RecordWithdrawal
from aggregates.holdings import STREAM, Holdings, HoldingsDay, day_stream
from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan
from aggregates.market import Bar, Quote
from aggregates.order import Order, client_order_id, order_stream
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.session import OpenSession, StartPhase
from brokers.known_market import KnownMarket
from brokers.port import (
    Account,
    BrokerOrder,
    BrokerUnavailable,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from brokers.simulated import SimulatedBroker
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock, from_micros
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.holdings_orders import HoldingsOrders
from runtime.holdings_phase import HoldingsPhase
from runtime.purses import Reserves, purses_of
from strategies.planned_order import PlannedOrder

D = Decimal
MINUTE = timedelta(minutes=1)
FIRST = date(2026, 3, 2)  # a Monday
DAYS = tuple(FIRST + timedelta(days=n) for n in range(5))
CALENDAR = TradingCalendar("XNYS", date(2026, 2, 20), date(2026, 3, 10))
SYMBOLS = ("SCHD", "SCHY", "BIL", "ALFA")
DEPOSIT = D("100000.00")


class Market:
    """Every minute at the price that holds then, quoted ``spread`` to each side.

    A symbol trades nothing, and is not quoted, on the days that ``quiet`` has for it.
    """

    def __init__(self, volume: int) -> None:
        self.volume, self.spread = volume, D("0.02")  # to each side
        self.prices: dict[str, list[tuple[datetime, Decimal]]] = {}
        self.quiet: set[tuple[str, date]] = set()
        for symbol in SYMBOLS:
            self.prices[symbol] = [(datetime(2026, 1, 1, tzinfo=UTC), D(100))]

    def symbols(self) -> tuple[str, ...]:
        return SYMBOLS

    def days(self) -> tuple[date, ...]:
        return DAYS

    def describe(self) -> str:
        return "made up"

    def _minutes(self, symbol: str, day: date) -> Sequence[tuple[datetime, Decimal]]:
        if (symbol, day) in self.quiet:
            return ()
        first = CALENDAR.sessions(day, day)[0].open
        return [(first + n * MINUTE, self._price(symbol, first + n * MINUTE)) for n in range(390)]

    def _price(self, symbol: str, at: datetime) -> Decimal:
        return [price for since, price in self.prices[symbol] if since <= at][-1]

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        return [
            Bar(symbol=symbol, start=at, open=p, high=p, low=p, close=p, volume=self.volume)
            for at, p in self._minutes(symbol, day)
        ]

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        cents = self.spread
        return [
            Quote(symbol=symbol, start=at, bid=p - cents, bid_size=1, ask=p + cents, ask_size=1)
            for at, p in self._minutes(symbol, day)
        ]


class Line:
    """The simulated broker, with money that came in elsewhere and symbols that it refuses."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self._broker = broker
        self.more_cash = D(0)  # results that a test books without an order at the broker
        self.refused: set[str] = set()
        self.sent: list[OrderRequest] = []
        self.fractional = True
        self.deaf = False  # nothing is said of an order, and none is cancelled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    @property
    def capabilities(self) -> Any:
        return msgspec.structs.replace(self._broker.capabilities, fractional=self.fractional)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        if self.deaf:
            raise BrokerUnavailable("no answer.")
        return self._broker.order(client_order_id)

    def cancel(self, client_order_id: str) -> None:
        if self.deaf:
            raise OutcomeUnknown("no answer.")
        self._broker.cancel(client_order_id)

    def account(self) -> Account:
        found = self._broker.account()
        return msgspec.structs.replace(found, cash=found.cash + self.more_cash)

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append(request)
        if request.symbol in self.refused:
            raise OrderRefused("not_tradable", f"{request.symbol} is not traded now.")
        return self._broker.submit(request)


class HoldingsRig:
    """Made again in the same folder it goes on. ``day`` begins a session, ``run`` its phase."""

    def __init__(
        self, root: Path, *, volume: int = 100_000, settings: dict[str, str] | None = None
    ) -> None:
        root.mkdir(exist_ok=True)
        self.folder, self.market, self.calendar = DataFolder(root), Market(volume), CALENDAR
        self.clock = VirtualClock(CALENDAR.sessions(FIRST, FIRST)[0].open)
        self.simulated = SimulatedBroker(
            root / "broker.db", self.market, self.clock, CALENDAR, starting_cash=DEPOSIT, seed=7
        )
        self.clock.wait_until(self.simulated.processed_until())
        self.broker: Any = Line(self.simulated)
        own = {"HOLDINGS_ENABLED": "true", "HOLDINGS_DELAY_MINUTES": "0"} | (settings or {})
        self.bot = Bot(
            self.folder, demo_settings(own), clock=self.clock, broker=self.broker,
            calendar=CALENDAR, fresh_blind_key=bytes(32),
        )  # fmt: skip
        self.clock.wait_until(from_micros(self.bot.store.head().recorded_at))
        opening = opening_commands(
            self.bot.settings, symbols=SYMBOLS, deposit=DEPOSIT,
            at=self.clock.now() - timedelta(days=3) if not self._begun() else self.clock.now(),
            demo=True,
        )  # fmt: skip
        if not self._begun():
            for command_id, commands in opening.items():
                self.bot.dispatch(*commands, command_id=command_id)
        self.bot.views.catch_up()
        self.number = 0
        self.hours: SessionHours = CALENDAR.sessions(FIRST, FIRST)[0]

    def _begun(self) -> bool:
        return self.bot.store.head().position > 0

    def close(self) -> None:
        self.bot.close()
        self.simulated.close()

    # -- what happens ----------------------------------------------------------------------

    def plan(self, *securities: str | tuple[str, str], seen: int = 0, **fields: Any) -> Plan:
        """`plan("SCHD", ("SCHY", "40"), tax_reserve="25")`, saved."""
        listed = tuple(
            PlannedSecurity(s) if isinstance(s, str) else PlannedSecurity(s[0], D(s[1]))
            for s in securities
        )
        texts = {k: D(v) if isinstance(v, str) and k != "tax_vehicle" else v
                 for k, v in fields.items()}  # fmt: skip
        plan = Plan(securities=listed, **texts)
        self.bot.dispatch(
            SavePlan(at=self.clock.now(), effective_date=self.hours.day, plan=plan, seen=seen),
            command_id=f"plan-{seen}",
        )
        return plan

    def day(self, number: int = 0, minutes: int = 15) -> None:
        """The session of that day has begun, so many minutes ago."""
        self.hours = CALENDAR.sessions(DAYS[number], DAYS[number])[0]
        self.clock.wait_until(self.hours.open)
        when: dict[str, Any] = {"at": self.clock.now(), "effective_date": self.hours.day}
        opened = OpenSession(
            **when, label=str(self.hours.day), opens_at=self.hours.open,
            closes_at=self.hours.close, symbols=("ALFA",), settings_position=1,
        )  # fmt: skip
        self.bot.dispatch(opened, command_id=f"session-{number}")
        self.bot.dispatch(StartPhase(**when, phase="holdings"), command_id=f"phase-{number}")
        self.clock.wait_until(self.hours.open + minutes * MINUTE)
        self.bot.views.catch_up()

    def wait(self, moment: datetime) -> None:
        self.clock.wait_until(moment)

    def phase(self) -> HoldingsPhase:
        return HoldingsPhase(self.bot, self.hours, self.wait)

    def orders(self) -> HoldingsOrders:
        return HoldingsOrders(self.bot, self.hours, self.wait)

    def run(self) -> str:
        return self.phase().run()

    def price(self, symbol: str, price: str) -> None:
        """From the next minute on."""
        since = self.clock.now().replace(second=0, microsecond=0) + MINUTE
        self.market.prices[symbol].append((since, D(price)))
        self.forget()
        self.clock.wait_until(since + 2 * MINUTE)

    def forget(self) -> None:
        """A source gives a day whole: what the broker read of it is read again."""
        self.simulated._market = KnownMarket(self.market)

    def gain(self, amount: str, day: int = 0, sleeve: str = "trading", symbol: str = "ALFA") -> int:
        """A round trip of that day with that result, recorded now; below 0 it is a loss."""
        bought, sold = D(10_000), D(10_000) + D(amount)
        self.fill(sleeve, symbol, "buy", bought, day)
        position = self.fill(sleeve, symbol, "sell", sold, day)
        self.broker.more_cash += D(amount)
        self.bot.views.catch_up()
        return position

    def fill(self, sleeve: str, symbol: str, side: str, price: Decimal, day: int) -> int:
        """One unit at that price, in the books alone."""
        self.number = self.bot.store.head().position + 1
        when: dict[str, Any] = {"at": self.clock.now(), "effective_date": DAYS[day]}
        order_id = f"o{self.number}"
        intent = IntendOrder(
            **when, order_id=order_id, bot_identity=self.bot.identity,
            instrument_id=f"XNYS:{symbol}", symbol=symbol, sleeve=sleeve, side=side,
            order_type="market", quantity=D(1), strategy="OPEN", context=sleeve, reason="test",
            held=D(1),
        )  # fmt: skip
        fill = RecordFill(
            **when, order_id=order_id, execution_id=f"x{self.number}", quantity=D(1), price=price,
            currency="USD", commission=D(0), fees=D(0), net_amount=None, settles_on=DAYS[day],
        )  # fmt: skip
        return self.bot.dispatch(intent, fill, command_id=order_id).positions[-1]

    def planned(self, symbol: str, side: Any, quantity: str, context: Any) -> PlannedOrder:
        return PlannedOrder(
            symbol=symbol, side=side, quantity=D(quantity), context=context, reason="test"
        )

    def quiet(self, symbol: str, *days: int) -> None:
        """It does not trade on these days, nor is it quoted."""
        for number in days:
            self.market.quiet.add((symbol, self.market.days()[number]))
        self.forget()

    def deposit(self, amount: str) -> None:
        self.bot.dispatch(
            RecordDeposit(
                at=self.clock.now(), effective_date=self.hours.day, reference="more",
                currency="USD", amount=D(amount), reason="test",
            ),
            command_id="more",
        )  # fmt: skip
        self.broker.more_cash += D(amount)

    def set_aside(self, amount: str) -> None:
        """By hand, into the pool."""
        self.bot.dispatch(
            Earmark(
                at=self.clock.now(), effective_date=self.hours.day, reference="by-hand",
                currency="USD", amount=D(amount), reason="test", purse_from="float",
                purse_to="reinvestment_pool",
            ),
            command_id="by-hand",
        )  # fmt: skip

    def draw(self, amount: str) -> None:
        """By the owner, from the float."""
        self.bot.dispatch(
            RecordWithdrawal(
                at=self.clock.now(), effective_date=self.hours.day, reference="drawn",
                currency="USD", amount=D(amount), reason="test",
            ),
            command_id="drawn",
        )  # fmt: skip
        self.broker.more_cash -= D(amount)
        self.bot.views.catch_up()

    def hold(self, symbol: str, quantity: str, sleeve: str = "holdings") -> None:
        """Bought at the broker and in the books, two minutes later."""
        self.number = self.bot.store.head().position + 1
        order_id = f"held-{self.number}"
        self.simulated.submit(
            OrderRequest(
                client_order_id=client_order_id(self.bot.identity, order_id), symbol=symbol,
                side="buy", order_type="market", quantity=D(quantity),
            )
        )  # fmt: skip
        self.clock.wait_until(self.clock.now() + 2 * MINUTE)
        done = self.simulated.fills_since(0)[-1]
        when: dict[str, Any] = {"at": done.executed_at, "effective_date": self.hours.day}
        names = ("execution_id", "quantity", "price", "currency", "commission", "fees",
                 "net_amount", "settles_on")  # fmt: skip
        self.bot.dispatch(
            IntendOrder(
                **when, order_id=order_id, bot_identity=self.bot.identity,
                instrument_id=f"XNYS:{symbol}", symbol=symbol, sleeve=sleeve, side="buy",
                order_type="market", quantity=D(quantity), strategy="HOLDINGS",
                context="rebalance" if sleeve == "holdings" else "trading", reason="test",
            ),
            RecordFill(**when, order_id=order_id, **{n: getattr(done, n) for n in names}),
            command_id=order_id,
        )  # fmt: skip
        self.bot.views.catch_up()

    # -- what a person would see -----------------------------------------------------------

    @property
    def purses(self) -> Reserves:
        self.bot.views.catch_up()
        return purses_of(self.bot.views.books)

    @property
    def steps(self) -> dict[str, str]:
        """Outcomes by step of the day."""
        return {name: step.outcome for name, step in self.day_record.steps.items()}

    @property
    def day_record(self) -> HoldingsDay:
        return self.bot.store.load(HoldingsDay, day_stream(self.hours.day))

    def figures(self, step: str) -> dict[str, str]:
        return dict(self.day_record.steps[step].figures)

    def state(self, order_id: str) -> str:
        return self.bot.store.load(Order, order_stream(order_id)).state

    @property
    def holdings(self) -> Holdings:
        return self.bot.store.load(Holdings, STREAM)

    def allocated(self) -> Any:
        """The newest allocation."""
        return self.holdings.last

    def units(self) -> dict[str, str]:
        """In the books, by account."""
        self.bot.views.catch_up()
        return {p.code: f"{p.quantity.normalize():f}" for p in self.bot.views.books.positions()}

    def at_broker(self) -> dict[str, str]:
        return {p.symbol: f"{p.quantity.normalize():f}" for p in self.simulated.positions()}

    def equal(self) -> bool:
        """Whether the purses add up to the broker's cash, and the ledger is in balance."""
        balance = self.bot.views.books.trial_balance()
        return self.purses.cash == self.broker.account().cash and balance.debits == balance.credits
