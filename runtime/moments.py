"""Moments as people say them, for both clocks: a date, a period, a time, an event, or words.

The effective clock ends with a day, the clock of knowing with an event. What is said is settled at
once: "yesterday" becomes a date, a time the last event recorded by then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from aggregates.errors import DomainError
from aggregates.period import Period, span_of
from config.clock import UnclearTime, local_date, local_to_utc, to_micros, zones

WORDS = (
    "today", "yesterday", "last close", "last month", "last quarter", "last year",
    "end of last month", "end of last quarter", "end of last year",
)  # fmt: skip
_EVENT = re.compile(r"(?:event\s*|#)?(\d{1,18})", re.ASCII | re.IGNORECASE)
_ZONED = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)\s+([A-Za-z][A-Za-z0-9_+/-]*)", re.ASCII
)
_END = "end of "
_DAY_END = time(23, 59, 59, 999_999)


class Sources(NamedTuple):
    """What a moment is settled with. ``zone`` is the entity's; times are UTC unless they say."""

    now: datetime
    zone: Callable[[], str]
    newest: int
    position_at: Callable[[int], int]
    effective_date: Callable[[int], date | None]
    closes: Callable[[], dict[date, int | None]]


def effective(text: str, of: Sources) -> date:
    """The last day that counts. A period ends with its last day, a time lies in its local day.

    Raises DomainError that says what is allowed.
    """
    said = _plain(text)
    if said == "last close":
        return _last_close(of)[0]
    if period := _named_period(said.removeprefix(_END), of):
        return period.last
    if not re.fullmatch(r"\d{4}", said) and (found := _EVENT.fullmatch(said)):
        day = of.effective_date(_event(found[1], of))
        if day is None:
            raise DomainError(f"Event {found[1]} has no effective date; name a date instead.")
        return day
    if moment := _time(text, of):
        return local_date(moment, of.zone())
    return span_of(said.removeprefix(_END)).last


def known(text: str, of: Sources) -> int:
    """The last event that was known; 0 when there was none yet. "end of …" is the end of a day or
    period in the entity's zone; a date alone is its beginning, in UTC.

    Raises DomainError that says what is allowed.
    """
    said = _plain(text)
    if said == "last close":
        return _last_close(of)[1]
    if said.startswith(_END):
        period = _named_period(said.removeprefix(_END), of) or span_of(said.removeprefix(_END))
        return of.position_at(to_micros(_end_of(period.last, of.zone())))
    if found := _EVENT.fullmatch(said):
        return _event(found[1], of)
    moment = _time(text, of)
    if moment is None:
        first = _beginning(said, of)
        if first is None:
            raise DomainError(
                f"{text!r} is neither an event number (1 to {of.newest}) nor a time such as "
                "2013-10-07T20:00:00Z, 2013-10-07 16:00 US/Eastern or “end of last month”."
            )
        moment = datetime.combine(first, time(), UTC)
    return of.position_at(to_micros(moment))


def _plain(text: str) -> str:
    return " ".join(text.split()).lower() if text.isprintable() else text


def _last_close(of: Sources) -> tuple[date, int]:
    closed = [(day, position) for day, position in of.closes().items() if position is not None]
    if not closed:
        raise DomainError("No session was closed yet; name a date or an event instead.")
    return closed[-1]


def _named_period(said: str, of: Sources) -> Period | None:
    """The period that words name, seen from today in the entity's zone; None for other text."""
    today = local_date(of.now, of.zone())
    before = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "last month": today.replace(day=1) - timedelta(days=1),
        "last quarter": _quarter_start(today) - timedelta(days=1),
        "last year": date(today.year - 1, 12, 31),
    }.get(said)
    if before is None:
        return None
    if said in ("today", "yesterday"):
        return Period(before, before)
    return span_of({
        "last month": f"{before:%Y-%m}",
        "last quarter": f"{before:%Y}-Q{(before.month + 2) // 3}",
        "last year": f"{before:%Y}",
    }[said])  # fmt: skip


def _quarter_start(day: date) -> date:
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def _event(digits: str, of: Sources) -> int:
    position = int(digits)
    if not 1 <= position <= of.newest:
        raise DomainError(f"There is no event {position}; the store holds 1 to {of.newest}.")
    return position


def _time(text: str, of: Sources) -> datetime | None:
    """A time with its zone: ISO 8601, or with the name of a zone after it; None for other text."""
    if found := _ZONED.fullmatch(text.strip()):
        return _zoned(datetime.fromisoformat(found[1]), found[2], of)
    try:
        moment = datetime.fromisoformat(text.strip())
        if "T" not in text and " " not in text.strip():
            return None  # a date alone
        # times without a zone are UTC here, as everywhere
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        return None


def _zoned(wall: datetime, name: str, of: Sources) -> datetime:
    zone = of.zone() if name.lower() == "local" else name
    if zone.lower() == "utc":
        return wall.replace(tzinfo=UTC)
    if zone not in zones():
        raise DomainError(
            f"{name!r} is no time zone known here; write UTC, local, or a name such as US/Eastern."
        )
    try:
        return local_to_utc(wall.date(), wall.time(), zone)
    except UnclearTime:
        raise DomainError(
            f"{wall:%Y-%m-%d %H:%M} does not name one moment in {zone}: clocks were changed then. "
            "Write it in UTC."
        ) from None


def _beginning(said: str, of: Sources) -> date | None:
    try:
        return (_named_period(said, of) or span_of(said)).first
    except DomainError:
        return None


def _end_of(day: date, zone: str) -> datetime:
    """The last moment of a day. Where clocks change at midnight, that of the UTC day."""
    try:
        return local_to_utc(day, _DAY_END, zone)
    except UnclearTime:
        return datetime.combine(day, _DAY_END, UTC)
