"""Why a request of the long-term holdings waits, for whoever looks at it (M36, decision 0032).

A page never talks to a broker: what is said follows from events, the calendar and the clock, in the
order in which the supervisor looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from aggregates.session import Session, session_stream
from config.calendar import SessionHours
from config.errors import ConfigError
from eventstore.feed import Feed
from projections.known_events import known_events
from runtime.holdings_requests import Asked
from runtime.queries import Queries
from runtime.schedule import calendar_around

LAST_START = timedelta(minutes=15)  # before the close: sales and purchases take some minutes each
_CLOSED_AT_MOST = timedelta(days=15)


def why_waiting(queries: Queries, asked: Asked, now: datetime) -> str:
    """In words, without a full stop; empty when nothing stands in its way that is known here."""
    return next(_reasons(queries, asked, now), "") if asked.open else ""


def _reasons(queries: Queries, asked: Asked, now: datetime) -> Iterator[str]:
    control = queries.control()
    if control.killed:
        yield "the kill switch is latched: an admin resets it"
    if control.killing:
        yield "a kill is under way"
    hours = _session(queries, now)
    if hours is None:
        yield "no session of the exchange is known for the next days"
    elif now < hours.open:
        yield f"the market is closed until {hours.open:%Y-%m-%d %H:%M} UTC"
    else:
        yield from _in_session(queries, asked, hours)


def _in_session(queries: Queries, asked: Asked, hours: SessionHours) -> Iterator[str]:
    ended = queries.of_history(lambda feed, _: _session_of(feed, hours)).ended
    if not {"open", "holdings"} <= ended:
        yield "the session's open phase and its work on the holdings are not over yet"
    agreement = queries.agreement()
    if agreement.open or agreement.blocked:
        yield "books and broker differ: the difference is to be resolved first"
    if agreement.not_known:
        yield f"the broker does not answer: {agreement.not_known}"
    if asked.preview is not None:
        wanted = {s.symbol for s in asked.preview.securities if s.price is not None}
        old = [
            row.symbol
            for row in queries.holdings().rows
            if row.symbol in wanted and (row.price_at is None or row.price_at < hours.open)
        ]
        if old:
            yield f"no price of this session is known of {', '.join(sorted(old))}"


def _session(queries: Queries, now: datetime) -> SessionHours | None:
    """The session in which it can be taken up: this one, or the next."""
    try:
        code = queries.settings()[-1].values["EXCHANGE_CALENDAR"]
        sessions = calendar_around(code, now.date()).sessions(
            now.date() - timedelta(days=1), now.date() + _CLOSED_AT_MOST
        )
    except (ConfigError, LookupError):
        return None
    return next((one for one in sessions if now < one.close - LAST_START), None)


def _session_of(feed: Feed, hours: SessionHours) -> Session:
    found = Session(session_stream(hours.day.isoformat()))
    for _, event in known_events(feed, found.id):
        found.fold(event)
    return found
