"""Tradier's adapter against its fake server, over real sockets."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from beside import beside

from aggregates.market import MINUTE
from brokers.port import ApiAction, Execution
from brokers.tradier import Access, TradierBroker
from config.setting_forms import Secret

rigs = beside("conformance/rigs")
fake_server, fake_books = beside("fakes/tradier_server"), beside("fakes/tradier_books")
D = Decimal


class ArrivingClock(rigs.QuickClock):
    """Whoever waits for seconds finds that what was on its way has arrived."""

    server: Any = None

    def wait_until(self, moment: datetime) -> None:
        if self.server is not None and moment - self.now() > timedelta(seconds=1):
            while self.server.pending > self.server.held:
                time.sleep(0.001)
        super().wait_until(moment)


class TradierRig(rigs.HttpRig):
    CANNOT: ClassVar = {
        "halt": "Tradier tells no halts",
        "no_fractions": "trades whole shares only",
        "told_twice": "has no executions to be told, only totals",
    }
    QUANTUM = D(1)
    QUANTITIES: ClassVar = ("1", "7", "25", "0.5", "3", "40", "2000")
    STATES: ClassVar = {
        "open": "accepted", "partially_filled": "partially_filled", "filled": "filled",
        "canceled": "cancelled",
    }  # fmt: skip

    def __init__(
        self,
        _fakes: Any,
        sessions: Any,
        _folder: Path,
        retries: int = 2,
        settle_s: float = 30,
        timeout_s: float = rigs.TIMEOUT_S,
    ) -> None:
        self.books = fake_books.Books()
        self.server = fake_server.TradierServer(self.books, hold_s=2.4 * timeout_s)
        self.clock, self._sessions, self.settle_s = ArrivingClock(), sessions, settle_s
        self.clock.server = self.server
        self.books.clock = self.clock.now
        self.actions: list[ApiAction] = []
        self.access = Access(
            token=Secret(self.server.keys[0]), account=fake_books.ACCOUNT, url=self.server.url,
            timeout_s=timeout_s, retries=retries, settle_s=settle_s,
        )  # fmt: skip
        self._made: list[TradierBroker] = []
        self.broker = self.again()

    def again(self, access: Access | None = None) -> TradierBroker:
        return self.restarted([], access)

    def restarted(
        self, recorded: Sequence[Execution], access: Access | None = None
    ) -> TradierBroker:
        self._made.append(
            TradierBroker(
                access or self.access, self.clock, self._sessions, recorded=recorded,
                tell=self.actions.append,
            )
        )  # fmt: skip
        return self._made[-1]

    def trade(self, symbol: str, shares: str) -> None:
        self.books.trade(symbol, shares)

    def price(self, price: str) -> None:
        for symbol in ("ALFA", "BRVO"):
            self.books.price(symbol, price)

    def move(self, symbol: str, price: str) -> None:
        self.books.price(symbol, price)

    def orders_there(self, client_order_id: str) -> int:
        return sum(o["tag"] == client_order_id for o in self.books.orders.values())

    def reads(self) -> int:
        return int(self.server.count("GET", "/v1/"))

    # --- faults -----------------------------------------------------------------------------

    def lose_snapshot(self) -> None:
        self.server.fault("empty", "GET", f"/v1/accounts/{fake_books.ACCOUNT}/positions", times=9)

    def skew(self) -> None:
        self.books.ahead = timedelta(minutes=2)

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        self.books.fill(client_order_id, D(quantity), late=True)

    def cancelled_buy(self) -> str:
        for order in self.books.orders.values():
            cancelled = order["status"] == "canceled" and order["side"] == "buy"
            if cancelled and order["remaining_quantity"] >= 1:
                return str(order["tag"])
        return ""

    def disturb_feed(self, rng: Random) -> None:
        """How many orders a page holds."""
        self.server.listing = rng.choice(("plain", "all", "default"))

    def hand(self, symbol: str, quantity: str) -> None:
        self.books.positions[symbol] = D(quantity)

    # --- the truth --------------------------------------------------------------------------

    def true_orders(self) -> list[Any]:
        def fills(number: int) -> Iterator[tuple[None, Decimal, Decimal]]:
            for order, quantity, price in self.books.fills:
                if order == number:
                    yield None, quantity, price

        return [
            rigs.TrueOrder(o["tag"], o["side"], self.STATES[o["status"]], tuple(fills(n)))
            for n, o in self.books.orders.items()
        ]

    # --- market data ------------------------------------------------------------------------

    def show_market(self) -> datetime:
        first = datetime.now(UTC).replace(second=0, microsecond=0) - 3 * MINUTE
        self.server.bars["ALFA"] = [
            {
                "time": "", "timestamp": int((first + n * MINUTE).timestamp()), "open": D("100.1"),
                "high": D("100.3"), "low": 100, "close": D("100.2"), "price": D("100.2"),
                "volume": 500 + n, "vwap": D("100.123456"),
            }
            for n in (0, 1, 2, 4)  # the last one is of a minute that has not begun
        ]  # fmt: skip
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

    def close(self) -> None:
        for broker in self._made:
            broker.close()
        self.server.close()


BY_NAME = {"tradier": TradierRig}
