"""Moments as people say them, and where the slider stops."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from aggregates.errors import DomainError
from config.clock import from_micros, to_micros
from runtime.moments import WORDS, Sources, effective, known
from runtime.ticks import CLOSES, Tick, ticks

NOW = datetime(2026, 4, 1, 2, 30, tzinfo=UTC)  # still 31 March in New York
ZONE = "US/Eastern"
asked: list[datetime] = []


def by_time(micros: int) -> int:
    """Notes which moment was meant; ten events were recorded by then."""
    asked.append(from_micros(micros))
    return 10


def sources(closes: dict[date, int | None] | None = None) -> Sources:
    asked.clear()
    return Sources(
        now=NOW, zone=lambda: ZONE, newest=3000, position_at=by_time,
        effective_date=lambda position: date(2026, 2, 3) if position == 47 else None,
        closes=lambda: {date(2026, 3, 30): 2900, date(2026, 3, 31): None}
        if closes is None else closes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-02-03", date(2026, 2, 3)),
        (" 2026-02 ", date(2026, 2, 28)),
        ("2026-Q1", date(2026, 3, 31)),
        ("2025", date(2025, 12, 31)),
        ("end of 2025-Q3", date(2025, 9, 30)),
        ("today", date(2026, 3, 31)),
        ("Yesterday", date(2026, 3, 30)),
        ("last month", date(2026, 2, 28)),
        ("end of  last month", date(2026, 2, 28)),
        ("last quarter", date(2025, 12, 31)),
        ("end of last year", date(2025, 12, 31)),
        ("last close", date(2026, 3, 30)),
        ("#47", date(2026, 2, 3)),
        ("event 47", date(2026, 2, 3)),
        ("47", date(2026, 2, 3)),
        ("2026-02-04T03:00:00Z", date(2026, 2, 3)),
        ("2026-02-04 03:00 UTC", date(2026, 2, 3)),
        ("2026-02-03T23:00-05:00", date(2026, 2, 3)),
    ],
)
def test_the_effective_clock_ends_with_a_day(said: str, day: date) -> None:
    assert effective(said, sources()) == day


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-02-03", "2026-02-03T00:00"),  # a date alone is its beginning
        ("2026-02", "2026-02-01T00:00"),
        ("yesterday", "2026-03-30T00:00"),
        ("2026-02-03T20:00:00Z", "2026-02-03T20:00"),
        ("2026-02-03 20:00", "2026-02-03T20:00"),
        ("2026-02-03 20:00 UTC", "2026-02-03T20:00"),
        ("2026-02-03 15:00 local", "2026-02-03T20:00"),
        ("2026-02-03 21:00 Europe/Berlin", "2026-02-03T20:00"),
        ("2026-07-03T16:00-04:00", "2026-07-03T20:00"),
    ],
)
def test_the_clock_of_knowing_takes_times_with_their_zone(said: str, moment: str) -> None:
    assert known(said, sources()) == 10
    assert [datetime.fromisoformat(moment).replace(tzinfo=UTC)] == asked


@pytest.mark.parametrize(
    ("said", "next_moment"),
    [
        ("end of last month", "2026-03-01T05:00"),  # midnight in New York, winter
        ("end of last quarter", "2026-01-01T05:00"),
        ("end of yesterday", "2026-03-31T04:00"),  # and summer
        ("end of 2026-02-03", "2026-02-04T05:00"),
    ],
)
def test_the_end_of_a_period_is_its_last_moment_in_the_entitys_zone(
    said: str, next_moment: str
) -> None:
    assert known(said, sources()) == 10
    after = datetime.fromisoformat(next_moment).replace(tzinfo=UTC)
    assert [after - timedelta(microseconds=1)] == asked


def test_events_are_named_by_number() -> None:
    assert [known(said, sources()) for said in ("12", "#12", "event 12", "2026")] == [
        12, 12, 12, 2026,
    ]  # fmt: skip
    assert known("last close", sources()) == 2900


@pytest.mark.parametrize("said", WORDS)
def test_every_word_on_offer_is_understood_by_both_clocks(said: str) -> None:
    assert effective(said, sources()) < date(2026, 4, 1)
    assert known(said, sources()) > 0


@pytest.mark.parametrize(
    ("clock", "said", "message"),
    [
        (effective, "soon", "'soon' is not a date; write it as 2013-10-07."),
        (effective, "2026-13-01", "is not a date"),
        (effective, "48", "Event 48 has no effective date"),
        (effective, "9999999", "There is no event 9999999; the store holds 1 to 3000."),
        (known, "3001", "There is no event 3001; the store holds 1 to 3000."),
        (known, "0", "There is no event 0"),
        (known, "soon", "neither an event number (1 to 3000) nor a time such as"),
        (known, "end of soon", "is not a date"),
        (known, "2026-02-03 15:00 Mars/North", "'Mars/North' is no time zone known here"),
        (known, "2026-03-08 02:30 US/Eastern", "does not name one moment in US/Eastern"),
        (known, "2026-11-01 01:30 US/Eastern", "does not name one moment in US/Eastern"),
        (known, "2026-02-03\x00", "neither an event number"),
    ],
)
def test_what_cannot_be_settled_says_what_is_allowed(
    clock: Callable[[str, Sources], object], said: str, message: str
) -> None:
    with pytest.raises(DomainError) as refused:
        clock(said, sources())
    assert message in str(refused.value)


def test_without_a_close_there_is_no_last_one() -> None:
    with pytest.raises(DomainError, match="No session was closed yet"):
        known("last close", sources({date(2026, 3, 31): None}))


def test_the_slider_stops_at_closes_ends_of_months_and_changes() -> None:
    closes = {date(2026, 1, 30): 20, date(2026, 2, 2): 30, date(2026, 2, 3): None}
    changed = to_micros(datetime(2026, 2, 3, 3, 0, tzinfo=UTC))  # the 2nd in New York
    found = ticks(closes, {"settings": [(31, changed)], "chart": [(4, changed)]}, ZONE)
    assert found == [
        Tick(4, date(2026, 2, 2), "chart"),
        Tick(20, date(2026, 1, 30), "month end"),
        Tick(30, date(2026, 2, 2), "close"),
        Tick(31, date(2026, 2, 2), "settings"),
    ]
    assert [tick.notable for tick in found] == [True, True, False, True]


def test_the_slider_holds_a_year_of_sessions_however_long_the_history_is() -> None:
    closes = {date(2000, 1, 1) + timedelta(days=n): n + 1 for n in range(3000)}
    assert len(ticks(closes, {}, ZONE)) == CLOSES
