"""Orders at Alpaca: sent once, asked for by client order id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote as quoted

from alpaca.trading.client import TradingClient

from brokers.alpaca_answers import no_order, order_fields
from brokers.alpaca_http import Wire, refuse_keys
from brokers.alpaca_wire import order
from brokers.http_fields import Unreadable, rows
from brokers.http_wire import Failed, attempt
from brokers.port import BrokerError, BrokerOrder, OrderRequest, OutcomeUnknown
from config.clock import Clock

MOST_ORDERS = 500  # as many as one answer holds


class AlpacaOrders:
    """``settle_s``: how long after an unclear answer an order may still turn up at Alpaca."""

    def __init__(self, wire: Wire, client: TradingClient, clock: Clock, settle_s: float) -> None:
        self._wire, self._client, self._clock = wire, client, clock
        self._settle = timedelta(seconds=settle_s)
        self._client_ids: dict[str, str] = {}  # by Alpaca's id
        self._broker_ids: dict[str, str] = {}  # by client order id
        self._unclear: dict[str, datetime] = {}  # when a request without a clear answer ended

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """One POST, whatever comes of it."""
        fields = order_fields(request)
        name = request.client_order_id
        answer = attempt(lambda: self._own(name, self._client.post("/orders", fields)))
        if not isinstance(answer, Failed):
            return answer
        error = no_order(answer.why, name)
        if isinstance(error, OutcomeUnknown):
            self._unclear[name] = self._clock.now()
        raise error

    def order(self, client_order_id: str) -> BrokerOrder | None:
        found = self._find(client_order_id)
        ended = self._unclear.get(client_order_id)
        if found is None and ended is not None and self._clock.now() < ended + self._settle:
            raise OutcomeUnknown(
                f"Alpaca does not know order {client_order_id}, but it may still arrive there "
                f"until {ended + self._settle:%H:%M:%S} UTC. Nothing was sent again; ask later."
            )
        self._unclear.pop(client_order_id, None)
        return found

    def cancel(self, client_order_id: str) -> None:
        """One DELETE. An order that is final by now stays what it is."""
        known = self._broker_ids.get(client_order_id)
        if known is None and self.order(client_order_id) is not None:
            known = self._broker_ids[client_order_id]
        if known is None:
            raise BrokerError(
                f"Alpaca has no order {client_order_id} to cancel. Nothing was changed; look at "
                "the open orders."
            )
        answer = attempt(lambda: self._client.delete(f"/orders/{quoted(known, safe='')}"))
        if not isinstance(answer, Failed) or answer.why.status == 422:
            return
        if answer.why.keys_refused:
            refuse_keys()
        raise OutcomeUnknown(
            f"Whether order {client_order_id} is being cancelled is not known: {answer.why.said}. "
            "Ask for its state; cancelling again does no harm."
        )

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._wire.read("the open orders", self._open_orders)

    def client_id(self, broker_order_id: str) -> str:
        """The client order id of an order of Alpaca's, asked for where it is not known yet."""
        if broker_order_id not in self._client_ids:
            path = f"/orders/{quoted(broker_order_id, safe='')}"
            self._wire.read("the order of a fill", lambda: self._seen(self._client.get(path)))
        return self._client_ids[broker_order_id]

    def _find(self, client_order_id: str) -> BrokerOrder | None:
        return self._wire.find(
            f"order {client_order_id}",
            lambda: self._own(
                client_order_id, self._client.get_order_by_client_id(client_order_id)
            ),
        )

    def _open_orders(self) -> list[BrokerOrder]:
        found: dict[str, BrokerOrder] = {}
        query = {"status": "open", "limit": str(MOST_ORDERS), "direction": "asc"}
        while True:
            page = [self._seen(raw) for raw in rows(self._client.get("/orders", query), "orders")]
            before = len(found)
            found |= {one.broker_order_id: one for one in page}
            if len(page) < MOST_ORDERS:
                return list(found.values())
            if len(found) == before:
                raise Unreadable("pages of open orders without end")
            # of orders of the same instant some may lie on the next page
            after = page[-1].submitted_at - timedelta(microseconds=1)
            query["after"] = after.isoformat().replace("+00:00", "Z")

    def _own(self, client_order_id: str, raw: Any) -> BrokerOrder:
        """The order that was asked for; an answer about another one is none."""
        found = self._seen(raw)
        if found.client_order_id != client_order_id:
            raise Unreadable("client_order_id")
        return found

    def _seen(self, raw: Any) -> BrokerOrder:
        found = order(raw)
        self._client_ids[found.broker_order_id] = found.client_order_id
        self._broker_ids[found.client_order_id] = found.broker_order_id
        return found
