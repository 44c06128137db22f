"""What the rigs of brokers for stocks have in common whose fake server stands on `alpaca_books`."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

from beside import beside

from brokers.port import ApiAction

rigs = beside("conformance/rigs")
books = beside("fakes/alpaca_books")
D = Decimal


class BooksRig(rigs.HttpRig):  # type: ignore[misc, name-defined]
    """``make_server`` gets the books; ``id_there`` and ``id_here`` turn ids of orders into those
    that the broker knows, and back."""

    CANNOT: ClassVar = {"options": "offers no options here"}
    STATES = rigs.AlpacaRig.STATES

    def __init__(
        self, sessions: Any, make_server: Callable[..., Any], settle_s: float, timeout_s: float
    ) -> None:
        self.books = books.Books()
        self.server = make_server(self.books, hold_s=2.4 * timeout_s)
        self.clock, self._sessions = rigs.QuickClock(), sessions
        self.settle_s = settle_s
        self.actions: list[ApiAction] = []
        self._made: list[Any] = []

    def id_there(self, client_order_id: str) -> str:
        return client_order_id

    def id_here(self, there: str) -> str:
        return there

    def sent(self, client_order_id: str) -> int:
        return int(self.server.posts(self.id_there(client_order_id)))

    def orders_there(self, client_order_id: str) -> int:
        there = self.id_there(client_order_id)
        return sum(order["client_order_id"] == there for order in self.books.orders.values())

    def true_orders(self) -> list[Any]:
        return [
            rigs.TrueOrder(
                self.id_here(o["client_order_id"]), o["side"], self.STATES[o["status"]],
                tuple(self.true_fills(number)),
            )
            for number, o in self.books.orders.items()
        ]  # fmt: skip

    def true_fills(self, number: str) -> Iterator[tuple[str | None, Decimal, Decimal]]:
        for fill in self.books.fills:
            if fill["order_id"] == number:
                yield fill["id"].partition("::")[2], D(fill["qty"]), D(fill["price"])

    # --- the market -------------------------------------------------------------------------

    def trade(self, symbol: str, shares: str) -> None:
        self.books.trade(symbol, shares)

    def price(self, price: str) -> None:
        for symbol in self.books.prices:
            self.books.price(symbol, price)

    def move(self, symbol: str, price: str) -> None:
        self.books.price(symbol, price)

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        self.books.fill(self.id_there(client_order_id), D(quantity), late=True)

    def cancelled_buy(self) -> str:
        for order in self.books.orders.values():
            left = D(order["qty"]) - D(order["filled_qty"])
            if order["status"] == "canceled" and order["side"] == "buy" and left >= 1:
                return self.id_here(order["client_order_id"])
        return ""

    def hand(self, symbol: str, quantity: str) -> None:
        """Somebody moves the position at the broker."""
        self.books.positions[symbol] = D(quantity)

    # --- faults -----------------------------------------------------------------------------

    def tell_twice(self) -> None:
        self.server.listed = "twice"

    def disturb_feed(self, rng: Random) -> None:
        self.server.listed = rng.choice(("plain", "twice", "backwards"))

    def skew(self) -> None:
        self.books.ahead = timedelta(minutes=2)

    def halt(self, symbol: str) -> None:
        self.books.assets[symbol]["tradable"] = False

    def no_fractions(self, symbol: str) -> None:
        self.books.assets[symbol]["fractionable"] = False

    def close(self) -> None:
        for broker in self._made:
            broker.close()
        self.server.close()
