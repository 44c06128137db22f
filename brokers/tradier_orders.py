"""Orders at Tradier: sent once, found again by their tag.

Tradier takes the same tag as often as it is sent. So it is asked for before every order, and a
fresh process waits until nothing of the one before it can be on its way any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brokers.http_dates import settlement_day
from brokers.http_fields import fields
from brokers.http_increments import Increments
from brokers.http_orders import OrderLine
from brokers.http_wire import Failed, WireFailure, attempt
from brokers.port import (
    BrokerError,
    BrokerOrder,
    Execution,
    OrderRefused,
    OrderRequest,
    SessionCalendar,
)
from brokers.tradier_http import Wire
from brokers.tradier_wire import error_code, many, order, order_fields, order_id, total
from config.clock import Clock

PAGE = 100
FEWEST = 25  # as many as a page holds where Tradier does not look at PAGE
MOST_PAGES = 100
OPEN = ("accepted", "partially_filled")
KINDS = ("equity", "option")  # what is placed elsewhere with several legs is not read


class TradierOrders:
    """``path`` is that of the account's orders. ``recorded``: what the bot has of executions."""

    def __init__(
        self,
        wire: Wire,
        path: str,
        clock: Clock,
        calendar: SessionCalendar,
        settle_s: float,
        recorded: Sequence[Execution],
    ) -> None:
        self._wire, self._path, self._clock = wire, path, clock
        self._line = OrderLine(wire, clock, settle_s)
        self._increments = Increments(recorded, lambda at: settlement_day(calendar, at))
        self.doubled: list[str] = []  # in words

    @property
    def contradictions(self) -> list[str]:
        return self._increments.contradictions + self.doubled

    # --- sending ----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """One POST at most, whatever comes of it."""
        form, name = order_fields(request), request.client_order_id
        self._line.check_unknown(name, lambda: self.order(name))
        return self._line.submit(name, lambda: self._placed(request, form), _refusal)

    def _placed(self, request: OrderRequest, form: Mapping[str, str]) -> BrokerOrder:
        """As Tradier has it; as it was asked for, should it not tell at once."""
        number = order_id(self._wire.change("POST", self._path, form))
        told = attempt(lambda: order(self._one(number)))
        if not isinstance(told, Failed) and told.client_order_id == request.client_order_id:
            return told
        at = self._clock.now()
        return BrokerOrder(
            client_order_id=request.client_order_id, broker_order_id=number,
            symbol=request.symbol, side=request.side, order_type=request.order_type,
            quantity=request.quantity, filled_quantity=request.quantity * 0, state="accepted",
            error_code="", reason="", submitted_at=at, updated_at=at,
        )  # fmt: skip

    def cancel(self, client_order_id: str) -> None:
        """One DELETE. An order that is final by now stays what it is."""
        found = self.order(client_order_id)
        number = found.broker_order_id if found else ""
        self._line.cancel(
            client_order_id, found, lambda: self._wire.change("DELETE", f"{self._path}/{number}")
        )

    # --- asking -----------------------------------------------------------------------------

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Of the orders of the present session: Tradier lists no older ones."""
        found = [o for o in self._all() if o.client_order_id == client_order_id]
        if len(found) > 1:
            said = f"Tradier has {len(found)} orders under the id {client_order_id}."
            self.doubled += [said] if said not in self.doubled else []
        return self._line.known(client_order_id, found[0] if found else None)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [found for found in self._all() if found.state in OPEN]

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        """What was filled between one look and the next is one execution."""
        found = self._wire.read("its fills", lambda: [total(raw) for raw in self._listed()])
        self._increments.take(one for one in found if one is not None)
        return self._increments.since(sequence)

    def _all(self) -> list[BrokerOrder]:
        return self._wire.read("the orders", lambda: [order(raw) for raw in self._listed()])

    def _listed(self) -> list[Any]:
        """Every page; the last one is short, or repeats what is known."""
        found: dict[str, Any] = {}
        for page in range(1, MOST_PAGES + 1):
            query = {"includeTags": "true", "page": f"{page}", "limit": f"{PAGE}"}
            listed = many(self._wire.ask(self._path, query), "orders", "order")
            before = len(found)
            found |= {str(fields(raw, "order").get("id")): raw for raw in listed}
            if len(listed) < FEWEST or len(found) == before:
                return [raw for raw in found.values() if raw.get("class") in KINDS]
        raise BrokerError("Tradier's pages of orders have no end. Nothing was changed.")

    def _one(self, number: str) -> Any:
        return self._wire.ask(f"{self._path}/{number}", {"includeTags": "true"}).get("order")


def _refusal(failure: WireFailure) -> BrokerError:
    """Only Tradier's own "errors" say that there is no order."""
    return OrderRefused(error_code(failure.message), failure.message)
