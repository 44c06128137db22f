"""How long a user waits: for `tbot --help`, and for a demo of five synthetic days."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Progress, by_turns, run_process
from benchmarks.report import Row, Section

ROOT = Path(__file__).resolve().parent.parent
TBOT = str(Path(sys.executable).with_name("tbot"))


def measure_starts(folder: Path, rounds: int, progress: Progress) -> Section:
    """The demo's first run only warms the caches up; each later one plays in a new folder."""
    numbers = iter(range(1_000_000))

    def run(*command: str) -> float:
        return run_process(command, folder / "start.out", cwd=ROOT).seconds

    def demo() -> float:
        return run(TBOT, "demo", "--data-dir", str(folder / f"demo{next(numbers)}"))

    progress("a first demo")
    demo()
    timed = by_turns(
        {
            "tbot --help": partial(run, TBOT, "--help"),
            "python -c pass": partial(run, sys.executable, "-c", "pass"),
            "tbot demo": demo,
        },
        rounds,
        progress,
    )
    return Section(
        "Waiting for an answer",
        [
            Row("tbot --help | python -c pass", timed.of("tbot --help"), timed.of("python -c pass"),
                aim="< 0.3 s"),
            Row("tbot demo, five synthetic days", timed.of("tbot demo"), aim="< 15 s"),
        ],
    )  # fmt: skip
