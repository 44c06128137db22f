"""SIGKILL at every step of carrying a command out, for every kind of command, and then at two.

After each kill a fresh process asks for the same command again. Whatever was in between, the store
holds the beginning of the undisturbed history, cut between two commands and nowhere else.
"""

import ast
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config.failpoints import STEPS
from config.paths import DataFolder
from runtime.dispatch import HANDLERS
from runtime.views import Views

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = "store.committed"
CARRYING_OUT = [s for s in STEPS if s.startswith(("dispatch.", "store.")) and ".lay." not in s]
CATCH_UP_EVERY = 5  # commands: the ledger is behind at most of the kills


def test_every_kind_of_command_is_asked(asked: ModuleType) -> None:
    assert {type(c) for ask in asked.ASKS for c in ask.commands} == set(HANDLERS)


def steps_in_code() -> Iterator[str]:
    """The name in every reach("...") of the rooms of the house."""
    for path in ROOT.glob("*/*.py"):
        if path.parts[-2] in ("tests", "benchmarks"):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}: a step is named by its text"
                yield name.value


def test_the_list_of_steps_is_what_the_code_has() -> None:
    found = list(steps_in_code())
    assert sorted(found) == sorted(STEPS)


class Killed:
    """One folder whose history is asked for by processes that are killed."""

    def __init__(self, asked: ModuleType, calm: Any, root: Path, tools: tuple[Any, Any]) -> None:
        self.asked, self.calm, self.root = asked, calm, root
        self.child, self.kill = tools

    def ask(self, number: int, step: str, *, again: bool = False) -> None:
        """A fresh process asks for the command before once more, then for this one, and is killed
        at ``step``. ``again``: another was killed at this one, so it is asked for at once."""

        def work(tell: Any) -> None:
            with closing(self.asked.Asker(self.root)) as asker:
                if number and not again:
                    tell((number - 1, asker.ask(number - 1)))
                    if number % CATCH_UP_EVERY == 0:
                        self.catch_up()
                self.kill(step)
                tell((number, asker.ask(number)))

        ends = self.calm.ends
        done = again and len(self.asked.rows(self.root)) == ends[number + 1]
        outcome = self.child(work)
        assert outcome.killed != done, "what was carried out reaches no step again"
        for at, (positions, _repeated) in outcome.said:
            assert positions == list(range(ends[at] + 1, ends[at + 1] + 1))
        now = ends[number + (done or step == COMMITTED)]
        assert self.asked.rows(self.root) == self.calm.rows[:now]

    def catch_up(self) -> None:
        with closing(Views.open(DataFolder(self.root), self.asked.IDENTITY)) as views:
            views.catch_up()

    def check_end(self) -> None:
        """The last command again, and the books of the history that nobody disturbed."""
        with closing(self.asked.Asker(self.root)) as asker:
            asker.ask(len(self.asked.ASKS) - 1)
        assert self.asked.rows(self.root) == self.calm.rows
        assert self.asked.check_books(self.root) == self.calm.books


@pytest.fixture
def killed(
    asked: ModuleType, calm: Any, tmp_path: Path, child: Any, kill: Any
) -> Callable[[str], Killed]:
    return lambda name: Killed(asked, calm, tmp_path / name, (child, kill))


@pytest.mark.parametrize("step", CARRYING_OUT)
def test_killed_at_one_step_of_every_command(
    killed: Callable[[str], Killed], asked: ModuleType, count: Callable[..., None], step: str
) -> None:
    books = killed("data")
    for number in range(len(asked.ASKS)):
        books.ask(number, step)
        count("kills: one step of carrying out × one batch, all kinds of commands among them")
    books.check_end()


def test_killed_at_one_step_and_asked_again_at_another(
    killed: Callable[[str], Killed], asked: ModuleType, count: Callable[..., None], full: bool
) -> None:
    """Each pair with a few commands, drawn by a seed; PROGRAMME=full: with every command."""
    pairs = list(product(CARRYING_OUT, repeat=2))
    rng = random.Random(20240102)
    drawn = [rng.choice(pairs) for _ in asked.ASKS]
    for place, many in enumerate([[p] * len(drawn) for p in pairs] if full else [drawn]):
        books = killed(f"data{place}")
        for number, (first, second) in enumerate(many):
            books.ask(number, first)
            books.ask(number, second, again=True)
            count("pairs of kills: two steps of carrying out × one batch")
        books.check_end()
