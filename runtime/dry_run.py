"""What commands would record and post: the real handlers, the real fold, and nothing kept.

The ledger is copied into memory, so that neither the file nor anybody who writes to it notices.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import NamedTuple

import msgspec

from aggregates.base import Command, Event
from aggregates.books import ReverseEntry
from aggregates.errors import DomainError
from aggregates.instrument import InstrumentRenamed
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.codec import encode
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.base import FOLD_ERRORS
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import Entry
from runtime.corrections import check_reversible
from runtime.dispatch import HANDLERS, UnitOfWork
from runtime.purses import Reserves, purses_of
from runtime.views import identity_of


class DryRun(NamedTuple):
    """``entries`` as they would stand in the journal, after the event at ``position``.

    ``commands`` are those that were tried, with what the books say of the units they move.
    ``before`` and ``after`` are the purses then. ``digest`` names the postings alone: dates,
    accounts, amounts and units; of a rename the two symbols.
    """

    position: int
    commands: tuple[Command, ...]
    events: tuple[Event, ...]
    entries: tuple[Entry, ...]
    before: Reserves
    after: Reserves

    @property
    def digest(self) -> str:
        lines = [
            (str(e.effective_date), p.code, str(p.amount), str(p.quantity))
            for e in self.entries
            for p in e.postings
        ]
        lines += [
            (str(e.effective_date), e.symbol_before, e.symbol, "")
            for e in self.events
            if isinstance(e, InstrumentRenamed)
        ]
        return hashlib.sha256(msgspec.json.encode(lines)).hexdigest()


def dry_run(store: Store, folder: DataFolder, *commands: Command) -> DryRun:
    """Raises DomainError when a rule forbids the commands or their events could not be posted."""
    with closing(Feed(folder.events, store.keys)) as feed:
        path = folder.ledger(identity_of(feed))
        with closing(Ledger.in_memory(path if path.is_file() else None)) as ledger:
            position = ledger.catch_up(feed)
            then = LedgerQueries(ledger.connection)
            tried = tuple(_with_units(c, then, feed) for c in commands)
            before, events = purses_of(then), _decided(store, tried)
            _fold(ledger, position, events)
            books = LedgerQueries(ledger.connection)  # it remembers sums: another one
            ends = range(position + 1, position + 1 + len(events))
            entries = [e for end in ends for e in books.journal(position=end)]
            return DryRun(position, tried, events, tuple(entries), before, purses_of(books))


def _with_units(command: Command, books: LedgerQueries, feed: Feed) -> Command:
    """A reversal with all units that moved in the pools of its entry."""
    if not isinstance(command, ReverseEntry):
        return command
    check_reversible(feed, command.reversed_position)
    moved = tuple(books.unit_movements(command.reversed_position))
    return msgspec.structs.replace(command, movements=moved)


def _decided(store: Store, commands: tuple[Command, ...]) -> tuple[Event, ...]:
    """The events that the commands would lead to now, in the order of the store."""
    work = UnitOfWork(store)
    for command in commands:
        HANDLERS[type(command)](work, command)
    return tuple(new.event for a in work.touched.values() for new in a.collect_events())


def _fold(ledger: Ledger, position: int, events: tuple[Event, ...]) -> None:
    try:
        for place, event in enumerate(events, position + 1):
            row = _row(place, event)
            if (facts_of := ledger.readers.get(event.topic)) is not None:
                ledger.fold_facts(event.topic, facts_of(row, encode(event)))
            else:
                ledger.fold(row, event)
        ledger.flush()
    except FOLD_ERRORS as e:
        raise DomainError(f"The ledger could not post this: {e} Nothing was recorded.") from e


def _row(position: int, event: Event) -> Envelope:
    """As much of a stored row as the ledger looks at."""
    row = Envelope._make([b"" if name in _BYTES else "" for name in Envelope._fields])
    return row._replace(
        position=position, topic=event.topic, schema_version=event.schema_version, recorded_at=0
    )


_BYTES = ("state", "commitment", "command_digest", "hash")
