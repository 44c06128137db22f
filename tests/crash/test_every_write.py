"""SIGKILL at every named step of a trading day and of the commands that write files.

The day has entries, exits, fills in parts, a refusal and a cancellation; it reaches every step but
those of `tbot rebuild`. A day that was killed is simply played again (decision 0003), and must end
as the day that nobody disturbed: the same history, broker's books, ledger and files.
"""

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import date
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from aggregates.errors import TradeBotError
from brokers.simulated_schema import PROOFS
from config import failpoints
from config.failpoints import STEPS
from config.paths import DataFolder
from runtime import cli_export, cli_prove, cli_read  # noqa: F401 - loaded once, before the forks
from runtime.cli import main
from runtime.demo import plan_of, play

DAY = date(2026, 3, 2)
PLAN = plan_of(None, DAY, DAY, ("EKHO",), seed=288)  # the first seed whose day has all of that
OF_REBUILD = {"rebuild.folded", "rebuild.synced"}
# those of test_kill_rotation.py, of the set-up, of test_kill_switch_killed.py,
# test_holdings_killed.py and test_kill_rebalance.py: a demo has no vault, nobody kills it, and it
# plans no holdings; there, and where the pace holds an order back, an intent stands alone; those of
# alerts, which are main's, are integration/alerts/test_mail_trouble.py's
ELSEWHERE = (
    "vault.", "custody.", "provisioning.", "kill.", "holdings.", "rebalance.", "outbox.intended",
    "alerts.",
)  # fmt: skip
OF_VAULT = {s for s in STEPS if s.startswith(ELSEWHERE)}
OF_FOLDING = {"projection.fold.rows_written", "projection.fold.tracked"}  # a rebuild's too
OF_FILES = {"file.written", "file.synced", "file.renamed"}
PAIRS = 4  # of 900, in a run that is not full


def play_day(root: Path) -> None:
    play(DataFolder(root), PLAN, lambda *_: None)


def reached_by(child: Any, work: Callable[[], object]) -> Counter[str]:
    """How often each step is reached, in a process of its own."""

    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        work()
        tell(found)

    return Counter(child(counted).said[0])


class End(NamedTuple):
    """What is left of a day."""

    books: tuple[str, bytes]
    broker: list[list[tuple[object, ...]]]
    files: dict[str, bytes]


class Days:
    def __init__(self, asked: ModuleType, child: Any, tmp_path: Path) -> None:
        self.asked, self.child = asked, child
        self.root = tmp_path
        self.calm = tmp_path / "calm"
        self.reached: Counter[str] = Counter()
        failpoints.arm(lambda step: self.reached.update([step]))
        play_day(self.calm)  # here and not in a child: what it loads, every child has
        failpoints.arm(None)
        self.end = self.look(self.calm)

    def look(self, root: Path) -> End:
        """Books of both sides, and every file that is meant for others; hidden ones are not."""
        kept = ("*.checkpoint", "*.vkey", "*.csv", "*.json")
        files = [path for form in kept for path in root.rglob(form) if path.name[0] != "."]
        return End(
            self.asked.check_books(root),
            self.broker(root),
            {str(path.relative_to(root)): path.read_bytes() for path in files},
        )

    def broker(self, root: Path) -> list[list[tuple[object, ...]]]:
        """Everything that the other side has, whose sums must hold."""
        with closing(sqlite3.connect(DataFolder(root).simulated_broker)) as file:
            assert [what for what, sql in PROOFS if file.execute(sql).fetchone()[0]] == []
            tables = ("account", "orders", "executions", "positions")
            return [file.execute(f"SELECT * FROM {t} ORDER BY 1").fetchall() for t in tables]

    def kill(self, root: Path, step: str, nth: int) -> bool:
        """Play until the step; what was on disk before it must still be there."""
        before = self.asked.rows(root)
        killed: bool = self.child(lambda _: play_day(root), step, nth).killed
        assert self.asked.rows(root)[: len(before)] == before
        return killed

    def check(self, root: Path) -> None:
        """Played again to the end, it is the day that nobody disturbed."""
        self.child(lambda _: play_day(root))
        assert self.look(root) == self.end
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def days(asked: ModuleType, child: Any, tmp_path_factory: pytest.TempPathFactory) -> Days:
    return Days(asked, child, tmp_path_factory.mktemp("days"))


def test_the_day_reaches_every_step_but_those_of_a_rebuild(days: Days) -> None:
    assert set(days.reached) == set(STEPS) - OF_REBUILD - OF_VAULT


@pytest.mark.parametrize("step", [s for s in STEPS if s not in OF_REBUILD | OF_VAULT])
def test_a_day_killed_at_a_step_ends_as_if_it_had_not_been(
    days: Days, step: str, full: bool, count: Callable[..., None]
) -> None:
    """Once, at a time that a seed draws; PROGRAMME=full: every time that the step is reached."""
    times = range(1, days.reached[step] + 1)
    for nth in times if full else random.Random(step).sample(times, 1):
        root = days.root / f"{step}-{nth}"
        assert days.kill(root, step, nth)
        days.check(root)
        count("kills: one step of a trading day")


def test_a_day_killed_at_a_step_and_at_another_when_it_goes_on(
    days: Days, full: bool, count: Callable[..., None]
) -> None:
    """Pairs drawn by a seed; PROGRAMME=full: all of them. What is done is not reached again."""
    rng = random.Random(20260302)
    pairs = list(product(sorted(days.reached), repeat=2))
    for first, second in pairs if full else rng.sample(pairs, PAIRS):
        root = days.root / f"{first}-{second}"
        assert days.kill(root, first, rng.randint(1, days.reached[first]))
        again = days.kill(root, second, rng.randint(1, (days.reached[second] + 1) // 2))
        days.check(root)
        count("pairs of kills: two steps of a trading day" if again else
              "pairs of which the second step was not reached again")  # fmt: skip


def test_a_day_on_a_disk_that_is_full_halts_and_goes_on_with_room(
    days: Days, mount: Any, full: bool, count: Callable[..., None]
) -> None:
    """Whatever is first to find no room: the store, the broker's file, a view or a snapshot."""

    def play_on(root: Path, kib: int, tell: Any) -> None:
        def try_to_play(tell: Any) -> None:
            try:
                play_day(root / "data")
            except TradeBotError as e:
                tell(str(e))

        if not mount(root, f"size={kib}k"):
            return tell("not allowed")
        tell(days.child(try_to_play).said)
        assert mount(root, "remount,size=64m")
        days.child(lambda _: play_day(root / "data"))
        assert days.look(root / "data") == days.end
        return tell("whole")

    for kib in range(50, 2000, 10 if full else 500):
        root = days.root / f"{kib}"
        root.mkdir()
        said = days.child(lambda tell: play_on(root, kib, tell)).said  # noqa: B023
        if said == ["not allowed"]:
            pytest.skip("this system does not let a process mount a small file system of its own")
        halted, whole = said
        assert (len(halted), whole) == (1, "whole")
        count("halts: a trading day on a full disk")


# Commands that write files


def quietly(*arguments: str) -> None:
    """The command itself, as a person would type it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    main([*arguments], standalone_mode=False)


FILES = {
    "rebuild": "ledger.db", "checkpoint": "today.txt", "export hledger": "books.journal",
    "prove entry 9": "proof.json",
}  # fmt: skip


@pytest.mark.parametrize("command", FILES)
def test_a_file_is_there_whole_or_as_it_was(
    days: Days, command: str, tmp_path: Path, count: Callable[..., None]
) -> None:
    def write(target: Path, data: Path) -> None:
        quietly(*command.split(), "--data-dir", str(data), "-o", str(target))

    calm = tmp_path / "calm" / FILES[command]
    calm.parent.mkdir()
    data = tmp_path / "data"
    shutil.copytree(days.calm, data)
    reached = reached_by(days.child, lambda: write(calm, data))
    assert set(reached) == (OF_REBUILD | OF_FOLDING if command == "rebuild" else OF_FILES)
    for step, times in reached.items():
        for nth in range(1, times + 1):
            target = tmp_path / f"{step}-{nth}" / FILES[command]
            target.parent.mkdir()
            assert days.child(lambda _: write(target, data), step, nth).killed  # noqa: B023
            assert not target.exists() or target.read_bytes() == calm.read_bytes()
            if not (target.exists() and command == "rebuild"):  # which never replaces a file
                days.child(lambda _: write(target, data))  # noqa: B023
            assert target.read_bytes() == calm.read_bytes()
            count("kills: one step of a command that writes a file")
    assert days.look(data).books == days.end.books
