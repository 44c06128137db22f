"""What a strategy's half of the derivation of a decision is made of (``strategies.derivation``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from aggregates.errors import DomainError
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import is_range
from strategies.protocol import Window

NONE = "none"
Side = Literal["strength", "weakness", "neither"]
Compared = tuple[str, object, object]  # what, as recorded, as derived


class Day(NamedTuple):
    """What else a decision rests on: the settings in force, the session's hours, and when the phase
    of MID was begun (None: not known, the recorded start of its window is taken)."""

    settings: Settings
    hours: SessionHours
    mid_since: datetime | None = None


class Inputs:
    """Recorded inputs as values. A missing one raises DomainError that names it."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def text(self, name: str) -> str:
        try:
            return self.texts[name]
        except KeyError:
            raise DomainError(f"The input {name} is not recorded.") from None

    def number(self, name: str) -> Decimal:
        return Decimal(self.text(name))

    def maybe(self, name: str) -> Decimal | None:
        return None if self.text(name) == NONE else self.number(name)

    def time(self, name: str) -> datetime:
        return datetime.fromisoformat(self.text(name))


class Half(NamedTuple):
    """What differs from strategy to strategy. ``signal`` compares what every signal rests on,
    ``stops`` are the initial stops below and above the close, ``reasons`` the words for strength
    and weakness, ``why_not`` compares where nothing could be traded, ``own_exit`` an exit that
    is no stop and no end of monitoring (None: it has none)."""

    window: Callable[[Inputs, Day], Window]
    signal: Callable[[Inputs, Day], Iterator[Compared]]
    side: Callable[[Inputs, Day], Side]
    stops: Callable[[Inputs, Day], tuple[Decimal, Decimal]]
    reasons: Callable[[Inputs], tuple[str, str]]
    why_not: Callable[[str, Inputs, Day], Iterator[Compared]]
    own_exit: Callable[[str, Inputs, Day], Iterator[Compared]] | None = None


def has_range(i: Inputs) -> bool:
    return is_range(int(i.text("range_bars")), int(i.text("range_minutes")))


def without_range(reason: str, i: Inputs, _day: Day) -> Iterator[Compared]:
    yield "reason", reason, "no range"
    yield "range that holds", False, has_range(i)
