"""SIGKILL at random moments of a running demo: nothing acknowledged is lost, nothing doubled.

Every run is a process of its own that plays the same plan in the same folder. It is killed after a
random time; the next one goes on. At the end the history must be, hash for hash, the history of a
run that nobody disturbed.
"""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brokers.simulated import SimulatedBroker
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.feed import Feed, event_of
from eventstore.verification import verify
from runtime.demo import DemoPlan, plan_of, play
from runtime.queries import Queries

FULL = os.environ.get("PROGRAMME") == "full"
KILLS = int(os.environ.get("CRASH_KILLS", "200" if FULL else "50"))
SPAWN = multiprocessing.get_context("fork")


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody sees."""


def run(folder: DataFolder, plan: DemoPlan) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    play(folder, plan, quiet)


@pytest.fixture(scope="module")
def plan() -> DemoPlan:
    return plan_of(None, None, None, (), seed=1)


@pytest.fixture(scope="module")
def undisturbed(plan: DemoPlan, tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    folder = DataFolder(tmp_path_factory.mktemp("undisturbed"))
    play(folder, plan, quiet)
    return folder


def head_hash(folder: DataFolder) -> bytes:
    feed = Feed(folder.events)
    try:
        return feed.head().hash
    finally:
        feed.close()


def acknowledged(folder: DataFolder) -> dict[int, bytes]:
    """Every event that is readable now: a later run must still hold each of them."""
    if not folder.events.exists():
        return {}
    try:
        feed = Feed(folder.events)
    except Exception:  # killed before the tables were laid: nothing was acknowledged
        return {}
    rows = {row.position: row.hash for row in feed.all()}
    feed.close()
    return rows


def kill_at_random(
    folder: DataFolder, plan: DemoPlan, rng: random.Random, longest_s: float
) -> bool:
    """Play until killed; True when the run had ended before its time came."""
    process = SPAWN.Process(target=run, args=(folder, plan))
    process.start()
    process.join(rng.uniform(0.0, longest_s))
    finished = process.exitcode is not None
    if not finished:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    else:
        assert process.exitcode == 0, "a run that was not killed failed"
    return finished


def test_killed_at_random_moments_the_history_is_that_of_an_undisturbed_run(
    plan: DemoPlan, undisturbed: DataFolder, tmp_path: Path
) -> None:
    rng = random.Random(20131007)
    folder, kills, seen = DataFolder(tmp_path / "demo"), 0, dict[int, bytes]()
    rounds = 0
    while kills < KILLS:
        finished = kill_at_random(folder, plan, rng, longest_s=0.8)
        now = acknowledged(folder)
        for position, digest in seen.items():
            assert now.get(position) == digest, f"event {position} was lost or changed"
        seen = now
        if finished:
            # played to the end: the outcome is checked, and the next folder is killed on
            check_outcome(folder, undisturbed)
            rounds += 1
            folder, seen = DataFolder(tmp_path / f"demo{rounds}"), {}
        else:
            kills += 1
    play(folder, plan, quiet)
    check_outcome(folder, undisturbed)
    print(f"{kills} kills in {rounds + 1} played weeks")


@pytest.mark.parametrize("step", range(3, 240, 17 if FULL else 59))
def test_dying_right_after_any_write_changes_nothing(
    plan: DemoPlan, undisturbed: DataFolder, tmp_path: Path, step: int
) -> None:
    """Ends the process after its n-th write to the store or to the broker, then goes on."""
    folder = DataFolder(tmp_path / "demo")
    process = SPAWN.Process(target=run_until_write, args=(folder, plan, step))
    process.start()
    process.join()
    assert process.exitcode == DIED
    play(folder, plan, quiet)
    check_outcome(folder, undisturbed)


DIED = 77


def run_until_write(folder: DataFolder, plan: DemoPlan, step: int) -> None:
    """Play, and leave without a word after the n-th write that reached a disk."""
    writes = 0

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def then_maybe_die(*args: Any, **kwargs: Any) -> Any:
            nonlocal writes
            result = write(*args, **kwargs)
            writes += 1
            if writes == step:
                os._exit(DIED)
            return result

        return then_maybe_die

    Store.record = counted(Store.record)  # type: ignore[method-assign]
    SimulatedBroker.submit = counted(SimulatedBroker.submit)  # type: ignore[method-assign]
    run(folder, plan)


def check_outcome(folder: DataFolder, undisturbed: DataFolder) -> None:
    assert verify(folder.events).intact
    assert head_hash(folder) == head_hash(undisturbed)
    assert broker_books(folder) == broker_books(undisturbed)
    queries, calm = Queries(folder), Queries(undisturbed)
    assert queries.balances() == calm.balances()
    assert batches_are_whole(folder)
    assert logs_of(folder) == logs_of(undisturbed)
    queries.close()
    calm.close()


def logs_of(folder: DataFolder) -> dict[str, bytes]:
    """Every log file: no line is doubled or lost by a kill, and none is torn."""
    return {
        str(path.relative_to(folder.root)): path.read_bytes()
        for path in folder.root.glob("output/**/*.log")
    }


def broker_books(folder: DataFolder) -> list[list[tuple[object, ...]]]:
    """Every order and execution that the other side has, in full."""
    connection = sqlite3.connect(folder.simulated_broker)
    try:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall()
        return [
            connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
            for (name,) in sorted(tables)
            if name in ("orders", "executions", "positions")
        ]
    finally:
        connection.close()


def batches_are_whole(folder: DataFolder) -> bool:
    """A decision that was taken and the intent of its order are one batch: never one alone."""
    feed = Feed(folder.events)
    rows = list(feed.all())
    feed.close()
    intents = {row.command_id for row in rows if row.topic == "Order.Intended"}
    taken = {
        row.command_id
        for row in rows
        if row.topic == "Session.Decided" and getattr(event_of(row), "order_id", None)
    }
    return intents == taken and bool(intents)


def test_the_command_itself_goes_on_after_a_kill(undisturbed: DataFolder, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runtime.cli", "demo", "--data-dir", str(tmp_path / "demo")]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("Tue"):  # the second session has begun
            break
    time.sleep(0.05)
    first.kill()
    first.wait()
    first.stderr.close()
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert head_hash(undisturbed).hex() in second.stdout
