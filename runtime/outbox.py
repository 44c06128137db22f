"""Orders on their way to the broker and reports on their way back.

An order's intent is on disk before a byte leaves (rule 4). An unclear answer is resolved by asking
for the client order id, never by sending again. Reports are commands with ids of their own, so a
report that comes twice is recorded once.
"""

from __future__ import annotations

from datetime import date

from aggregates.order import Order
from aggregates.order_messages import (
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
    RequestCancel,
)
from brokers.port import (
    Broker,
    BrokerOrder,
    DuplicateOrder,
    Execution,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from config.clock import Clock
from config.failpoints import reach
from runtime.desk import Desk
from runtime.dispatch import Dispatcher


class Outbox:
    """Carries one session's orders between the store and the broker."""

    def __init__(
        self, dispatch: Dispatcher, broker: Broker, clock: Clock, desk: Desk, day: date
    ) -> None:
        self._do, self._broker, self._clock, self._desk, self._day = (
            dispatch, broker, clock, desk, day,
        )  # fmt: skip
        self._cursor = 0

    # -- out -------------------------------------------------------------------------------

    def send(self, order_id: str) -> None:
        """Submit an order whose intent is recorded, and record the answer."""
        order = self._desk.refresh(order_id)
        if order.state == "intended":
            reach("outbox.intended")
            self._record(RecordSubmission, order_id, "submitted")
            reach("outbox.submission_recorded")
            order = self._desk.refresh(order_id)
        self._submit(order)

    def settle_open(self) -> None:
        """Orders without an answer: ask for them, then act on what the broker says."""
        for order in self._desk.open_orders():
            if order.state == "accepted" and order.cancel_requested:
                # interrupted before the broker was asked, or it is slow: asking twice does no harm
                self._broker.cancel(order.terms.client_order_id)
            if order.state not in ("intended", "submitted", "unknown"):
                continue
            found = self._broker.order(order.terms.client_order_id)
            if found is not None:
                self._accepted(order, found)
            elif order.state == "unknown":
                # it was sent and did not arrive: never sent again, a new decision may follow
                self._rejected(order, "not_at_broker", "the broker has no such order")
            else:
                # interrupted between intent and answer: the client order id admits it only once
                self.send(order.terms.order_id)

    def _submit(self, order: Order) -> None:
        terms = order.terms
        request = OrderRequest(
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            order_type=terms.order_type,
            quantity=terms.quantity,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
        )
        try:
            found = self._broker.submit(request)
            reach("outbox.sent")
            self._accepted(order, found)
            reach("outbox.answer_recorded")
        except DuplicateOrder:
            known = self._broker.order(terms.client_order_id)
            if known is not None:
                self._accepted(order, known)
        except OrderRefused as refused:
            reach("outbox.refused")
            self._rejected(order, refused.error_code, refused.reason)
        except OutcomeUnknown as unclear:
            if order.state == "submitted":
                self._record(RecordUnknownOutcome, terms.order_id, "unknown", reason=str(unclear))
        self._desk.refresh(terms.order_id)

    def _rejected(self, order: Order, error_code: str, reason: str) -> None:
        order_id = order.terms.order_id
        self._record(RecordRejection, order_id, "rejected", error_code=error_code, reason=reason)
        self._desk.refresh(order_id)

    def _accepted(self, order: Order, found: BrokerOrder) -> None:
        if order.state == "intended":  # it was sent before an interruption could be recorded
            self._record(RecordSubmission, order.terms.order_id, "submitted")
        self._record(
            RecordAcceptance,
            order.terms.order_id,
            "accepted",
            broker_order_id=found.broker_order_id,
        )
        self._desk.refresh(order.terms.order_id)

    def cancel(self, order: Order, reason: str) -> None:
        """Ask for cancellation; what the broker says of it is read at once and later again."""
        terms = order.terms
        self._record(RequestCancel, terms.order_id, "cancel", reason=reason)
        reach("outbox.cancel_recorded")
        self._broker.cancel(terms.client_order_id)
        reach("outbox.cancel_sent")
        self._desk.refresh(terms.order_id)
        self.read_states()

    # -- back ------------------------------------------------------------------------------

    def read_fills(self) -> int:
        """Record new executions of this session's orders; returns how many there were."""
        known = {o.terms.client_order_id: i for i, o in self._desk.orders.items()}
        executions = self._broker.fills_since(self._cursor)
        for execution in executions:
            order_id = known.get(execution.client_order_id)
            if order_id is not None:
                reach("outbox.fill_received")
                self._fill(order_id, execution)
                reach("outbox.fill_recorded")
            self._cursor = execution.sequence
        return len(executions)

    def _fill(self, order_id: str, execution: Execution) -> None:
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
            command_id=f"fill:{self._broker.capabilities.name}:{execution.execution_id}",
            correlation=order_id,
            causation=f"decide:{order_id}",
        )
        self._desk.refresh(order_id)

    def read_states(self) -> None:
        """Record what became of open orders: cancelled, expired or rejected by the broker."""
        for order in self._desk.open_orders():
            found = self._broker.order(order.terms.client_order_id)
            if found is None:
                continue
            terms = order.terms
            if found.state == "cancelled":
                reason = found.reason or order.cancel_reason or "cancelled at the broker"
                self._record(RecordCancellation, terms.order_id, "cancelled", reason=reason)
            elif found.state == "expired":
                self._record(RecordExpiry, terms.order_id, "expired")
            elif found.state == "rejected":
                self._rejected(order, found.error_code, found.reason)
            self._desk.refresh(terms.order_id)

    def _record(self, kind: type, order_id: str, what: str, **fields: str) -> None:
        self._do(
            kind(at=self._clock.now(), effective_date=self._day, order_id=order_id, **fields),
            command_id=f"{what}:{order_id}",
            correlation=order_id,
            causation=f"decide:{order_id}",
        )
