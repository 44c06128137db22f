"""What changed in a period between two moments of knowing: figures, then the entries behind them.

The figures come from the balances, the entries from the journal: two ways that must agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from aggregates.books import STREAM as BOOKS
from aggregates.books import PeriodClosed
from aggregates.chart_of_accounts import changes_between
from aggregates.errors import DomainError
from aggregates.period import Period
from config.clock import from_micros
from eventstore.feed import Feed
from projections.charts import adoptions
from projections.difference_entries import DoesNotAddUp, Told
from projections.difference_records import (
    AccountDifference,
    ChartDifference,
    Difference,
    Figures,
    HoldingDifference,
    Moment,
    OrderDifference,
)
from projections.ledger_bulk import BulkEntry, LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf, Balance
from projections.orders import Orders, OrderView


class Views(NamedTuple):
    """What the report is made from."""

    ledger: LedgerQueries
    orders: Orders
    feed: Feed


def difference(
    views: Views,
    period: Period,
    since: int,
    known: int,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Difference:
    """The report on effective dates in ``period``: what is known at ``known``, not at ``since``.

    Both are positions; 0 is before the first event. ``limit`` and ``offset`` choose among the
    entries, everything else is whole. Raises DomainError when ``since`` is the later one,
    DoesNotAddUp when the ledger contradicts itself.
    """
    if since > known:
        raise DomainError(
            f"Event {since} was recorded after event {known}: a difference runs from the earlier "
            "moment to the later one. Exchange the two."
        )
    compared = _Comparison(views, period, since, known)
    entry_of = compared.told.entry
    entries, moved, closes = compared.entries(), compared.movements(), compared.closes()
    compared.check_sums(moved, entries)
    differing = [a for a in moved if a.amount.difference or (a.quantity and a.quantity.difference)]
    results = [-a.amount for a in moved if a.type in ("income", "expense")]
    shown = entries[offset:] if limit is None else entries[offset : offset + limit]
    return Difference(
        first=period.first,
        last=period.last,
        since=compared.moment(since),
        known=compared.moment(known),
        currency=views.ledger.books().currency,
        closed_through=max(closes, default=None),
        accounts=tuple(differing),
        total=sum((a.amount for a in differing), compared.nothing),
        result=sum(results, compared.nothing),
        entry_count=len(entries),
        entries=tuple(map(entry_of, shown)),
        posted_later=tuple(map(entry_of, compared.posted_later(closes))),
        chart=tuple(compared.chart()),
        holdings=tuple(compared.holdings()),
        orders=tuple(compared.orders()),
    )


class _Comparison:
    """One period, as known at two moments."""

    def __init__(self, views: Views, period: Period, since: int, known: int) -> None:
        self._views, self._since, self._known = views, since, known
        self._first, self._last = period
        self._bulk = LedgerBulk(views.ledger)
        self.told = Told(views.feed, views.ledger, known)
        self._zero = self.told.money(0)
        self.nothing = Figures.of(self._zero, self._zero)

    # -- figures ---------------------------------------------------------------------------

    def movements(self) -> list[AccountDifference]:
        """Every account that moved in the period, as known at either moment."""
        seen: dict[str, Balance] = {}
        amounts: dict[str, list[Decimal]] = defaultdict(lambda: [self._zero] * 2)
        units: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
        for moment, position in enumerate((self._since, self._known)):
            for sign, day in self._ends():
                for b in self._views.ledger.balances(AsOf(date=day, position=position)):
                    seen[b.code] = b
                    amounts[b.code][moment] += sign * b.amount
                    units[b.code][moment] += sign * (b.quantity or 0)
        return [
            AccountDifference(
                code=code,
                account=seen[code].account,
                type=seen[code].type,
                amount=Figures.of(*amounts[code]),
                quantity=Figures.of(*units[code]) if "." in code else None,
            )
            for code in sorted(seen)
        ]

    def _ends(self) -> Iterator[tuple[int, date]]:
        """Balances at these dates, with these signs, add up to what moved in between."""
        if self._first > date.min:
            yield -1, self._first - timedelta(days=1)
        yield 1, self._last

    def check_sums(self, moved: list[AccountDifference], entries: list[BulkEntry]) -> None:
        """Raise DoesNotAddUp unless the entries are exactly what the balances differ by."""
        left: dict[str, Decimal] = {a.code: a.amount.difference for a in moved}
        for posting in (p for e in entries for p in e.postings):
            left[posting.code] = left.get(posting.code, 0) - self.told.money(posting.amount)
        wrong = {code: amount for code, amount in left.items() if amount}
        if wrong:
            raise DoesNotAddUp(
                f"The entries do not explain the balances ({wrong}): the ledger contradicts itself."
                " Nothing was changed and nothing is shown; run `tbot rebuild` and compare."
            )

    def holdings(self) -> Iterator[HoldingDifference]:
        """Securities of which other units, or units at other cost, are held at the end."""
        then, now = (
            {p.code: p for p in self._views.ledger.positions(AsOf(date=self._last, position=at))}
            for at in (self._since, self._known)
        )
        none = (Decimal(0), self._zero)
        for code in sorted(then.keys() | now):
            old = (then[code].quantity, then[code].cost) if code in then else none
            new = (now[code].quantity, now[code].cost) if code in now else none
            if old != new:
                yield HoldingDifference(
                    code=code,
                    symbol=(now.get(code) or then[code]).symbol,
                    quantity=Figures.of(old[0], new[0]),
                    cost=Figures.of(old[1], new[1]),
                )

    # -- entries ---------------------------------------------------------------------------

    def entries(self) -> list[BulkEntry]:
        """What was posted into the period since, in the order of recording."""
        return self._came_since(self._first, self._last)

    def _came_since(self, first: date, last: date) -> list[BulkEntry]:
        end = AsOf(date=last, position=self._known)
        return sorted(self._bulk.entries(end, since=first, after=self._since), key=_recording)

    def closes(self) -> list[date]:
        """The days through which the books were closed, as known now."""
        feed = self._views.feed
        rows = (r for r in feed.stream(BOOKS) if r.position <= self._known)
        return [e.through for e in map(feed.event, rows) if isinstance(e, PeriodClosed)]

    def posted_later(self, closes: list[date]) -> list[BulkEntry]:
        """Entries about events of the period that a close moved to the first open day after it."""
        days = {through + timedelta(days=1) for through in closes if through >= self._last}
        moved = (e for day in days for e in self._came_since(day, day))
        return sorted(
            (e for e in moved if self._first <= self.told.own_date(e.about) <= self._last),
            key=_recording,
        )

    # -- chart and orders ------------------------------------------------------------------

    def chart(self) -> Iterator[ChartDifference]:
        """What each chart adopted since, for the period, says otherwise than the one before."""
        before = None
        for row, event in adoptions(self._views.feed, AsOf(date=self._last, position=self._known)):
            if row.position > self._since:
                source = self.told.source(row.position)
                for change in changes_between(before, event.chart):
                    yield ChartDifference(source=source, **change._asdict())
            before = event.chart

    def orders(self) -> Iterator[OrderDifference]:
        """Orders that stand otherwise at the period's end, and new ones that are open then.

        A new order that is over again needs no line: its fills are among the entries.
        """
        end = AsOf(date=self._last, position=self._known)
        before = self._views.orders.before(end, self._since)
        for now in self._views.orders.orders(end, after=self._since):
            then = before.get(now.order_id)
            if (then and _standing(then) != _standing(now)) or (not then and now.open):
                yield OrderDifference(order_id=now.order_id, then=then, now=now)

    def moment(self, position: int) -> Moment:
        row = self._views.feed.at(position) if position else None
        return Moment(position=position, recorded_at=from_micros(row.recorded_at) if row else None)


def _recording(entry: BulkEntry) -> tuple[int, bool, int]:
    """The order of recording; of one event first its own entry, then what it re-costs."""
    return entry.position, entry.about != entry.position, entry.transaction_id


def _standing(order: OrderView) -> tuple[str, Decimal, Decimal | None]:
    return order.state, order.filled, order.average_price
