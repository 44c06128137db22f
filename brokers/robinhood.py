"""The adapter to Robinhood's stocks: for tests only, no setting can name it (decision 0040).

Robinhood has no public interface for stocks. This speaks what its users describe, to an address
that has to be given, so that nothing reaches an account by accident. Options are not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, NoReturn
from urllib.parse import quote as quoted

from aggregates.market import IndexLevel, OptionContract, Quote
from brokers import robinhood_wire as wire
from brokers.http_dates import server_time, skew_fault
from brokers.http_executions import Executions
from brokers.http_fields import Unreadable, exact, fields, text
from brokers.http_orders import OrderLine
from brokers.http_wire import Tell
from brokers.port import (
    Account,
    Activity,
    Asset,
    BrokerOrder,
    BrokerPosition,
    BrokerUnavailable,
    Capabilities,
    Execution,
    News,
    OrderRequest,
)
from brokers.robinhood_http import Access, Wire, no_order
from brokers.robinhood_instruments import Instruments
from config.clock import Clock

OPEN = ("accepted", "partially_filled")


class RobinhoodBroker:
    """Implements ``brokers.port.Broker``. For one thread.

    ``fills_from`` is where orders and executions begin (UTC): early enough for every order that is
    open. ``tell`` gets every request for the log.
    """

    def __init__(self, access: Access, clock: Clock, *, fills_from: datetime, tell: Tell) -> None:
        if not access.url.startswith(("http://", "https://")):
            raise ValueError("RobinhoodBroker has no address of its own: give the one to talk to.")
        self._clock, self._access, self._fills_from = clock, access, fills_from
        self._wire = Wire(access, clock, tell)
        self._line = OrderLine(self._wire, clock, access.settle_s)
        self._executions = Executions("Robinhood")
        self._instruments = Instruments(self._wire)
        self._broker_ids: dict[str, str] = {}  # by client order id

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="robinhood",
            fractional=True,
            quantity_step=wire.STEP,
            order_types=frozenset({"market", "limit", "stop"}),
            long_equity=True,
            inverse_etf=True,
            long_put=False,
            simulated=False,
        )

    # --- the account ------------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        """Token, account, clock and executions; a refused token raises KeysRefused."""
        faults = self._wire.read("the account", lambda: wire.account_faults(self._account()))
        asked = self._clock.now()
        skew = skew_fault("Robinhood", self.clock(), asked, self._clock)
        return faults + ([skew] if skew else []) + self._executions.contradictions

    def clock(self) -> datetime:
        """Robinhood has none: the time with which it dates its answers, to the second."""
        path = f"/accounts/{self._access.account_number}/"
        return self._wire.read("its time", lambda: server_time(self._wire.asked(path)))

    def account(self) -> Account:
        cash = self._wire.read("the account", lambda: exact(self._account(), "cash"))
        return Account(currency="USD", cash=cash)

    def _account(self) -> Any:
        found = fields(self._wire.json(f"/accounts/{self._access.account_number}/"), "account")
        if text(found, "account_number") != self._access.account_number:
            raise Unreadable("account_number")
        return found

    def positions(self) -> Sequence[BrokerPosition]:
        def ask() -> list[BrokerPosition]:
            listed = self._wire.results("/positions/", nonzero="true")
            return [
                BrokerPosition(
                    symbol=self._instruments.symbol_in(row), quantity=exact(row, "quantity")
                )
                for row in listed
            ]

        return sorted(self._wire.read("the positions", ask), key=lambda one: one.symbol)

    def asset(self, symbol: str) -> Asset | None:
        return self._instruments.asset(symbol)

    # --- orders -----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """One POST at most, whatever comes of it. What Robinhood does with a ``ref_id`` that it has
        seen before is not known, so it is taken for one that looks at none."""
        form, name = wire.order_fields(request), request.client_order_id
        self._line.check_unknown(name, lambda: self.order(name))
        instrument = self._instruments.id_of(request.symbol)
        form |= {
            "account": f"{self._access.url}/accounts/{self._access.account_number}/",
            "instrument": f"{self._access.url}/instruments/{instrument}/",
        }
        return self._line.submit(
            name, lambda: self._own(name, self._wire.sent("/orders/", form).json()), no_order
        )

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """By Robinhood's id where it is known; else among all orders since ``fills_from``."""
        wire.ref_id(client_order_id)
        number = self._broker_ids.get(client_order_id)

        def ask() -> BrokerOrder | None:
            if number is not None:
                return self._own(client_order_id, self._wire.json(f"/orders/{quoted(number)}/"))
            found = [one for one in self._listed() if one.client_order_id == client_order_id]
            return found[0] if found else None

        found = self._wire.read(f"order {client_order_id}", ask)
        return self._line.known(client_order_id, found)

    def open_orders(self) -> Sequence[BrokerOrder]:
        found = self._wire.read("the open orders", self._listed)
        return [one for one in found if one.state in OPEN]

    def cancel(self, client_order_id: str) -> None:
        found = self.order(client_order_id)
        number = found.broker_order_id if found else ""
        self._line.cancel(
            client_order_id, found, lambda: self._wire.sent(f"/orders/{quoted(number)}/cancel/", {})
        )

    def _listed(self) -> list[BrokerOrder]:
        found = {one.broker_order_id: one for one in map(self._seen, self._rows())}
        return sorted(found.values(), key=lambda one: (one.submitted_at, one.broker_order_id))

    def _rows(self) -> Iterator[Any]:
        return self._wire.results("/orders/", **{"updated_at[gte]": wire.stamp(self._fills_from)})

    def _own(self, client_order_id: str, raw: Any) -> BrokerOrder:
        """The order that was asked for; an answer about another one is none."""
        found = self._seen(raw)
        if found.client_order_id != client_order_id:
            raise Unreadable("ref_id")
        return found

    def _seen(self, raw: Any) -> BrokerOrder:
        found = wire.order(raw, self._instruments.symbol_in(fields(raw, "order")))
        self._broker_ids[found.client_order_id] = found.broker_order_id
        return found

    # --- fills and news ---------------------------------------------------------------------

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        def ask() -> list[Execution]:
            return [
                execution
                for row in self._rows()
                for execution in wire.executions(row, self._instruments.symbol_in(row))
            ]

        self._executions.take(self._wire.read("its fills", ask))
        return self._executions.since(sequence)

    def activities(self, first: date) -> Sequence[Activity]:
        """Dividends and transfers; what else moved cash is not told."""

        def ask() -> list[Activity]:
            dividends = self._wire.results("/dividends/")
            found = [wire.dividend(row, self._instruments.symbol_in(row)) for row in dividends]
            return found + [wire.transfer(row) for row in self._wire.results("/ach/transfers/")]

        found = self._wire.read("its activities", ask)
        once = {one.activity_id: one for one in found if one.day >= first}
        return sorted(once.values(), key=lambda one: (one.day, one.activity_id))

    def news(self) -> News:
        """Nothing is told by itself: everything is asked for."""
        return News(orders=(), ask=True)

    # --- market data ------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        return self._instruments.quote(symbol)

    def bars(
        self,
        symbol: str,
        start: datetime,  # noqa: ARG002 - of the port
        end: datetime,  # noqa: ARG002
    ) -> NoReturn:
        """Never: its shortest bar of a stock lasts five minutes."""
        raise BrokerUnavailable(
            f"Robinhood has no bars of one minute, so none of {symbol}. Take bars from elsewhere."
        )

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

    def close(self) -> None:
        """End the connections; orders stay at Robinhood."""
        self._wire.close()
