"""What was screened, and what is blocked by hand, as of both clocks: from the events alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from aggregates.blocklist import STREAM as BLOCKLIST
from aggregates.blocklist import SymbolBlocked, SymbolUnblocked
from aggregates.screen import (
    CandidatesChosen,
    UniverseNotRebuilt,
    UniverseRebuilt,
    screen_stream,
)
from config.errors import ConfigError
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf
from runtime.schedule import calendar_around

CLOSED_AT_MOST = timedelta(days=20)


class Universe(NamedTuple):
    """Made after the close of ``day``."""

    day: date
    position: int
    made: UniverseRebuilt


class Chosen(NamedTuple):
    position: int
    made: CandidatesChosen


class DayScreens(NamedTuple):
    """Of one session; ``kept`` says why no universe was made after it, where none was."""

    day: date
    universe: Universe | None
    kept: UniverseNotRebuilt | None
    chosen: tuple[Chosen, ...]


class BlockChange(NamedTuple):
    """``blocked``: put on the list; else taken off it."""

    symbol: str
    blocked: bool
    reason: str
    at: datetime
    actor: str
    position: int


class BlocklistView(NamedTuple):
    """``changes`` newest first; ``blocked`` those that hold, A to Z; ``seen`` is the version."""

    seen: int
    blocked: tuple[BlockChange, ...]
    changes: tuple[BlockChange, ...]


def screens_of(feed: Feed, day: date, as_of: AsOf = NOW) -> DayScreens:
    """What both clocks know of the screens of that session."""
    universe, kept = None, None
    chosen: list[Chosen] = []
    for row, event in known_events(feed, screen_stream(day), as_of):
        match event:
            case UniverseRebuilt():
                universe = Universe(day, row.position, event)
            case UniverseNotRebuilt():
                kept = event
            case CandidatesChosen():
                chosen.append(Chosen(row.position, event))
    return DayScreens(day, universe, None if universe else kept, tuple(chosen))


def newest_universe(feed: Feed, days: Iterable[date], as_of: AsOf = NOW) -> Universe | None:
    """The first that is found; ``days`` are sessions, newest first."""
    return next(filter(None, (screens_of(feed, day, as_of).universe for day in days)), None)


def age_of(universe: Universe, calendar: str, moment: datetime) -> int | None:
    """How many sessions old it is in the one that runs or comes next; None: that is not known."""
    try:
        sessions = calendar_around(calendar, moment.date()).sessions(
            universe.day + timedelta(days=1), moment.date() + CLOSED_AT_MOST
        )
    except ConfigError:
        return None
    return sum(hours.close <= moment for hours in sessions) + 1


def blocklist_of(feed: Feed, as_of: AsOf = NOW) -> BlocklistView:
    """The symbols that are blocked by hand, who blocked them, and every change."""
    changes = [
        BlockChange(
            event.symbol, isinstance(event, SymbolBlocked), event.reason, event.occurred_at,
            row.actor, row.position,
        )
        for row, event in known_events(feed, BLOCKLIST, as_of)
        if isinstance(event, SymbolBlocked | SymbolUnblocked)
    ]  # fmt: skip
    last = {change.symbol: change for change in changes}
    blocked = (last[symbol] for symbol in sorted(last) if last[symbol].blocked)
    return BlocklistView(len(changes), tuple(blocked), tuple(reversed(changes)))
