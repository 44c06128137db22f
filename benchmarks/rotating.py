"""Rotations of the vault: how long one takes, early and late in its life, and readers beside it."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pyrage

from benchmarks.measure import Progress, Spread
from benchmarks.report import Row, Section
from config.clock import SystemClock
from config.paths import DataFolder
from runtime.custody import Custody, create_custody
from runtime.keys import open_vault
from security.secret_names import GUARDED

TIMED = 100  # rotations of a figure
SECRET_BYTES = 2_000  # of each of the eight
BESIDE_S = 0.02  # between two rotations that readers are beside
FORK = multiprocessing.get_context("fork")


def measure_rotations(folder: Path, earlier: int, reads: int, progress: Progress) -> Section:
    """Milliseconds of a rotation of all secrets with its commit: median, least, 95th percentile.

    ``earlier`` rotations come before the late ones; ``reads`` whole sets are read beside others.
    """
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")  # never a person's own
    data = DataFolder(folder / "rotated")
    with closing(_provision(data)) as custody:
        progress(f"{TIMED} rotations")
        first = _timed(custody, 1, TIMED)
        done, found = _read_beside(custody, reads, progress)
        progress(f"rotations up to {earlier:,}")
        _timed(custody, done + 1, max(0, earlier - done))
        late = _timed(custody, max(earlier, done) + 1, TIMED)
    rows = [
        _row("a rotation of all secrets, with its commit", first),
        _row(f"the same after {max(earlier, done):,} others", late),
        Row(
            f"reading all secrets beside {done - TIMED:,} rotations",
            found.spread,
            unit="ms",
            aim="no error",
            note=f"{found.reads:,} reads, {found.errors} errors, {found.seen:,} generations seen",
        ),
    ]
    return Section(f"Rotation of {len(GUARDED)} secrets: median (least, 95 %)", rows)


def _row(name: str, found: Spread) -> Row:
    within = f"95 % within {found.high:.0f} ms"
    return Row(name, found, unit="ms", aim="95 % < 250 ms", note=within)


def _provision(data: DataFolder) -> Custody:
    return create_custody(
        data, SystemClock(), recovery=str(pyrage.x25519.Identity.generate().to_public()),
        contents={name: os.urandom(SECRET_BYTES) for name in GUARDED}, commands=[],
        actor="bench", command_id="rotation:0",
    )  # fmt: skip


def _timed(custody: Custody, first: int, count: int) -> Spread:
    took = [0.0] * 2 if count < 2 else []
    for number in range(first, first + count):
        start = time.perf_counter()
        custody.change(actor="bench", command_id=f"rotation:{number}")
        took.append((time.perf_counter() - start) * 1000)
    return _spread(took)


def _spread(took: list[float]) -> Spread:
    return Spread(statistics.median(took), min(took), statistics.quantiles(took, n=20)[-1])


class Found(NamedTuple):
    reads: int
    errors: int
    seen: int
    spread: Spread


def _read_beside(custody: Custody, reads: int, progress: Progress) -> tuple[int, Found]:
    """Rotate until another process has read so often; the number of the last rotation."""
    progress(f"{reads:,} reads beside rotations")
    ours, theirs = FORK.Pipe(duplex=False)
    reader = FORK.Process(target=_read, args=(custody.folder, reads, theirs))
    reader.start()
    theirs.close()
    done = TIMED
    while not ours.poll(BESIDE_S):
        done += 1
        custody.change(actor="bench", command_id=f"rotation:{done}")
    found: Found = ours.recv()
    reader.join()
    return done, found


def _read(folder: DataFolder, reads: int, tell: Connection) -> None:
    """A reader that keeps nothing: root key, link, manifest and all files, each time anew."""
    errors, seen, took = 0, set[int](), list[float]()
    for _ in range(reads):
        start = time.perf_counter()
        try:
            generation = open_vault(folder).in_force()
            sizes = {len(generation.secret(name)) for name in GUARDED}
            errors += sizes != {SECRET_BYTES}
            seen.add(generation.number)
        except Exception:  # any error counts, and none is expected
            errors += 1
        took.append((time.perf_counter() - start) * 1000)
    tell.send(Found(reads, errors, len(seen), _spread(took)))
