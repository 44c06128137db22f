"""Everything that was recorded about the long-term holdings, as lines for review (M38).

Log lines are events: the plan, its orders, the daily steps, requests, and money that moves into or
out of a reserve. Transaction lines are the postings of what moved the long-term part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from aggregates.base import Event
from aggregates.books import EntryReversed
from aggregates.chart_rules import HOLDINGS_ROLES
from aggregates.money import QUANTITY_SCALE, from_scaled, plain
from config.clock import from_micros
from eventstore.envelope import Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from exporters.holdings_log import LogLine, TransactionLine
from projections.holdings_results import codes_of, main_of
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries, title_of
from projections.ledger_records import AsOf
from runtime.log_facts import FactsOf
from runtime.log_topics import ROUTES
from security.data_keys import MissingKey

FAMILIES = ("HoldingsPlan", "Holdings", "HoldingsDay", "Capital", "Order", "Books.EntryReversed")
BATCH = 500
OURS = ("tax_reserve", "payroll_reserve", "reinvestment_pool", *HOLDINGS_ROLES)
DIVIDENDS = ("Capital.DividendReceived", "Capital.TaxWithheld")


def log_lines(feed: Feed, as_of: AsOf) -> Iterator[LogLine]:
    """In the order of recording. An event whose key is not here is told without its content."""
    facts, concerned = FactsOf(feed, lambda _position: ""), _Concerned()
    for row in _rows(feed, as_of):
        user = facts.name(row.actor)
        try:
            event = feed.event(row)
        except (MissingKey, UnknownEvent) as e:
            yield _line(row, user, str(e), {}, {})
            continue
        on_time = as_of.date is None or event.effective_date <= as_of.date
        if concerned(row, event) and on_time:
            payload = msgspec.json.decode(feed.payload(row), type=dict[str, Any])
            yield _line(row, user, _said(event, facts, row), payload, _figures(event))


def _rows(feed: Feed, as_of: AsOf) -> Iterator[Envelope]:
    after, before = 0, None if as_of.position is None else as_of.position + 1
    while rows := feed.page(after=after, before=before, limit=BATCH, topics=FAMILIES):
        yield from rows
        after = rows[-1].position


class _Concerned:
    """Tells what is about the long-term part or a purse; asked of every event in order."""

    def __init__(self) -> None:
        self._orders, self._positions = set[str](), set[int]()

    def __call__(self, row: Envelope, event: Any) -> bool:
        concerns = True
        if event.topic.startswith("Order."):
            if getattr(event, "sleeve", "") == "holdings":
                self._orders.add(event.order_id)
            concerns = event.order_id in self._orders
        elif isinstance(event, EntryReversed):
            concerns = event.reversed_position in self._positions
        if concerns:
            self._positions.add(row.position)
        return concerns


def _said(event: Event, facts: FactsOf, row: Envelope) -> str:
    route = ROUTES.get(type(event))
    return route.words(event, facts.at(row)).get("message", "") if route else ""


def _figures(event: Any) -> dict[str, str]:
    """Amount, before and after, where the event has them."""
    found = {}
    if isinstance(amount := getattr(event, "amount", None), Decimal):
        found["amount"] = f"{amount:f}"
    if event.topic == "Order.Filled":
        found["amount"] = f"{event.quantity * event.price:f}"
    for side in ("before", "after"):
        if isinstance(value := getattr(event, side, None), msgspec.Struct):
            found[side] = msgspec.json.encode(value).decode()
    if isinstance(balances := getattr(event, "balances", None), dict):
        found["after"] = msgspec.json.encode(balances).decode()
    return found


def _line(
    row: Envelope, user: str, said: str, payload: dict[str, Any], figures: dict[str, str]
) -> LogLine:
    return LogLine(
        position=row.position,
        recorded_at=_utc(row.recorded_at),
        effective_date=str(payload.get("effective_date", "")),
        user=user,
        action=row.topic,
        said=said,
        symbol=str(payload.get("symbol", "")),
        amount=figures.get("amount", ""),
        before=figures.get("before", ""),
        after=figures.get("after", ""),
        hash=row.hash.hex(),
        details=payload,
    )


def _utc(micros: int) -> str:
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


# Transactions


def transaction_lines(books: LedgerQueries, feed: Feed, as_of: AsOf) -> Iterator[TransactionLine]:
    """By date, then in the order of recording: every posting of each entry that moved a security of
    the long-term part, its dividends, a reserve or the pool."""
    bulk, facts = LedgerBulk(books), FactsOf(feed, lambda _position: "")
    ours = codes_of(bulk.role_codes(as_of), OURS)
    names, scale = bulk.accounts(as_of), 10 ** books.books().exponent
    balances = Counter[str]()
    for entry in bulk.entries(as_of):
        if entry.topic not in DIVIDENDS and not any(
            main_of(p.code) in ours for p in entry.postings
        ):
            continue
        row = feed.at(entry.position)
        user = facts.name(row.actor) if row else ""
        for posting in entry.postings:
            kept = main_of(posting.code) in ours
            before = balances[posting.code]
            balances[posting.code] += posting.amount
            yield TransactionLine(
                transaction_id=entry.transaction_id,
                position=entry.position,
                effective_date=entry.effective_date,
                timestamp=entry.timestamp,
                user=user,
                action=entry.topic,
                context=entry.context,
                description=entry.description,
                account=posting.code,
                account_name=title_of(names, posting.code),
                symbol=entry.ticker,
                units=f"{plain(from_scaled(posting.quantity, QUANTITY_SCALE)):f}"
                if posting.quantity
                else "",
                amount=f"{from_scaled(posting.amount, scale):f}",
                before=f"{from_scaled(before, scale):f}" if kept else "",
                after=f"{from_scaled(balances[posting.code], scale):f}" if kept else "",
                reference=entry.reference,
            )
