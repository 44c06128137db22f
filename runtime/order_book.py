"""The orders that one undertaking carries: what outbox and inbox work on."""

from __future__ import annotations

from aggregates.order import FINAL, Order, order_stream
from config.calendar import SessionHours
from eventstore.application import Store


class OrderBook:
    """``orders`` by order id, as last read. A session's desk is one, and so is each batch of the
    long-term holdings; what one carries the other does not see."""

    def __init__(self, store: Store, hours: SessionHours) -> None:
        self._store = store
        self.hours = hours
        self.orders: dict[str, Order] = {}

    def refresh(self, order_id: str) -> Order:
        """Read one order again, after an event of it."""
        order = self.orders[order_id] = self._store.load(Order, order_stream(order_id))
        return order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that can still change, in the order of intent."""
        return [
            order
            for order in self.orders.values()
            if order.state not in FINAL and symbol in (None, order.terms.symbol)
        ]
