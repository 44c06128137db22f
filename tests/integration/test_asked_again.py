"""A command that another process is just then carrying out, or whose streams it changes.

The other process is a second store on the same file, which acts at a named step of the first.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from aggregates.base import Command
from aggregates.books import ReverseEntry
from aggregates.capital import RecordDeposit
from aggregates.configuration import STREAM, AdoptSettings, Configuration
from aggregates.errors import DomainError
from config import failpoints
from config.clock import to_micros
from eventstore.application import Store
from eventstore.errors import CommandConflict, StoreUnreadable
from eventstore.verification import verify
from runtime.dispatch import Dispatcher, Recorded
from security.data_keys import KeyRing

LOOKED_UP, DECIDED = "dispatch.looked_up", "dispatch.decided"


class Meanwhile:
    """The other process, and when it acts."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self.dispatch = dispatch
        self.done: list[Any] = []  # what it was told, errors included

    def ask(self, step: str, *asks: tuple[Command, str]) -> None:
        """At the first time that ``step`` is reached ask for the first, and so on."""
        left = list(asks)

        def act(reached: str) -> None:
            if reached == step and left:
                failpoints.arm(None)  # the other's own steps are nobody's business
                command, command_id = left.pop(0)
                try:
                    self.done.append(self.dispatch(command, command_id=command_id))
                except StoreUnreadable as e:
                    self.done.append(e)
                failpoints.arm(act)

        failpoints.arm(act)


@pytest.fixture
def meanwhile(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    monkeypatch.setattr("eventstore.connection.BUSY_TIMEOUT_S", 0.05)
    other = Store(
        keeper.path,
        keys=KeyRing.plain(bytes(range(32))),
        now_us=lambda: to_micros(keeper.clock),
        software_version="test",
    )
    with closing(other):
        yield Meanwhile(Dispatcher(other, "other"))
    failpoints.arm(None)


def deposit(keeper: Any, reference: str, amount: int = 5) -> Command:
    own = {"currency": "USD", "amount": amount, "reason": "r", "reference": reference}
    command: Command = keeper.command(RecordDeposit, **own)
    return command


def settings(keeper: Any, value: str) -> Command:
    command: Command = keeper.command(AdoptSettings, values={"a": value}, reason="r")
    return command


COMMANDS: dict[str, Callable[[Any], Command]] = {
    "booked already": lambda keeper: deposit(keeper, "both"),
    "in force already": lambda keeper: settings(keeper, "1"),
    "reversed already": lambda keeper: keeper.command(
        ReverseEntry, reversed_position=5, reason="r"
    ),
}


@pytest.mark.parametrize("step", [LOOKED_UP, DECIDED])
@pytest.mark.parametrize("refusal", COMMANDS)
def test_what_another_has_just_carried_out_gives_its_result_and_no_refusal(
    keeper: Any, meanwhile: Meanwhile, step: str, refusal: str
) -> None:
    command, head = COMMANDS[refusal](keeper), keeper.store.head().position
    meanwhile.ask(step, (command, "same"))
    assert keeper.dispatch(command, command_id="same") == ([head + 1], True)
    assert meanwhile.done == [([head + 1], False)]
    assert keeper.store.head().position == head + 1


@pytest.mark.parametrize("refusal", COMMANDS)
def test_the_same_wish_under_another_id_is_refused(
    keeper: Any, meanwhile: Meanwhile, refusal: str
) -> None:
    command = COMMANDS[refusal](keeper)
    meanwhile.ask(DECIDED, (command, "theirs"))
    with pytest.raises(DomainError, match=refusal):
        keeper.dispatch(command, command_id="mine")
    assert keeper.store.head().position == meanwhile.done[0].positions[0]


@pytest.mark.parametrize("step", [LOOKED_UP, DECIDED])
def test_the_same_id_with_other_content_at_the_same_moment_is_a_conflict(
    keeper: Any, meanwhile: Meanwhile, step: str
) -> None:
    meanwhile.ask(step, (deposit(keeper, "both", 6), "same"))
    with pytest.raises(CommandConflict, match="first result stands"):
        keeper.dispatch(deposit(keeper, "both"), command_id="same")
    assert keeper.store.head().position == meanwhile.done[0].positions[0]


def test_when_others_change_the_stream_meanwhile_it_is_decided_anew(
    keeper: Any, meanwhile: Meanwhile
) -> None:
    head = keeper.store.head().position
    meanwhile.ask(DECIDED, (settings(keeper, "theirs"), "theirs"))
    done = keeper.dispatch(
        deposit(keeper, "own"), settings(keeper, "mine"), command_id="mine", correlation="c"
    )
    assert done == ([head + 2, head + 3], False)
    assert keeper.store.load(Configuration, STREAM).values == {"a": "mine"}
    assert verify(keeper.path).intact


def test_nobody_is_late_twice(keeper: Any, meanwhile: Meanwhile) -> None:
    """Decided anew while the others wait: what they could not write they write afterwards."""
    second = (settings(keeper, "again"), "again")
    meanwhile.ask(DECIDED, (settings(keeper, "theirs"), "theirs"), second)
    done = keeper.dispatch(settings(keeper, "mine"), command_id="mine")
    assert [type(answer) for answer in meanwhile.done] == [Recorded, StoreUnreadable]
    assert "locked by another program" in str(meanwhile.done[1])
    failpoints.arm(None)
    assert done.positions == [keeper.store.head().position]
    assert meanwhile.dispatch(second[0], command_id="again").positions == [done.positions[0] + 1]


def test_deciding_anew_may_end_in_a_refusal(keeper: Any, meanwhile: Meanwhile) -> None:
    meanwhile.ask(DECIDED, (settings(keeper, "wanted"), "theirs"))
    with pytest.raises(DomainError, match="in force already"):
        keeper.dispatch(deposit(keeper, "own"), settings(keeper, "wanted"), command_id="mine")
    assert keeper.store.head().position == meanwhile.done[0].positions[0]
    assert keeper.deposit("1.00") == meanwhile.done[0].positions[0] + 1  # nothing is held
