"""A broker that notes whether it answers, and that something is going on: for the watchdog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TypeVar

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from brokers.port import (
    Account,
    Activity,
    Asset,
    Broker,
    BrokerOrder,
    BrokerPosition,
    BrokerUnavailable,
    Capabilities,
    DuplicateOrder,
    Execution,
    News,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from config.clock import Clock

T = TypeVar("T")


class WatchedBroker:
    """Implements ``brokers.port.Broker`` by another. ``beat`` is called with every answer.

    Orders and prices may come from different machines, so each is noted by itself: prices that
    still come do not hide that orders get no answer.
    """

    def __init__(self, broker: Broker, clock: Clock, beat: Callable[[], None]) -> None:
        self._broker, self._clock, self._beat = broker, clock, beat
        self._silent_since: dict[str, datetime] = {}

    @property
    def unreachable_since(self) -> datetime | None:
        """UTC; None while the last question of each kind was answered."""
        return min(self._silent_since.values(), default=None)

    @property
    def capabilities(self) -> Capabilities:
        return self._broker.capabilities

    def _noted(self, ask: Callable[[], T], of: str = "orders") -> T:
        asked = self._clock.now()
        try:
            answer = ask()
        except (BrokerUnavailable, OutcomeUnknown):
            self._silent_since.setdefault(of, asked)
            raise
        except (OrderRefused, DuplicateOrder):  # a no is an answer
            self._silent_since.pop(of, None)
            raise
        finally:
            self._beat()
        self._silent_since.pop(of, None)
        return answer

    def self_check(self) -> Sequence[str]:
        return self._noted(self._broker.self_check)

    def clock(self) -> datetime:
        return self._noted(self._broker.clock)

    def account(self) -> Account:
        return self._noted(self._broker.account)

    def asset(self, symbol: str) -> Asset | None:
        return self._noted(lambda: self._broker.asset(symbol))

    def positions(self) -> Sequence[BrokerPosition]:
        return self._noted(self._broker.positions)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._noted(self._broker.open_orders)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._noted(lambda: self._broker.order(client_order_id))

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        return self._noted(lambda: self._broker.fills_since(sequence))

    def activities(self, first: date) -> Sequence[Activity]:
        return self._noted(lambda: self._broker.activities(first))

    def news(self) -> News:
        return self._broker.news()  # asks nobody

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return self._noted(lambda: self._broker.submit(request))

    def cancel(self, client_order_id: str) -> None:
        self._noted(lambda: self._broker.cancel(client_order_id))

    def quote(self, symbol: str) -> Quote | None:
        return self._noted(lambda: self._broker.quote(symbol), "prices")

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._noted(lambda: self._broker.bars(symbol, start, end), "prices")

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        return self._noted(lambda: self._broker.option_chain(underlying, first, last), "prices")

    def index(self, symbol: str) -> IndexLevel | None:
        return self._noted(lambda: self._broker.index(symbol), "prices")
