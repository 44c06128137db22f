"""What the conformance suite needs of each broker: a market to move and faults to make.

A rig says in ``CANNOT`` which faults it cannot make and why; those behaviours are skipped for it by
name. Prices start at 100.00 for ALFA and BRVO, cash at 100,000.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple

import pytest

from aggregates.market import MINUTE, Bar, Quote
from brokers.alpaca import Access, AlpacaBroker
from brokers.fault_draws import Scripted
from brokers.faulty import FaultyBroker
from brokers.known_market import KnownMarket
from brokers.port import ApiAction, Execution, OrderRequest
from brokers.simulated import SimulatedBroker
from config.calendar import TradingCalendar
from config.clock import SystemClock, VirtualClock
from config.setting_forms import Secret

D = Decimal
TIMEOUT_S = 3.0  # nothing that is meant to be answered takes so long on a busy machine


class Rig:
    """``broker`` is the adapter under test; what is asked beside it is the broker's own truth."""

    CANNOT: ClassVar[dict[str, str]] = {}
    QUANTUM = D("0.000000001")  # the smallest part of a share that it trades
    broker: Any

    def units(self, quantity: str) -> str:
        """As near to it as this broker trades: 24.5 shares are 24 where there are no fractions."""
        found = D(quantity).quantize(self.QUANTUM, ROUND_DOWN)
        return f"{found.normalize():f}"

    def need(self, fault: str) -> None:
        if fault in self.CANNOT:
            pytest.skip(f"{type(self).__name__}: {self.CANNOT[fault]}")

    def ask(
        self, client_order_id: str = "a-1", side: Any = "buy", quantity: str = "10",
        symbol: str = "ALFA", order_type: Any = "market", **prices: Decimal,
    ) -> OrderRequest:  # fmt: skip
        return OrderRequest(
            client_order_id=client_order_id, symbol=symbol, side=side, order_type=order_type,
            quantity=D(quantity), **prices,
        )  # fmt: skip

    def buy(self, client_order_id: str, quantity: str, symbol: str = "ALFA") -> None:
        """Bought and filled."""
        self.broker.submit(self.ask(client_order_id, quantity=quantity, symbol=symbol))
        self.trade(symbol, str(int(D(quantity)) + 1))

    def trade(self, symbol: str, shares: str) -> None:
        """So many shares (a whole number) change hands with our open orders."""
        raise NotImplementedError

    def orders_there(self, client_order_id: str) -> int:
        """How many orders of this id the broker has, from its own books."""
        raise NotImplementedError

    def again(self) -> Any:
        """Another adapter on the same account, as after a restart."""
        raise NotImplementedError

    def puts(self) -> tuple[str, date, date]:
        """The symbol on which there are puts, with quotes as of now, and the first and last of
        their expiries. One of them at least is worth less than 10, and none more than 40."""
        raise NotImplementedError

    def trade_put(self, symbol: str, contracts: str) -> None:
        """So many contracts (a whole number) change hands with our open orders."""
        raise NotImplementedError

    def expire_put(self, symbol: str) -> None:
        """Its last day is over, and it was worth nothing."""
        raise NotImplementedError

    def restarted(self, recorded: Sequence[Execution]) -> Any:  # noqa: ARG002
        """The same; ``recorded`` is what the bot has of executions, for adapters that need it."""
        return self.again()


class TrueOrder(NamedTuple):
    """An order by the broker's own books. ``state`` in the words of the port, of an order that has
    partial fills "partially_filled"; ``fills`` are its executions: id (None where the broker has
    none), quantity, price."""

    client_order_id: str
    side: str
    state: str
    fills: tuple[tuple[str | None, Decimal, Decimal], ...]

    @property
    def filled(self) -> Decimal:
        return sum((quantity for _, quantity, _ in self.fills), D(0))


class SocketRig(Rig):
    """What a broker behind a socket offers to the fault scenarios, beside ``Rig``.

    Faults are named as its fake server names them; one of them comes true once unless ``times``
    says how often. Whatever is drawn is drawn from ``rng``.
    """

    QUANTITIES: ClassVar[tuple[str, ...]] = (
        "1", "7", "25", "0.5", "3.123456789", "40", "2000",
    )  # fmt: skip
    ON_ORDERS: ClassVar[tuple[str, ...]]
    ON_CANCELS: ClassVar[tuple[str, ...]]
    ON_READS: ClassVar[tuple[str, ...]]
    settle_s: float  # how long nothing is believed after an unclear outcome
    books: Any  # of the fake; ``cash`` is what is truly there

    def fault_order(self, kind: str) -> None:
        """The next order meets it."""
        raise NotImplementedError

    def fault_cancel(self, kind: str) -> None:
        raise NotImplementedError

    def fault_reads(self, kind: str, times: int) -> None:
        raise NotImplementedError

    def calm_reads(self) -> None:
        """No more faults of questions; those of orders stay."""
        raise NotImplementedError

    def sent(self, client_order_id: str) -> int:
        """How often this order arrived at the server or was lost there."""
        raise NotImplementedError

    def settle(self) -> None:
        """No more faults; anything that was on its way has arrived, ``settle_s`` have passed."""
        raise NotImplementedError

    def move(self, symbol: str, price: str) -> None:
        raise NotImplementedError

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        """What was on its way to the exchange before the cancellation was."""
        raise NotImplementedError

    def cancelled_buy(self) -> str:
        """A cancelled purchase of which a share at least is not filled, or ""."""
        raise NotImplementedError

    def disturb_feed(self, rng: Random) -> None:
        """Executions told late, twice, in another order; nothing where that cannot be."""

    def disturb_stream(self, rng: Random) -> str:  # noqa: ARG002
        """What was done to it, for the counts; "" for nothing to be counted."""
        return ""

    def true_orders(self) -> list[TrueOrder]:
        """All that its books have, in order of arrival."""
        raise NotImplementedError


class SimulatedRig(Rig):
    CANNOT: ClassVar = dict.fromkeys(
        ("lost_answer", "lost_request", "late_request", "busy", "no_snapshot", "told_twice"),
        "called in the same process: no request and no answer can be lost or repeated",
    ) | {
        "keys": "has no keys",
        "halt": "knows no halts: a symbol without trades does not fill",
        "no_fractions": "takes fractions of every symbol",
        "late_fill": "cancels at once",
        "hand": "nobody else has access to its account",
    }  # fmt: skip

    def __init__(self, _fakes: Any, _sessions: Any, folder: Path) -> None:
        self._file, self._price = folder / "broker.db", D("100.00")
        self._calendar = TradingCalendar("XNYS", date(2013, 10, 1), date(2013, 10, 20))
        self._open = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
        self._clock = VirtualClock(self._open)
        self._market = _Minutes(self._open)
        self._made: list[SimulatedBroker] = []
        self._market.add(self._open - MINUTE, "ALFA", 1, self._price)
        self._market.add(self._open - MINUTE, "BRVO", 1, self._price)
        self.broker = self.again()

    def again(self) -> SimulatedBroker:
        self._made.append(
            SimulatedBroker(
                self._file, self._market, self._clock, self._calendar,
                starting_cash=D(100_000), seed=7,
            )
        )  # fmt: skip
        return self._made[-1]

    def trade(self, symbol: str, shares: str) -> None:
        """An order gets a tenth of what a bar trades (decision 0002)."""
        now = self._clock.now()
        self._market.add(now, symbol, 10 * int(shares), self._price)
        for made in self._made:  # a source gives a day whole, so what was read of it is forgotten
            made._market = KnownMarket(self._market)
        self._clock.wait_until(now + MINUTE)

    def price(self, price: str) -> None:
        self._price = D(price)

    def puts(self) -> tuple[str, date, date]:
        self.trade("ALFA", "5")  # puts are quoted as soon as their underlying has traded
        today = self._clock.now().date()
        return "ALFA", today + timedelta(days=4), today + timedelta(days=4)

    def trade_put(self, symbol: str, contracts: str) -> None:  # noqa: ARG002 - one market
        """Each minute trades a contract for a hundred shares of the underlying."""
        self.trade("ALFA", str(100 * int(contracts)))

    def expire_put(self, symbol: str) -> None:  # noqa: ARG002 - all of that week
        self._clock.wait_until(self._clock.now() + timedelta(days=5))

    def orders_there(self, client_order_id: str) -> int:
        with sqlite3.connect(f"file:{self._file}?mode=ro", uri=True) as books:
            sql = "SELECT count(*) FROM orders WHERE client_order_id = ?"
            found = books.execute(sql, (client_order_id,)).fetchone()[0]
        books.close()
        return int(found)

    def skew(self) -> None:
        """Its clock is ours: the only wrong one is one that went back."""
        self.broker.submit(self.ask("x"))
        self.trade("ALFA", "10")
        self.broker.account()
        self._clock = VirtualClock(self._open)
        self.broker = self.again()

    def show_market(self) -> datetime:
        for _ in range(3):
            self.trade("ALFA", "5")
        return self._open

    def close(self) -> None:
        for broker in self._made:
            broker.close()


class CalmFaultyRig(SimulatedRig):
    """The simulated broker behind a line on which nothing goes wrong."""

    def again(self) -> Any:
        return FaultyBroker(super().again(), self._clock, Scripted())


class _Minutes:
    """Market data that grows by a minute whenever shares change hands."""

    def __init__(self, first: datetime) -> None:
        self._day = first.date()
        self._bars: dict[str, list[Bar]] = {"ALFA": [], "BRVO": []}
        self._quotes: dict[str, list[Quote]] = {"ALFA": [], "BRVO": []}

    def add(self, start: datetime, symbol: str, volume: int, price: Decimal) -> None:
        self._bars[symbol].append(
            Bar(
                symbol=symbol, start=start, open=price, high=price, low=price, close=price,
                volume=volume,
            )
        )  # fmt: skip
        for each, quotes in self._quotes.items():
            if not quotes or quotes[-1].start < start:
                quotes.append(
                    Quote(
                        symbol=each, start=start, bid=price - D("0.02"), ask=price + D("0.02"),
                        bid_size=1, ask_size=1,
                    )
                )  # fmt: skip

    def symbols(self) -> tuple[str, ...]:
        return ("ALFA", "BRVO")

    def days(self) -> tuple[date, ...]:
        return (self._day,)

    def bars(self, symbol: str, _day: date) -> list[Bar]:
        return self._bars[symbol]

    def quotes(self, symbol: str, _day: date) -> list[Quote]:
        return self._quotes[symbol]

    def describe(self) -> str:
        return "made up"


class QuickClock(SystemClock):
    """The machine's time, and waiting takes none of it: ``waited`` keeps for how long it was."""

    def __init__(self) -> None:
        self.shift, self.waited = timedelta(0), list[float]()

    def now(self) -> datetime:
        return super().now() + self.shift

    def wait_until(self, moment: datetime) -> None:
        left = max(moment - self.now(), timedelta(0))
        self.waited.append(left.total_seconds())
        self.shift += left


class HttpRig(SocketRig):
    """Behind a fake server of ``fakes/faulty_http``: ``server``, whose orders are POSTs and whose
    cancellations are DELETEs, and ``clock``, a ``QuickClock``."""

    ON_ORDERS: ClassVar = (
        "mute_before", "mute_after", "late", "reset_before", "reset_after", "504_before",
        "504_after", "malformed_after", "empty", "429", "gateway_404",
    )  # fmt: skip
    ON_CANCELS: ClassVar = ON_ORDERS[3:]
    ON_READS: ClassVar = ("504_before", "429", "malformed_after", "empty", "reset_before")
    server: Any
    clock: QuickClock

    def fault_order(self, kind: str) -> None:
        self.server.fault(kind, "POST")

    def fault_cancel(self, kind: str) -> None:
        self.server.fault(kind, "DELETE")

    def fault_reads(self, kind: str, times: int) -> None:
        self.server.fault(kind, "GET", times=times)

    def calm_reads(self) -> None:
        self.server.calm_reads()

    def sent(self, client_order_id: str) -> int:
        return int(self.server.posts(client_order_id))

    def settle(self) -> None:
        self.server.calm()
        self.clock.wait_until(self.clock.now() + timedelta(seconds=self.settle_s + 1))

    def lose_answer(self) -> None:
        self.server.fault("reset_after", "POST")

    def lose_request(self) -> None:
        self.server.fault("reset_before", "POST")

    def delay_request(self) -> None:
        self.server.fault("late", "POST")

    def be_busy(self, times: int) -> None:
        self.server.fault("504_before", times=times)

    def be_busy_for_orders(self) -> None:
        """For the next one, not for the questions around it."""
        self.server.fault("504_before", "POST")

    def refuse_keys(self) -> None:
        self.server.keys = ("other-key-id", "other-secret")


class AlpacaRig(HttpRig):
    """The adapter against the fake server, over real sockets."""

    STATES: ClassVar = {
        "new": "accepted", "partially_filled": "partially_filled", "filled": "filled",
        "canceled": "cancelled",
    }  # fmt: skip

    def __init__(
        self,
        fakes: Any,
        sessions: Any,
        _folder: Path,
        retries: int = 2,
        settle_s: float = 30,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.books = fakes.books.Books()
        self.server = fakes.server.AlpacaServer(self.books, hold_s=2.4 * timeout_s)
        self.clock, self._sessions = QuickClock(), sessions
        self.settle_s = settle_s
        self.actions: list[ApiAction] = []
        key_id, secret = self.server.keys
        self.access = Access(
            key_id=Secret(key_id), secret=Secret(secret), paper=True, timeout_s=timeout_s,
            retries=retries, settle_s=settle_s, trading_url=self.server.url,
            data_url=self.server.url, stream_url=self.server.stream_url,
        )  # fmt: skip
        self._made: list[AlpacaBroker] = []
        self.broker = self.again()
        self.quote_now("SPY")

    def again(
        self, access: Access | None = None, fills_from: datetime | None = None
    ) -> AlpacaBroker:
        first = fills_from or datetime.now(UTC) - timedelta(days=1)
        self._made.append(
            AlpacaBroker(
                access or self.access, self.clock, self._sessions, fills_from=first,
                tell=self.actions.append,
            )
        )  # fmt: skip
        return self._made[-1]

    def trade(self, symbol: str, shares: str) -> None:
        self.books.trade(symbol, shares)

    def price(self, price: str) -> None:
        for symbol in self.books.prices:
            self.books.price(symbol, price)

    def orders_there(self, client_order_id: str) -> int:
        orders = self.books.orders.values()
        return sum(order["client_order_id"] == client_order_id for order in orders)

    def reads(self) -> int:
        return int(self.server.count("GET", "/v2/"))

    # --- faults -----------------------------------------------------------------------------

    def lose_snapshot(self) -> None:
        self.server.fault("empty", "GET", "/v2/positions", times=9)

    def tell_twice(self) -> None:
        self.server.fill_listing = "twice"

    def skew(self) -> None:
        self.books.ahead = timedelta(minutes=2)

    def halt(self, symbol: str) -> None:
        self.books.assets[symbol]["tradable"] = False

    def no_fractions(self, symbol: str) -> None:
        self.books.assets[symbol]["fractionable"] = False

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        self.books.fill(client_order_id, D(quantity), late=True)

    def cancelled_buy(self) -> str:
        for order in self.books.orders.values():
            left = D(order["qty"]) - D(order["filled_qty"])
            if order["status"] == "canceled" and order["side"] == "buy" and left >= 1:
                return str(order["client_order_id"])
        return ""

    def disturb_feed(self, rng: Random) -> None:
        self.server.fill_listing = rng.choice(("plain", "twice", "backwards"))
        self.books.hidden_fills = min(rng.choice((0, 0, 1, 3)), len(self.books.fills))

    def disturb_stream(self, rng: Random) -> str:
        if rng.random() < 0.5:
            self.server.drop_streams()
            return "streams dropped"
        self.server.stream_mode = rng.choice(("plain", "garbled", "twice"))
        return ""

    def move(self, symbol: str, price: str) -> None:
        self.books.price(symbol, price)

    def true_orders(self) -> list[TrueOrder]:
        def fills(number: str) -> Iterator[tuple[str, Decimal, Decimal]]:
            for fill in self.books.fills:
                if fill["order_id"] == number:
                    yield fill["id"].partition("::")[2], D(fill["qty"]), D(fill["price"])

        return [
            TrueOrder(o["client_order_id"], o["side"], self.STATES[o["status"]], tuple(fills(n)))
            for n, o in self.books.orders.items()
        ]

    def hand(self, symbol: str, quantity: str) -> None:
        """Somebody moves the position at the broker."""
        self.books.positions[symbol] = D(quantity)

    def show_market(self) -> datetime:
        first = datetime.now(UTC).replace(second=0, microsecond=0) - 3 * MINUTE
        self.server.bars["ALFA"] = [
            {
                "t": (first + n * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ"), "o": 100.1, "h": 100.3,
                "l": 100, "c": 100.2, "v": 500 + n, "n": 9, "vw": 100.123456,
            }
            for n in (0, 1, 2, 4)  # the last one is of a minute that has not begun
        ]  # fmt: skip
        self.quote_now("ALFA")
        return first

    def puts(self) -> tuple[str, date, date]:
        today = datetime.now(UTC).date()
        for days, strike, price in ((9, "95", "1.20"), (9, "100", "3.10"), (16, "100", "4.40")):
            self.books.list_put("ALFA", today + timedelta(days=days), strike, price)
        return "ALFA", today + timedelta(days=7), today + timedelta(days=20)

    def trade_put(self, symbol: str, contracts: str) -> None:
        self.books.trade(symbol, contracts)

    def expire_put(self, symbol: str) -> None:
        self.books.expire_put(symbol)

    def quote_now(self, symbol: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"
        self.server.quotes[symbol] = {
            "t": now, "ax": "V", "ap": 100.02, "as": 3, "bx": "V", "bp": 99.98, "bs": 2,
            "c": ["R"], "z": "C",
        }  # fmt: skip

    def close(self) -> None:
        for broker in self._made:
            broker.close()
        self.server.close()


BY_NAME = {"simulated": SimulatedRig, "faulty": CalmFaultyRig, "alpaca": AlpacaRig}
