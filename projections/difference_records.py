"""What the difference report says. Amounts are exact decimals in the books' currency, debit
positive; "then" is as known at the first of two moments, "now" as known at the second."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Self

import msgspec

from aggregates.chart_of_accounts import AccountType
from projections.ledger_records import Posting
from projections.orders import OrderView


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A known-at: the last event known then, and when it was recorded (UTC; None before any)."""

    position: int
    recorded_at: datetime | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """``difference`` is now less then."""

    then: Decimal
    now: Decimal
    difference: Decimal

    @classmethod
    def of(cls, then: Decimal, now: Decimal) -> Self:
        return cls(then=then, now=now, difference=now - then)

    def __add__(self, other: Figures) -> Figures:
        return Figures.of(self.then + other.then, self.now + other.now)

    def __neg__(self) -> Figures:
        return Figures.of(-self.then, -self.now)


class AccountDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Movement of one account in the period; ``quantity`` for a security's account."""

    code: str
    account: str
    type: AccountType
    amount: Figures
    quantity: Figures | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Whose event, when and why. ``causation`` is the command that led to its command."""

    position: int
    recorded_at: datetime
    actor: str
    topic: str
    reason: str
    command_id: str
    causation: str
    correlation: str


class ChangedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that came since. ``effective_date`` is the day it was posted on.

    ``own_date`` is that of the event it is about: earlier than ``effective_date`` when its period
    was closed. ``about`` is the position of that event, ``concerns`` says what it did; both point
    to the source itself unless the entry is a reversal or a re-cost.
    """

    source: Source
    description: str
    effective_date: date
    own_date: date
    about: int
    concerns: str
    postings: tuple[Posting, ...]


class ChartDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What a chart adopted since did to an account or a role."""

    source: Source
    code: str
    what: str
    before: str
    after: str


class HoldingDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Units and book cost held in one account at the period's end."""

    code: str
    symbol: str
    quantity: Figures
    cost: Figures


class OrderDifference(msgspec.Struct, frozen=True, kw_only=True):
    """An order at the period's end; ``then`` is None when it was not known yet."""

    order_id: str
    then: OrderView | None
    now: OrderView


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in the effective dates ``first`` to ``last`` between two moments of knowing.

    ``entries`` are in the order of recording: their postings add up to the differences of
    ``accounts``. ``entry_count`` counts all of them when only some were asked for.
    ``posted_later`` are entries about events of the period that were posted after it, because it
    was closed: no figure of the period holds them. ``closed_through`` is as known now. ``total``
    is that of ``accounts``; ``result`` is income less expenses of the period, a gain positive.
    """

    first: date
    last: date
    since: Moment
    known: Moment
    currency: str
    closed_through: date | None
    accounts: tuple[AccountDifference, ...]
    total: Figures
    result: Figures
    entry_count: int
    entries: tuple[ChangedEntry, ...]
    posted_later: tuple[ChangedEntry, ...]
    chart: tuple[ChartDifference, ...]
    holdings: tuple[HoldingDifference, ...]
    orders: tuple[OrderDifference, ...]

    @property
    def nothing(self) -> bool:
        """Whether the period is as it was known then, in every respect."""
        return not (
            self.entry_count or self.posted_later or self.chart or self.holdings or self.orders
        )
