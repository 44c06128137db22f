"""What a reader of the pages waits for: every page of the site over a long history."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aggregates.capital import RecordDeposit
from benchmarks.made_history import open_made_store, write_history
from benchmarks.made_keys import BLIND_KEY
from benchmarks.measure import ProgramFailed, Progress, Spread
from benchmarks.report import Row, Section
from config.paths import DataFolder
from runtime.dispatch import Dispatcher
from runtime.queries import Queries
from runtime.started import start_up_is_over
from runtime.views import Views
from security.keyfile import read_or_create_key
from web.app import create_app

FILLS_PER_EVENT = 0.36  # in the mix of made_history
ASKED = 50  # times each page, at other places each time
AIM = "95 % within 100 ms"


def measure_pages(folder: Path, events: int, progress: Progress) -> Section:
    """Milliseconds of each page in the process of the pages: the middle, the least, the 95th
    percentile. Views are on disk, as a running bot keeps them."""
    progress(f"making a bot of {events:,} events")
    data = DataFolder(folder / "shown")
    made = make_bot(data, max(100, int(events * FILLS_PER_EVENT)))
    queries = Queries(data)
    client = create_app(queries).test_client()
    start_up_is_over()  # as the process of the pages does
    rows = []
    for name, address in _pages(queries, made, random.Random(1)).items():
        progress(name)
        rows.append(_row(name, _asked(client.get, address), AIM))
    progress("after new events")
    write = _writer(data)
    rows.append(
        _row("ledger, first look after a new event", _asked(client.get, lambda: "/ledger", write))
    )
    queries.close()
    return Section(f"Pages of a bot with {made:,} events: median (least, 95 %)", rows)


def _row(name: str, took: Spread, aim: str = "") -> Row:
    return Row(name, took, unit="ms", aim=aim, note=f"95 %: {took.high:.0f} ms")


def make_bot(data: DataFolder, fills: int) -> int:
    """A demo's folder with a made history and its views; how many events it holds."""
    data.events.parent.mkdir(parents=True, exist_ok=True)
    read_or_create_key(data.blind_key, BLIND_KEY)
    made = write_history(data.events, fills)
    views = Views.open(data, "BENCH_USA_SIM_01")
    views.catch_up()
    views.close()
    return made


def _pages(queries: Queries, head: int, draw: random.Random) -> dict[str, Callable[[], str]]:
    """An address for each call: other days, events, accounts and moments every time."""
    days = [s.day for s in queries.sessions()]
    codes = [b.code for b in queries.balances()]

    def any_day() -> date:
        return draw.choice(days)

    def any_event() -> int:
        return draw.randrange(1, head + 1)

    return {
        "today": lambda: "/",
        "a day": lambda: f"/day/{any_day()}",
        "days": lambda: "/days",
        "ledger": lambda: "/ledger",
        "ledger, both clocks": lambda: f"/ledger?as_of={any_day()}&known_at={any_event()}",
        "journal": lambda: "/ledger/journal",
        "journal, both clocks": lambda: f"/ledger/journal?as_of={any_day()}&known_at={any_event()}",
        "journal of an account": lambda: f"/ledger/journal?account={draw.choice(codes)}",
        "account": lambda: f"/ledger/account/{draw.choice(codes)}",
        "difference of a month since it ended": lambda: (
            f"/ledger/difference?period={(month := any_day()):%Y-%m}&since={_ended(queries, month)}"
        ),
        "history": lambda: "/history",
        "history, a type": lambda: "/history?type=Order.Filled",
        "history, a rare type": lambda: "/history?type=Books",
        "history, a text": lambda: f"/history?text=S{draw.randrange(40):02d}",
        "an event": lambda: f"/history/{any_event()}",
        "verification": lambda: "/verify",
        "badge": lambda: "/badge",
        "jobs": lambda: "/jobs",
        "help": lambda: "/help",
        "accounts": lambda: "/accounts",
        "settings": lambda: "/settings",
        "no such page": lambda: "/nowhere",
    }


def _ended(queries: Queries, day: date) -> int:
    """The last event of the day's month."""
    return queries.moment(None, f"end of {day:%Y-%m}").position or 0


def _writer(data: DataFolder) -> Callable[[], None]:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    do = Dispatcher(open_made_store(data.events, lambda: now), "benchmark")
    numbers = iter(range(10**6))

    def write() -> None:
        deposit = RecordDeposit(
            at=now, effective_date=now.date(), reference=f"more-{(n := next(numbers))}",
            currency="USD", amount=Decimal("1.00"), reason="more",
        )  # fmt: skip
        do(deposit, command_id=f"more:{n}")

    return write


def _asked(
    get: Callable[[str], Any], address: Callable[[], str], before: Callable[[], None] = int
) -> Spread:
    took: list[float] = []
    get(address())  # the first call compiles templates
    for _ in range(ASKED):
        before()
        target = address()
        start = time.perf_counter()
        answer = get(target)
        took.append((time.perf_counter() - start) * 1000)
        if answer.status_code not in (200, 404):
            raise ProgramFailed(f"{target} answers {answer.status_code}: no page was measured.")
    return _spread(took)


def _spread(took: Sequence[float]) -> Spread:
    return Spread(statistics.median(took), min(took), statistics.quantiles(took, n=20)[-1])
