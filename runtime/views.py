"""The projections of one bot, opened together: by the writer, and by readers who change nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from aggregates.books import BooksOpened
from aggregates.errors import DomainError
from config.failpoints import reach
from config.paths import DataFolder
from eventstore.feed import Feed
from eventstore.head import Head
from exporters.errors import ExportError
from exporters.files import sync
from projections.base import Progress, Projection, no_progress
from projections.building import built
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.orders import Orders
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
from projections.verified_batches import verified_batches
from runtime.keys import key_ring
from security.data_keys import KeyRing

SNAPSHOTS_KEPT = 5
P = TypeVar("P", bound=Projection)


class Views:
    """Ledger, orders and performance at one position of the store."""

    def __init__(
        self, feed: Feed, ledger: Ledger, orders: Orders, performance: Performance
    ) -> None:
        self.feed = feed
        self.ledger, self.orders, self.performance = ledger, orders, performance
        self.reached = 0  # where a reader's views are, at least
        self.books = LedgerQueries(ledger.connection)

    @property
    def trading(self) -> PerformanceQueries:
        return PerformanceQueries(self.performance.connection, self.books.books().exponent)

    @classmethod
    def open(cls, folder: DataFolder, identity: str) -> Self:
        """For the writer. Raises ProjectionMismatch, which blocks the start (M02)."""
        return cls(
            Feed(folder.events, key_ring(folder)),
            Ledger.open(folder.ledger(identity)),
            Orders.open(folder.orders_view),
            Performance.open(folder.performance_view),
        )

    @classmethod
    def for_reading(
        cls, folder: DataFolder, progress: Progress = no_progress, keys: KeyRing | None = None
    ) -> Self:
        """For a reader, at the store's newest event, beside a running or killed writer.

        A view that is behind, or missing, is completed in memory: nothing in the folder changes.
        ``keys`` are those that the caller has read already. Raises MissingKey where payloads are
        sealed and their key is not here.
        """
        feed = Feed(folder.events, key_ring(folder) if keys is None else keys)
        identity, head = identity_of(feed), feed.head()
        views = cls(
            feed,
            _current(Ledger, folder.ledger(identity), feed, head, progress),
            _current(Orders, folder.orders_view, feed, head, progress),
            _current(Performance, folder.performance_view, feed, head, progress),
        )
        views.reached = head.position
        return views

    def follow(self, folder: DataFolder) -> None:
        """Bring a reader's views to the newest event: on disk where the writer has done so,
        else in memory, where from then on only what is new is folded."""
        identity, feed, head = self.books.books().identity, self.feed, self.feed.head()
        self.ledger = _followed(self.ledger, folder.ledger(identity), feed, head)
        self.orders = _followed(self.orders, folder.orders_view, feed, head)
        self.performance = _followed(self.performance, folder.performance_view, feed, head)
        self.books, self.reached = LedgerQueries(self.ledger.connection), head.position

    def catch_up_ledger(self) -> None:
        """The balances alone: what an order's way to the broker waits for."""
        self.ledger.catch_up(self.feed)

    def catch_up(self) -> int:
        """Bring every view up to the newest event; returns its position."""
        last = self.feed.head().position
        for view in (self.ledger, self.orders, self.performance):
            view.catch_up(self.feed, last)
        return last

    def close(self) -> None:
        for view in (self.ledger, self.orders, self.performance):
            view.close()
        self.feed.close()


def identity_of(feed: Feed) -> str:
    """The identity that the first Books.Opened event states."""
    for row in feed.page(topics=(BooksOpened.topic,), limit=1):
        event = feed.event(row)
        if isinstance(event, BooksOpened):
            return event.identity
    raise DomainError(f"No books are open in {feed.path}; run `tbot demo` first.")


def _current(kind: type[P], path: Path, feed: Feed, head: Head, progress: Progress) -> P:
    if path.is_file():
        view = kind.read_only(path)
        if _has_reached(view, feed, head):
            return view
        view.close()
    view = kind.in_memory(path if path.is_file() else None)
    view.catch_up(feed, head.position, progress)
    return view


def _followed(view: P, path: Path, feed: Feed, head: Head) -> P:
    if view.of_its_own:
        view.catch_up(feed, head.position)
    if _has_reached(view, feed, head):
        return view
    view.close()
    return _current(type(view), path, feed, head, no_progress)


def _has_reached(view: Projection, feed: Feed, head: Head) -> bool:
    """Whether a view is of this history and at its head, or where it has gone on since."""
    position, digest = view.tracked()
    if position == head.position:
        return digest == head.hash
    row = feed.at(position) if position > head.position else None
    return row is not None and row.hash == digest


def snapshot(ledger: Ledger, folder: Path, identity: str, now: datetime) -> Path:
    """A copy of the ledger before a write session (M08), all pages at once; the last few stay."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{identity}_BOT_ledger_{stamp}.db"
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    copy = sqlite3.connect(partial)
    try:
        ledger.connection.backup(copy, pages=-1)
    except sqlite3.Error as e:
        partial.unlink()
        raise ExportError(
            f"The snapshot {target} could not be written: {e}. The ledger and the events are as "
            "they were. Make room or mend the disk, then start again."
        ) from None
    finally:
        copy.close()
    partial.chmod(0o600)
    reach("snapshot.copied")
    partial.replace(target)
    reach("snapshot.renamed")
    kept = sorted(folder.glob("*_BOT_ledger_*.db"))
    for old in kept[:-SNAPSHOTS_KEPT]:
        old.unlink()
    return target


def rebuild_ledger(
    folder: DataFolder,
    target: Path,
    until: int | None,
    progress: Progress,
) -> tuple[str, int]:
    """A new ledger file from the first event, its digest and position. Chain and seals are
    checked on the way.

    Refuses a target that exists. The file appears whole or not at all.
    """
    if target.exists():
        raise DomainError(f"{target} exists already. Nothing was written; name a new file.")
    partial = target.with_name(target.name + ".partial")
    _remove(partial)
    try:
        with (
            closing(verified_batches(folder.events, Ledger, key_ring(folder), until)) as runs,
            closing(built(Ledger, partial, runs, progress)) as ledger,
        ):
            position, digest = ledger.tracked()[0], ledger.digest()
            ledger.connection.execute("PRAGMA journal_mode = delete")  # one file, no -wal beside it
    except BaseException:
        _remove(partial)
        raise
    partial.chmod(0o600)
    reach("rebuild.folded")
    sync(partial)
    reach("rebuild.synced")
    partial.rename(target)
    sync(target.parent)
    return digest, position


def _remove(file: Path) -> None:
    """With SQLite's log beside it, which would be taken for that of a new file."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
