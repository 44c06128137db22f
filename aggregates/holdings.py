"""The long-term holdings at work: what was set aside of realized gains, and the steps of each day.

The daily workflow of the specification (M31 to M34, M37). Gains are allocated for whole dates, each
once; a reserve that was made stays, also when a later correction lowers the gain behind it.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import exact_decimal
from aggregates.order_messages import Side

STREAM = "holdings"
# The specification's "Automated Daily Workflow", step by step.
STEPS = ("value", "float", "gains", "tax", "payroll", "reinvest", "log", "ledger")
# A check of the float after every session, where that is wanted; and why a day stopped at first.
EXTRA_STEPS = ("float after mid", "float after close", "stopped")


def day_stream(day: date) -> str:
    return f"holdings-{day.isoformat()}"


class ReservedFor(msgspec.Struct, frozen=True, kw_only=True):
    """Gains of the dates ``first`` to ``last`` that reserves were made for, by source: the highest
    that was ever measured, never below 0. ``result_…`` is the result as it is known now."""

    first: date
    last: date
    trading: Decimal
    holdings: Decimal
    result_trading: Decimal
    result_holdings: Decimal


@topic("Holdings.GainsAllocated")
class GainsAllocated(Event, frozen=True, kw_only=True):
    """Realized gains of whole dates, and what was set aside of them, in the base currency.

    ``trading`` and ``holdings`` are the net results of ``first`` to ``through``, as known at the
    event ``known_at``; ``late_…`` what became known since the allocation before about earlier
    dates. ``reserved`` says what reserves are made for now, for every stretch that this changes.
    ``over_reserved`` is the tax set aside in all for gains that later corrections took away.
    ``arithmetic`` shows each amount, "20 % of 1,234.56 = 246.91".
    """

    plan_version: int
    first: date
    through: date
    known_at: int
    trading: Decimal
    holdings: Decimal
    late_trading: Decimal
    late_holdings: Decimal
    tax: Decimal
    payroll: Decimal
    reinvested: Decimal
    over_reserved: Decimal
    reserved: tuple[ReservedFor, ...]
    arithmetic: tuple[str, ...]


@topic("HoldingsDay.BatchIntended")
class BatchIntended(Event, frozen=True, kw_only=True):
    """All orders of one side of a batch, intended together with this event: a batch is planned
    once. ``skipped`` says what was left out and why, by symbol."""

    batch: str
    side: Side
    order_ids: tuple[str, ...]
    skipped: dict[str, str]


@topic("HoldingsDay.StepDone")
class StepDone(Event, frozen=True, kw_only=True):
    """One step of the day. ``figures`` are its amounts, ``balances`` the purses after it."""

    step: str
    outcome: str
    figures: dict[str, str]
    balances: dict[str, str]


class AllocateGains(Command, frozen=True, kw_only=True):
    """In one batch with the earmarks that it names."""

    plan_version: int
    first: date
    through: date
    known_at: int
    trading: Decimal
    holdings: Decimal
    late_trading: Decimal
    late_holdings: Decimal
    tax: Decimal
    payroll: Decimal
    reinvested: Decimal
    over_reserved: Decimal
    reserved: tuple[ReservedFor, ...]
    arithmetic: tuple[str, ...]


class IntendBatch(Command, frozen=True, kw_only=True):
    """In one batch with the intents of its orders."""

    batch: str
    side: Side
    order_ids: tuple[str, ...]
    skipped: dict[str, str]


class RecordStep(Command, frozen=True, kw_only=True):
    step: str
    outcome: str
    figures: dict[str, str]
    balances: dict[str, str]


class Holdings(Aggregate):
    """Up to which date gains are allocated, and for how much of them reserves were made.

    ``through`` is None before the first allocation, ``known_at`` the position that it was measured
    at. ``reserved`` holds the stretches of dates by their first date, oldest first.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.through: date | None = None
        self.known_at = 0
        self.reserved: dict[date, ReservedFor] = {}
        self.last: GainsAllocated | None = None

    def allocate(self, c: AllocateGains) -> None:
        due = self.through + timedelta(days=1) if self.through else c.first
        check(
            c.first == due and c.first <= c.through,
            f"Gains of {c.first} to {c.through} cannot be allocated: the next date is {due}. "
            "Nothing was set aside twice, and nothing is missed.",
        )
        check(c.through < c.effective_date, "Only dates that are over are allocated; today waits.")
        check(c.known_at >= self.known_at, "The gains were measured before the last allocation.")
        for amount in (c.tax, c.payroll, c.reinvested, c.over_reserved):
            check(exact_decimal(amount) >= 0, "What is set aside is never below 0.")
        for stretch in c.reserved:
            self.check_reserved(stretch)
        self.emit(record(GainsAllocated, c))

    def check_reserved(self, stretch: ReservedFor) -> None:
        """A reserve is never lowered, and never below 0."""
        before = self.reserved.get(stretch.first)
        least = (before.trading, before.holdings) if before else (Decimal(0), Decimal(0))
        check(
            stretch.trading >= least[0] and stretch.holdings >= least[1],
            f"What is reserved for {stretch.first} to {stretch.last} stays; it cannot fall.",
        )

    def apply(self, event: Event) -> None:
        if isinstance(event, GainsAllocated):
            self.through, self.known_at = event.through, event.known_at
            self.last = event
            self.reserved |= {stretch.first: stretch for stretch in event.reserved}


class HoldingsDay(Aggregate):
    """The steps of one day, each once and in order, and the batches of orders that it began."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.steps: dict[str, StepDone] = {}
        self.batches: dict[tuple[str, Side], BatchIntended] = {}

    def record_step(self, c: RecordStep) -> None:
        check(c.step in (*STEPS, *EXTRA_STEPS), f"{c.step} is no step of the holdings' day.")
        check(c.step not in self.steps, f"Step {c.step} of {self.id} is done; it is not repeated.")
        if c.step in STEPS:
            missing = [s for s in STEPS[: STEPS.index(c.step)] if s not in self.steps]
            check(not missing, f"Step {c.step} comes after {', '.join(missing)}.")
        self.emit(record(StepDone, c))

    def intend_batch(self, c: IntendBatch) -> None:
        check(
            (c.batch, c.side) not in self.batches,
            f"The {c.side} orders of {c.batch} on {c.effective_date} were planned already.",
        )
        self.emit(record(BatchIntended, c))

    def apply(self, event: Event) -> None:
        match event:
            case StepDone():
                self.steps[event.step] = event
            case BatchIntended():
                self.batches[event.batch, event.side] = event
