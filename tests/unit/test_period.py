"""Periods as people write them."""

from datetime import date

import pytest

from aggregates.errors import DomainError
from aggregates.period import period_of, span_of


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2013-10-07", "2013-10-07", "2013-10-07"),
        ("2013-10", "2013-10-01", "2013-10-31"),
        ("2012-02", "2012-02-01", "2012-02-29"),
        ("2100-02", "2100-02-01", "2100-02-28"),
        ("2013-12", "2013-12-01", "2013-12-31"),
        ("2013-Q1", "2013-01-01", "2013-03-31"),
        ("2013-q4", "2013-10-01", "2013-12-31"),
        ("2013", "2013-01-01", "2013-12-31"),
        ("9999", "9999-01-01", "9999-12-31"),
        ("2013-10-07:2013-10-11", "2013-10-07", "2013-10-11"),
        ("2013-10:2013-12", "2013-10-01", "2013-12-31"),
        ("2012-Q4:2013-01-15", "2012-10-01", "2013-01-15"),
    ],
)
def test_a_period_has_a_first_and_a_last_day(text: str, first: str, last: str) -> None:
    assert period_of(text) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "text",
    ["", ":", "2013-10:", ":2013-10", "2013-13", "2013-00", "2013-Q5", "13-10", "2013-W41",
     "20131007", "2013-10-32", "Oct 2013", "2013-10 ", "２０１３", "0000", "2013:2014:2015"],
)  # fmt: skip
def test_what_is_no_period_says_how_to_write_one(text: str) -> None:
    with pytest.raises(DomainError, match="write it as 2013-10-07"):
        period_of(text)


def test_a_period_that_ends_before_it_begins() -> None:
    with pytest.raises(DomainError, match="earlier date first"):
        period_of("2013-10:2013-09")


def test_a_span_is_one_name_only() -> None:
    with pytest.raises(DomainError, match="write it as 2013-10-07"):
        span_of("2013-10:2013-11")
