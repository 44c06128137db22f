"""A view built anew from batches of verified history, into a file that nobody else has.

Written by apsw without SQLite's locks, which takes two thirds of the time of the module that all
other reading and writing goes through (docs/decisions/0014-ledger-rows.md).
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar, cast

import apsw

from projections.base import Batch, Progress, Projection, ProjectionUnwritable, no_progress

WRITTEN_EVERY = 6_000  # events of history, passed over ones included
# one thread has the connection from its opening on, so no value has to be locked
ALONE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
PRAGMAS = (
    "journal_mode = memory", "synchronous = off", "locking_mode = exclusive",
    "threads = 2",  # at the end the other process is gone: a tenth less for sorting the indexes
)  # fmt: skip
# what the system says no to; other errors of SQLite are faults of ours and show themselves
UNWRITABLE = (
    apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.BusyError,
)  # fmt: skip
View = TypeVar("View", bound=Projection)


def built(
    kind: type[View], path: Path, batches: Iterable[Batch], progress: Progress = no_progress
) -> View:
    """The view of ``batches`` in a new file, open for writing. Indexes are made at the end, or when
    the fold first searches for something.

    Nothing waits for the disk: when this raises, the file is to be thrown away. Raises
    ProjectionHalted, ProjectionUnwritable, ProjectionMismatch for a file that cannot be opened, and
    what ``batches`` raises.
    """
    kind.open(path).close()  # with its tables
    try:
        with closing(apsw.Connection(str(path), flags=ALONE)) as connection:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            # a fold only executes, fetches and asks whether it is in a transaction: alike in both
            view = kind(cast(sqlite3.Connection, connection))
            view.put_off_indexes()
            view.forget()
            with _not_collecting():
                _fold(view, batches, progress)
            view.make_indexes()
    except UNWRITABLE as e:
        raise ProjectionUnwritable(
            f"The {kind.name} at {path} cannot be written: {e}. The events are safe, and what was "
            "written of it is of no use. Make room on the disk, or close the program that holds "
            "the file, and try again."
        ) from None
    return kind.open(path)


def _fold(view: Projection, batches: Iterable[Batch], progress: Progress) -> None:
    """Fold small batches: they stay in the processor's cache. Write several of them at once."""
    batch, due = None, WRITTEN_EVERY
    for batch in batches:
        if not view.connection.in_transaction:
            view.connection.execute("BEGIN")
        view.fold_opened(batch.rows)
        if batch.position >= due:
            _write(view, batch, progress)
            due = batch.position + WRITTEN_EVERY
    if batch is not None and view.connection.in_transaction:
        _write(view, batch, progress)


def _write(view: Projection, batch: Batch, progress: Progress) -> None:
    view.end_batch(batch.position, batch.hash)
    view.connection.execute("COMMIT")
    progress(batch.position, batch.last)


@contextmanager
def _not_collecting() -> Iterator[None]:
    """Millions of small tuples and no cycle among them: a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
