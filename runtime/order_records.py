"""What happens to a session's orders, recorded: each report is a command of its own."""

from __future__ import annotations

from datetime import date

from aggregates.errors import DomainError
from aggregates.order import Order
from aggregates.order_messages import (
    RecordAcceptance,
    RecordCancellation,
    RecordFill,
    RecordRejection,
    RecordSubmission,
)
from brokers.port import BrokerOrder, Execution
from config.clock import Clock
from runtime.dispatch import Dispatcher
from runtime.errors import OVERTAKEN
from runtime.order_book import OrderBook


class OrderRecords:
    """Of the orders that one desk carries; each is read again after it was changed."""

    def __init__(self, dispatch: Dispatcher, clock: Clock, desk: OrderBook, day: date) -> None:
        self._do, self._clock, self._desk, self._day = dispatch, clock, desk, day

    def record(self, kind: type, order: Order, what: str, **fields: str) -> Order:
        """A change of an order. Another process may have been first, such as one that carries
        out a kill: then its word stands."""
        order_id, again = order.terms.order_id, f":{order.reopened}" if order.reopened else ""
        try:
            self._do(
                kind(at=self._clock.now(), effective_date=self._day, order_id=order_id, **fields),
                command_id=f"{what}:{order_id}{again}",
                correlation=order_id,
                causation=f"decide:{order_id}",
            )
        except (DomainError, *OVERTAKEN):
            if self._desk.refresh(order_id).version == order.version:
                raise
        return self._desk.refresh(order_id)

    def accepted(self, order: Order, found: BrokerOrder) -> Order:
        if order.state == "intended":  # it was sent before an interruption could be recorded
            self.record(RecordSubmission, order, "submitted")
        return self.record(
            RecordAcceptance, order, "accepted", broker_order_id=found.broker_order_id
        )

    def rejected(self, order: Order, error_code: str, reason: str) -> Order:
        return self.record(RecordRejection, order, "rejected", error_code=error_code, reason=reason)

    def cancelled(self, order: Order, reason: str) -> Order:
        return self.record(RecordCancellation, order, "cancelled", reason=reason)

    def fill(self, order_id: str, execution: Execution, broker: str) -> None:
        """Raises DomainError when it cannot be: more than was ordered, say."""
        try:
            self._do(
                RecordFill(
                    at=execution.executed_at,
                    effective_date=self._day,
                    order_id=order_id,
                    execution_id=execution.execution_id,
                    quantity=execution.quantity,
                    price=execution.price,
                    currency=execution.currency,
                    commission=execution.commission,
                    fees=execution.fees,
                    net_amount=execution.net_amount,
                    settles_on=execution.settles_on,
                ),
                command_id=f"fill:{broker}:{execution.execution_id}",
                correlation=order_id,
                causation=f"decide:{order_id}",
            )
        finally:
            self._desk.refresh(order_id)
