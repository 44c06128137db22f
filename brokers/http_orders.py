"""Orders at a broker over HTTP: each request is sent once, and what is unclear stays unclear for
as long as it may still arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from brokers.http_wire import Failed, Wire, WireFailure, attempt
from brokers.port import (
    BrokerError,
    BrokerOrder,
    BrokerUnavailable,
    DuplicateOrder,
    OrderRefused,
    OutcomeUnknown,
)
from config.clock import Clock

Refusal = Callable[[WireFailure], BrokerError | None]


class OrderLine:
    """``settle_s``: how long after an unclear answer an order may still turn up at the broker. The
    memory of it is the process's."""

    def __init__(self, wire: Wire, clock: Clock, settle_s: float) -> None:
        self._wire, self._clock = wire, clock
        self._settle = timedelta(seconds=settle_s)
        self._unclear: dict[str, datetime] = {}  # when a request without a clear answer ended
        self._sure_from = clock.now() + self._settle

    def check_unknown(self, client_order_id: str, ask: Callable[[], BrokerOrder | None]) -> None:
        """Before an order, for a broker that takes the same id as often as it comes: it is asked
        for first, and not before what an earlier process may have sent must have arrived.

        Raises DuplicateOrder, and OutcomeUnknown where there is no answer: then it is not sent.
        """
        self._clock.wait_until(self._sure_from)
        broker = self._wire.BROKER
        try:
            known = ask()
        except BrokerUnavailable as e:
            said = str(e)
        else:
            if known is None:
                return
            raise DuplicateOrder(
                f"{broker} has order {client_order_id} already; it was not sent again. Ask for its "
                "state by this id."
            )
        raise OutcomeUnknown(
            f"Order {client_order_id} was not sent now, and whether {broker} has it already is not "
            f"known: {said}"
        )

    def submit(
        self, client_order_id: str, send: Callable[[], BrokerOrder], refusal: Refusal
    ) -> BrokerOrder:
        """One request, whatever comes of it. ``refusal`` gives the error of an answer that is
        surely a no (or a duplicate), None for every other."""
        answer = attempt(send)
        if not isinstance(answer, Failed):
            return answer
        failure = answer.why
        if failure.keys_refused:
            self._wire.refuse_keys()
        if failure.status == 429:
            raise OrderRefused(
                "rate_limited",
                f"Too many requests to {self._wire.BROKER} in this minute; no order was placed.",
            )
        clear = 400 <= failure.status < 500 and failure.status != 408 and failure.message
        error = refusal(failure) if clear else None
        if error is None:
            self._unclear[client_order_id] = self._clock.now()
            error = OutcomeUnknown(
                f"Order {client_order_id} may or may not have reached {self._wire.BROKER}: "
                f"{failure.said}. It was not sent again; ask for it by this id."
            )
        raise error

    def known(self, client_order_id: str, found: BrokerOrder | None) -> BrokerOrder | None:
        """What was found under this id; None is believed only when nothing can arrive any more."""
        ended = self._unclear.get(client_order_id)
        if found is None and ended is not None and self._clock.now() < ended + self._settle:
            raise OutcomeUnknown(
                f"{self._wire.BROKER} does not know order {client_order_id}, but it may still "
                f"arrive there until {ended + self._settle:%H:%M:%S} UTC. Nothing was sent again; "
                "ask later."
            )
        self._unclear.pop(client_order_id, None)
        return found

    def cancel(
        self, client_order_id: str, found: BrokerOrder | None, send: Callable[[], object]
    ) -> None:
        """One request, unless the order is final by now: then it stays what it is."""
        if found is None:
            raise BrokerError(
                f"{self._wire.BROKER} has no order {client_order_id} to cancel. Nothing was "
                "changed; look at the open orders."
            )
        if found.state not in ("accepted", "partially_filled"):
            return
        answer = attempt(send)
        if not isinstance(answer, Failed):
            return
        if answer.why.keys_refused:
            self._wire.refuse_keys()
        raise OutcomeUnknown(
            f"Whether order {client_order_id} is being cancelled is not known: {answer.why.said}. "
            "Ask for its state; cancelling again does no harm."
        )
