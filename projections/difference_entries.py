"""What stands behind a posted entry: whose event it was, when, why, and what it is about."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from aggregates.base import Event
from aggregates.errors import TradeBotError
from aggregates.money import QUANTITY_SCALE, from_scaled, plain
from config.clock import from_micros
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.difference_records import ChangedEntry, Source
from projections.ledger_bulk import BulkEntry, BulkPosting, LedgerBulk
from projections.ledger_queries import LedgerQueries, title_of
from projections.ledger_records import AsOf, Posting


class DoesNotAddUp(TradeBotError):
    """Ledger and events, or the ledger's own tables, contradict each other."""


class Told:
    """Entries in the words of their events, accounts as named by the charts known at ``known``."""

    def __init__(self, feed: Feed, ledger: LedgerQueries, known: int) -> None:
        self._feed, self._bulk = feed, LedgerBulk(ledger)
        self._accounts = ledger.accounts(AsOf(position=known))
        self._scale = 10 ** ledger.books().exponent

    def money(self, minor: int) -> Decimal:
        return from_scaled(minor, self._scale)

    def source(self, position: int) -> Source:
        row, event = self._read(position)
        return Source(
            position=position,
            recorded_at=from_micros(row.recorded_at),
            actor=row.actor,
            topic=row.topic,
            reason=getattr(event, "reason", ""),
            command_id=row.command_id,
            causation=row.causation_id,
            correlation=row.correlation_id,
        )

    def own_date(self, position: int) -> date:
        """The effective date that the event itself states."""
        return self._read(position)[1].effective_date

    def entry(self, entry: BulkEntry) -> ChangedEntry:
        return ChangedEntry(
            source=self.source(entry.position),
            description=entry.description,
            effective_date=date.fromisoformat(entry.effective_date),
            own_date=self.own_date(entry.about),
            about=entry.about,
            concerns="" if entry.about == entry.position else self._what(entry.about),
            postings=tuple(map(self._posting, entry.postings)),
        )

    def _posting(self, p: BulkPosting) -> Posting:
        return Posting(
            code=p.code,
            account=title_of(self._accounts, p.code),
            amount=self.money(p.amount),
            quantity=plain(from_scaled(p.quantity, QUANTITY_SCALE)) if "." in p.code else None,
        )

    def _what(self, position: int) -> str:
        posted = self._bulk.entries_of(position)
        return posted[0].description if posted else self._read(position)[0].topic

    def _read(self, position: int) -> tuple[Envelope, Event]:
        row = self._feed.at(position)
        if row is None:
            raise DoesNotAddUp(
                f"Event {position} has entries in the ledger but is missing from the store. "
                "Nothing was changed; run `tbot verify` and compare the store with a backup."
            )
        return row, self._feed.event(row)
