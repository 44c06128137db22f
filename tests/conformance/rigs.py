"""What the conformance suite needs of each broker: a market to move and faults to make.

A rig says in ``CANNOT`` which faults it cannot make and why; those behaviours are skipped for it by
name. Prices start at 100.00 for ALFA and BRVO, cash at 100,000.
"""

import sqlite3
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aggregates.market import MINUTE, Bar, Quote
from brokers.alpaca import Access, AlpacaBroker
from brokers.fault_draws import Scripted
from brokers.faulty import FaultyBroker
from brokers.known_market import KnownMarket
from brokers.port import ApiAction, OrderRequest
from brokers.simulated import SimulatedBroker
from config.calendar import TradingCalendar
from config.clock import SystemClock, VirtualClock
from config.setting_forms import Secret

D = Decimal
TIMEOUT_S = 3.0  # nothing that is meant to be answered takes so long on a busy machine


class Rig:
    """``broker`` is the adapter under test; what is asked beside it is the broker's own truth."""

    CANNOT: ClassVar[dict[str, str]] = {}
    broker: Any

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


class AlpacaRig(Rig):
    """The adapter against the fake server, over real sockets."""

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

    def sent(self, client_order_id: str) -> int:
        return int(self.server.posts(client_order_id))

    def reads(self) -> int:
        return int(self.server.count("GET", "/v2/"))

    def settle(self) -> None:
        """Long enough for anything to arrive that was on its way."""
        self.server.calm()
        self.clock.wait_until(self.clock.now() + timedelta(seconds=self.access.settle_s + 1))

    # --- faults -----------------------------------------------------------------------------

    def lose_answer(self) -> None:
        self.server.fault("reset_after", "POST")

    def lose_request(self) -> None:
        self.server.fault("reset_before", "POST")

    def delay_request(self) -> None:
        self.server.fault("late", "POST")

    def be_busy(self, times: int) -> None:
        self.server.fault("504_before", times=times)

    def lose_snapshot(self) -> None:
        self.server.fault("empty", "GET", "/v2/positions", times=9)

    def tell_twice(self) -> None:
        self.server.fill_listing = "twice"

    def refuse_keys(self) -> None:
        self.server.keys = ("other-key-id", "other-secret")

    def skew(self) -> None:
        self.books.ahead = timedelta(minutes=2)

    def halt(self, symbol: str) -> None:
        self.books.assets[symbol]["tradable"] = False

    def no_fractions(self, symbol: str) -> None:
        self.books.assets[symbol]["fractionable"] = False

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        """What was on its way to the exchange before the cancellation was."""
        self.books.fill(client_order_id, D(quantity), late=True)

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
