"""Periods of the books as people write them: a day, a month, a quarter, a year, or from one to
another."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import NamedTuple

from aggregates.errors import DomainError

_YEAR = re.compile(r"[1-9]\d{3}", re.ASCII)
_QUARTER = re.compile(r"([1-9]\d{3})-[Qq]([1-4])", re.ASCII)
_MONTH = re.compile(r"([1-9]\d{3})-(0[1-9]|1[0-2])", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Period(NamedTuple):
    """Effective dates from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


def span_of(text: str) -> Period:
    """What a day, month, quarter or year names. Raises DomainError that says what is allowed."""
    if _YEAR.fullmatch(text):
        return _months(int(text), 1, 12)
    if found := _QUARTER.fullmatch(text):
        return _months(int(found[1]), 3 * int(found[2]) - 2, 3 * int(found[2]))
    if found := _MONTH.fullmatch(text):
        return _months(int(found[1]), int(found[2]), int(found[2]))
    try:
        # only this of ISO 8601's many forms: 2013-W41 would be the first day of a week
        day = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise DomainError(
            f"{text!r} is not a date; write it as 2013-10-07. A month (2013-10), a quarter "
            "(2013-Q4) or a year (2013) will do as well."
        ) from None
    return Period(day, day)


def period_of(text: str) -> Period:
    """``FROM:TO``, both included, or one name for both ends: 2013-10:2013-12 is 2013-Q4.

    Raises DomainError that says what is allowed.
    """
    start, colon, end = text.partition(":")
    first, last = span_of(start).first, span_of(end if colon else start).last
    if last < first:
        raise DomainError(f"The period {text} ends before it begins; give the earlier date first.")
    return Period(first, last)


def _months(year: int, first: int, last: int) -> Period:
    return Period(date(year, first, 1), date(year, last, monthrange(year, last)[1]))
