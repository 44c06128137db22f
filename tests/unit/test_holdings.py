"""Gains are allocated for whole dates, each once; a reserve stays; steps are done in order."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregates.base import Event
from aggregates.holdings import (
    STEPS,
    AllocateGains,
    BatchIntended,
    GainsAllocated,
    Holdings,
    HoldingsDay,
    IntendBatch,
    RecordStep,
    ReservedFor,
    StepDone,
)

D = Decimal
AT = datetime(2026, 3, 5, 15, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2026, 3, 5)}
MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))
Given = Callable[..., Any]


def reserved(trading: str, first: date = MONDAY, last: date = MONDAY) -> ReservedFor:
    return ReservedFor(
        first=first, last=last, trading=D(trading), holdings=D(0), result_trading=D(trading),
        result_holdings=D(0),
    )  # fmt: skip


def gains(first: date = MONDAY, through: date = MONDAY, **fields: Any) -> AllocateGains:
    own: dict[str, Any] = dict.fromkeys(
        ("trading", "holdings", "late_trading", "late_holdings", "tax", "payroll", "reinvested",
         "over_reserved"), D(0),
    )  # fmt: skip
    own |= {"plan_version": 1, "known_at": 7, "reserved": (), "arithmetic": ()}
    return AllocateGains(**WHEN, first=first, through=through, **(own | fields))


def allocated(command: AllocateGains) -> Event:
    fields = {
        name: getattr(command, name)
        for name in GainsAllocated.__struct_fields__
        if name != "occurred_at"
    }
    return GainsAllocated(occurred_at=AT, **fields)


def test_gains_of_whole_dates_are_allocated_one_stretch_after_the_other(given: Given) -> None:
    first, second = gains(reserved=(reserved("10"),)), gains(TUESDAY, WEDNESDAY, known_at=9)
    case = given(Holdings("holdings")).when(Holdings.allocate, first)
    case.then(allocated(first)).when(Holdings.allocate, second).then(allocated(second))
    assert (case.aggregate.through, case.aggregate.known_at) == (WEDNESDAY, 9)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (gains(MONDAY, TUESDAY), "the next date is 2026-03-03"),  # Monday twice
        (gains(WEDNESDAY, WEDNESDAY), "the next date is 2026-03-03"),  # Tuesday missed
        (gains(TUESDAY, date(2026, 3, 5)), "today waits"),
        (gains(TUESDAY, TUESDAY, known_at=6), "measured before"),
        (gains(TUESDAY, TUESDAY, tax=D("-0.01")), "never below 0"),
        (gains(TUESDAY, TUESDAY, reserved=(reserved("9"),)), "cannot fall"),
    ],
)
def test_nothing_is_allocated_twice_missed_or_lowered(
    given: Given, command: AllocateGains, words: str
) -> None:
    before = allocated(gains(reserved=(reserved("10"),)))
    given(Holdings("holdings"), before).when(Holdings.allocate, command).refused(words)


def step(name: str) -> RecordStep:
    return RecordStep(**WHEN, step=name, outcome="done", figures={}, balances={"float": "1.00"})


def done(name: str) -> StepDone:
    return StepDone(
        occurred_at=AT, effective_date=WHEN["effective_date"], step=name, outcome="done",
        figures={}, balances={"float": "1.00"},
    )  # fmt: skip


def test_the_steps_are_done_once_each_and_in_order(given: Given) -> None:
    case = given(HoldingsDay("holdings-2026-03-05"))
    case.when(HoldingsDay.record_step, step("gains")).refused("comes after value, float")
    for name in STEPS:
        case.when(HoldingsDay.record_step, step(name)).then(done(name))
    case.when(HoldingsDay.record_step, step("gains")).refused("is done")
    case.when(HoldingsDay.record_step, step("float after mid")).then(done("float after mid"))
    case.when(HoldingsDay.record_step, step("float after noon")).refused("is no step")


def test_a_batch_of_orders_is_planned_once_for_each_side(given: Given) -> None:
    fields: dict[str, Any] = {"batch": "b", "side": "sell", "order_ids": ("o1",), "skipped": {}}
    event = BatchIntended(occurred_at=AT, effective_date=WHEN["effective_date"], **fields)
    case = given(HoldingsDay("holdings-2026-03-05"))
    case.when(HoldingsDay.intend_batch, IntendBatch(**WHEN, **fields)).then(event)
    case.when(HoldingsDay.intend_batch, IntendBatch(**WHEN, **fields)).refused("planned already")
    other = IntendBatch(**WHEN, **(fields | {"side": "buy"}))
    assert case.when(HoldingsDay.intend_batch, other).event.side == "buy"
