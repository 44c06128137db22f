"""What people ask of the long-term holdings, and what came of it: rebalance, cash top-up (M36).

A page asks; whoever trades takes the request up, when the market is open. Requests are a stream of
their own, so that asking never stands in the way of an allocation. A rebalance carries the preview
that was confirmed: its orders are what is carried out, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Literal

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.order import FINAL
from aggregates.rebalance_values import CarriedOut, Preview

STREAM = "holdings-requests"
REASON_LONGEST = 500  # characters
LEFT_OUT = "left out"  # in place of an order's last state: there was no money for it

Kind = Literal["top_up", "rebalance"]
Answer = Literal["done", "refused", "withdrawn"]
NAMES: dict[Kind, str] = {"top_up": "cash top-up", "rebalance": "rebalance"}


@topic("Holdings.Requested")
class HoldingsRequested(Event, frozen=True, kw_only=True):
    """``preview`` is that of a rebalance; None for a top-up, whose size follows from the float."""

    request_id: str
    kind: Kind
    preview: Preview | None
    reason: str


@topic("Holdings.RequestStarted")
class RequestStarted(Event, frozen=True, kw_only=True):
    """It may be carried out, and a preview still holds; from here on orders leave. Those of a
    rebalance leave on this event's date alone."""

    request_id: str


@topic("Holdings.Rebalanced")
class Rebalanced(Event, frozen=True, kw_only=True):
    """Carried out: each order of the preview and what became of it, and both in words."""

    request_id: str
    preview: Preview
    result: tuple[CarriedOut, ...]
    said: str


@topic("Holdings.Answered")
class HoldingsAnswered(Event, frozen=True, kw_only=True):
    """The end of a request; ``said`` is for whoever asked."""

    request_id: str
    outcome: Answer
    said: str


def is_finished(result: Iterable[CarriedOut]) -> bool:
    """Whether every order came to its end at the broker, or there was no money for it. One that
    could not be sent, or whose end nobody knows, leaves the rebalance unfinished."""
    return all(one.state in FINAL or one.state == LEFT_OUT for one in result)


class RequestHoldings(Command, frozen=True, kw_only=True):
    request_id: str
    kind: Kind
    preview: Preview | None = None
    reason: str


class StartRequest(Command, frozen=True, kw_only=True):
    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "effective_date"})

    request_id: str


class RecordRebalance(Command, frozen=True, kw_only=True):
    """Ends the request, too."""

    request_id: str
    result: tuple[CarriedOut, ...]
    said: str


class AnswerHoldings(Command, frozen=True, kw_only=True):
    request_id: str
    outcome: Answer
    said: str


class HoldingsRequests(Aggregate):
    """``waiting`` has the open requests by id, oldest first; ``started`` since which date one
    of them is carried out; ``rebalanced_on`` is the date of the last rebalance that was finished.
    ``unfinished`` is the last one while it is not, ``unfinished_on`` the date of its orders."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.waiting: dict[str, HoldingsRequested] = {}
        self.started: dict[str, date] = {}
        self.ids: set[str] = set()
        self.rebalanced_on: date | None = None
        self.unfinished: Rebalanced | None = None
        self.unfinished_on: date | None = None

    def request(self, c: RequestHoldings) -> None:
        check(c.request_id not in self.ids, f"Request {c.request_id} was made already.")
        check(
            0 < len(c.reason.strip()) <= REASON_LONGEST and c.reason.isprintable(),
            f"A reason of 1 to {REASON_LONGEST} printable characters is needed. Nothing was asked.",
        )
        check(
            (c.preview is not None) == (c.kind == "rebalance"),
            "A rebalance comes with the preview that was confirmed, a top-up without one.",
        )
        for other in self.waiting.values():
            check(
                other.kind != c.kind,
                f"A {NAMES[c.kind]} is waiting already, since {other.occurred_at:%Y-%m-%d %H:%M} "
                "UTC. Nothing more was asked; withdraw that one first, or wait for it.",
            )
        self.emit(record(HoldingsRequested, c))

    def start(self, c: StartRequest) -> None:
        self.open(c.request_id)
        check(c.request_id not in self.started, f"Request {c.request_id} was started already.")
        self.emit(record(RequestStarted, c))

    def complete(self, c: RecordRebalance) -> None:
        preview = self.open(c.request_id).preview
        check(preview is not None, f"Request {c.request_id} is no rebalance.")
        check(c.request_id in self.started, f"Rebalance {c.request_id} was never started.")
        self.emit(record(Rebalanced, c, preview=preview))
        self.emit(record(HoldingsAnswered, c, outcome="done"))

    def answer(self, c: AnswerHoldings) -> None:
        self.open(c.request_id)
        check(
            c.outcome != "withdrawn" or c.request_id not in self.started,
            f"Request {c.request_id} is being carried out; it cannot be withdrawn any more.",
        )
        self.emit(record(HoldingsAnswered, c))

    def open(self, request_id: str) -> HoldingsRequested:
        """The request, which must still be open."""
        check(
            request_id in self.waiting,
            f"There is no open request {request_id}: it was carried out, refused or withdrawn. "
            "Nothing was changed; load the page again.",
        )
        return self.waiting[request_id]

    def apply(self, event: Event) -> None:
        match event:
            case HoldingsRequested():
                self.waiting[event.request_id] = event
                self.ids.add(event.request_id)
            case RequestStarted():
                self.started[event.request_id] = event.effective_date
            case Rebalanced():
                self._rebalanced(event)
            case HoldingsAnswered():
                self.waiting.pop(event.request_id, None)
                self.started.pop(event.request_id, None)

    def _rebalanced(self, event: Rebalanced) -> None:
        """Half a rebalance begins no interval: it is due again."""
        if is_finished(event.result):
            self.rebalanced_on = event.effective_date
            self.unfinished = self.unfinished_on = None
        else:
            self.unfinished = event
            self.unfinished_on = self.started.get(event.request_id, event.effective_date)
