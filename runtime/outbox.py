"""Orders on their way to the broker, and the session's view of what came back.

An order's intent is on disk before a byte leaves (rule 4). An unclear answer is resolved by asking
for the client order id, never by sending again. Decision 0024 says what follows from each answer.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from aggregates.control import STREAM, Control
from aggregates.order import FINAL, Order, State
from aggregates.order_messages import RecordSubmission, RecordUnknownOutcome, RequestCancel, Side
from brokers.port import (
    Broker,
    BrokerError,
    DuplicateOrder,
    KeysRefused,
    OrderRefused,
    OrderRequest,
)
from config.clock import Clock
from config.failpoints import reach
from runtime.broker_line import BrokerLine, NoAnswer
from runtime.dispatch import Dispatcher
from runtime.inbox import Inbox, urgency_of
from runtime.order_book import OrderBook
from runtime.order_records import OrderRecords
from runtime.pace import Urgency

UNANSWERED: frozenset[State] = frozenset({"intended", "submitted", "unknown"})
LATE_ARRIVAL = timedelta(seconds=30)  # a request that got lost may still arrive so much later
# A purchase, and a sale for the float, is sent within this time of its decision, or not at all.
ENTRY_LIFE = timedelta(minutes=2)


class Outbox:
    """Carries one session's orders between the store and the broker. For one thread.

    A broker that does not answer raises nothing here: ``unreachable_since`` says since when, and
    what is open is tried at the next look. Refused keys raise KeysRefused. ``reports`` says what
    the broker owes.
    """

    def __init__(
        self, dispatch: Dispatcher, broker: Broker, clock: Clock, desk: OrderBook, day: date
    ) -> None:
        self._store, self._broker, self._clock, self._desk = dispatch.store, broker, clock, desk
        self._line = BrokerLine(broker, clock)
        self._records = OrderRecords(dispatch, clock, desk, day)
        self.reports = Inbox(self._line, self._records, desk)

    @property
    def unreachable_since(self) -> datetime | None:
        """UTC; None while the last question was answered."""
        return self._line.unreachable_since

    def read_fills(self) -> int:
        """Record new executions of this session's orders; returns how many there were."""
        return self.reports.read_fills()

    def read_states(self) -> None:
        """Record what became of open orders: cancelled, expired or rejected by the broker."""
        self.reports.read_states()

    # -- sending ---------------------------------------------------------------------------

    def admits(self, side: Side) -> bool:
        """Whether an order may leave now; it is counted as one that does. Its submission is then
        recorded with its intent, which saves a wait for the disk before the wire."""
        return self._line.pace.take(urgency_of(side))

    def send(self, order_id: str, *, admitted: bool = False) -> None:
        """Submit an order whose intent is recorded, and record the answer.

        What the pace holds back stays as it is and is tried by ``settle_open``; what it has
        ``admitted`` already is not asked for again.
        """
        order = self._desk.refresh(order_id)
        if order.state not in ("intended", "submitted") or order.cancel_requested:
            return
        if not admitted and not self._line.pace.take(urgency_of(order.terms.side)):
            return
        if order.state == "intended":
            reach("outbox.intended")
            order = self._records.record(RecordSubmission, order, "submitted")
        reach("outbox.submission_recorded")
        self._submit(order)

    def _submit(self, order: Order) -> None:
        request = _request(order)
        try:
            found = self._line.answer(lambda: self._broker.submit(request))
            reach("outbox.sent")
            self._records.accepted(order, found)
            reach("outbox.answer_recorded")
        except DuplicateOrder as known:
            self._find_duplicate(order, str(known))
        except OrderRefused as refused:
            reach("outbox.refused")
            self._records.rejected(order, refused.error_code, refused.reason)
        except NoAnswer as unclear:
            self._unknown(order, str(unclear))

    def _find_duplicate(self, order: Order, said: str) -> None:
        """The broker has it: only its own id and state are to be asked for."""
        try:
            found = self.reports.find(order)
        except NoAnswer:
            found = None
        if found is None:
            self._unknown(order, said)
        else:
            self._records.accepted(order, found)

    def _unknown(self, order: Order, reason: str) -> None:
        self._records.record(RecordUnknownOutcome, order, "unknown", reason=reason)

    # -- what has no answer ----------------------------------------------------------------

    def settle_open(self) -> None:
        """Orders without an answer: ask for them, then act on what the broker says.

        Cancellations that it has not confirmed are asked for again, which does no harm.
        """
        for order in self._desk.open_orders():
            if order.state in UNANSWERED:
                self._settle(order)
            elif order.cancel_requested:
                self._ask_to_cancel(order)

    def _settle(self, order: Order) -> None:
        """Nobody here knows whether the broker has it: ask, and send only what it has not."""
        try:
            found = self.reports.find(order)
        except NoAnswer:
            return
        if found is not None:
            order = self._records.accepted(order, found)
            if order.cancel_requested:
                self._ask_to_cancel(order)
        elif order.state == "unknown":
            # it was sent and did not arrive: never sent again, a new decision may follow
            if self._is_lost(order):
                self._records.rejected(order, "not_at_broker", "the broker has no such order")
        elif why := self._overdue(order):
            if order.state == "intended" or self._is_lost(order):
                self._records.cancelled(order, f"never sent: {why}")
        else:
            # interrupted between intent and answer: the client order id admits it only once
            self.send(order.terms.order_id)

    def _is_lost(self, order: Order) -> bool:
        """Whether its request can arrive no more. The adapter waits for it too, but one that was
        made after a restart does not know of the request."""
        return order.sent_at is None or self._clock.now() >= order.sent_at + LATE_ARRIVAL

    def _overdue(self, order: Order) -> str:
        """Why an order that waits must not be sent any more; empty when it may be."""
        if order.cancel_requested:
            return order.cancel_reason
        control = self._store.load(Control, STREAM)
        buys = order.terms.side == "buy"
        if order.terms.sleeve == "trading" and (buys or control.killed) and control.entries_blocked:
            return control.entries_blocked
        # a kill touches no order of the holdings that is under way, and lets none begin
        if order.terms.sleeve == "holdings" and control.kill_asked:
            return control.entries_blocked
        if self._clock.now() >= self._desk.hours.close:
            return "the market has closed"
        # exits of trading have no age; a sale that tops up the float lowers no risk
        ages = buys or order.terms.context == "top-up"
        if ages and self._clock.now() - order.terms.occurred_at > ENTRY_LIFE:
            return f"it was decided more than {ENTRY_LIFE.seconds // 60} minutes ago"
        return ""

    # -- cancelling ------------------------------------------------------------------------

    def cancel(self, order: Order, reason: str) -> None:
        """Ask for cancellation; what the broker says of it is read at once and later again.

        What was never sent is over at once; what may be on its way is not sent again.
        """
        if not order.cancel_requested:
            order = self._records.record(RequestCancel, order, "cancel", reason=reason)
            reach("outbox.cancel_recorded")
        if order.state == "intended":
            self._records.cancelled(order, f"never sent: {reason}")
        elif order.state in UNANSWERED:
            self._settle(order)
        elif order.state not in FINAL:
            self._ask_to_cancel(order)
            self.reports.read_state(order)

    def _ask_to_cancel(self, order: Order) -> None:
        try:
            self._line.ask(Urgency.CANCEL, lambda: self._broker.cancel(order.terms.client_order_id))
        except KeysRefused:
            raise
        except (NoAnswer, BrokerError):
            return  # also an order that it does not know: its state is asked for
        reach("outbox.cancel_sent")


def _request(order: Order) -> OrderRequest:
    terms = order.terms
    return OrderRequest(
        client_order_id=terms.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        order_type=terms.order_type,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
    )
