"""Orders at Interactive Brokers: sent once, known by orderRef and permId.

IBKR takes any number of orders under one orderRef, and reads a known order id as a change of that
order. So everything that it lists is looked at before anything is sent, and an order goes out under
an id above all that were ever seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from ib_async.contract import Contract
from msgspec.structs import replace

from brokers.ibkr_answers import PENDING, state, wire_order
from brokers.ibkr_codes import CANCELLED, DUPLICATE_ID, NOT_CANCELLABLE, refusal
from brokers.ibkr_contracts import IbkrContracts
from brokers.ibkr_line import IbkrLine
from brokers.ibkr_link import Lost, Refused
from brokers.ibkr_listed import IbkrListed
from brokers.ibkr_told import Status, Told
from brokers.port import (
    BrokerError,
    BrokerOrder,
    BrokerUnavailable,
    DuplicateOrder,
    OrderRefused,
    OrderRequest,
    OutcomeUnknown,
)
from config.clock import Clock

OPEN = ("accepted", "partially_filled")
_TOLD = ("open_order", "status")
_CANCELLING = frozenset({"Cancelled", "ApiCancelled", "PendingCancel"})
_HIGHER = (0, 1_000, 1_000_000)  # by how much the next order id is raised when one was refused


class IbkrOrders:
    """``held`` asks for the position in a symbol."""

    def __init__(
        self,
        line: IbkrLine,
        listed: IbkrListed,
        contracts: IbkrContracts,
        clock: Clock,
        held: Callable[[str], Decimal],
    ) -> None:
        self._line, self._listed, self._contracts = line, listed, contracts
        self._clock, self._held, self._account = clock, held, line.access.account
        self._settle = timedelta(seconds=line.access.settle_s)
        self._unclear: dict[str, datetime] = {}  # when a request without a clear answer ended
        self._sure_from = clock.now() + self._settle  # what a process before sent is there by then
        self._missed: set[str] = set()  # names that were asked for before they were sent here
        self._sent: dict[str, tuple[int, BrokerOrder]] = {}  # order id, and what was accepted

    # --- asking -----------------------------------------------------------------------------

    def order(self, client_order_id: str) -> BrokerOrder | None:
        known = self._listed.find(client_order_id)
        if known is not None:
            self._unclear.pop(client_order_id, None)
            return known.order
        self._check_settled(client_order_id)
        if client_order_id not in self._sent:
            self._missed.add(client_order_id)
        return self._refused_later(client_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [known.order for known in self._listed.open() if known.order.state in OPEN]

    def _check_settled(self, client_order_id: str) -> None:
        ended = self._unclear.get(client_order_id)
        if ended is not None and self._clock.now() < ended + self._settle:
            raise OutcomeUnknown(
                f"IBKR does not know order {client_order_id}, but it may still arrive there until "
                f"{ended + self._settle:%H:%M:%S} UTC. Nothing was sent again; ask later."
            )
        self._unclear.pop(client_order_id, None)

    def _refused_later(self, client_order_id: str) -> BrokerOrder | None:
        """Accepted, and then refused by an error: it is listed nowhere any more."""
        number, order = self._sent.get(client_order_id, (0, None))
        error = self._line.refused_orders.get(number)
        no = error and refusal(error, self._account)
        if order is None or no is None:
            return None
        return self._listed.with_times(
            replace(order, state="rejected", error_code=no.error_code, reason=no.reason)
        )

    # --- sending ----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """One order at IBKR at the most, whatever comes of it."""
        order, name = wire_order(request, self._account), request.client_order_id
        try:
            contract = self._admitted(request)
        except BrokerUnavailable as e:
            raise OutcomeUnknown(
                f"Whether IBKR has order {name} already is not known, so it was not sent: {e}"
            ) from None
        for higher in _HIGHER:
            number = self._line.next_order_id + higher
            self._line.next_order_id = number + 1
            place = partial(_place, number=number, contract=contract, order=order)
            try:
                told = self._line.order("placeOrder", number, place, _TOLD, _decided)
            except Refused as no:
                if no.error.code == DUPLICATE_ID:
                    continue  # nothing was taken: the gateway's count of order ids went back
                raise refusal(no.error, self._account) or self._unknown(name, str(no)) from None
            except Lost as e:
                raise self._unknown(name, str(e)) from None
            return self._accepted(request, told)
        raise OrderRefused("duplicate_id", "IBKR refuses every order id; restart its gateway.")

    def _admitted(self, request: OrderRequest) -> Contract:
        """The contract to order, when IBKR surely has no such order and it sells nothing short."""
        name = request.client_order_id
        if name in self._missed:  # a process that was killed may have sent it a moment ago
            self._clock.wait_until(self._sure_from)
        if self._listed.find(name) is not None:
            raise DuplicateOrder(
                f"IBKR has order {name} already; it was not sent again. Ask for its state by this "
                "id."
            )
        self._check_settled(name)
        contract = self._contracts.to_order(request.symbol)
        if request.side == "sell":
            left = self._held(request.symbol) - self._promised(request.symbol)
            if request.quantity > left:
                raise OrderRefused(
                    "short_sale", f"{request.quantity} are to be sold and {left} are free to be."
                )
        return contract

    def _promised(self, symbol: str) -> Decimal:
        sales = (o for o in self.open_orders() if (o.side, o.symbol) == ("sell", symbol))
        return sum((o.quantity - o.filled_quantity for o in sales), Decimal(0))

    def _accepted(self, request: OrderRequest, told: Sequence[Told]) -> BrokerOrder:
        name, status = request.client_order_id, _status(told)
        for order in (t.row.order for t in told if t.kind == "open_order"):
            if order.orderRef != name:  # it would never be found again
                self._listed.note(f"IBKR has order {name} as {order.orderRef or 'nameless'}.")
        if status is None or status.status == "Inactive" or not status.perm_id:
            raise self._unknown(name, "it was told about, and not what became of it")
        now = self._clock.now()
        accepted = BrokerOrder(
            client_order_id=name, broker_order_id=str(status.perm_id), symbol=request.symbol,
            side=request.side, order_type=request.order_type, quantity=request.quantity,
            filled_quantity=status.filled, error_code="", reason="",
            state=state(status.status, request.quantity, status.filled, completed=False),
            submitted_at=now, updated_at=now,
        )  # fmt: skip
        self._sent[name] = status.order_id, accepted
        return self._listed.with_times(accepted)

    def _unknown(self, name: str, why: str) -> OutcomeUnknown:
        self._unclear[name] = self._clock.now()
        return OutcomeUnknown(
            f"Order {name} may or may not have reached IBKR: {why}. It was not sent again; ask for "
            "it by this id."
        )

    def cancel(self, client_order_id: str) -> None:
        """One request. An order that is final by now stays what it is."""
        known = self._listed.find(client_order_id)
        if known is None:
            self._check_settled(client_order_id)
            raise BrokerError(
                f"IBKR has no order {client_order_id} to cancel. Nothing was changed; look at the "
                "open orders."
            )
        if known.order.state not in OPEN:
            return
        if known.client_id != self._line.access.client_id:
            raise BrokerError(
                f"Order {client_order_id} was placed under client id {known.client_id}, and only "
                "that one can cancel it. Nothing was changed; cancel it in IBKR's own program."
            )
        number = known.order_id
        try:
            self._line.order(
                "cancelOrder", number, lambda c: c.cancelOrder(number), ("status",),
                lambda told: told[-1].row.status in _CANCELLING,
            )  # fmt: skip
        except Refused as no:
            if no.error.code == CANCELLED or no.error.code in NOT_CANCELLABLE:
                return
            raise self._not_cancelled(client_order_id, str(no)) from None
        except Lost as e:
            raise self._not_cancelled(client_order_id, str(e)) from None

    def _not_cancelled(self, client_order_id: str, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"Whether order {client_order_id} is being cancelled is not known: {why}. Ask for its "
            "state; cancelling again does no harm."
        )


def _place(client: Any, *, number: int, contract: Contract, order: object) -> None:
    client.placeOrder(number, contract, order)


def _status(told: Sequence[Told]) -> Status | None:
    """The newest."""
    return next((t.row for t in reversed(told) if t.kind == "status"), None)


def _decided(told: Sequence[Told]) -> bool:
    """Whether IBKR has said what becomes of it; an inactive one is explained by an error."""
    status = _status(told)
    undecided = PENDING | {"Inactive"}
    return status is not None and status.perm_id > 0 and status.status not in undecided
