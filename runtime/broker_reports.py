"""What the broker reports of orders, taken up outside the session's own outbox: fills that were
missed, orders of earlier sessions that are over, and executions that belong to nobody here."""

from __future__ import annotations

from datetime import date, timedelta

from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from aggregates.order_messages import (
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
)
from aggregates.reconciliation import Difference
from brokers.port import BrokerOrder, Execution
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.differences import missing_fill
from runtime.outbox import LATE_ARRIVAL

LISTED_WITHIN = timedelta(minutes=1)  # an execution may be listed a little after the order's state


class Reports:
    """Reads executions from the first on, once each."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self.cursor, self._since = 0, date.min  # the last execution that was read
        self._ids: dict[str, str] = {}  # order ids by client order id
        self.desk: Desk | None = None
        self._words: list[str] = []
        self.strangers: list[Execution] = []
        self._owed: list[Difference] = []  # fills that the broker counts and does not list
        self._left = True  # whether an order of another session may be open
        self._refused: list[Difference] = []  # executions that contradict what was recorded
        self.unstated = 0  # fills of ours whose cash the broker does not state, since it was equal
        self.fresh = False  # whether the last comparison saw new executions

    def begin(self, desk: Desk | None, since: date) -> None:
        """Before a comparison. ``desk`` is that of the running session; executions before the day
        ``since`` were compared long ago and are passed over."""
        self.desk, self._since, self._words, self.fresh = desk, since, [], False

    def is_ours(self, order: BrokerOrder) -> bool:
        return self._order_id(order.client_order_id) is not None

    @property
    def missing(self) -> list[Difference]:
        by_order = {d.difference_id: d for d in (*self._owed, *self._refused)}
        return list(by_order.values())  # one for each order, however much of it there is

    def taken_words(self) -> list[str]:
        """What was taken up since the last time, in words: only what the session did not order."""
        words, self._words = self._words, []
        return words

    # -- fills -----------------------------------------------------------------------------

    def read(self) -> None:
        """Record the fills that are not in our books yet. The session's own are nothing special."""
        executions = self._bot.broker.fills_since(self.cursor)
        for execution in executions:
            order_id = self._order_id(execution.client_order_id)
            if execution.executed_at.date() < self._since:
                pass
            elif order_id is None:
                self.strangers.append(execution)
            else:
                self.unstated += execution.net_amount is None
                self._take(order_id, execution)
            self.cursor = execution.sequence

    def _order_id(self, client_order_id: str) -> str | None:
        if client_order_id not in self._ids and self.desk is not None:
            self._ids |= {o.terms.client_order_id: i for i, o in self.desk.orders.items()}
        if client_order_id not in self._ids:
            self._bot.views.catch_up()
            self._ids = self._bot.views.orders.order_ids()
        return self._ids.get(client_order_id)

    def _take(self, order_id: str, execution: Execution) -> None:
        order = self._carried(order_id) or self._load(order_id)
        if execution.execution_id in order.executions:
            return
        self.fresh = True
        try:
            self._record_fill(order, execution)
        except DomainError as e:
            self._refused.append(missing_fill(order, execution.quantity, str(e)))
            return
        if self.desk is not None and order_id in self.desk.orders:
            self.desk.refresh(order_id)
        else:
            self._words.append(
                f"fill {execution.execution_id} of order {order_id}: {execution.side} "
                f"{execution.quantity:f} {execution.symbol} at {execution.price:f}"
            )

    def _record_fill(self, order: Order, execution: Execution) -> None:
        """Word for word what the outbox would record, so that neither does it a second time."""
        order_id, name = order.terms.order_id, self._bot.broker.capabilities.name
        self._bot.dispatch(
            RecordFill(
                at=execution.executed_at,
                effective_date=order.terms.effective_date,
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
            command_id=f"fill:{name}:{execution.execution_id}",
            correlation=order_id,
            causation=f"decide:{order_id}",
        )

    def _carried(self, order_id: str) -> Order | None:
        return self.desk.orders.get(order_id) if self.desk is not None else None

    def _load(self, order_id: str) -> Order:
        return self._bot.store.load(Order, order_stream(order_id))

    # -- orders that no running session carries --------------------------------------------

    def settle_others(self, *, again: bool) -> list[str]:
        """What became of them, recorded; returns it in words. Raises BrokerUnavailable.

        Unless ``again``, only while some are left: in a session none are added.
        """
        if not (again or self._left):
            return []
        self._bot.views.catch_up()
        self._owed, words, left = [], [], False
        for view in self._bot.views.orders.unfinished():
            if self._carried(view.order_id) is None:
                order = self._load(view.order_id)
                said = self._settle(order, self._bot.broker.order(order.terms.client_order_id))
                left = left or not said
                words += [f"order {view.order_id}: {said}"] if said else []
        self._left = left
        return words

    def _settle(self, order: Order, found: BrokerOrder | None) -> str:
        if found is None:
            if order.sent_at is not None and self._bot.clock.now() < order.sent_at + LATE_ARRIVAL:
                return ""  # its request may still arrive
            self._record(order, RecordCancellation, "cancelled", reason="the broker has none")
            return "the broker has no such order; it counts as cancelled"
        if order.state in ("intended", "submitted", "unknown"):
            if order.state == "intended":
                self._record(order, RecordSubmission, "submitted")
            self._record(order, RecordAcceptance, "accepted", broker_order_id=found.broker_order_id)
        self._miss(order, found)
        match found.state:
            case "cancelled":
                reason = found.reason or order.cancel_reason or "cancelled at the broker"
                self._record(order, RecordCancellation, "cancelled", reason=reason)
            case "expired":
                self._record(order, RecordExpiry, "expired")
            case "rejected":
                self._record(
                    order, RecordRejection, "rejected",
                    error_code=found.error_code, reason=found.reason,
                )  # fmt: skip
            case _:
                return ""
        return found.state

    def _miss(self, order: Order, found: BrokerOrder) -> None:
        """The broker says that more is filled than its list of executions explains."""
        settled = self._bot.clock.now() - found.updated_at > LISTED_WITHIN
        if found.filled_quantity > order.filled.decimal and settled:
            known = "the broker counts it as filled, and its list of executions does not hold it"
            self._owed.append(missing_fill(order, found.filled_quantity, known))

    def _record(self, order: Order, kind: type, what: str, **fields: str) -> None:
        terms, again = order.terms, f":{order.reopened}" if order.reopened else ""
        self._bot.dispatch(
            kind(
                at=self._bot.clock.now(),
                effective_date=terms.effective_date,
                order_id=terms.order_id,
                **fields,
            ),
            command_id=f"{what}:{terms.order_id}{again}",
            correlation=terms.order_id,
            causation=f"decide:{terms.order_id}",
        )
