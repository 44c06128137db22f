"""When the next rebalance is due (M36). Pure: the calendar is handed in."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Protocol

from config.calendar import SessionHours

_LONGEST_CLOSURE = 15  # days that are looked at for the next session


class Sessions(Protocol):
    """What is needed of ``config.calendar.TradingCalendar``."""

    def session(self, day: date) -> SessionHours | None: ...


def months_later(day: date, months: int) -> date:
    """The same day of the month, or the month's last day where it has no such day."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def due_on(last: date, months: int, calendar: Sessions) -> date:
    """The first session on or after the day, ``months`` after ``last``. A half day is a session.

    Where the calendar has no session for more than two weeks, the day itself. Raises what the
    calendar raises when it does not reach so far.
    """
    day = months_later(last, months)
    days = (day + timedelta(days=n) for n in range(_LONGEST_CLOSURE))
    return next((one for one in days if calendar.session(one) is not None), day)


def is_due(last: date, months: int, session: date) -> bool:
    """Whether the interval is over on the day of a session: missed sessions are made up for."""
    return session >= months_later(last, months)
