"""What the broker reports of a session's orders: executions, and what became of each order."""

from __future__ import annotations

from decimal import Decimal

from aggregates.errors import DomainError
from aggregates.order import FINAL, Order
from aggregates.order_messages import RecordExpiry, Side
from brokers.port import BrokerOrder, Execution
from config.failpoints import reach
from runtime.broker_line import BrokerLine, NoAnswer
from runtime.order_book import OrderBook
from runtime.order_records import OrderRecords
from runtime.pace import Urgency


class Inbox:
    """Reads what is open at the broker and records what is new.

    ``owed`` is by how much the broker counts an order as filled above the executions that it has
    told, by order id; ``ended_there`` names those of them that can fill no more. ``unrecorded``
    says by execution id why an execution could not be booked.
    """

    def __init__(self, line: BrokerLine, records: OrderRecords, desk: OrderBook) -> None:
        self._line, self._records, self._desk = line, records, desk
        self._broker = line.broker
        self._cursor = 0
        self.owed: dict[str, Decimal] = {}
        self.ended_there: set[str] = set()
        self.unrecorded: dict[str, str] = {}

    def read_fills(self) -> int:
        """Record new executions of this session's orders; returns how many there were.

        Those of other orders are passed over: reconciliation says whose they are.
        """
        try:
            executions = self._line.ask(
                Urgency.DATA, lambda: self._broker.fills_since(self._cursor)
            )
        except NoAnswer:
            return 0
        new = 0
        known = self._known() if executions else {}
        for execution in executions:
            order_id = known.get(execution.client_order_id)
            if order_id is not None:
                new += self._take_fill(order_id, execution)
            self._cursor = max(self._cursor, execution.sequence)
        return new

    def _known(self) -> dict[str, str]:
        """Our order ids by the broker's word for them."""
        return {o.terms.client_order_id: i for i, o in self._desk.orders.items()}

    def _take_fill(self, order_id: str, execution: Execution) -> bool:
        """Whether it was new. One that cannot be booked is a difference of books and broker."""
        if execution.execution_id in self._desk.orders[order_id].executions:
            return False
        reach("outbox.fill_received")
        try:
            self._records.fill(order_id, execution, self._broker.capabilities.name)
        except DomainError as e:
            self.unrecorded[execution.execution_id] = str(e)
            return False
        reach("outbox.fill_recorded")
        return True

    def find(self, order: Order) -> BrokerOrder | None:
        """The order as the broker has it; None when it surely has none. Raises NoAnswer."""
        client_order_id = order.terms.client_order_id
        return self._line.ask(
            urgency_of(order.terms.side), lambda: self._broker.order(client_order_id)
        )

    def read_states(self) -> None:
        """Record what became of open orders: cancelled, expired or rejected by the broker."""
        for order in self._desk.open_orders():
            if order.state != "intended":
                self.read_state(order)

    def read_state(self, order: Order) -> None:
        try:
            found = self.find(order)
        except NoAnswer:
            return
        if found is None or self._owes(order, found):
            return
        match found.state:
            case "cancelled":
                reason = found.reason or order.cancel_reason or "cancelled at the broker"
                self._records.cancelled(order, reason)
            case "expired":
                self._records.record(RecordExpiry, order, "expired")
            case "rejected":
                self._records.rejected(order, found.error_code, found.reason)

    def _owes(self, order: Order, found: BrokerOrder) -> bool:
        """Whether executions are missing. An order ends here when all that it has filled is
        recorded: they are told apart from it, sometimes later, and none is ever invented."""
        order_id = order.terms.order_id
        missing = found.filled_quantity - order.filled.decimal
        if missing <= 0:
            self.owed.pop(order_id, None)
            self.ended_there.discard(order_id)
            return False
        self.owed[order_id] = missing
        self._cursor = 0  # look at all executions again
        if found.state in FINAL:
            self.ended_there.add(order_id)
        return True


def urgency_of(side: Side) -> Urgency:
    return Urgency.EXIT if side == "sell" else Urgency.ENTRY
