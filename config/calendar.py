"""Trading sessions of an exchange: hours, half days, closures (M17), and settlement dates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import msgspec

from config.clock import local_date
from config.errors import ConfigError


def calendar_codes() -> Collection[str]:
    """The exchanges whose sessions are known, by ISO 10383 code and by other names."""
    names: list[str] = exchange_calendars.get_calendar_names(include_aliases=True)
    return names


class CalendarError(ConfigError):
    """A calendar that does not exist or does not reach the date."""


class SessionHours(msgspec.Struct, frozen=True):
    """One trading day: ``day`` is the exchange's session label, open and close are UTC."""

    day: date
    open: datetime
    close: datetime


# What is looked back for: the last close of VIX, the universe of an evening before.
BEFORE, AFTER = timedelta(days=60), timedelta(days=14)


class TradingCalendar:
    """Sessions of one exchange by its ISO 10383 code, such as XNYS, over a bounded span."""

    def __init__(self, code: str, first: date, last: date) -> None:
        try:
            self._calendar = exchange_calendars.get_calendar(
                code,
                start=(first - BEFORE).isoformat(),
                end=(last + AFTER).isoformat(),
            )
        except (exchange_calendars.errors.InvalidCalendarName, ValueError) as e:
            raise CalendarError(f"No sessions for exchange {code!r}, {first} to {last}: {e}") from e
        self.code = code

    def sessions(self, first: date, last: date) -> list[SessionHours]:
        """Trading days from first to last, both included, in order."""
        labels = self._calendar.sessions_in_range(first.isoformat(), last.isoformat())
        return [self._hours(label) for label in labels]

    def session(self, day: date) -> SessionHours | None:
        """The hours of that day, or None when the exchange is closed."""
        found = self.sessions(day, day)
        return found[0] if found else None

    def date_of(self, moment: datetime) -> date:
        """The date at the exchange, by which its sessions are named."""
        return local_date(moment, str(self._calendar.tz))

    def settles_on(self, day: date) -> date:
        """Settlement date of a US equity trade: T+3 to 2017-09-04, T+2 to 2024-05-27, then T+1.

        Source: SEC rule 15c6-1 and its amendments.
        """
        cycle = 3 if day < date(2017, 9, 5) else 2 if day < date(2024, 5, 28) else 1
        label = self._calendar.session_offset(day.isoformat(), cycle)
        settled: date = label.date()
        return settled

    def _hours(self, label: object) -> SessionHours:
        opened = self._calendar.session_open(label).to_pydatetime().astimezone(UTC)
        closed = self._calendar.session_close(label).to_pydatetime().astimezone(UTC)
        return SessionHours(label.date(), opened, closed)  # type: ignore[attr-defined]
