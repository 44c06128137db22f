"""A broker on a bad line: any broker, with faults played by a script or drawn from a seed.

What really happened is always in the broker behind; this shows the bot a worse view of it: answers
that get lost, requests that arrive late or not at all, executions told late, twice, in another
order. Nothing is ever shown that the port does not allow, so the bot must come to the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import NoReturn, TypeVar

import msgspec

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from brokers.fault_draws import NONE, Faults
from brokers.port import (
    Account,
    Activity,
    Asset,
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    BrokerUnavailable,
    Capabilities,
    Execution,
    News,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from config.clock import Clock

T = TypeVar("T")
LATEST_ARRIVAL_S = 29  # a request that got lost arrives so much later at most, or never
WITHHELD_MINUTES = (1, 2, 3, 5, 9)
OUT_MINUTES = (1, 2, 4)


class FaultyBroker:
    """Implements ``brokers.port.Broker`` by another one.

    ``calm_from`` (UTC) ends the faults; what is withheld is told then. ``skew`` is how far its
    clock is ahead. ``played`` counts the faults; ``sent`` holds every order that was sent with its
    time, and ``arrived`` counts those that the broker took, both by client order id.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        faults: Faults,
        *,
        calm_from: datetime | None = None,
        skew: timedelta = timedelta(0),
        requests_per_minute: int | None = None,
    ) -> None:
        self.behind, self._clock, self._faults = broker, clock, faults
        self._calm_from, self._skew, self._per_minute = calm_from, skew, requests_per_minute
        self.played: Counter[str] = Counter()
        self.sent: list[tuple[datetime, str]] = []
        self.arrived: Counter[str] = Counter()
        self._out_until: datetime | None = None
        self._under_way: list[tuple[datetime, OrderRequest]] = []
        self._slow_cancels: list[tuple[datetime, str]] = []
        self._forgotten: set[str] = set()
        self._answers: dict[str, BrokerOrder] = {}
        self._withheld: list[tuple[datetime, Execution]] = []
        self._told: list[Execution] = []
        self._cursor = 0

    def reconnect(self, broker: Broker) -> None:
        """The bot's process began anew: its adapter remembers nothing, the broker everything."""
        self.behind = broker
        self._forgotten = {request.client_order_id for _, request in self._under_way}
        self._told, self._withheld, self._cursor = [], [], 0

    # --- how it goes wrong ------------------------------------------------------------------

    def _play(self, call: str) -> str:
        """What goes wrong now. Raises BrokerUnavailable for what goes wrong everywhere."""
        now = self._clock.now()
        self._deliver(now)
        if self._calm_from is not None and now >= self._calm_from:
            return NONE
        if self._out_until is not None and now < self._out_until:
            self._silent("outage")
        fault = self._faults.draw(call)
        if fault:
            self.played[f"{call}: {fault}"] += 1
        if fault == "outage":
            self._out_until = now + timedelta(minutes=self._faults.choose(OUT_MINUTES))
        if fault in ("silent", "outage"):
            self._silent(fault)
        return fault

    def _silent(self, fault: str) -> NoReturn:
        raise BrokerUnavailable(f"No answer ({fault} played). Nothing arrived; ask later.")

    def _deliver(self, now: datetime) -> None:
        """Requests that were slower than the bot's patience."""
        due = [request for at, request in self._under_way if at <= now]
        self._under_way = [(at, request) for at, request in self._under_way if at > now]
        for request in due:
            self._forgotten.discard(request.client_order_id)
            with suppress(BrokerError):
                self._arrive(request)
        cancels = [name for at, name in self._slow_cancels if at <= now]
        self._slow_cancels = [(at, name) for at, name in self._slow_cancels if at > now]
        for name in cancels:
            self.behind.cancel(name)

    def _arrive(self, request: OrderRequest) -> BrokerOrder:
        accepted = self.behind.submit(request)
        self.arrived[request.client_order_id] += 1
        return accepted

    def _other(self, ask: Callable[[], T]) -> T:
        self._play("other")
        return ask()

    # --- orders -----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append((self._clock.now(), request.client_order_id))
        match self._play("submit"):
            case "before":
                raise OutcomeUnknown("Timed out, and it never arrives. Ask by client order id.")
            case "late":
                seconds = self._faults.choose(range(1, LATEST_ARRIVAL_S + 1))
                at = self._clock.now() + timedelta(seconds=seconds)
                self._under_way.append((at, request))
                raise OutcomeUnknown("Timed out, and it arrives later. Ask by client order id.")
            case "after":
                with suppress(OrderRefused):
                    self._arrive(request)
                raise OutcomeUnknown("Timed out after it had arrived. Ask by client order id.")
            case "refused":
                raise OrderRefused("halted", "Trading in this symbol is halted.")
        return self._arrive(request)

    def cancel(self, client_order_id: str) -> None:
        fault = self._play("cancel")
        if fault == "slow" and self.behind.order(client_order_id) is not None:
            at = self._clock.now() + timedelta(minutes=1)
            self._slow_cancels.append((at, client_order_id))
            return
        if fault not in ("before", "ignored"):
            self.behind.cancel(client_order_id)
        if fault in ("before", "after"):
            raise OutcomeUnknown("Timed out. Ask for its state; cancelling again does no harm.")

    def order(self, client_order_id: str) -> BrokerOrder | None:
        fault = self._play("order")
        if fault == "stale" and client_order_id in self._answers:
            return self._answers[client_order_id]
        found = self.behind.order(client_order_id)
        if found is not None:
            self._answers[client_order_id] = found
        elif self._may_arrive(client_order_id):
            raise OutcomeUnknown(f"{client_order_id} may still arrive. Ask later.")
        return found

    def _may_arrive(self, client_order_id: str) -> bool:
        under_way = {request.client_order_id for _, request in self._under_way}
        return client_order_id in under_way - self._forgotten

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._other(self.behind.open_orders)

    # --- executions -------------------------------------------------------------------------

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        """Numbered in the order in which they are told, as an adapter has to do."""
        fault, now = self._play("fills"), self._clock.now()
        fresh = list(self.behind.fills_since(self._cursor))
        self._cursor = max([self._cursor, *(execution.sequence for execution in fresh)])
        if fault == "withheld" and fresh:
            until = now + timedelta(minutes=self._faults.choose(WITHHELD_MINUTES))
            self._withheld += [(until, execution) for execution in fresh]
            fresh = []
        fresh += [execution for until, execution in self._withheld if self._is_due(until, now)]
        self._withheld = [w for w in self._withheld if not self._is_due(w[0], now)]
        if fault == "reordered":
            self._faults.shuffle(fresh)
        if fault == "twice":
            fresh += fresh
        for execution in fresh:
            number = len(self._told) + 1
            self._told.append(msgspec.structs.replace(execution, sequence=number))
        return self._told[sequence:]

    def _is_due(self, until: datetime, now: datetime) -> bool:
        return until <= now or (self._calm_from is not None and now >= self._calm_from)

    # --- everything else --------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        known = self.behind.capabilities
        return msgspec.structs.replace(known, requests_per_minute=self._per_minute)

    def self_check(self) -> Sequence[str]:
        return self._other(self.behind.self_check)

    def clock(self) -> datetime:
        return self._other(lambda: self.behind.clock() + self._skew)

    def account(self) -> Account:
        return self._other(self.behind.account)

    def asset(self, symbol: str) -> Asset | None:
        return self._other(lambda: self.behind.asset(symbol))

    def positions(self) -> Sequence[BrokerPosition]:
        return self._other(self.behind.positions)

    def activities(self, first: date) -> Sequence[Activity]:
        return self._other(lambda: self.behind.activities(first))

    def news(self) -> News:
        return self.behind.news()

    def quote(self, symbol: str) -> Quote | None:
        return self._other(lambda: self.behind.quote(symbol))

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._other(lambda: self.behind.bars(symbol, start, end))

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        return self._other(lambda: self.behind.option_chain(underlying, first, last))

    def index(self, symbol: str) -> IndexLevel | None:
        return self._other(lambda: self.behind.index(symbol))
