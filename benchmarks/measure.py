"""Timing by turns: what is compared runs A B A B …, so that a busy machine slows both alike."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Progress = Callable[[str], None]
Timed = Callable[[], float]  # does the work once, returns the seconds of what counts


class Spread(NamedTuple):
    """The middle and the ends of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


class Rounds:
    """What each contestant took in each round, by name."""

    def __init__(self, times: Mapping[str, list[float]]) -> None:
        self.times = times

    def of(self, name: str) -> Spread:
        return Spread.of(self.times[name])

    def faster(self, ours: str, theirs: str) -> Spread:
        """How many times as fast as theirs ours is, round by round."""
        pairs = zip(self.times[ours], self.times[theirs], strict=True)
        return Spread.of([other / own for own, other in pairs])

    def above(self, ours: str, theirs: str) -> Spread:
        """How much longer ours takes, round by round."""
        pairs = zip(self.times[ours], self.times[theirs], strict=True)
        return Spread.of([own - other for own, other in pairs])


def by_turns(contestants: Mapping[str, Timed], rounds: int, progress: Progress) -> Rounds:
    """Every contestant once in each round, in the same order."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        for name, run in contestants.items():
            progress(f"{name}, round {number} of {rounds}")
            seconds[name].append(run())
    return Rounds(seconds)


class Finished(NamedTuple):
    """A whole process: wall clock, what it printed, and its greatest resident memory, that of the
    processes it started included (0: unknown)."""

    seconds: float
    peak_mb: float
    output: bytes


class ProgramFailed(Exception):
    """A program that was to be measured ended with an error."""


def run_process(command: Sequence[str], output: Path, *, cwd: Path, **env: str) -> Finished:
    """Run a program with stdout into a file. Raises ProgramFailed with what it said."""
    errors = output.with_suffix(".err")
    with output.open("wb") as out, errors.open("wb") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=cwd, env=os.environ | env)
        peak = _Peak(process.pid)
        peak.start()
        process.wait()
        seconds = time.perf_counter() - start
        peak.join()
    if process.returncode:
        said = errors.read_text(errors="replace").strip()[-2000:]
        raise ProgramFailed(f"{' '.join(command)} ended with {process.returncode}: {said}")
    return Finished(seconds, peak.mb, output.read_bytes())


class _Peak(threading.Thread):
    """Watches the greatest resident memory of a process, and of its children, until it ends.

    What wait4 tells is no use: it counts what the process was before exec, a copy of this one.
    """

    EVERY_S = 0.05

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._each: dict[int, float] = {}

    @property
    def mb(self) -> float:
        return sum(self._each.values())

    def run(self) -> None:
        while (found := _high_water_mb(self._pid)) is not None:
            self._each[self._pid] = found
            for child in _children(self._pid):
                self._each[child] = _high_water_mb(child) or self._each.get(child, 0.0)
            time.sleep(self.EVERY_S)


def _high_water_mb(pid: int) -> float | None:
    """None when the process has ended, or on a system without /proc."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def read_once(path: Path) -> None:
    """Have a file in memory: what is measured next does not wait for the disk, whoever it is."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def fresh(path: Path) -> Path:
    """``path`` without the SQLite file that an earlier round left there."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return path
