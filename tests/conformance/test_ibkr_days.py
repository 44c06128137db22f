"""Seeded days of the whole bot at the fake gateway: no double order, no lost fill, books and broker
equal to the cent after reconciliation, costs that come late among them.

PROGRAMME=full runs 100; by default the first seeds. A day that fails names its seed; `SEED=17` runs
that one alone.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from config import failpoints

SHARE, ALL = 3, 100
MEMORY = Path("/dev/shm")  # nothing here is about the disk


def test_whatever_goes_wrong_the_day_ends_with_the_truth_in_the_books(
    full: bool, count: Callable[..., None]
) -> None:
    made, checks = beside("conformance/ibkr_days"), beside("conformance/day_checks")
    calendar = made.WORLD.ShortDays("XNYS", made.WORLD.DAY, made.WORLD.DAY)
    one, began = os.environ.get("SEED"), time.monotonic()
    seeds = range(int(one), int(one) + 1) if one else range(ALL if full else SHARE)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        template = made.provisioned(calendar, Path(folder) / "template")
        for seed in seeds:
            play(made.IbkrDay(calendar, template, Path(folder), seed), checks, count)
    count("ibkr: seconds for days", round(time.monotonic() - began))


def play(day: Any, checks: Any, count: Callable[..., None]) -> None:
    try:
        day.run()
        checks.check(day)
    except Exception as e:
        pytest.fail(f"seed {day.seed}: {type(e).__name__}: {e}")
    finally:
        failpoints.arm(None)
        day.close()
        shutil.rmtree(day.folder.root)
    for what, number in sorted(day.counts.items()):
        if number:  # its news hold no orders to be counted
            count(f"ibkr: {what} (days)", number)
    count("ibkr: days")
