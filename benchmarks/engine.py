"""The simulated engine against backtrader and nautilus_trader: the same bars, the same trades.

Each is a process on one core that has its bars in memory before the time is taken. The others keep
nothing but their broker's account in memory; ours asks every rule and has every decision and order
on disk. All must do the same trades, minute for minute, or there is no figure.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.engine_core import plain_trades
from benchmarks.engine_files import write_market
from benchmarks.engine_market import made_market
from benchmarks.measure import Progress, Spread, by_turns, run_process
from benchmarks.rebuilding import Unequal
from benchmarks.report import Row, Section, missing
from config.calendar import TradingCalendar

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = Path(os.environ.get("BENCH_EXTRAS", ROOT / ".bench"))  # see benchmarks/extras.in
OTHERS = {"backtrader": "≥ 1", "nautilus_trader": "≥ 1"}
SYMBOLS, FIRST_DAY, SEED = 20, date(2026, 3, 2), 1
OURS = "the simulated engine"


def measure_engine(folder: Path, days: int, rounds: int, progress: Progress) -> Section:
    """``days`` sessions of twenty symbols. A program that is not installed has a row that says so.

    Raises Unequal when a program did other trades than those that were due.
    """
    market = made_market(SEED, SYMBOLS, session_opens(days))
    file = folder / "market.json"
    write_market(file, market)
    here = [name for name in OTHERS if _installed(name)]
    expected = sorted(map(list, plain_trades(market.bars)))
    found: dict[str, dict[str, Any]] = {}

    def run(name: str) -> float:
        played = folder / "played"
        command = {
            OURS: [sys.executable, "-m", "benchmarks.engine_ours", str(file), str(played)],
            "backtrader": [_python(), "-m", "benchmarks.engine_backtrader", str(file)],
            "nautilus_trader": [_python(), "-m", "benchmarks.engine_nautilus", str(file)],
        }[name]
        found[name] = json.loads(run_process(command, folder / "engine.out", cwd=ROOT).output)
        shutil.rmtree(played, ignore_errors=True)
        _compare(name, sorted(found[name]["trades"]), expected)
        return float(found[name]["seconds"])

    names = [OURS, *here]
    timed = by_turns({name: partial(run, name) for name in names}, rounds, progress)
    each_second = Spread.of([market.count / seconds for seconds in timed.times[OURS]])
    rows = [
        Row(f"{OURS} | {name}", timed.of(OURS), timed.of(name), ratio=timed.faster(OURS, name),
            aim=aim, note=f"version {found[name]['version']}")
        if name in here else missing(f"{OURS} | {name}", name)
        for name, aim in OTHERS.items()
    ]  # fmt: skip
    rows.append(
        Row("  bars a second", each_second, unit="", note=f"{found[OURS]['events']:,} events")
    )
    return Section(
        f"{market.count:,} one-minute bars on one core, {len(expected):,} trades in each", rows
    )


def session_opens(days: int) -> list[int]:
    """First instants of as many full sessions, UTC seconds."""
    last = FIRST_DAY + timedelta(days=2 * days + 7)
    sessions = TradingCalendar("XNYS", FIRST_DAY, last).sessions(FIRST_DAY, last)
    full = [s for s in sessions if s.close - s.open == timedelta(hours=6, minutes=30)]
    return [int(hours.open.timestamp()) for hours in full[:days]]


def _python() -> str:
    return str(EXTRAS / "bin" / "python")


def _installed(package: str) -> bool:
    return any(EXTRAS.glob(f"lib/python3*/site-packages/{package}"))


def _compare(name: str, trades: list[list[Any]], expected: list[list[Any]]) -> None:
    wrong = [trade for trade in trades + expected if (trade in trades) != (trade in expected)]
    if wrong:
        raise Unequal(
            f"{name} did {len(trades)} trades where {len(expected)} were due, or not in the same "
            f"minutes; the first that differs (day, symbol, bought, sold): {wrong[0]}."
        )
