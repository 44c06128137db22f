"""Executions from Alpaca's account activities, numbered as they are first seen.

The stream tells fills too, under ids that are documented nowhere to be the same, so this is the
one source. Fills of one millisecond are listed in any order, and one may be listed late: each look
goes back an hour, and what is known by its execution id is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.occ import occ_terms
from brokers.alpaca_http import Wire
from brokers.alpaca_wire import WireFill, activity
from brokers.http_dates import settlement_day
from brokers.http_fields import Unreadable, rows, text
from brokers.port import Activity, Execution, SessionCalendar

Get = Callable[[str, dict[str, str]], Any]
ClientId = Callable[[str], str]

CENT = Decimal("0.01")
CONTRACT = 100  # shares of an option contract that was not adjusted
PAGE = 100  # as many as one answer holds
MOST_PAGES = 1_000
LOOK_BACK = timedelta(hours=1)


class AlpacaFills:
    """Executions since ``first`` (UTC), in memory; a restart reads and numbers them anew.

    ``client_id`` gives the client order id of a broker order id, and may ask Alpaca for it.
    """

    def __init__(
        self, wire: Wire, get: Get, client_id: ClientId, calendar: SessionCalendar, first: datetime
    ) -> None:
        self._wire, self._get, self._client_id = wire, get, client_id
        self._calendar, self._first = calendar, first
        self._known: dict[str, WireFill] = {}
        self._executions: list[Execution] = []
        self._newest = first
        self.contradictions: list[str] = []

    def since(self, sequence: int) -> Sequence[Execution]:
        """All from the beginning are looked through again when ``sequence`` is 0."""
        after = self._first if sequence <= 0 else max(self._first, self._newest - LOOK_BACK)
        found = self._wire.read("its fills", lambda: self._read(after))
        fresh = sorted(self._new(found), key=lambda f: (f.executed_at, f.order_id, f.cumulative))
        # Whose they are may have to be asked: only when all is known is anything kept.
        owners = {order_id: self._client_id(order_id) for order_id in {f.order_id for f in fresh}}
        for fill in fresh:
            self._known[fill.execution_id] = fill
            self._newest = max(self._newest, fill.executed_at)
            self._executions.append(
                self._execution(len(self._executions) + 1, fill, owners[fill.order_id])
            )
        return self._executions[max(sequence, 0) :]

    def _read(self, after: datetime) -> list[WireFill]:
        query = {"after": _stamp(after), "direction": "asc"}
        return [WireFill(raw) for raw in self._pages("/account/activities/FILL", query)]

    def _new(self, found: Sequence[WireFill]) -> list[WireFill]:
        """Each execution that is not known yet once; the first telling of one stands."""
        new: dict[str, WireFill] = {}
        for fill in found:
            known = self._known.get(fill.execution_id) or new.setdefault(fill.execution_id, fill)
            if not known.same_as(fill):
                said = f"Alpaca told execution {fill.execution_id} twice with different content."
                if said not in self.contradictions:
                    self.contradictions.append(said)
        return list(new.values())

    def _execution(self, sequence: int, fill: WireFill, client_order_id: str) -> Execution:
        """Without commission; fees are charged once a day and come as activities of their own."""
        return Execution(
            sequence=sequence,
            execution_id=fill.execution_id,
            client_order_id=client_order_id,
            broker_order_id=fill.order_id,
            symbol=fill.symbol,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            currency="USD",
            commission=Decimal(0),
            fees=Decimal(0),
            net_amount=_of_contracts(fill),
            executed_at=fill.executed_at,
            settles_on=settlement_day(self._calendar, fill.executed_at),
        )

    def activities(self, first: date) -> Sequence[Activity]:
        """What is no fill, from that day on, each id once."""
        query = {
            "category": "non_trade_activity",
            "after": (first - timedelta(days=1)).isoformat(),
            "direction": "asc",
        }
        found = self._wire.read(
            "its activities",
            lambda: [activity(raw) for raw in self._pages("/account/activities", query)],
        )
        once = {one.activity_id: one for one in found if one.day >= first}
        return sorted(once.values(), key=lambda one: (one.day, one.activity_id))

    def _pages(self, path: str, query: dict[str, str]) -> list[Any]:
        """Every page; the last one is the first that is not full."""
        found: list[Any] = []
        query = query | {"page_size": str(PAGE)}
        for _ in range(MOST_PAGES):
            page = rows(self._get(path, query), "activities")
            found += page
            if len(page) < PAGE:
                return found
            token = text(page[-1], "id")
            if token == query.get("page_token"):
                break
            query["page_token"] = token
        raise Unreadable("pages of activities without end")


def _of_contracts(fill: WireFill) -> Decimal | None:
    """The cash of an option's fill, whose price is per share; None for shares."""
    if occ_terms(fill.symbol) is None:
        return None
    amount = (fill.price * fill.quantity * CONTRACT).quantize(CENT)
    return -amount if fill.side == "buy" else amount


def _stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
