"""Which faults are played on the line to a broker, and where they come from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from brokers.port import Execution

T = TypeVar("T")
NONE = ""

# What can be played at each call. "silent" everywhere: BrokerUnavailable, and nothing arrived;
# "outage": so for some minutes, whatever is asked.
FAULTS: Mapping[str, Sequence[str]] = {
    # before: timed out, never arrives; late: arrives after that; after: arrived, the answer is lost
    "submit": ("before", "late", "after", "refused", "silent", "outage"),
    # ignored: taken with thanks, and nothing is done; slow: done a minute later, if still open
    "cancel": ("before", "after", "ignored", "slow", "silent", "outage"),
    "order": ("stale", "stale", "silent", "outage"),
    "fills": ("twice", "reordered", "withheld", "withheld", "silent", "outage"),
    "other": ("silent", "silent", "silent", "outage"),
}


# Questions are asked far more often than orders are sent, and their faults are duller.
OFTEN = {"submit": 5.0, "cancel": 5.0, "order": 2.0, "fills": 2.0, "other": 0.1}


class Faults(Protocol):
    """Where the faults come from."""

    def draw(self, call: str) -> str:
        """One of ``FAULTS[call]``, or "" for none."""

    def choose(self, choices: Sequence[T]) -> T: ...

    def shuffle(self, things: list[Execution]) -> None: ...


class Drawn:
    """From a seed: about ``share`` (0 to 1) of the calls goes wrong, of some kinds more often."""

    def __init__(self, seed: int, share: float) -> None:
        self._random, self._share = random.Random(f"faults {seed}"), share  # noqa: S311  # nosec B311

    def draw(self, call: str) -> str:
        if self._random.random() >= self._share * OFTEN[call]:
            return NONE
        return self._random.choice(FAULTS[call])

    def choose(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def shuffle(self, things: list[Execution]) -> None:
        self._random.shuffle(things)


class Scripted:
    """As told: for each kind of call the faults of the next calls in turn, then none."""

    def __init__(self, **script: Sequence[str]) -> None:
        self._script = {call: list(faults) for call, faults in script.items()}

    def draw(self, call: str) -> str:
        left = self._script.get(call)
        return left.pop(0) if left else NONE

    def choose(self, choices: Sequence[T]) -> T:
        return choices[0]

    def shuffle(self, things: list[Execution]) -> None:
        things.reverse()
