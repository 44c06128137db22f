"""What every strategy is to the supervisor: bars go in, signals come out (M10).

A strategy does no I/O, reads no clock and draws no random number. Fed the same bars, a fresh
instance answers as one that has run all day, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from aggregates.market import MINUTE, Bar
from aggregates.session import DecisionKind


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What the trading sleeve holds of one symbol now.

    ``first_fill_at`` is the UTC start of the bar in which the entry was first filled.
    ``underlying`` is the symbol whose weakness it was bought on (M11); empty: its own strength.
    Such a holding is watched by the bars of the underlying, and is sold when they rise.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal
    first_fill_at: datetime
    underlying: str = ""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the strategy saw. Risk rules judge it, the supervisor records and acts.

    ``price`` is the close of the bar that gave it; ``stop`` the initial stop, on entries only:
    below the price, and above it for a bearish one.
    ``inputs`` holds every number that justified it, as plain text, always in the same order.
    """

    strategy: str
    symbol: str
    kind: DecisionKind
    reason: str
    price: Decimal | None
    stop: Decimal | None
    inputs: dict[str, str]


class Window(msgspec.Struct, frozen=True):
    """UTC edges of a strategy's day: analysis, then breakout (entries), then monitoring."""

    start: datetime
    analysis_end: datetime
    breakout_end: datetime
    monitoring_end: datetime


class Strategy(Protocol):
    """Called once a minute, when its bars are complete: ``on_bar`` first, exits, then entries."""

    name: str
    window: Window

    def self_check(self) -> list[str]:
        """Faults in words that forbid the start; empty when all is well (M10)."""

    def on_bar(self, bar: Bar) -> None:
        """Fold a complete bar: every bar of the session, in order of time for each symbol.

        Raises DomainError when a bar is not later than the symbol's last one.
        """

    def analysis_volume(self, symbol: str) -> int | None:
        """Shares traded in the analysis window, or None when no bar of it came."""

    def entries(self, now: datetime, decided: Set[str]) -> list[Signal]:
        """Signals of the bars that end in this minute, alphabetical by symbol.

        ``decided`` names the symbols that had their first signal; they get no other.
        """

    def exits(self, now: datetime, holdings: Mapping[str, Holding]) -> list[Signal]:
        """Exits that are due, alphabetical. One stays due for as long as anything is held."""

    def finished(self, now: datetime) -> bool:
        """Monitoring is over; what is still held is due to be sold."""


def minute_of(moment: datetime) -> datetime:
    """The start of the moment's minute: a poll two seconds late still means this minute."""
    return moment.replace(second=0, microsecond=0)


def next_minute(moment: datetime) -> datetime:
    """The first whole minute at or after the moment: bars are complete then."""
    floor = minute_of(moment)
    return floor if floor == moment else floor + MINUTE


def as_text(value: Decimal | datetime | int | None) -> str:
    """Plain text for inputs and verdicts: fixed point, minutes in UTC, "none" when missing."""
    match value:
        case None:
            return "none"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%MZ}"
        case _:
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
