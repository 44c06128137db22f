"""The books: opened once, rules that only get newer, periods that stay closed, reversals."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from aggregates.books import (
    STREAM,
    AdoptRules,
    Books,
    BooksOpened,
    ClosePeriod,
    EntryReversed,
    OpenBooks,
    PeriodClosed,
    ReverseEntry,
    RulesAdopted,
    UnitMovement,
    first_shortfall,
)

AT = datetime(2024, 2, 1, 15, 0, tzinfo=UTC)
DAY = date(2024, 2, 1)
WHEN: dict[str, Any] = {"at": AT, "effective_date": DAY}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": DAY}
NAMES: dict[str, Any] = {
    "identity": "DEMO_USA_SIM_01", "entity_code": "DEMO", "jurisdiction_code": "USA",
    "broker_code": "SIM", "bot_id": "01", "currency": "USD", "timezone": "US/Eastern",
    "exchange_calendar": "XNYS", "demo": True,
}  # fmt: skip
OPEN = OpenBooks(**WHEN, **NAMES)
OPENED = BooksOpened(**THEN, **NAMES, cost_method="average")
ONE = 10**9  # one unit


def test_the_books_open_once_at_average_cost(given: Any) -> None:
    case = given(Books(STREAM)).when(Books.open, OPEN).then(OPENED)
    case.when(Books.open, OPEN).refused("DEMO_USA_SIM_01 are open already")
    fifo = msgspec.structs.replace(OPEN, cost_method="fifo")
    assert given(Books(STREAM)).when(Books.open, fifo).event.cost_method == "fifo"


def test_books_are_kept_in_a_real_currency(given: Any) -> None:
    command = msgspec.structs.replace(OPEN, currency="Dollar")
    given(Books(STREAM)).when(Books.open, command).refused("ISO 4217")


def test_posting_rules_only_get_newer(given: Any) -> None:
    case = given(Books(STREAM), OPENED)
    case.when(Books.adopt_rules, AdoptRules(**WHEN, rules_version=1))
    case.then(RulesAdopted(**THEN, rules_version=1))
    for version in (1, 0):
        command = AdoptRules(**WHEN, rules_version=version)
        case.when(Books.adopt_rules, command).refused(f"Rules {version} are not newer than 1")
    case.when(Books.adopt_rules, AdoptRules(**WHEN, rules_version=2))
    case.then(RulesAdopted(**THEN, rules_version=2))


def close(through: date, reason: str = "month end") -> ClosePeriod:
    return ClosePeriod(**WHEN, through=through, reason=reason)


def test_a_closed_period_stays_closed(given: Any) -> None:
    january = date(2024, 1, 31)
    case = given(Books(STREAM), OPENED)
    case.when(Books.close_period, close(january))
    case.then(PeriodClosed(**THEN, through=january, reason="month end"))
    for earlier in (january, date(2023, 12, 31)):
        case.when(Books.close_period, close(earlier)).refused("closed through 2024-01-31 already")
    assert case.when(Books.close_period, close(DAY)).event.through == DAY


def test_only_days_that_are_over_are_closed(given: Any) -> None:
    """A mistyped year would send every later entry into the future, for good."""
    case = given(Books(STREAM), OPENED).when(Books.close_period, close(DAY + timedelta(days=1)))
    case.refused("2024-02-02 is not over on 2024-02-01", "cannot be undone")


def test_a_close_and_a_reversal_say_why(given: Any) -> None:
    case = given(Books(STREAM), OPENED)
    case.when(Books.close_period, close(date(2024, 1, 31), " ")).refused("needs a reason")
    case.when(Books.reverse, ReverseEntry(**WHEN, reversed_position=7, reason=" "))
    case.refused("needs a reason")


def test_an_entry_is_reversed_once(given: Any) -> None:
    command = ReverseEntry(**WHEN, reversed_position=7, reason="typed twice")
    case = given(Books(STREAM), OPENED).when(Books.reverse, command)
    case.then(EntryReversed(**THEN, reversed_position=7, reason="typed twice"))
    case.when(Books.reverse, command).refused("Entry 7 is reversed already")


def moved(day: int, position: int, units: int, **more: Any) -> UnitMovement:
    return UnitMovement(date(2024, 1, day), position, units * ONE, **more)


BUY, MORE, SALE = moved(2, 10, 10), moved(3, 11, 5), moved(4, 12, -8)


def reverse(position: int, *movements: UnitMovement) -> ReverseEntry:
    return ReverseEntry(**WHEN, reversed_position=position, reason="wrong", movements=movements)


def test_a_reversal_that_leaves_too_few_units_names_the_sale_in_the_way(given: Any) -> None:
    case = given(Books(STREAM), OPENED)
    case.when(Books.reverse, reverse(10, BUY, MORE, SALE))
    case.refused("Without entry 10", "negative from 2024-01-04 on (event 12)", "reverse the later")
    case.when(Books.reverse, reverse(11, BUY, MORE, SALE))
    assert case.event.reversed_position == 11  # the first purchase alone covers the sale
    case.when(Books.reverse, reverse(12, BUY, SALE))
    assert case.event.reversed_position == 12


def test_a_reversal_passes_when_its_replacement_comes_with_it(given: Any) -> None:
    replacement = moved(2, 20, 9)
    case = given(Books(STREAM), OPENED)
    case.when(Books.reverse, reverse(10, BUY, SALE, replacement))
    assert case.event.reversed_position == 10


def test_units_must_last_on_every_day_not_only_at_the_end(given: Any) -> None:
    later = moved(9, 13, 50)
    case = given(Books(STREAM), OPENED).when(Books.reverse, reverse(10, BUY, SALE, later))
    case.refused("2024-01-04")


def test_a_split_multiplies_what_is_held_then(given: Any) -> None:
    """Without the purchase the split gives nothing: its units are no property of the split."""
    split = moved(3, 11, 0, new_units=4, old_units=1)
    sale = moved(4, 12, -30)
    assert first_shortfall([BUY, split, sale]) is None
    assert first_shortfall([BUY, split, moved(4, 12, -41)]) == moved(4, 12, -41)
    case = given(Books(STREAM), OPENED).when(Books.reverse, reverse(10, BUY, split, sale))
    case.refused("2024-01-04")


def test_each_pool_must_last_on_its_own() -> None:
    """Two sleeves never lend each other units."""
    assert first_shortfall([moved(2, 1, 5, pool="1110.SPY"), moved(3, 2, -1, pool="1130.SPY")])


@hypothesis_given(st.permutations([BUY, MORE, SALE, moved(5, 13, -7)]))
def test_the_order_of_asking_does_not_matter(movements: list[UnitMovement]) -> None:
    assert first_shortfall(movements) is None
    assert first_shortfall([*movements, moved(5, 14, -1)]) == moved(5, 14, -1)


@pytest.mark.parametrize("position", [1, 10**9])
def test_applying_any_event_never_raises(position: int) -> None:
    books = Books(STREAM)
    for event in (
        EntryReversed(**THEN, reversed_position=position, reason=""),
        PeriodClosed(**THEN, through=DAY, reason=""),
        PeriodClosed(**THEN, through=date(2020, 1, 1), reason=""),
        RulesAdopted(**THEN, rules_version=9),
        OPENED,
        OPENED,
    ):
        books.fold(event)
    assert (books.version, books.identity) == (6, "DEMO_USA_SIM_01")
