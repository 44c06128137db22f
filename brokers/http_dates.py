"""Times and days that a broker over HTTP does not tell by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import requests

from brokers.http_fields import Unreadable
from brokers.port import MAX_SKEW, SessionCalendar
from config.clock import Clock, local_date

_LONGEST_CLOSURE_DAYS = 10


def server_time(response: requests.Response) -> datetime:
    """The ``Date`` header, to the second (RFC 9110, section 6.6.1). Raises Unreadable."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
    except ValueError:
        raise Unreadable("Date") from None


def skew_fault(broker: str, there: datetime, asked: datetime, clock: Clock) -> str:
    """What is wrong with this machine's clock or the broker's, in words; "" when nothing is.

    ``there`` was answered to what was ``asked`` then; of the time under way nobody knows on which
    way it was spent.
    """
    skew, under_way = there - asked, clock.now() - asked
    if abs(skew) - under_way <= MAX_SKEW + timedelta(seconds=1):  # the header has whole seconds
        return ""
    return (
        f"This machine's clock and {broker}'s differ by {skew.total_seconds():.0f} seconds. "
        "Set this machine's clock right."
    )


def settlement_day(calendar: SessionCalendar, executed_at: datetime) -> date:
    """A fill overnight or on a day without a session counts as one of the next session."""
    day = local_date(executed_at, "America/New_York")
    for _ in range(_LONGEST_CLOSURE_DAYS):
        if calendar.session(day) is not None:
            break
        day += timedelta(days=1)
    return calendar.settles_on(day)
