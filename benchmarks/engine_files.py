"""What the engines' processes share: bars, read before anything is timed, and one core."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.engine_market import MadeBar, Market


def write_market(file: Path, market: Market) -> None:
    file.write_text(json.dumps([market.opens, market.bars]))


def read_market(file: Path) -> Market:
    opens, bars = json.loads(file.read_text())
    return Market(
        opens,
        {name: [[MadeBar(*bar) for bar in day] for day in days] for name, days in bars.items()},
    )


def keep_to_one_core() -> None:
    """The last one that this process may use; a system that cannot say so is left alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
