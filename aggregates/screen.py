"""Screens: which securities were looked at, which were chosen, which were rejected and why (M16).

The universe is rebuilt after a session's close; from it each strategy's candidates of a later
session are chosen. An event names every symbol that was chosen, in the order of preference, and
counts the rejected by their reason. The facts of each symbol that was looked at lie in a file whose
SHA-256 the event holds, so that an event stays small however many they are.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic

Mode = Literal["pre-market", "intraday", "after-hours"]
NAMED = 20  # symbols that a rejection names at most; the file of facts has all of them


def screen_stream(day: date) -> str:
    return f"screen-{day.isoformat()}"


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """``why`` is what was asked and not met; ``symbols`` are the first of ``count``, A to Z."""

    why: str
    count: int
    symbols: tuple[str, ...]


@topic("Screen.UniverseRebuilt")
class UniverseRebuilt(Event, frozen=True, kw_only=True):
    """``facts`` is the SHA-256 of the file of facts, in hexadecimal digits."""

    source: str
    mode: Mode
    looked_at: int
    symbols: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    facts: str


@topic("Screen.UniverseNotRebuilt")
class UniverseNotRebuilt(Event, frozen=True, kw_only=True):
    """The universe of an earlier session stays: ``reason`` says why there is no new one."""

    source: str
    reason: str


@topic("Screen.CandidatesChosen")
class CandidatesChosen(Event, frozen=True, kw_only=True):
    """``universe`` is the session after which the universe was made; None: no universe was used.

    ``said`` is what a reader has to know beside it, such as why there are none; mostly empty.
    """

    strategy: str
    source: str
    mode: Mode
    universe: date | None
    looked_at: int
    symbols: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    facts: str
    said: str


class RecordUniverse(Command, frozen=True, kw_only=True):
    source: str
    mode: Mode
    looked_at: int
    symbols: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    facts: str


class RecordUniverseKept(Command, frozen=True, kw_only=True):
    source: str
    reason: str


class RecordCandidates(Command, frozen=True, kw_only=True):
    strategy: str
    source: str
    mode: Mode
    universe: date | None
    looked_at: int
    symbols: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    facts: str
    said: str


class ScreenDay(Aggregate):
    """What was screened in one session and after it. ``kept``: the last reason for no universe."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.universe: UniverseRebuilt | None = None
        self.kept: UniverseNotRebuilt | None = None
        self.chosen: dict[str, CandidatesChosen] = {}

    def rebuild_universe(self, c: RecordUniverse) -> None:
        check(self.universe is None, "The universe of this session is made already.")
        check(bool(c.symbols), "A universe without any security would replace one that has some.")
        _check_screen(c)
        self.emit(record(UniverseRebuilt, c))

    def keep_universe(self, c: RecordUniverseKept) -> None:
        check(self.universe is None, "The universe of this session is made already.")
        self.emit(record(UniverseNotRebuilt, c))

    def choose_candidates(self, c: RecordCandidates) -> None:
        check(
            c.strategy not in self.chosen,
            f"The candidates of {c.strategy} are chosen already for this session.",
        )
        _check_screen(c)
        self.emit(record(CandidatesChosen, c))

    def apply(self, event: Event) -> None:
        match event:
            case UniverseRebuilt():
                self.universe = event
            case UniverseNotRebuilt():
                self.kept = event
            case CandidatesChosen():
                self.chosen[event.strategy] = event


def _check_screen(c: RecordUniverse | RecordCandidates) -> None:
    """Chosen and rejected add up to what was looked at."""
    check(len(set(c.symbols)) == len(c.symbols), "A symbol is chosen twice in one screen.")
    rejected = sum(r.count for r in c.rejected)
    check(
        len(c.symbols) + rejected == c.looked_at,
        f"{c.looked_at} were looked at, but {len(c.symbols)} chosen and {rejected} rejected.",
    )
