"""A made-up history of any size, in about the demo's mix of events, written through the real store.

For each fill of a synthetic demo day there is about one marking of prices, a quarter of a decision
and half an order event; the same here, over forty securities and about a hundred fills a day.
Seeded: the same number of fills gives the same events.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from aggregates.base import NewEvent
from aggregates.books import AdoptRules, OpenBooks
from aggregates.capital import RecordDeposit
from aggregates.chart_of_accounts import AdoptChart
from aggregates.instrument import RegisterInstrument
from benchmarks.made_days import MadeDay, Position
from benchmarks.made_keys import PLAIN_KEYS
from eventstore.application import Store
from eventstore.envelope import CommandContext
from projections.ledger import template_chart
from projections.posting_rules import RULES_VERSION
from runtime.dispatch import Dispatcher
from runtime.version import VERSION
from security.data_keys import KeyRing

FIRST_DAY = date(2016, 1, 4)
SYMBOLS = 40
FILLS_A_DAY = 100
BATCH = 5_000  # events a commit: how they came in is not what is measured on them


def open_made_store(path: Path, now: Callable[[], datetime], keys: KeyRing = PLAIN_KEYS) -> Store:
    """A store whose clock is ``now``, with the benchmarks' keys."""
    return Store(
        path,
        keys=keys,
        now_us=lambda: int(now().timestamp()) * 1_000_000,
        software_version=VERSION,
    )


def open_books(store: Store, at: datetime, symbols: list[str]) -> None:
    """What a bot's history begins with, through the public command path."""
    do, day = Dispatcher(store, "benchmark"), at.date()
    sealed = store.keys.current
    do(
        OpenBooks(
            at=at, effective_date=day, identity="BENCH_USA_SIM_01", entity_code="BENCH",
            jurisdiction_code="USA", broker_code="SIM", bot_id="01", currency="USD",
            timezone="America/New_York", exchange_calendar="XNYS", demo=True,
        ),
        AdoptRules(at=at, effective_date=day, rules_version=RULES_VERSION),
        AdoptChart(at=at, effective_date=day, chart=template_chart(), reason="default chart"),
        command_id="open-books", under=(sealed, store.keys.of(sealed)) if sealed else None,
    )  # fmt: skip
    for symbol in symbols:
        do(
            RegisterInstrument(
                at=at, effective_date=day, symbol=symbol, name=f"{symbol} Corporation",
                kind="stock", currency="USD", exchange="XNYS",
            ),
            command_id=f"register:{symbol}",
        )  # fmt: skip
    do(
        RecordDeposit(
            at=at, effective_date=day, reference="opening-deposit", currency="USD",
            amount=Decimal("50000000.00"), reason="opening balance at the broker",
        ),
        command_id="deposit",
    )  # fmt: skip


def write_history(path: Path, fills: int, seed: int = 1, keys: KeyRing = PLAIN_KEYS) -> int:
    """Write a new store with exactly ``fills`` fills; returns how many events it holds."""
    now = datetime(2016, 1, 1, 12, tzinfo=UTC)
    store = open_made_store(path, lambda: now, keys)
    try:
        securities = [Position(f"S{n:02d}", Decimal(15 + 9 * n)) for n in range(SYMBOLS)]
        open_books(store, now, [s.symbol for s in securities])
        batch: list[NewEvent] = []
        written = 0
        for day, events in _days(fills, random.Random(seed), securities):
            now = datetime(day.year, day.month, day.day, 22, tzinfo=UTC)
            batch += events
            written += sum(e.event.topic == "Order.Filled" for e in events)
            if len(batch) >= BATCH or written == fills:
                _append(store, batch)
                batch = []
        return store.head().position
    finally:
        store.close()


def _days(
    fills: int, draw: random.Random, securities: list[Position]
) -> Iterator[tuple[date, list[NewEvent]]]:
    day, left, orders = FIRST_DAY, fills, 0
    while left:
        made = MadeDay(day, draw, securities, orders)
        left -= made.trade(min(left, FILLS_A_DAY))
        orders = made.orders
        yield day, made.events
        day += timedelta(days=3 if day.weekday() == 4 else 1)


def _append(store: Store, events: list[NewEvent]) -> None:
    first = store.head().position + 1
    context = CommandContext(
        command_id=f"made:{first}",
        command_digest=hashlib.sha256(str(first).encode()).digest(),
        actor="benchmark",
        correlation_id=events[0].originator_id,
    )
    store.chain.insert_events([store.mapper.to_stored_event(e) for e in events], context=context)
