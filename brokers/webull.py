"""The adapter to Webull OpenAPI: for tests only, no setting can name it (decision 0040).

It was never tried against Webull. Its address has to be given, so that nothing reaches an account
by accident. Options are not offered: Webull has them, and this does not ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import requests

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from brokers import webull_wire as wire
from brokers.http_dates import server_time, settlement_day, skew_fault
from brokers.http_fields import Unreadable, fields, rows, text
from brokers.http_increments import Increments, Total
from brokers.http_orders import OrderLine
from brokers.http_wire import Tell
from brokers.port import (
    Account,
    Activity,
    Asset,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    Execution,
    News,
    OrderRequest,
    SessionCalendar,
)
from brokers.webull_http import Access, Wire, no_order
from brokers.webull_market import WebullData
from config.clock import Clock

MOST_PAGES = 1_000
OPEN = ("accepted", "partially_filled")


class WebullBroker:
    """Implements ``brokers.port.Broker``. For one thread.

    ``fills_from`` is where executions begin (UTC): early enough for every order that is open.
    ``recorded`` is every execution of the account that the bot has, in order: Webull tells only
    sums. ``tell`` gets every request for the log.
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        calendar: SessionCalendar,
        *,
        fills_from: datetime,
        recorded: Sequence[Execution],
        tell: Tell,
        new_nonce: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        if not access.url.startswith(("http://", "https://")):
            raise ValueError("WebullBroker has no address of its own: give the one to talk to.")
        self._clock, self._account_id = clock, access.account_id
        self._wire = Wire(access, clock, tell, new_nonce)
        self._line = OrderLine(self._wire, clock, access.settle_s)
        self._data = WebullData(self._wire, clock)
        self._fills_from = fills_from
        self._increments = Increments(recorded, lambda at: settlement_day(calendar, at))

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="webull",
            fractional=True,
            quantity_step=wire.STEP,
            order_types=frozenset({"market", "limit", "stop"}),
            long_equity=True,
            inverse_etf=True,
            long_put=False,
            simulated=False,
            bars_after=timedelta(seconds=3),
            requests_per_minute=60,  # questions about orders; it takes more of others
        )

    # --- the account ------------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        """Keys, account, clock and executions; refused keys raise KeysRefused."""
        kind = self._wire.read(
            "the accounts",
            lambda: wire.account_type(self._json("/trading/accounts/list"), self._account_id),
        )
        if not kind:
            return [f"The keys know no account {self._account_id} at Webull. Correct its id."]
        faults = []
        if kind != "CASH":
            faults.append(
                "The account is not a cash account at Webull, so one sale too many would go short. "
                "Use a cash account."
            )
        asked = self._clock.now()
        skew = skew_fault("Webull", self.clock(), asked, self._clock)
        return faults + ([skew] if skew else []) + self._increments.contradictions

    def clock(self) -> datetime:
        """Webull has none: the time with which it dates its answers, to the second."""
        return self._wire.read("its time", lambda: server_time(self._balance()))

    def account(self) -> Account:
        cash = self._wire.read("the account", lambda: wire.cash(self._balance().json()))
        return Account(currency="USD", cash=cash)

    def _balance(self) -> requests.Response:
        return self._wire.asked("/trading/assets/balances/get", account_id=self._account_id)

    def positions(self) -> Sequence[BrokerPosition]:
        def ask() -> list[BrokerPosition]:
            found = self._json("/trading/assets/positions/list", account_id=self._account_id)
            return [wire.position(row) for row in rows(found, "positions")]

        return sorted(self._wire.read("the positions", ask), key=lambda one: one.symbol)

    def asset(self, symbol: str) -> Asset | None:
        path = "/trading/instruments/stocks/profiles/list"
        return self._wire.find(
            f"about {symbol}",
            lambda: wire.asset(self._json(path, category="US_STOCK", symbols=symbol), symbol),
        )

    # --- orders -----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """One request to place it. Webull answers with ids alone, so the order is asked for; where
        that gives nothing, it is what was asked."""
        fields, name = wire.order_fields(request), request.client_order_id
        body = {"account_id": self._account_id, "new_orders": [fields]}

        def send() -> BrokerOrder:
            answer = self._wire.sent("/trading/orders/place", body)
            return wire.placed(answer.json(), request, self._clock.now())

        placed = self._line.submit(name, send, no_order)
        with suppress(BrokerError):
            return self.order(name) or placed
        return placed

    def order(self, client_order_id: str) -> BrokerOrder | None:
        there = wire.wire_id(client_order_id)

        def ask() -> BrokerOrder | None:
            query = {"account_id": self._account_id, "client_order_id": there}
            found = [
                wire.order(row) for row in wire.orders(self._json("/trading/orders/get", **query))
            ]
            if any(one.client_order_id != client_order_id for one in found) or len(found) > 1:
                raise Unreadable("client_order_id")
            return found[0] if found else None

        return self._line.known(client_order_id, self._wire.find(f"order {client_order_id}", ask))

    def open_orders(self) -> Sequence[BrokerOrder]:
        def ask() -> list[BrokerOrder]:
            return [wire.order(row) for row in self._orders("open-orders")]

        return [one for one in self._wire.read("the open orders", ask) if one.state in OPEN]

    def cancel(self, client_order_id: str) -> None:
        body = {"account_id": self._account_id, "client_order_id": wire.wire_id(client_order_id)}
        self._line.cancel(
            client_order_id,
            self.order(client_order_id),
            lambda: self._wire.sent("/trading/orders/cancel", body),
        )

    def _orders(self, which: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Each order once: a page may tell one again that moved on meanwhile."""
        found: dict[str, Mapping[str, Any]] = {}
        for page in self._pages(f"/trading/orders/{which}/list", **query):
            found |= {text(row, "order_id"): row for row in wire.orders(page)}
        yield from found.values()

    # --- fills and news ---------------------------------------------------------------------

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        self._increments.take(self._wire.read("its fills", self._totals))
        return self._increments.since(sequence)

    def _totals(self) -> list[Total]:
        """Open orders first: one that ends meanwhile is in the history by then."""
        since = wire.stamp(self._fills_from)
        listed = [
            *self._orders("open-orders"),
            *self._orders("historical-orders", start_time=since),
        ]
        totals = (wire.total(row) for row in listed)
        return [total for total in totals if total is not None]

    def activities(self, first: date) -> Sequence[Activity]:
        start = datetime.combine(first, time(), UTC) - timedelta(days=1)

        def ask() -> list[Activity]:
            path = "/trading/activities/cash-activities/list"
            pages = self._pages(path, start_time=wire.stamp(start))
            return [wire.activity(row) for page in pages for row in rows(page.get("data"), "data")]

        found = self._wire.read("its activities", ask)
        once = {
            one.activity_id: one for one in found if one.day >= first and one.code != wire.OF_ORDERS
        }
        return sorted(once.values(), key=lambda one: (one.day, one.activity_id))

    def news(self) -> News:
        """Webull tells by gRPC, which is not used: everything is asked for."""
        return News(orders=(), ask=True)

    # --- market data ------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        return self._data.quote(symbol)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._data.bars(symbol, start, end)

    def option_chain(
        self,
        underlying: str,  # noqa: ARG002 - of the port
        first: date,  # noqa: ARG002
        last: date,  # noqa: ARG002
    ) -> Sequence[OptionContract]:
        return ()

    def index(self, symbol: str) -> IndexLevel | None:  # noqa: ARG002 - of the port
        """None ever: not asked for."""
        return None

    # --- asking -----------------------------------------------------------------------------

    def _json(self, path: str, **query: str) -> Any:
        return self._wire.asked(path, **query).json()

    def _pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Every page; one without a key to the next is the last."""
        query |= {"account_id": self._account_id}
        for _ in range(MOST_PAGES):
            page = fields(self._json(path, **query), "page")
            yield page
            key = wire.next_page(page)
            if not key:
                return
            if key == query.get("pagination_key"):
                break
            query["pagination_key"] = key
        raise Unreadable("pages without end")

    def close(self) -> None:
        """End the connections; orders stay at Webull."""
        self._wire.close()
