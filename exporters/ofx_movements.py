"""What an OFX statement tells of the books: entries that move the broker's cash or units (M06).

Earmarks between purses and re-costs of sales move neither and are left out. The numbers are those
of the ledger's postings, so that totals tie out to the minor unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from aggregates.chart_rules import PURSE_ROLES
from aggregates.money import (
    PRICE_SCALE,
    QUANTITY_SCALE,
    divide_half_even,
    from_scaled,
    to_scaled,
)
from aggregates.order_messages import EXPIRED
from exporters.errors import ExportError
from projections.ledger_bulk import BulkEntry, LedgerBulk
from projections.ledger_records import AsOf, Books, Listing

Kind = Literal["trade", "expiry", "split", "transfer", "income", "cash"]
# OFX TRNTYPE (11.4.3.1) and NAME by the entry's topic
_CASH_WORDS = {
    "Capital.Deposited": ("DEP", "Deposit"),
    "Capital.Withdrawn": ("DEBIT", "Withdrawal"),
    "Capital.DividendReceived": ("DIV", "Dividend"),
    "Capital.TaxWithheld": ("DEBIT", "Tax withheld"),
    "Capital.InterestReceived": ("INT", "Interest"),
    "Capital.FeeCharged": ("FEE", "Fee"),
    "Capital.MarginInterestCharged": ("INT", "Margin interest"),
    "Capital.RoundingSettled": ("OTHER", "Rounding"),
}


class Movement(NamedTuple):
    """One transaction of the statement. Amounts in minor units and units in 1e-9, both signed as
    the account sees them: a purchase has units above and cash below zero."""

    kind: Kind
    fitid: str
    when: datetime
    memo: str
    cash: int = 0
    suffix: str = ""
    units: int = 0
    settles_on: date | None = None
    price: Decimal = Decimal(0)
    commission: int = 0
    fees: int = 0
    withheld: int = 0
    units_before: int = 0
    ratio: tuple[int, int] = (1, 1)
    trntype: str = "OTHER"
    name: str = ""


def fitid_prefix(books: Books) -> str:
    """Identity and the second at which the books were opened: books that are begun anew under the
    same identity never repeat an id, or importers would drop their transactions as known."""
    opened = re.sub(r"\D", "", books.created_at_utc)[:14]
    return f"{re.sub(r'[^A-Za-z0-9_.]', '.', books.identity)}-{opened}"


def moment(entry: BulkEntry) -> datetime:
    """The true time of the event, when that instant falls on the posting date somewhere on earth
    (UTC−12 to UTC+14). Otherwise noon UTC of the posting date: a reversal, which is dated like its
    original, and a late event whose period was closed and which is posted on the first open day.
    """
    true_time = datetime.fromisoformat(entry.timestamp)
    midnight = datetime.combine(date.fromisoformat(entry.effective_date), time(), UTC)
    if midnight - timedelta(hours=14) <= true_time < midnight + timedelta(hours=36):
        return true_time
    return midnight + timedelta(hours=12)


class MovementReader:
    """Turns entries into movements. FITIDs follow from the books, the event and the leg alone, so
    that every export, of whatever period, gives a transaction the same one."""

    def __init__(self, bulk: LedgerBulk, books: Books, as_of: AsOf) -> None:
        self._bulk = bulk
        self._exponent = books.exponent
        self._prefix = fitid_prefix(books)
        self._listings = bulk.listings(as_of)
        self._reversals = bulk.reversals(as_of)
        self._splits_told: set[int] = set()
        roles = bulk.role_codes(as_of)
        self.purses = frozenset[str]().union(*(roles.get(role, ()) for role in PURSE_ROLES))
        self._suspense = roles.get("suspense", frozenset())
        self._withheld = roles.get("withholding_tax", frozenset())
        self._commissions = roles.get("commissions", frozenset())
        self._fees = roles.get("fees", frozenset()) - self._commissions
        self.securities = {listing.suffix: listing for listing in self._listings}

    def movements(self, entry: BulkEntry) -> Iterator[Movement]:
        """None, one or several for each entry; together they move its cash and its units."""
        if entry.transaction_id in self._reversals:
            yield from self._reversal(entry)
        elif entry.position != entry.about:
            yield from self._transfers(entry)  # re-cost rows: units only where a split changed
        elif entry.topic == "Order.Filled":
            yield from self._fill(entry)
        elif entry.topic == "Instrument.Split":
            yield from self._split(entry)
        else:
            yield from self._transfers(entry)
            yield from self._capital(entry, self._sum(entry, self.purses))

    # -- trades ----------------------------------------------------------------------------

    def _fill(self, entry: BulkEntry) -> Iterator[Movement]:
        """A difference that is too large for rounding stands in suspense; it is told as a cash
        movement of its own, so that the trade's total still is what its parts say."""
        suspense = self._sum(entry, self._suspense)
        cash = self._sum(entry, self.purses) + suspense
        yield self._trade(
            entry,
            cash,
            kind="expiry" if entry.context == EXPIRED else "trade",
            settles_on=date.fromisoformat(entry.settles_on),
            price=_price(entry),
            commission=self._sum(entry, self._commissions),
            fees=self._sum(entry, self._fees),
        )
        if suspense:
            yield self._cash(entry, -suspense, "OTHER", "Unexplained difference")

    def _trade(
        self,
        entry: BulkEntry,
        cash: int,
        *,
        price: Decimal,
        kind: Kind = "trade",
        settles_on: date | None = None,
        commission: int = 0,
        fees: int = 0,
    ) -> Movement:
        (posting,) = (p for p in entry.postings if p.quantity)
        return Movement(
            kind,
            self._fitid(entry, kind),
            moment(entry),
            _memo(entry),
            cash=cash,
            suffix=posting.code.partition(".")[2],
            units=posting.quantity,
            settles_on=settles_on,
            price=price,
            commission=commission,
            fees=fees,
        )

    def _reversal(self, entry: BulkEntry) -> Iterator[Movement]:
        """The opposite transaction; the memo names the event that it undoes. Some readers (GnuCash)
        take the direction from the element and not from the sign, so a purchase is undone by a
        sale at its price, a sale by a purchase; the costs that come back, which no trade can hold,
        follow as a cash movement."""
        cash = self._sum(entry, self.purses)
        originals = self._bulk.entries_of(entry.about)
        if not originals or originals[0].topic != "Order.Filled":
            yield from self._transfers(entry)
            if originals:
                yield from self._capital(entry, cash, originals[0])
            return
        price = _price(originals[0])
        units = sum(p.quantity for p in entry.postings)
        suffix = next(p.code.partition(".")[2] for p in entry.postings if p.quantity)
        gross = -self._value(units, price, self.securities[suffix].multiplier)
        yield self._trade(entry, gross, price=price)
        if cash != gross:
            yield self._cash(entry, cash - gross, "OTHER", "Costs of a reversed trade")

    def _value(self, units: int, price: Decimal, multiplier: int) -> int:
        scaled = to_scaled(price, PRICE_SCALE, "price")
        return divide_half_even(
            units * scaled * multiplier * 10**self._exponent, QUANTITY_SCALE * PRICE_SCALE
        )

    # -- units without cash ----------------------------------------------------------------

    def _split(self, entry: BulkEntry) -> Iterator[Movement]:
        """One SPLIT for all sleeves: a reader that goes by the ratio applies it to all it holds."""
        position = entry.position
        if position in self._splits_told:
            return
        self._splits_told.add(position)
        moved = [p for e in self._bulk.entries_of(position) for p in e.postings]
        before = sum(self._bulk.units_before(p.code, position, entry.effective_date) for p in moved)
        units, ratio = sum(p.quantity for p in moved), self._bulk.split_ratio(position)
        if abs(before * ratio[0] - (before + units) * ratio[1]) > ratio[1] * len(moved):
            # It came late and is posted after other trades: the ratio says nothing about that day.
            yield self._transfer(entry, "split", moved[0].code, units)
            return
        yield Movement(
            "split",
            self._fitid(entry, "split"),
            moment(entry),
            _memo(entry),
            suffix=moved[0].code.partition(".")[2],
            units=units,
            units_before=before,
            ratio=ratio,
        )

    def _transfers(self, entry: BulkEntry) -> Iterator[Movement]:
        for code, _, units in entry.postings:
            if units:
                yield self._transfer(entry, f"units.{code}", code, units)

    def _transfer(self, entry: BulkEntry, leg: str, code: str, units: int) -> Movement:
        suffix = code.partition(".")[2]
        fitid = self._fitid(entry, leg)
        return Movement("transfer", fitid, moment(entry), _memo(entry), suffix=suffix, units=units)

    # -- cash ------------------------------------------------------------------------------

    def _capital(
        self, entry: BulkEntry, cash: int, original: BulkEntry | None = None
    ) -> Iterator[Movement]:
        """A dividend of a known security is income of it; all else is a cash movement."""
        topic = original.topic if original else entry.topic
        suffix = self._suffix_of(entry) if topic == "Capital.DividendReceived" else ""
        withheld = self._sum(entry, self._withheld)
        if suffix:
            yield Movement(
                "income",
                self._fitid(entry, "income"),
                moment(entry),
                _memo(entry),
                cash=cash,
                suffix=suffix,
                withheld=withheld,
            )
        elif cash and original:
            name = _CASH_WORDS.get(topic, ("", "entry"))[1].lower()
            yield self._cash(entry, cash, "CREDIT" if cash > 0 else "DEBIT", f"Reversed {name}")
        elif cash:
            yield self._cash(entry, cash, *_CASH_WORDS.get(topic, ("OTHER", "Cash movement")))

    def _cash(self, entry: BulkEntry, cash: int, trntype: str, name: str) -> Movement:
        fitid, when = self._fitid(entry, "cash"), moment(entry)
        return Movement("cash", fitid, when, _memo(entry), cash=cash, trntype=trntype, name=name)

    def _suffix_of(self, entry: BulkEntry) -> str:
        """The security that bore the ticker when the event came; empty when none did."""
        bore: dict[str, Listing] = {}
        for listing in self._listings:
            if listing.position <= entry.about:
                bore[listing.suffix] = listing
        found = [suffix for suffix, listing in bore.items() if listing.symbol == entry.ticker]
        return found[-1] if found else ""

    # -- helpers ---------------------------------------------------------------------------

    def _fitid(self, entry: BulkEntry, leg: str) -> str:
        return f"{self._prefix}-{entry.position}-{entry.about}-{leg}"

    def _sum(self, entry: BulkEntry, codes: frozenset[str]) -> int:
        return sum(p.amount for p in entry.postings if p.code in codes)


def _price(entry: BulkEntry) -> Decimal:
    if entry.price is None:
        raise ExportError(
            f"The fill of event {entry.position} ({entry.description}) has no price in the ledger. "
            "Nothing was written. Rebuild the ledger and export again."
        )
    return Decimal(entry.price)


def _memo(entry: BulkEntry) -> str:
    """Event, description and, where the posting date is not the event's own, when it happened."""
    happened = datetime.fromisoformat(entry.timestamp)
    shifted = "" if moment(entry) == happened else f" of {happened:%Y-%m-%d %H:%M:%S} UTC"
    return f"Event {entry.position}{shifted}: {entry.description}"


def quantity_text(units: int) -> str:
    """1e-9 units for people: 2.5, 100."""
    return f"{from_scaled(units, QUANTITY_SCALE).normalize():f}"
