"""Two and four processes write one store: each command is carried out once, and all agree on it.

Each process has commands of its own, commands on streams that all fight over, and commands that
all ask for under the same id, with the same content and with another.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from aggregates.base import Command
from aggregates.books import ReverseEntry
from aggregates.capital import RecordDeposit
from aggregates.configuration import AdoptSettings
from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from config.paths import DataFolder
from eventstore.errors import CommandConflict, ConcurrentChange
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime.dispatch import Dispatcher
from security.data_keys import KeyRing
from security.keyfile import read_or_create_key

ROUNDS, MADE = (60, 200) if os.environ.get("PROGRAMME") == "full" else (12, 12)
PARTS = 8  # fills of the order that all report


class Answer(NamedTuple):
    """What a process was told: positions, or the name of the error."""

    id: str
    positions: tuple[int, ...]
    repeated: bool
    error: str


def asks_of(asked: ModuleType, name: int) -> list[tuple[str, tuple[Command, ...]]]:
    """What one process asks for, in an order of its own."""
    found: list[tuple[str, tuple[Command, ...]]] = []
    for n in range(ROUNDS):
        deposit = asked.money(RecordDeposit, f"own-{name}-{n}", "1")
        own = asked.of(AdoptSettings, values={"by": f"{name}-{n}"}, reason="own")
        found += [
            # a stream of its own, and one that all change, in one batch
            (f"own:{name}:{n}", (deposit, own)),
            # the same by all: one carries it out, the others are told the first result
            (f"same:{n}", (asked.money(RecordDeposit, f"same-{n}", "2"),)),
            (f"same-reversal:{n}", (asked.of(ReverseEntry, reversed_position=n, reason="x"),)),
            # the same id with other content: the first stands, the others conflict
            (f"clash:{n}", (asked.money(RecordDeposit, f"clash-{n}", f"{name + 1}"),)),
            # the same entry under ids of their own: booked once, refused to the others
            (f"taken:{name}:{n}", (asked.money(RecordDeposit, f"taken-{n}", "3"),)),
        ]
    found += [(f"fill:{n}", (asked.fill("all", n, "1", "10"),)) for n in range(PARTS)]
    random.Random(name).shuffle(found)
    return found


def ask_for_all(asked: ModuleType, root: Path, name: int, tell: Any) -> None:
    with closing(asked.Asker(root)) as asker:
        dispatch = Dispatcher(asker.store, f"process-{name}")
        for command_id, commands in asks_of(asked, name):
            try:
                done = dispatch(*commands, command_id=command_id)
                tell(Answer(command_id, tuple(done.positions), done.repeated, ""))
            except (CommandConflict, ConcurrentChange, DomainError) as e:
                tell(Answer(command_id, (), False, type(e).__name__))


class Written(NamedTuple):
    root: Path
    writers: int
    answers: list[Answer]


@pytest.fixture(scope="module", params=[2, 4])
def written(
    request: pytest.FixtureRequest, asked: ModuleType, children: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Written:  # fmt: skip
    """What some processes were told who wrote one store at one time."""
    root, writers = tmp_path_factory.mktemp("together"), request.param
    with closing(asked.Asker(root)) as asker:
        for number in range(5):
            asker.ask(number)
        whole = asked.intent("all", "buy", str(PARTS)), asked.step(asked.RecordSubmission, "all")
        Dispatcher(asker.store, "tester")(*whole, command_id="whole")
    said = children([partial(ask_for_all, asked, root, name) for name in range(writers)])
    answers = [Answer(i, tuple(p), r, e) for lines in said for i, p, r, e in lines]
    return Written(root, writers, answers)


def test_every_command_is_carried_out_once_and_all_are_told_the_same(
    written: Written, asked: ModuleType, count: Callable[..., None]
) -> None:
    root, writers, answers = written
    with closing(Feed(DataFolder(root).events)) as feed:
        rows = list(feed.all())
    verified = verify(DataFolder(root).events, KeyRing.plain(asked.KEY))
    assert (verified.intact, verified.position) == (True, len(rows))
    recorded: dict[str, list[int]] = {}
    versions: Counter[str] = Counter()
    for row in rows:
        recorded.setdefault(row.command_id, []).append(row.position)
        versions[row.originator_id] += 1  # nobody decided on a stream that had moved on
        assert row.originator_version == versions[row.originator_id]
    first: Counter[str] = Counter()
    for answer in answers:
        assert list(answer.positions) in (recorded.get(answer.id, []), [])
        first[answer.id] += bool(answer.positions) and not answer.repeated
    for positions in recorded.values():
        assert positions == list(range(positions[0], positions[-1] + 1)), "a batch in parts"
    asked_for = {answer.id for answer in answers}
    assert all(first[i] == (i in recorded) for i in asked_for), "each by one, and by no other"
    count(f"commands asked by {writers} writing processes at one time", len(answers))
    count("commands that were told the result of another process", sum(a.repeated for a in answers))
    count("commands refused to all but one process", sum(bool(a.error) for a in answers))


def test_who_loses_is_told_why(written: Written, asked: ModuleType) -> None:
    errors: dict[str, Counter[str]] = {}
    for answer in written.answers:
        errors.setdefault(answer.id.partition(":")[0], Counter())[answer.error] += 1
    others = ROUNDS * (written.writers - 1)
    for kind in ("own", "same", "same-reversal", "fill"):
        assert set(errors[kind]) == {""}, f"{kind}: nobody loses"
    assert errors["clash"] == {"": ROUNDS, "CommandConflict": others}
    assert errors["taken"] == {"": ROUNDS, "DomainError": others}
    with closing(asked.Asker(written.root)) as asker:
        order = asker.store.load(Order, order_stream("all"))
    assert order.filled.decimal == Decimal(PARTS)


def test_processes_that_make_the_store_at_one_time_make_one(
    asked: ModuleType, children: Any, tmp_path: Path, count: Callable[..., None]
) -> None:
    def open_and_ask(root: Path, tell: Any) -> None:
        with closing(asked.Asker(root)) as asker:
            tell(asker.ask(0))

    for number in range(MADE):
        root = tmp_path / f"{number}"
        read_or_create_key(DataFolder(root).blind_key, asked.KEY)
        said = children([partial(open_and_ask, root)] * 4)
        assert sorted(said) == [[[[1], False]], *[[[[1], True]]] * 3]
        assert len(asked.rows(root)) == 1
        count("stores made by four processes at one time")
