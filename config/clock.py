"""Time: the only module that knows time zones. Everything stored is UTC (M17)."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import pytz


class Clock(Protocol):
    """Injected wherever time matters; a simulated day differs from a live one only here."""

    def now(self) -> datetime:
        """The present instant, UTC, with microseconds."""

    def wait_until(self, moment: datetime) -> None:
        """Return when ``moment`` has come; at once when it has passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait_until(self, moment: datetime) -> None:
        while (left := (moment - self.now()).total_seconds()) > 0:
            time.sleep(min(left, 1.0))


class VirtualClock:
    """A clock that jumps: waiting costs nothing, and the same run gives the same times."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def wait_until(self, moment: datetime) -> None:
        self._now = max(self._now, moment.astimezone(UTC))


UnclearTime = pytz.InvalidTimeError  # a wall time that a change of clocks skips or repeats


def zones() -> Collection[str]:
    """The names of all time zones that there are."""
    return pytz.all_timezones_set


def local_to_utc(day: date, wall: dt.time, zone: str) -> datetime:
    """The UTC instant of a local wall time such as 09:30, by date (DST included).

    Raises pytz.NonExistentTimeError or AmbiguousTimeError inside a DST change: never guessed.
    """
    naive = datetime.combine(day, wall)
    return pytz.timezone(zone).localize(naive, is_dst=None).astimezone(UTC)


def utc_to_local(moment: datetime, zone: str) -> datetime:
    """For display only; local times are never stored."""
    return moment.astimezone(pytz.timezone(zone))


def local_date(moment: datetime, zone: str) -> date:
    """The date in the entity's zone: the effective date of what is no trade."""
    return utc_to_local(moment, zone).date()


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(moment: datetime) -> int:
    """UTC microseconds since 1970, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
