"""The books as a whole: opened once, rules with versions, periods that close, reversals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import ClassVar, Literal, NamedTuple

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import divide_half_even, exponent

STREAM = "books"
CostMethod = Literal["average", "fifo"]


@topic("Books.Opened")
class BooksOpened(Event, frozen=True, kw_only=True):
    """Who keeps these books: the identity, the base currency and the cost method."""

    identity: str
    entity_code: str
    jurisdiction_code: str
    broker_code: str
    bot_id: str
    currency: str
    timezone: str
    exchange_calendar: str
    cost_method: CostMethod
    demo: bool


@topic("Books.RulesAdopted")
class RulesAdopted(Event, frozen=True, kw_only=True):
    """From this position on, entries post by this version of the posting rules."""

    rules_version: int


@topic("Books.PeriodClosed")
class PeriodClosed(Event, frozen=True, kw_only=True):
    """Nothing posts into dates up to and including ``through`` any more."""

    through: date
    reason: str


@topic("Books.EntryReversed")
class EntryReversed(Event, frozen=True, kw_only=True):
    """The entry at ``reversed_position`` is undone at its own date, by a later event (this one)."""

    reversed_position: int
    reason: str


class OpenBooks(Command, frozen=True, kw_only=True):
    identity: str
    entity_code: str
    jurisdiction_code: str
    broker_code: str
    bot_id: str
    currency: str
    timezone: str
    exchange_calendar: str
    cost_method: CostMethod = "average"
    demo: bool


class AdoptRules(Command, frozen=True, kw_only=True):
    rules_version: int


class ClosePeriod(Command, frozen=True, kw_only=True):
    through: date
    reason: str


class ExpectBooks(Command, frozen=True, kw_only=True):
    """Carry the rest of the batch out only while ``position`` is the newest event: what a person
    was shown before then is what is recorded. It leads to no event of its own."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "effective_date", "position"})

    position: int


class UnitMovement(NamedTuple):
    """Units of one cost pool that moved, in 1e-9; a split has a ratio instead of units."""

    effective_date: date
    position: int
    units: int
    pool: str = ""
    new_units: int = 1
    old_units: int = 1


class ReverseEntry(Command, frozen=True, kw_only=True):
    """``movements`` are all unit movements of the cost pools that the entry moved, its own and
    those of a replacement in the same batch included."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "effective_date", "movements"})

    reversed_position: int
    reason: str
    movements: tuple[UnitMovement, ...] = ()


def running_units(movements: Iterable[UnitMovement]) -> Iterator[tuple[UnitMovement, int]]:
    """Each movement, by date and position, with what its pool holds after it."""
    held: defaultdict[str, int] = defaultdict(int)
    for m in sorted(movements):
        held[m.pool] = divide_half_even(held[m.pool] * m.new_units, m.old_units) + m.units
        yield m, held[m.pool]


def first_shortfall(movements: Iterable[UnitMovement]) -> UnitMovement | None:
    """The first movement, by date and position, after which a pool holds fewer than zero units."""
    return next((m for m, units in running_units(movements) if units < 0), None)


class Books(Aggregate):
    """One entity's books."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.identity = ""
        self.currency = ""
        self.rules_version = 0
        self.closed_through: date | None = None
        self.reversed: set[int] = set()

    def open(self, c: OpenBooks) -> None:
        check(not self.identity, f"The books of {self.identity} are open already.")
        exponent(c.currency)
        self.emit(record(BooksOpened, c))

    def adopt_rules(self, c: AdoptRules) -> None:
        check(
            c.rules_version > self.rules_version,
            f"Rules {c.rules_version} are not newer than {self.rules_version}.",
        )
        self.emit(record(RulesAdopted, c))

    def close_period(self, c: ClosePeriod) -> None:
        check(bool(c.reason.strip()), "A period close needs a reason.")
        check(
            c.through <= c.effective_date,
            f"{c.through} is not over on {c.effective_date}; a close cannot be undone, so only "
            "days that are over can be closed.",
        )
        check(
            self.closed_through is None or c.through > self.closed_through,
            f"The books are closed through {self.closed_through} already.",
        )
        self.emit(record(PeriodClosed, c))

    def reverse(self, c: ReverseEntry) -> None:
        check(bool(c.reason.strip()), "A reversal needs a reason.")
        check(
            c.reversed_position not in self.reversed,
            f"Entry {c.reversed_position} is reversed already.",
        )
        short = first_shortfall(m for m in c.movements if m.position != c.reversed_position)
        check(
            short is None,
            f"Without entry {c.reversed_position} the units would be negative from "
            f"{short and short.effective_date} on (event {short and short.position}). Nothing was "
            "reversed; reverse the later sale first.",
        )
        self.emit(record(EntryReversed, c))

    def apply(self, event: Event) -> None:
        match event:
            case BooksOpened():
                self.identity, self.currency = event.identity, event.currency
            case RulesAdopted():
                self.rules_version = event.rules_version
            case PeriodClosed():
                self.closed_through = event.through
            case EntryReversed():
                self.reversed.add(event.reversed_position)
