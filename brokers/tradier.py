"""The adapter to Tradier, for tests only: no setting names it (M15, decision 0039)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from brokers.http_dates import skew_fault
from brokers.http_fields import Unreadable
from brokers.http_wire import Tell
from brokers.port import (
    Account,
    Activity,
    Asset,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    Execution,
    News,
    OrderRequest,
    SessionCalendar,
)
from brokers.tradier_data import TradierData
from brokers.tradier_history import activities
from brokers.tradier_http import Wire
from brokers.tradier_orders import TradierOrders
from brokers.tradier_wire import account_row, cash, many, position, server_time
from config.clock import Clock
from config.setting_forms import Secret

PAGE = 100
MOST_PAGES = 100
BUYS_OPTIONS = 2  # the level from which on Tradier lets an account buy puts


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how. ``timeout_s`` is for each answer; ``settle_s``: how long after an unclear
    answer an order may still turn up. ``puts``: the settings ask for puts, so the self check looks
    whether the account may buy them. The sandbox is https://sandbox.tradier.com."""

    token: Secret
    account: str
    timeout_s: float
    retries: int
    settle_s: float = 30.0
    puts: bool = False
    url: str = "https://api.tradier.com"


class TradierBroker:
    """Implements ``brokers.port.Broker``. For one thread.

    ``recorded`` is every execution that the bot has of this account, in order: Tradier has none of
    its own, so what is new follows from what is known.
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        calendar: SessionCalendar,
        *,
        recorded: Sequence[Execution],
        tell: Tell,
    ) -> None:
        self._access, self._clock = access, clock
        self._wire = Wire(access.token, access.url, access.timeout_s, access.retries, clock, tell)
        self._path = f"/accounts/{access.account}"
        self._data = TradierData(self._wire, clock)
        self._orders = TradierOrders(
            self._wire, f"{self._path}/orders", clock, calendar, access.settle_s, recorded
        )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="tradier",
            fractional=False,
            quantity_step=Decimal(1),
            order_types=frozenset({"market", "limit", "stop"}),
            long_equity=True,
            inverse_etf=True,
            long_put=True,
            simulated=False,
            bars_after=timedelta(seconds=15),  # an assumption: nothing is documented
            requests_per_minute=60,  # of orders; 120 of questions, of which an order takes two
        )

    # --- the account ------------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        """Token, account, clock and market data; a refused token raises KeysRefused."""
        faults = self._account_faults()
        asked = self._clock.now()
        faults += [skew_fault("Tradier", self.clock(), asked, self._clock), self._data.fault()]
        return [fault for fault in faults if fault] + self._orders.contradictions

    def _account_faults(self) -> list[str]:
        number = self._access.account
        row = self._wire.read(
            "the account", lambda: account_row(self._wire.ask("/user/profile"), number)
        )
        if row is None:
            return [f"The access token is not for account {number}. Check both."]
        faults = []
        if row.get("status") != "active":
            faults.append(f"Account {number} is {str(row.get('status'))[:40]} at Tradier.")
        level = row.get("option_level")
        if self._access.puts and not (isinstance(level, int) and level >= BUYS_OPTIONS):
            faults.append(
                f"The settings ask for puts, and account {number} may not buy them (its option "
                f"level is {level}, {BUYS_OPTIONS} is needed). Ask Tradier for it, or change "
                "SHORT_TYPE_*."
            )
        return faults

    def clock(self) -> datetime:
        """To the second."""
        return self._wire.read("its clock", lambda: server_time(self._wire.ask("/markets/clock")))

    def account(self) -> Account:
        """Tradier keeps accounts in US dollars."""
        found = self._wire.read(
            "the account", lambda: cash(self._wire.ask(f"{self._path}/balances"))
        )
        return Account(currency="USD", cash=found)

    def positions(self) -> Sequence[BrokerPosition]:
        def ask() -> list[BrokerPosition]:
            listed = many(self._wire.ask(f"{self._path}/positions"), "positions", "position")
            return [position(raw) for raw in listed]

        return sorted(self._wire.read("the positions", ask), key=lambda one: one.symbol)

    def asset(self, symbol: str) -> Asset | None:
        return self._data.asset(symbol)

    # --- orders and fills -------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return self._orders.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._orders.order(client_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._orders.open_orders()

    def cancel(self, client_order_id: str) -> None:
        self._orders.cancel(client_order_id)

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        return self._orders.fills_since(sequence)

    def activities(self, first: date) -> Sequence[Activity]:
        """Of the account history, which Tradier writes each night."""
        return self._wire.read("its activities", lambda: activities(self._history(first), first))

    def _history(self, first: date) -> list[object]:
        found: list[object] = []
        for page in range(1, MOST_PAGES + 1):
            query = {"page": f"{page}", "limit": f"{PAGE}", "start": f"{first}"}
            listed = many(self._wire.ask(f"{self._path}/history", query), "history", "event")
            found += listed
            if len(listed) < PAGE:
                return found
        raise Unreadable("pages of the history without end")

    def news(self) -> News:
        """Nothing is told by itself here: orders are asked for."""
        return News(orders=(), ask=True)

    # --- market data ------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        return self._data.quote(symbol)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._data.bars(symbol, start, end)

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        return self._data.chain(underlying, first, last)

    def index(self, symbol: str) -> IndexLevel | None:
        return self._data.index(symbol)

    def close(self) -> None:
        """End every connection; orders stay at Tradier."""
        self._wire.close()
