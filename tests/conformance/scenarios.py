"""Random days at the fake Alpaca: orders, fills and faults from a seed, and what must hold after.

The driver does what the bot does: it never sends an order twice that may have arrived, it asks for
what is unclear, it reads fills from a cursor, and it starts again now and then.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from brokers.port import (
    BrokerError,
    BrokerOrder,
    DuplicateOrder,
    Execution,
    OrderRefused,
    OutcomeUnknown,
)

D = Decimal
STATES = {
    "new": "accepted", "partially_filled": "partially_filled", "filled": "filled",
    "canceled": "cancelled",
}  # fmt: skip
ON_ORDERS = (
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "504_before", "504_after",
    "malformed_after", "empty", "429", "gateway_404",
)  # fmt: skip
ON_READS = ("504_before", "429", "malformed_after", "empty", "reset_before")


def id_(fill: dict[str, Any]) -> str:
    """The execution's own part of an activity's id."""
    return str(fill["id"]).partition("::")[2]


class Scenario:
    """One account from empty to asked for everything; ``counts`` says what happened on the way."""

    def __init__(self, rig: Any, seed: int) -> None:
        self.rig, self.rng = rig, random.Random(seed)
        self.server, self.books, self.broker = rig.server, rig.books, rig.broker
        self.counts: Counter[str] = Counter()
        self.outcome: dict[str, str] = {}  # accepted, refused or unknown
        self.executions: dict[str, Execution] = {}
        self.view: dict[str, BrokerOrder] = {}  # kept by the stream's news alone
        self.cursor = self.sends = 0

    def run(self, steps: int) -> None:
        doings: list[tuple[int, Callable[[], None]]] = [
            (6, self.order), (8, self.trade), (1, self.cancel), (1, self.late_fill),
            (3, self.read_fills), (2, self.ask), (2, self.listen), (1, self.disturb_feed),
            (1, self.disturb_stream), (1, self.restart), (1, self.move_price),
        ]  # fmt: skip
        for _ in range(steps):
            self.rng.choices([do for _, do in doings], [weight for weight, _ in doings])[0]()
        self.check()

    # --- what happens -----------------------------------------------------------------------

    def order(self) -> None:
        """Sometimes the same one again, as after a kill between intent and answer."""
        name = f"o-{len(self.outcome) + 1}"
        if self.outcome and self.rng.random() < 0.15:
            name = self.rng.choice(list(self.outcome))
        fault = self.rng.choice(ON_ORDERS) if self.rng.random() < 0.35 else ""
        if fault:
            self.server.fault(fault, "POST")
            self.counts[f"orders with {fault}"] += 1
        kind = self.rng.choice(("market", "market", "limit", "stop"))
        price = {"limit": {"limit_price": D("100")}, "stop": {"stop_price": D("100")}}
        quantity = self.rng.choice(("1", "7", "25", "0.5", "3.123456789", "40", "2000"))
        side = "sell" if self.rng.random() < 0.3 else "buy"
        symbol = self.rng.choice(("ALFA", "BRVO"))
        request = self.rig.ask(name, side, quantity, symbol, kind, **price.get(kind, {}))
        before, known = self.server.posts(name), self.outcome.get(name)
        try:
            self.broker.submit(request)
            told = "accepted"
        except OrderRefused:
            told = known if known in ("accepted", "unknown") else "refused"
        except DuplicateOrder:
            told = "accepted"
        except OutcomeUnknown:
            told = "accepted" if known == "accepted" else "unknown"
        self.outcome[name] = told
        self.sends += 1
        self.counts["orders sent"] += 1
        assert self.server.posts(name) <= before + 1, f"{name} was sent twice"

    def trade(self) -> None:
        symbol = self.rng.choice(("ALFA", "BRVO"))
        self.rig.trade(symbol, str(self.rng.choice((1, 3, 10, 60))))

    def move_price(self) -> None:
        self.books.price(self.rng.choice(("ALFA", "BRVO")), self.rng.choice(("99", "100", "101")))

    def cancel(self) -> None:
        if not self.outcome:
            return
        if self.rng.random() < 0.4:
            self.server.fault(self.rng.choice(ON_ORDERS[3:]), "DELETE")
        self._quietly(lambda: self.broker.cancel(self.rng.choice(list(self.outcome))))

    def late_fill(self) -> None:
        """A fill that the cancellation did not catch."""
        for order in list(self.books.orders.values()):
            left = D(order["qty"]) - D(order["filled_qty"])
            if order["status"] == "canceled" and order["side"] == "buy" and left >= 1:
                self.books.fill(order["client_order_id"], D(1), late=True)
                self.counts["fills after cancellation"] += 1
                return

    def read_fills(self) -> None:
        if self.rng.random() < 0.5:
            self.server.fault(self.rng.choice(ON_READS), "GET", times=self.rng.choice((1, 2, 9)))
        self._quietly(self.take_fills)
        self.server.calm_reads()

    def ask(self) -> None:
        if self.outcome:
            self._quietly(lambda: self.broker.order(self.rng.choice(list(self.outcome))))

    def disturb_feed(self) -> None:
        self.server.fill_listing = self.rng.choice(("plain", "twice", "backwards"))
        self.books.hidden_fills = min(self.rng.choice((0, 0, 1, 3)), len(self.books.fills))

    def disturb_stream(self) -> None:
        if self.rng.random() < 0.5:
            self.server.drop_streams()
            self.counts["streams dropped"] += 1
        else:
            self.server.stream_mode = self.rng.choice(("plain", "garbled", "twice"))

    def restart(self) -> None:
        """All that is left is what was recorded: the executions, and what was sent."""
        self.broker.close()
        self.broker, self.cursor, self.view = self.rig.again(), 0, {}
        self.counts["restarts"] += 1

    def _quietly(self, do: Callable[[], object]) -> None:
        try:
            do()
        except BrokerError:
            self.counts["questions without an answer"] += 1

    # --- what the bot knows -----------------------------------------------------------------

    def take_fills(self) -> None:
        for execution in self.broker.fills_since(self.cursor):
            assert execution.sequence == self.cursor + 1, "the feed has a hole"
            self.cursor = execution.sequence
            known = self.executions.setdefault(execution.execution_id, execution)
            assert (known.quantity, known.price) == (execution.quantity, execution.price)

    def listen(self) -> None:
        """The view of orders as a bot keeps it: what is told, and what is asked when it must be."""
        news = self.broker.news()
        for order in news.orders:
            known = self.view.get(order.client_order_id)
            if known is None or known.updated_at <= order.updated_at:
                self.view[order.client_order_id] = order
        if news.ask:
            try:
                self.view |= {
                    name: found
                    for name in self.outcome
                    if (found := self.broker.order(name)) is not None
                }
            except BrokerError:
                self.broker._stream._ask = True  # it was not asked: it must be, next time

    # --- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        self.rig.settle()
        self.check_orders()
        self.check_fills()
        self.check_account()
        self.check_view()

    def check_orders(self) -> None:
        there = Counter(o["client_order_id"] for o in self.books.orders.values())
        assert all(number == 1 for number in there.values()), f"double orders: {there}"
        assert set(there) <= set(self.outcome)
        for name, told in self.outcome.items():
            found = self.broker.order(name)
            assert (found is not None) == (name in there), name
            if told != "unknown":
                assert (told == "accepted") == (name in there), f"{name} was told {told}"
            if found is not None:
                true = self.books.by_client(name)
                assert found.state == STATES[true["status"]], name
                assert found.filled_quantity == self.books.filled(name), name
        open_ = {o.client_order_id for o in self.broker.open_orders()}
        assert open_ == {o["client_order_id"] for o in self.books.open_orders()}
        self.counts["unknown outcomes resolved"] += sum(
            t == "unknown" for t in self.outcome.values()
        )

    def check_fills(self) -> None:
        self.take_fills()
        owner = {o["id"]: o["client_order_id"] for o in self.books.orders.values()}
        true = {
            (id_(f), owner[f["order_id"]], D(f["qty"]), D(f["price"]), f["side"])
            for f in self.books.fills
        }
        known = {
            (e.execution_id, e.client_order_id, e.quantity, e.price, e.side)
            for e in self.executions.values()
        }  # fmt: skip
        assert known == true, f"lost {true - known}, invented {known - true}"
        self.counts["fills"] += len(true)

    def check_account(self) -> None:
        net: Counter[str] = Counter()
        cash = D(100_000)
        for e in self.executions.values():
            sign = 1 if e.side == "buy" else -1
            net[e.symbol] += sign * e.quantity  # type: ignore[assignment]
            cash -= sign * e.quantity * e.price
        held = {p.symbol: p.quantity for p in self.broker.positions()}
        assert held == {symbol: quantity for symbol, quantity in net.items() if quantity}
        assert self.broker.account().cash == cash

    def check_view(self) -> None:
        """What the stream told and what it made us ask come to the truth; nothing was dropped."""
        deadline = time.monotonic() + 5
        while True:
            self.listen()
            wrong = [
                name
                for name in {o["client_order_id"] for o in self.books.orders.values()}
                if name not in self.view
                or self.view[name].filled_quantity != self.books.filled(name)
                or self.view[name].state != STATES[self.books.by_client(name)["status"]]
            ]
            if not wrong:
                return
            assert time.monotonic() < deadline, f"the stream's view of {wrong} stays wrong"
            time.sleep(0.01)
