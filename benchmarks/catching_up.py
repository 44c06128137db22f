"""How fast the views follow the store, measured apart from appending."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from benchmarks.measure import Progress, Spread, by_turns, fresh
from benchmarks.report import Row, Section
from eventstore.feed import Feed
from projections.base import Projection
from projections.ledger import Ledger
from projections.orders import Orders
from projections.performance import Performance

VIEWS: dict[str, type[Projection]] = {
    "ledger": Ledger, "orders": Orders, "performance": Performance,
}  # fmt: skip
STEPS = 200  # events that are followed one at a time, as after a command


def measure_catch_up(folder: Path, store: Path, rounds: int, progress: Progress) -> Section:
    """Each view of the history in ``store`` at once, then all of them one event at a time."""
    feed = Feed(store)
    events = feed.head().position
    feed.close()
    bulk = by_turns(
        {f"{name} in bulk": partial(_bulk, folder, store, kind) for name, kind in VIEWS.items()},
        rounds,
        progress,
    )
    steps = min(STEPS, events // 2)
    single = by_turns(
        {"one event at a time": partial(_steps, folder, store, steps)}, rounds, progress
    )
    rows = [
        Row(f"{name}, {events:,} events at once", _rate(bulk.of(f"{name} in bulk"), events),
            unit="events/s")
        for name in VIEWS
    ]  # fmt: skip
    each = single.of("one event at a time")
    rows.append(
        Row("all three, one event at a time", Spread(*(1e6 * s / steps for s in each)), unit="µs")
    )
    return Section("Views catching up with the store", rows)


def _rate(seconds: Spread, count: int) -> Spread:
    return Spread(count / seconds.median, count / seconds.high, count / seconds.low)


def _bulk(folder: Path, store: Path, kind: type[Projection]) -> float:
    feed, view = Feed(store), kind.open(fresh(folder / "view.db"))
    start = time.perf_counter()
    view.catch_up(feed)
    seconds = time.perf_counter() - start
    view.close()
    feed.close()
    return seconds


def _steps(folder: Path, store: Path, steps: int) -> float:
    feed = Feed(store)
    last = feed.head().position
    views = [kind.open(fresh(folder / f"{name}.db")) for name, kind in VIEWS.items()]
    for view in views:
        view.catch_up(feed, last - steps)
    start = time.perf_counter()
    for position in range(last - steps + 1, last + 1):
        for view in views:
            view.catch_up(feed, position)
    seconds = time.perf_counter() - start
    for view in views:
        view.close()
    feed.close()
    return seconds
