"""The orders that Interactive Brokers lists: open ones, and those of the day that are over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from brokers.ibkr_answers import broker_order, decimal_of
from brokers.ibkr_line import IbkrLine, believed, no_answer
from brokers.ibkr_link import Refused, Send
from brokers.ibkr_symbols import symbol_of
from brokers.ibkr_told import Fill, OpenOrder, Status, Told, Unreadable
from brokers.port import BrokerOrder, BrokerUnavailable
from config.clock import Clock


class Known(NamedTuple):
    """An order as IBKR lists it, with the numbers that it is cancelled by (0 once completed)."""

    order: BrokerOrder
    order_id: int
    client_id: int


class IbkrListed:
    """``executed`` asks for today's executions of an order. ``changed``: an order was found in
    another state than before; ``contradictions`` are faults in words."""

    def __init__(self, line: IbkrLine, clock: Clock, executed: Callable[[str], list[Fill]]) -> None:
        self._line, self._clock, self._executed = line, clock, executed
        self._patience = timedelta(seconds=line.access.settle_s)
        self._unlisted: dict[str, datetime] = {}  # orders with executions, since when
        self._seen: dict[str, tuple[tuple[str, Decimal], datetime, datetime]] = {}  # by permId
        self.changed = False
        self.contradictions: list[str] = []

    def find(self, client_order_id: str) -> Known | None:
        """Among the open orders first: what is completed meanwhile is found afterwards."""
        for listed in (self.open, self.completed):
            for known in listed():
                if known.order.client_order_id == client_order_id:
                    return known
        fills = self._executed(client_order_id)
        return self._ended(client_order_id, fills) if fills else None

    def _ended(self, client_order_id: str, fills: Sequence[Fill]) -> Known:
        """Executed and listed nowhere, as after a restart of the gateway, or for a moment. When it
        stays so the order is over, with what its executions filled."""
        now = self._clock.now()
        if now - self._unlisted.setdefault(client_order_id, now) < self._patience:
            raise BrokerUnavailable(
                f"IBKR tells executions of order {client_order_id} and does not list it. Nothing "
                "was sent; ask again."
            )
        filled = sum((fill.quantity for fill in fills), Decimal(0))
        over = BrokerOrder(
            client_order_id=client_order_id, broker_order_id=str(fills[0].perm_id),
            symbol=believed("an execution", lambda: symbol_of(fills[0].contract)),
            side="buy" if fills[0].buys else "sell", order_type="other", quantity=filled,
            filled_quantity=filled, state="cancelled", error_code="",
            reason="IBKR lists it no more", submitted_at=now, updated_at=now,
        )  # fmt: skip
        return Known(self.with_times(over), 0, 0)

    def open(self) -> list[Known]:
        told = self._ask(
            "the open orders", lambda c, _: c.reqAllOpenOrders(), ("open_order", "status"),
            "open_end",
        )  # fmt: skip
        orders = [t.row for t in told if t.kind == "open_order"]
        states = {t.row.perm_id: t.row for t in told if t.kind == "status"}
        found = believed(
            "the open orders", lambda: [self._known(o, states) for o in self._ours(orders)]
        )
        return self._once(found)

    def completed(self) -> list[Known]:
        told = self._ask(
            "the completed orders", lambda c, _: c.reqCompletedOrders(False), ("completed_order",),
            "completed_end",
        )  # fmt: skip
        orders = [t.row for t in told if t.kind == "completed_order"]
        return self._once(
            believed("the completed orders", lambda: [self._over(o) for o in self._ours(orders)])
        )

    def _ask(self, what: str, send: Send, kinds: tuple[str, ...], end: str) -> list[Told]:
        try:
            return self._line.ask(what, send, kinds, end)
        except Refused as no:
            raise no_answer(what, no) from None

    def _ours(self, orders: Sequence[OpenOrder]) -> list[OpenOrder]:
        """Of our account, each once, as it was told last."""
        mine = [
            o for o in orders if o.order.account == self._line.access.account and not o.order.whatIf
        ]
        return list({o.order.permId: o for o in mine}.values())

    def _known(self, found: OpenOrder, states: dict[int, Status]) -> Known:
        order = found.order
        told = states.get(order.permId)
        if told is None:
            raise Unreadable("an open order without its state")
        if order.clientId == self._line.access.client_id:
            self._line.next_order_id = max(self._line.next_order_id, order.orderId + 1)
        known = self._timed(found, told.status, told.filled, completed=False)
        return Known(known, order.orderId, order.clientId)

    def _over(self, found: OpenOrder) -> Known:
        filled = found.order.filledQuantity
        if not isinstance(filled, Decimal):
            raise Unreadable("what a completed order has filled")
        status = found.state.status
        return Known(self._timed(found, status, decimal_of(filled), completed=True), 0, 0)

    def _timed(
        self, found: OpenOrder, status: str, filled: Decimal, *, completed: bool
    ) -> BrokerOrder:
        now = self._clock.now()
        order = broker_order(found, status, filled, now, now, completed=completed)
        return self.with_times(order)

    def with_times(self, order: BrokerOrder) -> BrokerOrder:
        """IBKR tells no times: since when it was seen here, and since when as it is now."""
        now, content = self._clock.now(), (order.state, order.filled_quantity)
        before, first, last = self._seen.get(order.broker_order_id, (None, now, now))
        if before != content:
            self.changed, last = True, now
        self._seen[order.broker_order_id] = content, first, last
        return replace(order, submitted_at=first, updated_at=last)

    def _once(self, found: list[Known]) -> list[Known]:
        names = [known.order.client_order_id for known in found]
        for name in {name for name in names if names.count(name) > 1}:
            self.note(f"IBKR lists more than one order {name}.")
        return found

    def note(self, fault: str) -> None:
        if fault not in self.contradictions:
            self.contradictions.append(fault)
