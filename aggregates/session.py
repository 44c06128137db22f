"""A trading day: phases, decisions with the inputs that justified them, marks, the close."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import exact_decimal

DecisionKind = Literal["entry", "exit", "bearish", "no_range", "disabled"]
Outcome = Literal["taken", "refused", "no_instrument", "no_trade"]


def session_stream(label: str) -> str:
    """``label`` is the exchange's session date, such as 2013-10-07."""
    return f"session-{label}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule said: ``value`` against ``limit``, both as text with their unit in ``unit``."""

    rule: str
    passed: bool
    value: str
    limit: str
    unit: str


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The last known price of one instrument; ``at`` is when the market made it (UTC)."""

    instrument_id: str
    symbol: str
    price: Decimal
    at: datetime


@topic("Session.Opened")
class SessionOpened(Event, frozen=True, kw_only=True):
    label: str
    opens_at: datetime
    closes_at: datetime
    symbols: tuple[str, ...]
    settings_position: int


@topic("Session.PhaseStarted")
class PhaseStarted(Event, frozen=True, kw_only=True):
    phase: str


@topic("Session.PhaseEnded")
class PhaseEnded(Event, frozen=True, kw_only=True):
    phase: str
    outcome: str


@topic("Session.Decided")
class Decided(Event, frozen=True, kw_only=True):
    """A signal taken or refused, or an exit, with every input and the verdict of every rule."""

    decision_id: str
    strategy: str
    symbol: str
    kind: DecisionKind
    outcome: Outcome
    reason: str
    inputs: dict[str, str]
    verdicts: tuple[Verdict, ...]
    order_id: str | None


@topic("Prices.Marked")
class PricesMarked(Event, frozen=True, kw_only=True):
    """Prices as they were known: what market values are rebuilt from."""

    occasion: str
    marks: tuple[Mark, ...]


@topic("Session.Reconciled")
class SessionReconciled(Event, frozen=True, kw_only=True):
    """Our books against the broker's statement; ``differences`` is empty when they are equal."""

    broker_cash: Decimal
    differences: tuple[str, ...]


@topic("Session.Closed")
class SessionClosed(Event, frozen=True, kw_only=True):
    label: str


class OpenSession(Command, frozen=True, kw_only=True):
    label: str
    opens_at: datetime
    closes_at: datetime
    symbols: tuple[str, ...]
    settings_position: int


class StartPhase(Command, frozen=True, kw_only=True):
    phase: str


class EndPhase(Command, frozen=True, kw_only=True):
    phase: str
    outcome: str


class Decide(Command, frozen=True, kw_only=True):
    """``decided_before`` is how many decisions the session had when the limits were looked at: one
    that was taken meanwhile, by whatever strategy, has used up part of them. None: no limit was
    looked at (an exit)."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "decided_before"})

    decision_id: str
    strategy: str
    symbol: str
    kind: DecisionKind
    outcome: Outcome
    reason: str
    inputs: dict[str, str]
    verdicts: tuple[Verdict, ...]
    order_id: str | None
    decided_before: int | None = None


class MarkPrices(Command, frozen=True, kw_only=True):
    occasion: str
    marks: tuple[Mark, ...]


class RecordReconciliation(Command, frozen=True, kw_only=True):
    broker_cash: Decimal
    differences: tuple[str, ...]


class CloseSession(Command, frozen=True, kw_only=True):
    label: str


class Session(Aggregate):
    """One day of one bot. The phase order is the supervisor's; here each happens once."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.label = ""
        self.symbols: tuple[str, ...] = ()
        self.settings_position = 0
        self.phase = ""
        self.phase_since: datetime | None = None
        self.ended: set[str] = set()
        self.decided: dict[str, Decided] = {}
        self.closed = False

    def open(self, c: OpenSession) -> None:
        check(not self.label, f"Session {self.label} is open already.")
        check(c.opens_at < c.closes_at, f"Session {c.label} would close before it opens.")
        self.emit(record(SessionOpened, c))

    def start_phase(self, c: StartPhase) -> None:
        self.check_running()
        check(not self.phase, f"Phase {self.phase} has not ended; {c.phase} cannot start.")
        check(c.phase not in self.ended, f"Phase {c.phase} of {self.label} ran already.")
        self.emit(record(PhaseStarted, c))

    def end_phase(self, c: EndPhase) -> None:
        check(self.phase == c.phase, f"Phase {c.phase} is not running; {self.phase or 'none'} is.")
        self.emit(record(PhaseEnded, c))

    def decide(self, c: Decide) -> None:
        self.check_running()
        check(c.decision_id not in self.decided, f"Decision {c.decision_id} was taken already.")
        check(
            c.decided_before in (None, len(self.decided)),
            f"Decision {c.decision_id} was judged after {c.decided_before} others, and there are "
            f"{len(self.decided)} now. Nothing was recorded; look at the limits again.",
        )
        refused = [v.rule for v in c.verdicts if not v.passed]
        check(
            not (c.outcome == "taken" and refused),
            f"Decision {c.decision_id} cannot be taken: {', '.join(refused)} said no.",
        )
        check(
            (c.outcome == "taken") == (c.order_id is not None), "Only what is taken has an order."
        )
        self.emit(record(Decided, c))

    def mark_prices(self, c: MarkPrices) -> None:
        self.check_running()
        above_zero = all(exact_decimal(m.price) > 0 for m in c.marks)
        check(above_zero, "A price is above 0; nothing was marked.")
        self.emit(record(PricesMarked, c))

    def reconcile(self, c: RecordReconciliation) -> None:
        self.check_running()
        exact_decimal(c.broker_cash)
        self.emit(record(SessionReconciled, c))

    def close(self, c: CloseSession) -> None:
        self.check_running()
        check(not self.phase, f"Phase {self.phase} has not ended; the session stays open.")
        self.emit(record(SessionClosed, c))

    def check_running(self) -> None:
        check(bool(self.label), "The session is not open.")
        check(not self.closed, f"Session {self.label} is closed; nothing can be added to it.")

    def apply(self, event: Event) -> None:
        match event:
            case SessionOpened():
                self.label, self.symbols = event.label, event.symbols
                self.settings_position = event.settings_position
            case PhaseStarted():
                self.phase, self.phase_since = event.phase, event.occurred_at
            case PhaseEnded():
                self.phase = ""
                self.ended.add(event.phase)
            case Decided():
                self.decided[event.decision_id] = event
            case SessionClosed():
                self.closed = True
