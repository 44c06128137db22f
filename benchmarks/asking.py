"""What a page asks of a ledger with a long history: balances and registers as of both clocks."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from benchmarks.made_keys import PLAIN_KEYS
from benchmarks.measure import Progress, Spread, fresh
from benchmarks.report import Row, Section
from projections.building import built
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from projections.verified_batches import verified_batches

ASKED = 200  # times each question, every time of another moment
PAGE = 100  # lines


def measure_questions(folder: Path, store: Path, fills: int, progress: Progress) -> Section:
    """Milliseconds of each answer: the middle, the least and the 95th percentile."""
    progress(f"making a ledger of {fills:,} trades to ask")
    batches = verified_batches(store, Ledger, PLAIN_KEYS)
    ledger = built(Ledger, fresh(folder / "asked.db"), batches)
    books, draw = LedgerQueries(ledger.connection), random.Random(1)
    codes = [b.code for b in books.balances()]
    counts = {code: _count(ledger, code) for code in codes}
    first, last, head = _span(ledger)

    def moment() -> AsOf:
        day = first + timedelta(days=draw.randrange((last - first).days + 1))
        return AsOf(date=day, position=draw.randrange(1, head + 1))

    def page() -> object:
        code = draw.choice(codes)
        return books.register(code, limit=PAGE, offset=draw.randrange(counts[code]))

    entries = books.count_entries()
    questions: dict[str, Callable[[], object]] = {
        "balances as of any date and any known-at": lambda: books.balances(moment()),
        "balances now": books.balances,
        f"a page of {PAGE} lines of any account's register": page,
        f"a page of {PAGE} entries of the journal": lambda: list(
            books.journal(limit=PAGE, offset=draw.randrange(entries))
        ),
    }
    rows = []
    for name, ask in questions.items():
        progress(name)
        aim = "95 % within 50 ms, then 10" if "any" in name else ""
        rows.append(Row(name, _asked(ask), unit="ms", aim=aim))
    ledger.close()
    return Section(f"Questions to a ledger of {fills:,} trades: median (least, 95 %)", rows)


def _asked(ask: Callable[[], object]) -> Spread:
    took = []
    for _ in range(ASKED):
        start = time.perf_counter()
        ask()
        took.append((time.perf_counter() - start) * 1000)
    return Spread(statistics.median(took), min(took), statistics.quantiles(took, n=20)[-1])


def _count(ledger: Ledger, code: str) -> int:
    sql = "SELECT COUNT(*) FROM postings WHERE account_code = ?"
    return int(ledger.connection.execute(sql, (code,)).fetchone()[0])


def _span(ledger: Ledger) -> tuple[date, date, int]:
    sql = "SELECT MIN(effective_date), MAX(effective_date), MAX(position) FROM entries"
    first, last, head = ledger.connection.execute(sql).fetchone()
    return date.fromisoformat(first), date.fromisoformat(last), head
