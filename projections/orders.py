"""Orders as they changed, one row a change: an order's state is the fold of its rows that both
clocks know.

A report may come late: recorded today, about a day that is over. A row that held the whole state
would then carry later days into that day, so each row holds only what its own event changed.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar

import msgspec

from aggregates.base import Event
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
from projections.fill_facts import utc_text
from projections.ledger_records import NOW, AsOf

SCHEMA = """
CREATE TABLE tracking (
    one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE orders (
    position INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    client_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    sleeve TEXT NOT NULL,
    strategy TEXT NOT NULL,
    side TEXT NOT NULL,
    order_type TEXT NOT NULL,
    quantity INTEGER NOT NULL
) STRICT;
CREATE TABLE changes (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    order_id TEXT NOT NULL,
    change TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    reason TEXT
) STRICT;
CREATE INDEX changes_order ON changes (order_id, position);
CREATE INDEX changes_date ON changes (effective_date, position);
"""

_CHANGES: dict[type[Event], str] = {
    OrderIntended: "intended",
    OrderSubmitted: "submitted",
    OrderAccepted: "accepted",
    OrderFilled: "filled",
    OrderCancelRequested: "cancel requested",
    OrderCancelled: "cancelled",
    OrderRejected: "rejected",
    OrderExpired: "expired",
    OrderOutcomeUnknown: "unknown",
}
_ENDED = ("cancelled", "rejected", "expired")
_TERMS = (
    "o.order_id, o.client_order_id, o.symbol, o.sleeve, o.strategy, o.side, o.order_type,"
    " o.quantity"
)


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as of both clocks. ``average_price`` is None before the first fill.

    ``effective_date``, ``changed_at`` and ``position`` are those of its last change.
    """

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

    @property
    def open(self) -> bool:
        """Whether something can still be filled, as far as is known."""
        return self.state != "filled" and self.state not in _ENDED


class Orders(Projection):
    """Writes a row for every order event; asking folds them."""

    name: ClassVar[str] = "orders view"
    schema: ClassVar[str] = SCHEMA

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.forget()

    def forget(self) -> None:
        self._intents: list[tuple[Any, ...]] = []
        self._changes: list[tuple[Any, ...]] = []

    def fold(self, row: Envelope, event: Any) -> None:
        change = _CHANGES.get(type(event))
        if change is None:
            return
        units, price = 0, ""
        if change == "filled":
            units = to_scaled(event.quantity, QUANTITY_SCALE, "quantity")
            price = format(event.price, "f")
        elif change == "intended":
            self._intents.append(
                (
                    row.position, event.order_id, event.client_order_id, event.symbol,
                    event.sleeve, event.strategy, event.side, event.order_type,
                    to_scaled(event.quantity, QUANTITY_SCALE, "quantity"),
                )
            )  # fmt: skip
        self._changes.append(
            (
                row.position, event.effective_date.isoformat(), utc_text(event.occurred_at),
                event.order_id, change, units, price, getattr(event, "broker_order_id", ""),
                getattr(event, "reason", None),
            )
        )  # fmt: skip

    def flush(self) -> None:
        insert = self.connection.executemany
        insert("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._intents)
        insert("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._changes)
        self.forget()

    # -- questions -------------------------------------------------------------------------

    def orders(
        self, as_of: AsOf = NOW, *, day: date | None = None, after: int | None = None
    ) -> list[OrderView]:
        """Orders as of both clocks, in the order of intent.

        ``day`` gives those that changed on that day, as they stood at its end; ``after`` those of
        which something was recorded after that position.
        """
        if day is not None and (as_of.date is None or day < as_of.date):
            as_of = AsOf(date=day, position=as_of.position)
        where, parameters = [as_of.where()], list[Any](as_of.parameters)
        if day is not None:
            where.append("effective_date = ?")
            parameters.append(day.isoformat())
        if after is not None:
            where.append("position > ?")
            parameters.append(after)
        if len(where) == 1:
            return self._folded(as_of, "1")
        ids = f"SELECT order_id FROM changes WHERE {' AND '.join(where)}"
        return self._folded(as_of, f"o.order_id IN ({ids})", *parameters)

    def still_open(self, since: int = 0) -> list[int]:
        """Positions, from that one on, of the intents of orders that are open as of now.

        What is over stays over, so who asks again begins at the oldest that was open.
        """
        rows = self.connection.execute(
            "SELECT position FROM orders o WHERE position >= ? AND NOT EXISTS (SELECT 1 FROM"
            " changes c WHERE c.order_id = o.order_id AND c.change IN ('cancelled', 'rejected',"
            " 'expired')) AND quantity > (SELECT COALESCE(SUM(c.quantity), 0) FROM changes c"
            " WHERE c.order_id = o.order_id AND c.change = 'filled') ORDER BY position",
            (since,),
        )
        return [position for (position,) in rows]

    def intended_at(self, positions: list[int]) -> list[OrderView]:
        """Orders by the positions of their intents, as of now."""
        marks = ", ".join("?" * len(positions))
        return self._folded(NOW, f"o.position IN ({marks})", *positions)

    def before(self, as_of: AsOf, position: int) -> dict[str, OrderView]:
        """Those of ``orders(as_of, after=position)`` as they stood at that position, by order id.

        An order that was not known then is absent.
        """
        then = AsOf(date=as_of.date, position=position)
        changed = f"SELECT order_id FROM changes WHERE {as_of.where()} AND position > ?"
        found = self._folded(
            then,
            f"o.position <= ? AND o.order_id IN ({changed})",
            position, *as_of.parameters, position,
        )  # fmt: skip
        return {order.order_id: order for order in found}

    def order(self, order_id: str, as_of: AsOf = NOW) -> OrderView | None:
        """One order as of both clocks; None when they do not know it."""
        found = self._folded(as_of, "o.order_id = ?", order_id)
        return found[0] if found else None

    def unfinished(self) -> list[OrderView]:
        """Those of which something may still be filled, as far as is known now."""
        ends = ", ".join(f"'{end}'" for end in _ENDED)
        return self._folded(
            NOW,
            f"NOT EXISTS (SELECT 1 FROM changes e WHERE e.order_id = o.order_id AND e.change IN"
            f" ({ends})) AND o.quantity > (SELECT coalesce(sum(f.quantity), 0) FROM changes f"
            " WHERE f.order_id = o.order_id AND f.change = 'filled')",
        )

    def of_symbol(self, symbol: str) -> list[OrderView]:
        """Every order of it, in the order of intent."""
        return self._folded(NOW, "o.symbol = ?", symbol)

    def order_ids(self) -> dict[str, str]:
        """Order ids by client order id, of all orders that were ever intended."""
        return dict(self.connection.execute("SELECT client_order_id, order_id FROM orders"))

    def _folded(self, as_of: AsOf, which: str, *parameters: Any) -> list[OrderView]:
        # CROSS JOIN keeps the order of the loops: an order first, then its changes by index
        rows = self.connection.execute(
            f"SELECT {_TERMS}, c.position, c.effective_date, c.timestamp, c.change, c.quantity,"
            " c.price, c.broker_order_id, c.reason FROM orders o CROSS JOIN changes c"
            f" ON c.order_id = o.order_id WHERE {as_of.where('c.')} AND {which}"
            " ORDER BY o.position, c.position",
            (*as_of.parameters, *parameters),
        )
        return [_view(list(changes)) for _, changes in groupby(rows, key=itemgetter(0))]


def _view(rows: list[tuple[Any, ...]]) -> OrderView:
    """Fold the changes of one order, in the order of recording."""
    order_id, client_id, symbol, sleeve, strategy, side, order_type, wanted = rows[0][:8]
    state, reason, broker_id, filled, value = "intended", "", "", 0, Decimal(0)
    for *_, change, units, price, named, said in (row[8:] for row in rows):
        reason = reason if said is None else said
        broker_id = named or broker_id
        if change == "filled":
            filled += units
            value += from_scaled(units, QUANTITY_SCALE) * Decimal(price)
            if filled >= wanted:
                state = "filled"
            elif state not in ("cancelled", "expired"):  # those filled before the end was heard of
                state = "partially filled"  # one taken as rejected is there after all
        elif change == "accepted":
            state = state if filled else "accepted"  # a fill may come before the acceptance
        elif change != "cancel requested":
            state = change
    position, effective, changed_at = rows[-1][8:11]
    bought = from_scaled(filled, QUANTITY_SCALE)
    return OrderView(
        order_id=order_id,
        client_order_id=client_id,
        broker_order_id=broker_id,
        symbol=symbol,
        sleeve=sleeve,
        strategy=strategy,
        side=side,
        order_type=order_type,
        quantity=plain(from_scaled(wanted, QUANTITY_SCALE)),
        filled=plain(bought),
        average_price=(value / bought).quantize(Decimal("0.000001")) if filled else None,
        state=state,
        reason=reason,
        effective_date=date.fromisoformat(effective),
        changed_at=changed_at,
        position=position,
    )
