"""A bot with long-term holdings on a broker that does what a test draws, in days that are seconds.

The broker fills at once, in part or not, refuses, or answers nothing although it has the order; its
cash is added up on its own. What the trading sleeve does is booked by hand: round trips of one day,
some of them told late, some taken back. The model beside it knows results by date.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import msgspec

from aggregates.base import Command
from aggregates.books import ReverseEntry
from aggregates.instrument import RenameInstrument
from aggregates.market import MINUTE, Bar, Quote
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.reconciliation import AcceptDifference
from brokers.port import (
    Account,
    Asset,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    DuplicateOrder,
    Execution,
    News,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock, from_micros
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.reconciliation import reconcile
from runtime.trading_day import close_day, open_day

D = Decimal
FIRST, LAST = date(2006, 1, 3), date(2020, 12, 31)  # fifty jumps of months fit in
CALENDAR = TradingCalendar("XNYS", FIRST, LAST)
DAYS = CALENDAR.sessions(FIRST, LAST)
DEPOSIT = D("100000.00")
TRADED = "TRD"  # what the trading sleeve trades
SYMBOLS = ("AAA", "BBB", "CCC", "VEH")
AFTER_OPEN = timedelta(minutes=75)
FEE = D("0.03")  # on every sale


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(D("0.01"), ROUND_HALF_EVEN)


class ModelBroker:
    """``prices`` are those of now, quoted a cent around; a symbol that lacks one has no market.

    ``names`` has what a symbol of SYMBOLS is called now; prices, units and orders go by the first.
    ``moods`` are taken one an order: whole, part, refused, unanswered. ``sent`` lists client order
    ids in the order in which they came, however often they came.
    """

    capabilities = Capabilities(
        name="model", fractional=True, quantity_step=D("0.000001"),
        order_types=frozenset({"market", "limit"}), long_equity=True, inverse_etf=False,
        long_put=False, simulated=True,
    )  # fmt: skip

    def __init__(self, clock: VirtualClock) -> None:
        self.now = clock.now
        self.prices: dict[str, Decimal] = {}
        self.names: dict[str, str] = {}
        self.moods: list[str] = []
        self.cash = DEPOSIT
        self.units: dict[str, Decimal] = {}
        self.sent: list[str] = []
        self.orders: dict[str, BrokerOrder] = {}
        self.executions: list[Execution] = []

    # -- what it is asked ------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        return ()

    def clock(self) -> datetime:
        return self.now()

    def account(self) -> Account:
        return Account(currency="USD", cash=self.cash)

    def asset(self, symbol: str) -> Asset:
        return Asset(symbol=symbol, tradable=True, fractionable=True, halted=None)

    def positions(self) -> Sequence[BrokerPosition]:
        held = ((self.named(s), u) for s, u in sorted(self.units.items()) if u)
        return [BrokerPosition(symbol=s, quantity=u) for s, u in held]

    def named(self, symbol: str) -> str:
        return self.names.get(symbol, symbol)

    def first_name(self, symbol: str) -> str:
        """Empty for a name that nothing bears any more."""
        if symbol in self.names:
            return ""
        return {new: old for old, new in self.names.items()}.get(symbol, symbol)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [o for o in self.orders.values() if o.state in ("accepted", "partially_filled")]

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self.orders.get(client_order_id)

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        return self.executions[sequence:]

    def activities(self, first: date) -> Sequence[Any]:  # noqa: ARG002 - of the port
        return ()

    def news(self) -> News:
        return News(orders=(), ask=True)

    def quote(self, symbol: str) -> Quote | None:
        price = self.prices.get(self.first_name(symbol))
        if price is None:
            return None
        return Quote(
            symbol=symbol, start=self.now() - MINUTE, bid=price - D("0.01"),
            ask=price + D("0.01"), bid_size=1, ask_size=1,
        )  # fmt: skip

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        at = min(end, self.now()) - MINUTE
        price = self.prices.get(self.first_name(symbol))
        if price is None or at < start:
            return ()
        return [Bar(symbol=symbol, start=at, open=price, high=price, low=price, close=price,
                    volume=1)]  # fmt: skip

    # -- what it is told -------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append(request.client_order_id)
        if request.client_order_id in self.orders:
            raise DuplicateOrder("it is here.")
        mood = self.moods.pop() if self.moods else "whole"
        if mood == "refused" or self.first_name(request.symbol) not in self.prices:
            raise OrderRefused("not_tradable", "drawn")
        filled = self._filled(request, mood)
        self.orders[request.client_order_id] = order = BrokerOrder(
            client_order_id=request.client_order_id,
            broker_order_id=f"b{len(self.orders)}",
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            quantity=request.quantity,
            filled_quantity=filled,
            state="filled" if filled == request.quantity else "partially_filled",
            error_code="",
            reason="",
            submitted_at=self.now(),
            updated_at=self.now(),
        )
        if filled:
            self._execute(order)
        if mood == "unanswered":
            raise OutcomeUnknown("no answer.")
        return order

    def _filled(self, request: OrderRequest, mood: str) -> Decimal:
        if mood != "part":
            return request.quantity
        return (request.quantity / 3).quantize(self.capabilities.quantity_step)

    def _execute(self, order: BrokerOrder) -> None:
        buys = order.side == "buy"
        first = self.first_name(order.symbol)
        price = self.prices[first] + (D("0.01") if buys else D("-0.01"))
        gross, fee = cents(order.filled_quantity * price), D(0) if buys else FEE
        net = -gross if buys else gross - fee
        self.cash += net
        sign = 1 if buys else -1
        self.units[first] = self.units.get(first, D(0)) + sign * order.filled_quantity
        self.executions.append(
            Execution(
                sequence=len(self.executions) + 1,
                execution_id=f"x{len(self.executions) + 1}",
                client_order_id=order.client_order_id,
                broker_order_id=order.broker_order_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.filled_quantity,
                price=price,
                currency="USD",
                commission=D(0),
                fees=fee,
                net_amount=net,
                executed_at=self.now(),
                settles_on=self.now().date(),
            )
        )

    def cancel(self, client_order_id: str) -> None:
        order = self.orders[client_order_id]
        if order.state == "partially_filled":
            self.orders[client_order_id] = msgspec.structs.replace(order, state="cancelled")

    # -- what happens without the bot ------------------------------------------------------

    def sell_by_hand(self, symbol: str, quantity: Decimal) -> None:
        """On the telephone: an order that is not in ``orders``."""
        number = f"by-hand-{len(self.executions) + 1}"
        self._execute(
            BrokerOrder(
                client_order_id=number, broker_order_id=number, symbol=self.named(symbol),
                side="sell", order_type="market", quantity=quantity, filled_quantity=quantity,
                state="filled", error_code="", reason="", submitted_at=self.now(),
                updated_at=self.now(),
            )
        )  # fmt: skip

    def end_day(self) -> None:
        """What is not filled by then never is."""
        for order in self.open_orders():
            self.orders[order.client_order_id] = msgspec.structs.replace(order, state="expired")


class Model:
    """Results by date and source as they are known now; reserves by stretch of dates."""

    def __init__(self) -> None:
        self.trading: dict[date, Decimal] = defaultdict(Decimal)
        self.holdings: dict[date, Decimal] = defaultdict(Decimal)
        self.stretches: list[list[Any]] = []  # first, last, reserved of trading, of holdings
        self.held: dict[str, tuple[Decimal, Decimal]] = defaultdict(lambda: (D(0), D(0)))
        self.seen = 0

    def take_executions(self, broker: ModelBroker, day: date) -> None:
        """Units and average cost, one pool a symbol; what sales realize belongs to ``day``."""
        for e in broker.executions[self.seen :]:
            symbol = broker.first_name(e.symbol) or e.symbol
            units, cost = self.held[symbol]
            gross = cents(e.quantity * e.price)
            if e.side == "buy":
                self.held[symbol] = units + e.quantity, cost + gross
                continue
            relieved = cost if e.quantity == units else cents(cost * e.quantity / units)
            self.held[symbol] = units - e.quantity, cost - relieved
            self.holdings[day] += gross - relieved - e.fees
        self.seen = len(broker.executions)

    def allocate(self, first: date, last: date) -> tuple[Decimal, Decimal]:
        """What is due of both sources, now that these dates are over; it counts as reserved."""
        self.stretches.append([first, last, D(0), D(0)])
        due = [D(0), D(0)]
        for stretch in self.stretches:
            for at, results in enumerate((self.trading, self.holdings)):
                net = sum((r for d, r in results.items() if stretch[0] <= d <= stretch[1]), D(0))
                due[at] += max(net - stretch[2 + at], D(0))
                stretch[2 + at] = max(net, stretch[2 + at])
        return due[0], due[1]


class World:
    """One folder, its bot and its broker. ``day`` is the session that is open."""

    def __init__(self, root: Path) -> None:
        self.folder, self.number = DataFolder(root), 0
        self.clock = VirtualClock(DAYS[0].open - timedelta(hours=1))
        self.broker = ModelBroker(self.clock)
        self.settings = demo_settings({"HOLDINGS_ENABLED": "true"})
        self.hours: SessionHours = DAYS[0]
        self._next = 0
        self.open()
        opening = opening_commands(
            self.settings, symbols=(TRADED, *SYMBOLS), deposit=DEPOSIT, at=self.clock.now(),
            demo=True,
        )  # fmt: skip
        for command_id, commands in opening.items():
            self.bot.dispatch(*commands, command_id=command_id)
        self.bot.views.catch_up()

    def open(self) -> None:
        self.bot = Bot(
            self.folder, self.settings, clock=self.clock, broker=self.broker, calendar=CALENDAR,
            fresh_blind_key=bytes(32),
        )  # fmt: skip
        self.clock.wait_until(from_micros(self.bot.store.head().recorded_at))

    def restart(self) -> None:
        self.bot.close()
        self.open()

    def begin_day(self, skip: int = 0) -> None:
        """The next session, or one so much later, 75 minutes after its open."""
        self._next += skip
        self.hours = DAYS[self._next]
        self._next += 1
        self.clock.wait_until(self.hours.open)
        open_day(self.bot, self.hours, (TRADED,))
        reconcile(self.bot, None, "start")
        self.clock.wait_until(self.hours.open + AFTER_OPEN)

    def end_day(self) -> None:
        self.clock.wait_until(self.hours.close + MINUTE)
        self.broker.end_day()
        close_day(self.bot, self.hours.day)

    # -- what people and trading do --------------------------------------------------------

    def do(self, made_by: Callable[..., Command], /, **fields: Any) -> int:
        """Under an id of its own; the position of its last event."""
        self.number += 1
        made = made_by(at=self.clock.now(), effective_date=self.hours.day, **fields)
        return self.bot.dispatch(made, command_id=f"test:{self.number}").positions[-1]

    def round_trip(self, result: Decimal, on: date) -> tuple[int, int]:
        """Ten bought and sold in the trading sleeve, net of all costs; positions of both fills."""
        found = []
        for side, net in (("buy", D("-1000.00")), ("sell", D("1000.00") + result)):
            self.number += 1
            order_id = f"trade-{self.number}"
            when: dict[str, Any] = {"at": self.clock.now(), "effective_date": on}
            fee = FEE if side == "sell" else D(0)
            gross = abs(net) + fee
            intent = IntendOrder(
                **when, order_id=order_id, bot_identity=self.bot.identity,
                instrument_id=f"XNYS:{TRADED}", symbol=TRADED, sleeve="trading",
                side=side,  # type: ignore[arg-type]
                order_type="market", quantity=D(10), strategy="OPEN", reason="test", held=D(10),
            )  # fmt: skip
            fill = RecordFill(
                **when, order_id=order_id, execution_id=f"by-hand-{self.number}",
                quantity=D(10), price=gross / 10, currency="USD", commission=D(0), fees=fee,
                net_amount=net, settles_on=on,
            )  # fmt: skip
            done = self.bot.dispatch(intent, fill, command_id=f"test:{self.number}")
            self.broker.cash += net
            found.append(done.positions[-1])
        self.bot.views.catch_up()
        return found[0], found[1]

    def take_back(self, trip: tuple[int, int], result: Decimal) -> None:
        """Both fills of a round trip reversed, the sale first."""
        for position in reversed(trip):
            moved = tuple(self.bot.views.books.unit_movements(position))
            self.do(ReverseEntry, reversed_position=position, reason="bust", movements=moved)
            self.bot.views.catch_up()
        self.broker.cash -= result

    def sell_by_hand(self, symbol: str, quantity: Decimal) -> None:
        """At the broker; found by the next comparison, accepted, and booked by the one after."""
        self.broker.sell_by_hand(symbol, quantity)
        for found in reconcile(self.bot, None, "schedule").open_differences:
            if found.kind == "closed_by_hand":
                self.do(
                    AcceptDifference, difference_id=found.difference_id, amount=found.amount,
                    reason="test",
                )  # fmt: skip
        reconcile(self.bot, None, "schedule")

    def rename(self, symbol: str) -> None:
        """It is called otherwise from now on, here and at the broker."""
        new = f"{symbol}X"
        self.do(RenameInstrument, instrument_id=f"XNYS:{symbol}", symbol=new)
        self.broker.names[symbol] = new
        self.bot.views.catch_up()

    def close(self) -> None:
        self.bot.close()
