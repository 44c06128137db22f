"""Seeded days of the whole bot at the fake Alpaca, over real HTTP and websockets: no double order,
no lost fill, books and broker equal after reconciliation, limits kept.

PROGRAMME=full runs 300; by default a share of them, the first seeds. A day that fails names its
seed; `SEED=17` runs that one alone, `SEED=100-199` those.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers.alpaca_fills import AlpacaFills
from brokers.alpaca_orders import AlpacaOrders
from brokers.port import BrokerOrder, Execution, OrderRequest, OutcomeUnknown
from config import failpoints

SHARE, ALL = 5, 300
MEMORY = Path("/dev/shm")  # nothing here is about the disk


@pytest.fixture(scope="module")
def make_day(fakes: Any, load: Callable[[Path], Any]) -> Iterator[Callable[..., Any]]:
    """`make_day(seed, name="days")`: a day that has not begun."""
    here = Path(__file__).parent
    world, days = load(here.parent / "faults" / "small_world.py"), load(here / "days.py")
    parts = days.Parts(fakes, world, load(here / "day_market.py"))
    calendar = world.ShortDays("XNYS", world.DAY, world.DAY)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        template = days.provisioned(parts, calendar, Path(folder) / "template")

        def make(seed: int, name: str = "days") -> Any:
            return days.Day(parts, calendar, template, Path(folder) / name, seed)

        yield make


@pytest.fixture(scope="module")
def play(load: Callable[[Path], Any]) -> Callable[[Any], None]:
    checks = load(Path(__file__).parent / "day_checks.py")

    def one(day: Any) -> None:
        try:
            day.run()
            checks.check(day)
        except Exception as e:
            pytest.fail(
                f"seed {day.seed}: {type(e).__name__}: {e}\nThis one alone: SEED={day.seed} "
                ".venv/bin/pytest tests/conformance/test_days_over_sockets.py"
            )
        finally:
            failpoints.arm(None)
            day.close()
            shutil.rmtree(day.folder.root)

    return one


def seeds(full: bool) -> range:
    if one := os.environ.get("SEED"):
        first, _, last = one.partition("-")
        return range(int(first), int(last or first) + 1)
    return range(ALL if full else SHARE)


def test_whatever_goes_wrong_the_day_ends_with_the_truth_in_the_books(
    make_day: Callable[..., Any], play: Callable[[Any], None], full: bool,
    count: Callable[..., None],
) -> None:  # fmt: skip
    began = time.monotonic()
    for seed in (played := seeds(full)):
        day = make_day(seed)
        play(day)
        for what, number in sorted(day.counts.items()):
            count(f"{what} (days)", number)
        count("days")
    count(f"is the last of the seeds of days, which begin at {played[0]}", played[-1])
    count("seconds for days", round(time.monotonic() - began))


def first_failure(make_day: Callable[..., Any], play: Callable[[Any], None], most: int) -> str:
    for seed in range(most):
        try:
            play(make_day(seed, "broken"))
        except pytest.fail.Exception as failed:
            return str(failed)
    return ""


def test_an_adapter_that_loses_executions_is_noticed(
    make_day: Callable[..., Any], play: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    since = AlpacaFills.since

    def lose(self: AlpacaFills, sequence: int) -> list[Execution]:
        return [e for e in since(self, sequence) if e.sequence % 5]

    monkeypatch.setattr(AlpacaFills, "since", lose)
    assert "lost Counter({(" in first_failure(make_day, play, 5)


def test_an_adapter_that_sends_again_is_noticed(
    make_day: Callable[..., Any], play: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = AlpacaOrders.submit

    def insist(self: AlpacaOrders, request: OrderRequest) -> BrokerOrder:
        try:
            return submit(self, request)
        except OutcomeUnknown:
            return submit(self, request)

    monkeypatch.setattr(AlpacaOrders, "submit", insist)
    assert "sent again after an unclear outcome" in first_failure(make_day, play, 10)
