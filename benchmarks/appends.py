"""Durable appends through the public command path, against raw sqlite3 with the same pragmas.

The raw side inserts the very rows that our store ended up with (every column, the same bytes) into
a table with nothing but its primary key, with as many rows a commit.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from aggregates.base import Command
from aggregates.capital import RecordDeposit
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordFill,
    RecordSubmission,
)
from benchmarks.made_history import open_books, open_made_store
from benchmarks.made_keys import PLAIN_KEYS, SEALED_KEYS
from benchmarks.measure import Progress, Rounds, fresh
from benchmarks.report import Row, Section
from eventstore.application import Store
from eventstore.envelope import COLUMN_LIST, COLUMNS, CommandContext
from eventstore.schema import WRITE_PRAGMAS
from runtime.dispatch import HANDLERS, Dispatcher, UnitOfWork
from security.data_keys import KeyRing

START = datetime(2020, 1, 2, 14, 30, tzinfo=UTC)
DAY = START.date()
BATCH = 100
_INSERT = f"INSERT INTO stored_events VALUES ({', '.join('?' * len(COLUMNS))})"


def measure_appends(folder: Path, events: int, rounds: int, progress: Progress) -> Section:
    """``events`` one by one and as many in batches of a hundred, in each round.

    Our commits, those of a store with sealed payloads and the raw ones take turns, one each. A
    round's figure is that of its median commit: what else the disk had to do at some moment is not
    what is measured.
    """
    one = _against_raw(folder, 1, events, rounds, progress)
    many = _against_raw(folder, BATCH, max(events, 5 * BATCH), rounds, progress)
    return Section(
        "Durable appends against raw sqlite3 (WAL, synchronous=FULL), µs an event",
        [
            Row("one event a commit, a command each", one.of("ours"), one.of("raw"), "µs",
                one.faster("ours", "raw")),
            Row("  above the raw commit", one.above("ours", "raw"), unit="µs",
                aim="≤ 150, then 80"),
            Row("  sealed payloads | in clear", one.of("sealed"), one.of("ours"), "µs",
                one.faster("sealed", "ours"), "≥ 0.75"),
            Row("100 events a commit", many.of("ours"), many.of("raw"), "µs",
                many.faster("ours", "raw"), "≥ 0.4, then 0.6"),
            Row("  above the raw commit", many.above("ours", "raw"), unit="µs"),
            Row("  sealed payloads | in clear", many.of("sealed"), many.of("ours"), "µs",
                many.faster("sealed", "ours"), "≥ 0.75"),
        ],
    )  # fmt: skip


def _against_raw(
    folder: Path, a_commit: int, events: int, rounds: int, progress: Progress
) -> Rounds:
    """Microseconds an event with ``a_commit`` events in each commit."""
    commits = -(-events // a_commit)
    # the clock stands still and the blind key is fixed: the same commands give the same rows
    rows = _rows(folder, a_commit, commits)
    found: dict[str, list[float]] = {"ours": [], "sealed": [], "raw": []}
    for number in range(1, rounds + 1):
        progress(f"appends, {a_commit} a commit, round {number} of {rounds}")
        stores, raw = (_store(folder), _store(folder, SEALED_KEYS)), _raw(folder)
        took: dict[str, list[float]] = {name: [] for name in found}
        appends = (_appends(store, a_commit, commits) for store in stores)
        for append, append_sealed, batch in zip(*appends, rows, strict=True):
            took["ours"].append(_timed(append))
            took["sealed"].append(_timed(append_sealed))
            took["raw"].append(_timed(partial(_insert, raw, batch)))
        for store in stores:
            store.close()
        raw.close()
        for name, seconds in took.items():
            found[name].append(1e6 * statistics.median(seconds) / a_commit)
    return Rounds(found)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _appends(store: Store, a_commit: int, commits: int) -> Iterator[Callable[[], object]]:
    """What each commit does: one command through the dispatcher, or the store's part of many.

    Deciding is part of the first and not of the second, which measures the store alone.
    """
    do, commands = Dispatcher(store, "supervisor"), _commands()
    for number in range(commits):
        if a_commit == 1:
            yield partial(do, next(commands), command_id=f"bench:{number}", correlation="bench")
            continue
        work = UnitOfWork(store)
        for command in islice(commands, a_commit):
            HANDLERS[type(command)](work, command)
        context = CommandContext(f"bench:{number}", bytes(32), "supervisor", "bench")
        yield partial(store.record, context, *work.touched.values())


def _rows(folder: Path, a_commit: int, commits: int) -> list[list[tuple[Any, ...]]]:
    """The rows that our store ends up with, by commit."""
    store = _store(folder)
    before = store.head().position
    for append in _appends(store, a_commit, commits):
        append()
    store.close()
    reader = sqlite3.connect(folder / "appends.db")
    rows = reader.execute(
        f"SELECT {COLUMN_LIST} FROM stored_events WHERE position > ? ORDER BY position", (before,)
    ).fetchall()
    reader.close()
    assert len(rows) == a_commit * commits, "each command was to give one event"
    return [rows[first : first + a_commit] for first in range(0, len(rows), a_commit)]


def _store(folder: Path, keys: KeyRing = PLAIN_KEYS) -> Store:
    name = "appends.db" if keys is PLAIN_KEYS else "sealed_appends.db"
    store = open_made_store(fresh(folder / name), lambda: START, keys)
    open_books(store, START, ["SPY", "IBM"])
    return store


def _raw(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(fresh(folder / "raw.db"), isolation_level=None)
    for name, value in WRITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    rest = ", ".join(COLUMNS[1:])
    connection.execute(f"CREATE TABLE stored_events (position INTEGER PRIMARY KEY, {rest})")
    return connection


def _insert(raw: sqlite3.Connection, batch: list[tuple[Any, ...]]) -> None:
    raw.execute("BEGIN IMMEDIATE")
    raw.executemany(_INSERT, batch)
    raw.execute("COMMIT")


def _commands() -> Iterator[Command]:
    """For ever: an order that is filled in six parts, then a deposit; ten events in all."""
    number = 0
    while True:
        number += 1
        order_id, at = f"2020-01-02-OPEN-SPY-{number:06d}", START + timedelta(seconds=number)
        when: dict[str, Any] = {"at": at, "effective_date": DAY}
        yield IntendOrder(
            **when, order_id=order_id, bot_identity="BENCH_USA_SIM_01", instrument_id="XNYS:SPY",
            symbol="SPY", sleeve="trading", side="buy", order_type="market",
            quantity=Decimal("74.369347929"), strategy="OPEN",
            reason="close above the opening range",
        )  # fmt: skip
        yield RecordSubmission(**when, order_id=order_id)
        yield RecordAcceptance(**when, order_id=order_id, broker_order_id=f"SIM-{number:06d}")
        for part, quantity in enumerate(("12", "12", "12", "12", "12", "14.369347929")):
            yield RecordFill(
                **when, order_id=order_id, execution_id=f"SIM-X-{number:06d}-{part}",
                quantity=Decimal(quantity), price=Decimal("168.0850"), currency="USD",
                commission=Decimal(quantity) * Decimal("0.005"), fees=Decimal(0),
                net_amount=Decimal("-2017.08"), settles_on=DAY + timedelta(days=4),
            )  # fmt: skip
        yield RecordDeposit(
            **when, reference=f"deposit-{number:06d}", currency="USD", amount=Decimal("2500.00"),
            reason="monthly deposit",
        )  # fmt: skip
