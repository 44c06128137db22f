"""Differences between books and broker: found, gone, accepted; and what was compared on a day."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregates.reconciliation import (
    AcceptDifference,
    BrokerKnownAgain,
    BrokerNotKnown,
    Compared,
    ComparisonsOfDay,
    Difference,
    DifferenceAccepted,
    DifferenceFound,
    DifferenceGone,
    Reconciliation,
    RecordComparison,
    RecordDifferences,
    RecordNotKnown,
)

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2026, 3, 2)}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": date(2026, 3, 2)}


def difference(subject: str = "USD", amount: str = "-10.00", ours: str = "100") -> Difference:
    return Difference(
        difference_id=f"cash:{subject}", kind="cash", subject=subject, ours=ours, theirs="x",
        amount=amount, known="nothing", to_do="look",
    )  # fmt: skip


def compare(*found: Difference) -> RecordDifferences:
    return RecordDifferences(**WHEN, occasion="schedule", differences=found)


def found(one: Difference) -> DifferenceFound:
    return DifferenceFound(**THEN, difference=one)


def accept(amount: str = "-10.00", reason: str = "a fee that comes later") -> AcceptDifference:
    return AcceptDifference(**WHEN, difference_id="cash:USD", amount=amount, reason=reason)


ACCEPTED = DifferenceAccepted(**THEN, difference_id="cash:USD", amount="-10.00", reason="known")
DECIDE = Reconciliation.record_differences


def test_only_what_changes_is_an_event(given: Any) -> None:
    one, other = difference(), difference("EUR", "1")
    case = given(Reconciliation())
    case.when(DECIDE, compare()).then()
    case.when(DECIDE, compare(one)).then(found(one))
    case.when(DECIDE, compare(difference(ours="250"))).then()  # both moved, the difference did not
    case.when(DECIDE, compare(one, other)).then(found(other))
    case.when(DECIDE, compare(other)).then(DifferenceGone(**THEN, difference_id="cash:USD"))
    case.when(DECIDE, compare(difference("EUR", "2"))).then(found(difference("EUR", "2")))
    assert [d.amount for d in case.aggregate.open] == ["2"]


def test_the_same_difference_twice_is_refused(given: Any) -> None:
    given(Reconciliation()).when(DECIDE, compare(difference(), difference())).refused("twice")


def test_what_is_accepted_blocks_nothing_as_long_as_it_stays_the_same(given: Any) -> None:
    case = given(Reconciliation(), found(difference()))
    assert "cash USD" in case.aggregate.entries_blocked
    case.when(Reconciliation.accept, accept())
    assert case.event.reason == "a fee that comes later"
    case.when(DECIDE, compare(difference())).then()
    assert case.aggregate.entries_blocked == ""
    case.when(DECIDE, compare(difference(amount="-11"))).then(found(difference(amount="-11")))
    assert "cash USD" in case.aggregate.entries_blocked


def test_an_acceptance_ends_with_its_difference(given: Any) -> None:
    case = given(Reconciliation(), found(difference()), ACCEPTED)
    case.when(DECIDE, compare())
    case.when(DECIDE, compare(difference()))
    assert case.aggregate.open == (difference(),)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (accept("-9.99"), "another amount by now"),
        (accept(reason="  "), "Say why"),
        (AcceptDifference(**WHEN, difference_id="cash:EUR", amount="1", reason="x"), "No open"),
    ],
)
def test_what_cannot_be_accepted(given: Any, command: Any, words: str) -> None:
    case = given(Reconciliation(), found(difference()))
    case.when(Reconciliation.accept, command).refused(words)


def test_nothing_is_accepted_twice(given: Any) -> None:
    case = given(Reconciliation(), found(difference()), ACCEPTED)
    case.when(Reconciliation.accept, accept()).refused("accepted already")


def test_a_broker_that_says_nothing_blocks_until_it_says_something(given: Any) -> None:
    silent = RecordNotKnown(**WHEN, occasion="schedule", reason="no answer")
    case = given(Reconciliation())
    case.when(Reconciliation.record_not_known, silent)
    case.then(BrokerNotKnown(**THEN, occasion="schedule", reason="no answer"))
    case.when(Reconciliation.record_not_known, silent).then()
    assert "no answer" in case.aggregate.entries_blocked
    case.when(DECIDE, compare()).then(BrokerKnownAgain(**THEN, occasion="schedule"))
    assert case.aggregate.entries_blocked == ""


def comparison(occasion: Any, *still_open: str, repaired: tuple[str, ...] = ()) -> RecordComparison:
    return RecordComparison(
        **WHEN, occasion=occasion, our_cash=Decimal(1), broker_cash=Decimal(1), repaired=repaired,
        still_open=still_open,
    )  # fmt: skip


def test_a_day_holds_its_start_its_close_and_what_was_news(given: Any) -> None:
    case = given(ComparisonsOfDay("reconciliation-2026-03-02"))
    kept = [
        (comparison("start"), True),
        (comparison("start"), False),
        (comparison("schedule"), False),
        (comparison("schedule", repaired=("a fill",)), True),
        (comparison("schedule", "cash:USD"), True),
        (comparison("schedule", "cash:USD"), False),
        (comparison("reconnect"), True),
        (comparison("close"), True),
        (comparison("close"), False),
    ]
    for command, recorded in kept:
        case.when(ComparisonsOfDay.record_comparison, command)
        if recorded:
            assert isinstance(case.event, Compared)
        else:
            case.then()
