"""Orders as they changed, one row a change: the newest up to a position is the state then."""

from __future__ import annotations

import sqlite3
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from aggregates.base import Event
from aggregates.errors import DomainError
from aggregates.money import QUANTITY_SCALE, from_scaled, plain, to_scaled
from aggregates.order_messages import (
    OrderAccepted,
    OrderCancelled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderOutcomeUnknown,
    OrderRejected,
    OrderSubmitted,
)
from eventstore.envelope import Envelope
from projections.base import Projection
from projections.ledger_records import NOW, AsOf
from projections.ledger_rows import utc_text

SCHEMA = """
CREATE TABLE tracking (
    one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE orders (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    order_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    sleeve TEXT NOT NULL,
    strategy TEXT NOT NULL,
    side TEXT NOT NULL,
    order_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    filled INTEGER NOT NULL,
    value TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX orders_id ON orders (order_id, position);
CREATE INDEX orders_date ON orders (effective_date, position);
"""

_STATES: dict[type[Event], str] = {
    OrderSubmitted: "submitted",
    OrderAccepted: "accepted",
    OrderCancelled: "cancelled",
    OrderRejected: "rejected",
    OrderExpired: "expired",
    OrderOutcomeUnknown: "unknown",
}
_ENDED = ("cancelled", "rejected", "expired")
_COLUMNS = (
    "position, effective_date, timestamp, order_id, client_order_id, broker_order_id, symbol,"
    " sleeve, strategy, side, order_type, quantity, filled, value, state, reason"
)


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as of a position. ``average_price`` is None before the first fill."""

    order_id: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    sleeve: str
    strategy: str
    side: str
    order_type: str
    quantity: Decimal
    filled: Decimal
    average_price: Decimal | None
    state: str
    reason: str
    effective_date: date
    changed_at: str
    position: int


class Orders(Projection):
    """Folds order events; every change is a new row."""

    name: ClassVar[str] = "orders view"
    schema: ClassVar[str] = SCHEMA

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._latest: dict[str, dict[str, Any]] = {}
        self._pending: list[dict[str, Any]] = []

    def forget(self) -> None:
        self._latest, self._pending = {}, []

    def fold(self, row: Envelope, event: Event) -> None:
        match event:
            case OrderIntended():
                self._add(row, event, self._new(event))
            case OrderFilled():
                state = self._state(event.order_id)
                filled = state["filled"] + to_scaled(event.quantity, QUANTITY_SCALE, "quantity")
                value = Decimal(state["value"]) + event.quantity * event.price
                done = filled >= state["quantity"]
                ended = state["state"] in _ENDED  # the broker filled before it heard of the end
                kind = "filled" if done else state["state"] if ended else "partially filled"
                change = {"filled": filled, "value": format(value, "f"), "state": kind}
                self._add(row, event, state | change)
            case OrderCancelRequested():
                state = self._state(event.order_id)
                self._add(row, event, state | {"reason": event.reason})
            case _ if type(event) in _STATES:
                self._changed(row, event)

    def _new(self, e: OrderIntended) -> dict[str, Any]:
        return {
            "order_id": e.order_id,
            "client_order_id": e.client_order_id,
            "broker_order_id": "",
            "symbol": e.symbol,
            "sleeve": e.sleeve,
            "strategy": e.strategy,
            "side": e.side,
            "order_type": e.order_type,
            "quantity": to_scaled(e.quantity, QUANTITY_SCALE, "quantity"),
            "filled": 0,
            "value": "0",
            "state": "intended",
            "reason": e.reason,
        }

    def _changed(self, row: Envelope, event: Any) -> None:
        state = self._state(event.order_id)
        change = {
            "state": _STATES[type(event)],
            "reason": getattr(event, "reason", state["reason"]),
        }
        if isinstance(event, OrderAccepted):
            change["broker_order_id"] = event.broker_order_id
            if state["filled"]:
                change["state"] = state["state"]  # a fill came before the acceptance
        self._add(row, event, state | change)

    def _state(self, order_id: str) -> dict[str, Any]:
        state = self._latest.get(order_id)
        if state is None:
            cursor = self.connection.execute(
                f"SELECT {_COLUMNS} FROM orders WHERE order_id = ? ORDER BY position DESC LIMIT 1",
                (order_id,),
            )
            names, row = [column[0] for column in cursor.description], cursor.fetchone()
            if row is None:
                raise DomainError(f"order {order_id} was never intended.")
            state = dict(zip(names, row, strict=True))
        return state

    def _add(self, row: Envelope, event: Event, state: dict[str, Any]) -> None:
        place = {
            "position": row.position,
            "effective_date": event.effective_date.isoformat(),
            "timestamp": utc_text(event.occurred_at),
        }
        self._latest[state["order_id"]] = added = state | place
        self._pending.append(added)

    def flush(self) -> None:
        names = _COLUMNS.replace("\n", "").split(", ")
        self.connection.executemany(
            f"INSERT INTO orders ({_COLUMNS}) VALUES ({', '.join(':' + n for n in names)})",
            self._pending,
        )
        self._latest, self._pending = {}, []

    # -- questions -------------------------------------------------------------------------

    def orders(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[OrderView]:
        """Orders as of both clocks in the order of intent; of one session when ``day`` is given."""
        session = day.isoformat() if day else None
        rows = self.connection.execute(
            f"SELECT {_COLUMNS} FROM orders WHERE position IN (SELECT MAX(position) FROM orders"
            f" WHERE {as_of.where()} GROUP BY order_id) AND (? IS NULL OR effective_date = ?)"
            " ORDER BY (SELECT MIN(first.position) FROM orders first"
            " WHERE first.order_id = orders.order_id)",
            (*as_of.parameters, session, session),
        )
        return [_view(row) for row in rows]


def _view(row: tuple[Any, ...]) -> OrderView:
    filled = from_scaled(row[12], QUANTITY_SCALE)
    return OrderView(
        position=row[0],
        effective_date=date.fromisoformat(row[1]),
        changed_at=row[2],
        order_id=row[3],
        client_order_id=row[4],
        broker_order_id=row[5],
        symbol=row[6],
        sleeve=row[7],
        strategy=row[8],
        side=row[9],
        order_type=row[10],
        quantity=plain(from_scaled(row[11], QUANTITY_SCALE)),
        filled=plain(filled),
        average_price=(Decimal(row[13]) / filled).quantize(Decimal("0.000001")) if filled else None,
        state=row[14],
        reason=row[15],
    )
