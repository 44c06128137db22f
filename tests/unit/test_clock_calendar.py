"""Time and trading days: DST, half days, closures, settlement; nothing local is ever guessed."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
import pytz

from config.calendar import CalendarError, TradingCalendar
from config.clock import (
    SystemClock,
    VirtualClock,
    from_micros,
    local_date,
    local_to_utc,
    to_micros,
    utc_to_local,
)

START = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The clock


def test_a_virtual_clock_jumps_and_never_goes_back() -> None:
    clock = VirtualClock(START.astimezone(timezone(timedelta(hours=5))))
    assert clock.now() == START
    assert clock.now().utcoffset() == timedelta(0)
    clock.wait_until(START + timedelta(hours=6))
    clock.wait_until(START)  # passed already
    assert clock.now() == START + timedelta(hours=6)
    assert clock.now().tzinfo == UTC


def test_the_machine_s_clock_is_utc_and_does_not_wait_for_the_past() -> None:
    clock = SystemClock()
    before = clock.now()
    assert before.utcoffset() == timedelta(0)
    clock.wait_until(before - timedelta(days=1))
    clock.wait_until(before + timedelta(milliseconds=20))
    assert clock.now() >= before + timedelta(milliseconds=20)


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(2013, 10, 7, 13, 30, 0, 1, tzinfo=UTC), 1_381_152_600_000_001),
        # here a float of seconds would be off by a microsecond
        (datetime(2286, 11, 20, 17, 46, 39, 999999, tzinfo=UTC), 9_999_999_999_999_999),
    ],
)
def test_microseconds_are_exact_both_ways(moment: datetime, micros: int) -> None:
    assert to_micros(moment) == micros
    assert from_micros(micros) == moment
    assert to_micros(moment.astimezone(timezone(timedelta(hours=-4)))) == micros


@pytest.mark.parametrize(
    ("day", "hhmm", "zone", "expected"),
    [
        (date(2013, 10, 7), "09:30", "US/Eastern", "2013-10-07 13:30"),  # summer time
        (date(2013, 11, 4), "09:30", "US/Eastern", "2013-11-04 14:30"),  # the Monday after
        (date(2013, 3, 8), "09:30", "US/Eastern", "2013-03-08 14:30"),
        (date(2013, 3, 11), "09:30", "US/Eastern", "2013-03-11 13:30"),
        (date(2013, 10, 7), "00:00", "Asia/Tokyo", "2013-10-06 15:00"),
        (date(2013, 10, 7), "09:30", "UTC", "2013-10-07 09:30"),
    ],
)
def test_wall_time_becomes_utc_by_date(day: date, hhmm: str, zone: str, expected: str) -> None:
    moment = local_to_utc(day, time.fromisoformat(hhmm), zone)
    assert moment == utc(expected)
    assert moment.tzinfo == UTC
    assert utc_to_local(moment, zone).strftime("%H:%M") == hhmm
    assert local_date(moment, zone) == day


def test_an_hour_that_does_not_exist_or_comes_twice_is_not_guessed() -> None:
    with pytest.raises(pytz.NonExistentTimeError):
        local_to_utc(date(2013, 3, 10), time(2, 30), "US/Eastern")
    with pytest.raises(pytz.AmbiguousTimeError):
        local_to_utc(date(2013, 11, 3), time(1, 30), "US/Eastern")


def test_the_date_is_that_of_the_entity_s_zone() -> None:
    late = utc("2013-10-08 02:00")
    assert local_date(late, "US/Eastern") == date(2013, 10, 7)
    assert local_date(late, "Europe/Berlin") == date(2013, 10, 8)


# The calendar


@pytest.fixture(scope="module")
def nyse() -> TradingCalendar:
    return TradingCalendar("XNYS", date(2012, 10, 1), date(2013, 12, 31))


def test_a_plain_day_a_half_day_and_no_day(nyse: TradingCalendar) -> None:
    plain = nyse.session(date(2013, 10, 7))
    assert plain is not None
    assert (plain.day, plain.open, plain.close) == (
        date(2013, 10, 7), utc("2013-10-07 13:30"), utc("2013-10-07 20:00"),
    )  # fmt: skip
    half = nyse.session(date(2013, 11, 29))  # the Friday after Thanksgiving
    assert half is not None
    assert (half.open, half.close) == (utc("2013-11-29 14:30"), utc("2013-11-29 18:00"))
    assert half.close.tzinfo == UTC
    for closed in (date(2013, 10, 12), date(2013, 11, 28), date(2013, 12, 25)):
        assert nyse.session(closed) is None


def test_a_closure_that_no_rule_foretells(nyse: TradingCalendar) -> None:
    """Hurricane Sandy closed the exchange on 29 and 30 October 2012."""
    found = [s.day.day for s in nyse.sessions(date(2012, 10, 26), date(2012, 11, 1))]
    assert found == [26, 31, 1]


def test_sessions_come_in_order_with_both_ends(nyse: TradingCalendar) -> None:
    week = nyse.sessions(date(2013, 10, 7), date(2013, 10, 11))
    assert [s.day for s in week] == [date(2013, 10, d) for d in range(7, 12)]
    assert nyse.sessions(date(2013, 10, 12), date(2013, 10, 13)) == []


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        ("2013-10-07", "2013-10-10"),  # T+3
        ("2013-10-10", "2013-10-15"),  # over a weekend
        ("2013-11-26", "2013-12-02"),  # Thanksgiving does not count, the half day does
        ("2017-09-01", "2017-09-07"),  # the last day of T+3, over Labor Day
        ("2017-09-05", "2017-09-07"),  # the first of T+2
        ("2024-05-24", "2024-05-29"),  # the last of T+2, over Memorial Day
        ("2024-05-28", "2024-05-29"),  # the first of T+1
        ("2024-12-31", "2025-01-02"),  # over New Year
    ],
)
def test_settlement_follows_the_cycle_of_the_trade_date(traded: str, settles: str) -> None:
    day = date.fromisoformat(traded)
    assert TradingCalendar("XNYS", day, day).settles_on(day) == date.fromisoformat(settles)


def test_an_exchange_without_a_calendar_is_named() -> None:
    with pytest.raises(CalendarError, match="'XMARS', 2013-10-07 to 2013-10-11"):
        TradingCalendar("XMARS", date(2013, 10, 7), date(2013, 10, 11))
