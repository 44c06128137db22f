"""SIGKILL in a day of OPEN, MID and CLOSE with puts on weakness: played again, it is the same day.

Another phase than the one that bought may run when it goes on, and what was quoted or watched
before the kill is not known any more.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config import failpoints
from config.paths import DataFolder
from eventstore.feed import Feed, event_of
from runtime.demo import plan_of, play

DAY = date(2026, 3, 2)
PLAN = msgspec.structs.replace(plan_of(None, DAY, DAY, (), seed=1), all_strategies=True)
KILLS = 8  # of some 900, in a run that is not full


def play_day(root: Path) -> None:
    play(DataFolder(root), PLAN, lambda *_: None)


def history(root: Path) -> list[bytes]:
    feed = Feed(DataFolder(root).events)
    hashes = [row.hash for row in feed.all()]
    feed.close()
    return hashes


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """The day that nobody disturbed, and how often it reaches each step."""
    root, reached = tmp_path_factory.mktemp("calm") / "bot", Counter[str]()
    failpoints.arm(lambda step: reached.update([step]))
    play_day(root)
    failpoints.arm(None)
    return root, reached


def test_the_day_has_puts_of_two_strategies(calm: tuple[Path, Counter[str]]) -> None:
    feed = Feed(DataFolder(calm[0]).events)
    found = [event_of(row) for row in feed.page(topics=("Session.Decided",), limit=1000)]
    feed.close()
    taken: set[Any] = {d.strategy for d in found if (d.kind, d.outcome) == ("bearish", "taken")}  # type: ignore[attr-defined]
    assert taken >= {"OPEN", "MID"}


def test_killed_at_any_step_it_ends_as_if_it_had_not_been(
    calm: tuple[Path, Counter[str]],
    child: Any,
    tmp_path: Path,
    full: bool,
    count: Callable[..., None],
) -> None:
    """At steps drawn by a seed; PROGRAMME=full: at every step, each time that it is reached."""
    undisturbed, reached = calm
    steps = [(step, nth) for step in sorted(reached) for nth in range(1, reached[step] + 1)]
    for step, nth in steps if full else random.Random(20260302).sample(steps, KILLS):
        root = tmp_path / "killed"
        assert child(lambda _: play_day(root), step, nth).killed  # noqa: B023
        child(lambda _: play_day(root))  # noqa: B023
        assert history(root) == history(undisturbed), (step, nth)
        shutil.rmtree(root)
        count("kills: one step of a day of all strategies")
