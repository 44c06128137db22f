"""Our books against the broker: differences that are open, gone, or accepted by a person (M21).

What cannot be explained stays open, and while it does nothing is bought for trading. That the
broker could not be asked is no statement: then nothing is known, and nothing is bought either.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import exact_decimal

STREAM = "reconciliation"

Occasion = Literal["start", "reconnect", "schedule", "close"]
ALWAYS_RECORDED: frozenset[Occasion] = frozenset({"start", "close"})  # once a day; others if news
Kind = Literal[
    "missing_fill",  # the broker filled an order of ours and lists no execution of it
    "stranger_order",  # an open order there that is none of ours
    "stranger_position",  # more units there than in our books
    "missing_position",  # fewer units there than in our books
    "closed_by_hand",  # fewer units there, and somebody else's sale of them
    "split_overnight",  # other units there, and a corporate action of that symbol
    "option_expired",  # fewer contracts there, and their last day is over
    "option_changed",  # a contract that we hold was adjusted: multiplier or what it delivers
    "cash",
    "suspense",  # our own books hold an amount that nobody has explained
    "unknown_activity",  # money or units moved there in a way that is not booked by itself
]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """``amount`` is theirs less ours, as text: what a person accepts. ``known`` says what is known
    of it, ``to_do`` how it is explained. The id follows from the kind and what it is about."""

    difference_id: str
    kind: Kind
    subject: str
    ours: str
    theirs: str
    amount: str
    known: str
    to_do: str


@topic("Reconciliation.Found")
class DifferenceFound(Event, frozen=True, kw_only=True):
    difference: Difference


@topic("Reconciliation.Gone")
class DifferenceGone(Event, frozen=True, kw_only=True):
    """A later comparison did not find it any more."""

    difference_id: str


@topic("Reconciliation.Accepted")
class DifferenceAccepted(Event, frozen=True, kw_only=True):
    """A person knows why: it blocks nothing for as long as its amount stays the same."""

    difference_id: str
    amount: str
    reason: str


@topic("Reconciliation.NotKnown")
class BrokerNotKnown(Event, frozen=True, kw_only=True):
    """The broker gave no statement that can be believed; nothing was compared or repaired."""

    occasion: Occasion
    reason: str


@topic("Reconciliation.KnownAgain")
class BrokerKnownAgain(Event, frozen=True, kw_only=True):
    occasion: Occasion


@topic("Reconciliation.Compared")
class Compared(Event, frozen=True, kw_only=True):
    """One comparison. ``repaired`` says in words what was recorded for it, and why an accepted sale
    was not; ``still_open`` are the ids of differences that are neither explained nor accepted. Cash
    after the repairs."""

    occasion: Occasion
    our_cash: Decimal
    broker_cash: Decimal
    repaired: tuple[str, ...]
    still_open: tuple[str, ...]


class RecordDifferences(Command, frozen=True, kw_only=True):
    """All that a comparison found; those that are not in it are gone."""

    occasion: Occasion
    differences: tuple[Difference, ...]


class RecordNotKnown(Command, frozen=True, kw_only=True):
    occasion: Occasion
    reason: str


class AcceptDifference(Command, frozen=True, kw_only=True):
    """``amount`` is the one that the person saw."""

    difference_id: str
    amount: str
    reason: str


class RecordComparison(Command, frozen=True, kw_only=True):
    occasion: Occasion
    our_cash: Decimal
    broker_cash: Decimal
    repaired: tuple[str, ...]
    still_open: tuple[str, ...]


class Reconciliation(Aggregate):
    """One for each bot. It holds news only, so it stays short: nothing when all is equal."""

    def __init__(self, stream: str = STREAM) -> None:
        super().__init__(stream)
        self.found: dict[str, Difference] = {}
        self.accepted: dict[str, str] = {}  # the reason, by difference id
        self.not_known = ""

    @property
    def open(self) -> tuple[Difference, ...]:
        """What nobody has explained or accepted, in the order of finding."""
        return tuple(d for i, d in self.found.items() if i not in self.accepted)

    @property
    def entries_blocked(self) -> str:
        """Why nothing may be bought for trading; empty while books and broker agree."""
        if self.not_known:
            return f"the broker's statement is not known: {self.not_known}"
        if self.open:
            named = ", ".join(f"{d.kind} {d.subject}" for d in self.open)
            return f"books and broker differ, unexplained: {named}"
        return ""

    def record_differences(self, c: RecordDifferences) -> None:
        """Only what has changed becomes an event."""
        ids = [d.difference_id for d in c.differences]
        check(len(ids) == len(set(ids)), "A difference was given twice; nothing was recorded.")
        if self.not_known:
            self.emit(record(BrokerKnownAgain, c))
        for gone in [i for i in self.found if i not in ids]:
            self.emit(record(DifferenceGone, c, difference_id=gone))
        for difference in c.differences:
            before = self.found.get(difference.difference_id)
            if before is None or before.amount != difference.amount:
                self.emit(record(DifferenceFound, c, difference=difference))

    def record_not_known(self, c: RecordNotKnown) -> None:
        if not self.not_known:
            self.emit(record(BrokerNotKnown, c))

    def accept(self, c: AcceptDifference) -> None:
        found = {d.difference_id: d.amount for d in self.open}
        check(
            c.difference_id in found,
            f"No open difference is called {c.difference_id}: it is gone or was accepted already. "
            "Nothing was changed; look at the list again.",
        )
        check(
            found[c.difference_id] == c.amount,
            f"{c.difference_id} is another amount by now. Nothing was accepted; look at it again.",
        )
        check(bool(c.reason.strip()), "Say why the difference is right; it stays open.")
        self.emit(record(DifferenceAccepted, c))

    def apply(self, event: Event) -> None:
        match event:
            case DifferenceFound():
                self.found[event.difference.difference_id] = event.difference
                self.accepted.pop(event.difference.difference_id, None)  # it was another amount
            case DifferenceGone():
                self.found.pop(event.difference_id, None)
                self.accepted.pop(event.difference_id, None)
            case DifferenceAccepted():
                self.accepted[event.difference_id] = event.reason
            case BrokerNotKnown():
                self.not_known = event.reason
            case BrokerKnownAgain():
                self.not_known = ""


def comparisons_stream(day: str) -> str:
    return f"{STREAM}-{day}"


class ComparisonsOfDay(Aggregate):
    """What was compared on one day: the first at the start and at the close, others with news."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.last: dict[Occasion, Compared] = {}

    def record_comparison(self, c: RecordComparison) -> None:
        for cash in (c.our_cash, c.broker_cash):
            exact_decimal(cash)
        before = self.last.get(c.occasion)
        due = c.occasion in ALWAYS_RECORDED and before is None
        newest = list(self.last.values())[-1:]
        was_open = newest[0].still_open if newest else ()
        if due or c.repaired or c.still_open != was_open:
            self.emit(record(Compared, c))

    def apply(self, event: Event) -> None:
        if isinstance(event, Compared):
            self.last.pop(event.occasion, None)
            self.last[event.occasion] = event
