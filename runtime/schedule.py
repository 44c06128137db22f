"""When the next supervisor is due (M17, M20): from settings, sessions, and what is done already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from config.calendar import SessionHours
from config.clock import local_date
from config.settings import Settings

if TYPE_CHECKING:
    from config.calendar import TradingCalendar

BACK, AHEAD = timedelta(days=45), timedelta(days=30)  # no exchange is closed for that long
DAY = timedelta(days=1)


class Sessions(Protocol):
    """What is asked of ``config.calendar.TradingCalendar``."""

    def sessions(self, first: date, last: date) -> Sequence[SessionHours]: ...

    def session(self, day: date) -> SessionHours | None: ...


class Due(NamedTuple):
    """Start the supervisor of the session ``hours`` at ``at`` (UTC), or at once after that."""

    at: datetime
    hours: SessionHours


def trigger(day: date, settings: Settings) -> datetime:
    """TBOT_SUPERVISOR_UTC_HHMM on that day of TIMEZONE, in UTC.

    The key is UTC and the day is local: for an exchange in Tokyo 22:00 UTC is the evening before.
    It is the last such instant whose local date is not after the day.
    """
    wall = settings.TBOT_SUPERVISOR_UTC_HHMM
    asked = [datetime.combine(day + n * DAY, wall, UTC) for n in (-2, -1, 0, 1)]
    return max(at for at in asked if local_date(at, settings.TIMEZONE) <= day)


def next_due(
    settings: Settings,
    sessions: Sessions,
    now: datetime,
    done: Callable[[date], bool],
    begun: SessionHours | None,
) -> Due | None:
    """The first session that is neither over nor done; one that was begun comes before all others.

    ``begun`` was opened and not closed, whenever that was: the supervisor goes on with it. None
    when no session lies within ``AHEAD``. TRADING_DAYS takes no day out: on a day that is not among
    them the bot judges and buys nothing.
    """
    if begun is not None:
        return Due(now, begun)
    today = now.astimezone(UTC).date()
    for hours in sessions.sessions(today - DAY, today + AHEAD):
        if hours.close > now and not done(hours.day):
            return Due(trigger(hours.day, settings), hours)
    return None


class Horizon:
    """The sessions around today; made anew each day, so that a bot may run for years."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._made: tuple[date, TradingCalendar] | None = None

    def at(self, now: datetime) -> TradingCalendar:
        """Raises CalendarError: there are no sessions for this exchange."""
        today = now.astimezone(UTC).date()
        if self._made is None or self._made[0] != today:
            self._made = today, calendar_around(self._code, today)
        return self._made[1]


@lru_cache(maxsize=2)  # main has it at hand when it must kill within a second
def calendar_around(code: str, day: date) -> TradingCalendar:
    """Sessions from ``BACK`` before that day to ``AHEAD`` after it. Raises CalendarError."""
    from config.calendar import TradingCalendar  # it brings pandas with it

    return TradingCalendar(code, day - BACK, day + AHEAD)
