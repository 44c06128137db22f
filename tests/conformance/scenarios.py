"""Random days at a fake broker: orders, fills and faults from a seed, and what must hold after.

The driver does what the bot does: it never sends an order twice that may have arrived, it asks for
what is unclear, it reads fills from a cursor, and it starts again now and then. What a broker must
offer to be driven is ``SocketRig`` in rigs.py; nothing here is of one broker.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
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
CENT = D("0.01")
SYMBOLS = ("ALFA", "BRVO")


class Scenario:
    """One account from empty to asked for everything; ``counts`` says what happened on the way."""

    def __init__(self, rig: Any, seed: int) -> None:
        self.rig, self.rng = rig, random.Random(seed)
        self.broker = rig.broker
        self.counts: Counter[str] = Counter()
        self.outcome: dict[str, str] = {}  # accepted, refused or unknown
        self.executions: dict[str, Execution] = {}
        self.view: dict[str, BrokerOrder] = {}  # kept by the broker's news alone
        self.unasked = False  # the news said "ask", and there was no answer
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
        fault = self.rng.choice(self.rig.ON_ORDERS) if self.rng.random() < 0.35 else ""
        if fault:
            self.rig.fault_order(fault)
            self.counts[f"orders with {fault}"] += 1
        kind = self.rng.choice(("market", "market", "limit", "stop"))
        price = {"limit": {"limit_price": D("100")}, "stop": {"stop_price": D("100")}}
        quantity = self.rng.choice(self.rig.QUANTITIES)
        side = "sell" if self.rng.random() < 0.3 else "buy"
        symbol = self.rng.choice(SYMBOLS)
        request = self.rig.ask(name, side, quantity, symbol, kind, **price.get(kind, {}))
        before, known = self.rig.sent(name), self.outcome.get(name)
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
        assert self.rig.sent(name) <= before + 1, f"{name} was sent twice"

    def trade(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        self.rig.trade(symbol, str(self.rng.choice((1, 3, 10, 60))))

    def move_price(self) -> None:
        self.rig.move(self.rng.choice(SYMBOLS), self.rng.choice(("99", "100", "101")))

    def cancel(self) -> None:
        if not self.outcome:
            return
        if self.rng.random() < 0.4:
            self.rig.fault_cancel(self.rng.choice(self.rig.ON_CANCELS))
        self._quietly(lambda: self.broker.cancel(self.rng.choice(list(self.outcome))))

    def late_fill(self) -> None:
        """A fill that the cancellation did not catch."""
        if name := self.rig.cancelled_buy():
            self.rig.fill_late(name, "1")
            self.counts["fills after cancellation"] += 1

    def read_fills(self) -> None:
        if self.rng.random() < 0.5:
            self.rig.fault_reads(self.rng.choice(self.rig.ON_READS), self.rng.choice((1, 2, 9)))
        self._quietly(self.take_fills)
        self.rig.calm_reads()

    def ask(self) -> None:
        if self.outcome:
            self._quietly(lambda: self.broker.order(self.rng.choice(list(self.outcome))))

    def disturb_feed(self) -> None:
        self.rig.disturb_feed(self.rng)

    def disturb_stream(self) -> None:
        if done := self.rig.disturb_stream(self.rng):
            self.counts[done] += 1

    def restart(self) -> None:
        """All that is left is what was recorded: the executions, and what was sent."""
        self.broker.close()
        self.broker = self.rig.restarted(list(self.executions.values()))
        self.cursor, self.view = 0, {}
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
        if news.ask or self.unasked:
            self.unasked = True
            with suppress(BrokerError):  # it was not asked: it must be, next time
                self.view |= {
                    name: found
                    for name in self.outcome
                    if (found := self.broker.order(name)) is not None
                }
                self.unasked = False

    # --- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        self.rig.settle()
        self.true = {order.client_order_id: order for order in self.rig.true_orders()}
        self.check_orders()
        self.check_fills()
        self.check_account()
        self.check_view()

    def check_orders(self) -> None:
        there = Counter(order.client_order_id for order in self.rig.true_orders())
        assert all(number == 1 for number in there.values()), f"double orders: {there}"
        assert set(there) <= set(self.outcome)
        for name, told in self.outcome.items():
            found = self.broker.order(name)
            assert (found is not None) == (name in there), name
            if told != "unknown":
                assert (told == "accepted") == (name in there), f"{name} was told {told}"
            if found is not None:
                assert self.is_true(found), name
        open_ = {o.client_order_id for o in self.broker.open_orders()}
        states = ("accepted", "partially_filled")
        assert open_ == {name for name, order in self.true.items() if order.state in states}
        self.counts["unknown outcomes resolved"] += sum(
            t == "unknown" for t in self.outcome.values()
        )

    def is_true(self, found: BrokerOrder) -> bool:
        true = self.true[found.client_order_id]
        return (found.state, found.filled_quantity) == (true.state, true.filled)

    def check_fills(self) -> None:
        """Each execution by its id; where the broker has none, the sum and value of each order."""
        self.take_fills()
        known: dict[str, list[Execution]] = {name: [] for name in self.true}
        for execution in self.executions.values():
            known[execution.client_order_id].append(execution)
        for name, order in self.true.items():
            assert {e.side for e in known[name]} <= {order.side}
            if any(id_ is None for id_, _, _ in order.fills):
                told = sum((e.quantity for e in known[name]), D(0)), worth(known[name])
                value = sum((quantity * price for _, quantity, price in order.fills), D(0))
                assert told[0] == order.filled, f"{name}: told {told}"
                assert abs(told[1] - value) <= CENT / 2, f"{name}: told {told}, not {value}"
            else:
                told_ones = {(e.execution_id, e.quantity, e.price) for e in known[name]}
                assert told_ones == set(order.fills), f"{name}: told {told_ones}"
            self.counts["fills"] += len(order.fills)

    def check_account(self) -> None:
        net: Counter[str] = Counter()
        cash = D(100_000)
        for e in self.executions.values():
            sign = 1 if e.side == "buy" else -1
            net[e.symbol] += sign * e.quantity  # type: ignore[assignment]
            cash -= sign * worth([e]) + e.commission + e.fees
        held = {p.symbol: p.quantity for p in self.broker.positions()}
        assert held == {symbol: quantity for symbol, quantity in net.items() if quantity}
        rounded = sum(e.net_amount is not None for e in self.executions.values())
        assert abs(self.broker.account().cash - cash) <= CENT / 2 * rounded

    def check_view(self) -> None:
        """What was told and what it made us ask come to the truth; nothing was dropped."""
        deadline = time.monotonic() + 5
        while True:
            self.listen()
            wrong = [
                name
                for name in self.true
                if name not in self.view or not self.is_true(self.view[name])
            ]
            if not wrong:
                return
            assert time.monotonic() < deadline, f"the view of {wrong} stays wrong"
            time.sleep(0.01)


def worth(executions: Sequence[Execution]) -> Decimal:
    """What they moved: by the broker's own statement where it makes one, costs aside."""
    return sum(
        (
            e.quantity * e.price
            if e.net_amount is None
            else abs(e.net_amount) - (e.commission + e.fees) * (1 if e.side == "buy" else -1)
            for e in executions
        ),
        D(0),
    )
