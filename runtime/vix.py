"""The level of VIX for the gate of CLOSE (M18): the broker's, else that of a file.

A VIX that is not known, or is too old, is None, and denies: docs/decisions/0036.

``market_data/vix.csv`` of the data folder has the columns ``at`` and ``level``, in order of time.
``at`` is a UTC minute (``2013-10-07T14:30:00Z``), or the date of a session (``2013-10-07``) whose
close the level is. Such a close is known from the session's close on, and never before it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aggregates.errors import TradeBotError
from aggregates.market import IndexLevel
from brokers.port import BrokerError
from runtime.logs import append_line

if TYPE_CHECKING:
    from config.calendar import TradingCalendar
    from runtime.bootstrap import Bot

VIX = "VIX"
COLUMNS = ["at", "level"]
BACK = timedelta(days=14)  # no exchange is closed for that long
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LEVEL = re.compile(r"\d{1,4}(?:\.\d{1,6})?", re.ASCII)


class VixUnreadable(TradeBotError):
    """The file of VIX cannot be believed; no line of it is used."""


class Line(NamedTuple):
    """``at`` is a UTC instant, or the date of a session."""

    at: datetime | date
    level: Decimal


def vix_level(bot: Bot, now: datetime) -> IndexLevel | None:
    """The newest level known at ``now`` (UTC), from the close of the session before on at least.

    None when there is none, or none that can be read: the log then says why.
    """
    try:
        found = _of_broker(bot) or _of_file(bot.folder.vix, bot.calendar, now)
    except (BrokerError, VixUnreadable) as e:
        log = bot.folder.global_logs / "main_bot.log"
        append_line(log, now, "ERROR", f"VIX is not known, so CLOSE buys nothing. {e}")
        return None
    if found is None or not _oldest(bot.calendar, now) <= found.at <= now:
        return None
    return found


def _of_broker(bot: Bot) -> IndexLevel | None:
    return bot.broker.index(VIX)


def _oldest(calendar: TradingCalendar, now: datetime) -> datetime:
    """The close of the session before the one that runs at ``now``, or that was the last to run."""
    sessions = calendar.sessions((now - BACK).date(), now.date())
    begun = [hours for hours in sessions if hours.open <= now]
    return begun[-2].close


def _of_file(path: Path, calendar: TradingCalendar, now: datetime) -> IndexLevel | None:
    closes = {s.day: s.close for s in calendar.sessions((now - BACK).date(), now.date())}
    for line in reversed(levels(path)):
        # the close of a day that is no session, or lies far back, is the close of nothing here
        at = line.at if isinstance(line.at, datetime) else closes.get(line.at)
        if at is not None and at <= now:
            return IndexLevel(symbol=VIX, level=line.level, at=at)
    return None


def levels(path: Path) -> tuple[Line, ...]:
    """All lines of the file, empty where there is none. Raises VixUnreadable with file and line."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)  # asked for every entry of CLOSE, and long
def _read(path: Path, _changed: int, _size: int) -> tuple[Line, ...]:
    try:
        with path.open(newline="", encoding="ascii") as text:
            rows = list(csv.reader(text))
    except (OSError, ValueError, csv.Error) as e:
        raise _unreadable(path, 1, f"it cannot be read ({e})") from e
    if not rows or rows[0] != COLUMNS:
        raise _unreadable(path, 1, "the columns are not at,level")
    lines = tuple(_lines(path, rows[1:]))
    for number, (before, after) in enumerate(pairwise(lines), 3):
        if _order(before) >= _order(after):
            raise _unreadable(path, number, "it is not later than the line before")
    return lines


def _lines(path: Path, rows: list[list[str]]) -> Iterator[Line]:
    for number, row in enumerate(rows, 2):
        at = _at(row[0]) if len(row) == len(COLUMNS) else None
        if at is None or not _LEVEL.fullmatch(row[1]) or not Decimal(row[1]):
            raise _unreadable(path, number, f"{','.join(row)!r} is no time and level above 0")
        yield Line(at, Decimal(row[1]))


def _at(text: str) -> datetime | date | None:
    try:
        if _MINUTE.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:  # the 30th of February
        return None


def _order(line: Line) -> tuple[date, str]:
    """A day's close comes after its minutes."""
    if isinstance(line.at, datetime):
        return line.at.date(), line.at.isoformat()
    return line.at, "close"


def _unreadable(path: Path, number: int, why: str) -> VixUnreadable:
    return VixUnreadable(
        f"{path}, line {number}: {why}. No line of it was used; write at,level, then lines such as "
        "2013-10-07T14:30:00Z,19.41 or 2013-10-07,19.41 in order of time."
    )
