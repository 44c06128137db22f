"""When the supervisor is due, and that local times are UTC by date wherever the process runs."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest

from config.calendar import TradingCalendar
from config.settings import Settings, demo_settings
from runtime.schedule import Horizon, next_due, trigger

YEAR = TradingCalendar("XNYS", date(2025, 10, 1), date(2026, 12, 20))
SETTINGS = demo_settings()  # 06:00 UTC


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(now: str, done: set[date] | None = None, unfinished: date | None = None) -> tuple[str, str]:
    begun = YEAR.session(unfinished) if unfinished else None
    found = next_due(SETTINGS, YEAR, at(now), (done or set()).__contains__, begun)
    assert found is not None
    return f"{found.at:%Y-%m-%d %H:%M}", f"{found.hours.day}"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-02 05:00", ("2026-03-02 06:00", "2026-03-02")),  # before its time: waited for
        ("2026-03-02 11:00", ("2026-03-02 06:00", "2026-03-02")),  # later: at once
        ("2026-03-02 20:59", ("2026-03-02 06:00", "2026-03-02")),
        ("2026-03-02 21:00", ("2026-03-03 06:00", "2026-03-03")),  # the session is over
        ("2026-03-06 23:00", ("2026-03-09 06:00", "2026-03-09")),  # over the weekend
        ("2026-04-02 23:00", ("2026-04-06 06:00", "2026-04-06")),  # over Good Friday
        ("2025-11-28 17:59", ("2025-11-28 06:00", "2025-11-28")),  # a half day: to 18:00
        ("2025-11-28 18:00", ("2025-12-01 06:00", "2025-12-01")),
    ],
)
def test_the_next_session_that_is_not_over(now: str, expected: tuple[str, str]) -> None:
    assert due(now) == expected


def test_a_day_that_is_done_or_was_refused_is_not_due_again() -> None:
    assert due("2026-03-02 15:00", done={date(2026, 3, 2)})[1] == "2026-03-03"


def test_a_day_that_was_begun_comes_first_and_at_once_even_days_later() -> None:
    assert due("2026-03-07 12:00", unfinished=date(2026, 3, 6)) == (
        "2026-03-07 12:00",
        "2026-03-06",
    )


@pytest.mark.parametrize(
    ("hhmm", "zone", "expected"),
    [
        ("0600", "US/Eastern", "2026-03-02 06:00"),
        ("0300", "US/Eastern", "2026-03-03 03:00"),  # 22:00 of the 2nd in New York
        ("2200", "Asia/Tokyo", "2026-03-01 22:00"),  # the morning of the 2nd in Tokyo
        ("0600", "UTC", "2026-03-02 06:00"),
    ],
)
def test_the_time_is_utc_and_the_day_is_local(hhmm: str, zone: str, expected: str) -> None:
    wall = time(int(hhmm[:2]), int(hhmm[2:]))
    settings = replace(SETTINGS, TBOT_SUPERVISOR_UTC_HHMM=wall, TIMEZONE=zone)
    assert f"{trigger(date(2026, 3, 2), settings):%Y-%m-%d %H:%M}" == expected


def test_triggers_around_local_midnight_stay_in_order_through_every_change_of_clocks() -> None:
    """Of a day without such an instant (a Sunday) it is that of the day before."""
    settings = replace(SETTINGS, TBOT_SUPERVISOR_UTC_HHMM=time(4, 30))  # around midnight there
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    triggers = [trigger(day, settings) for day in days]
    steps = [(later - earlier).days for earlier, later in pairwise(triggers)]
    assert Counter(steps) == {1: 362, 0: 1, 2: 1}


def test_the_horizon_goes_with_the_days() -> None:
    horizon = Horizon("XNYS")
    first = horizon.at(at("2026-03-02 10:00"))
    assert horizon.at(at("2026-03-02 23:59")) is first
    later = horizon.at(at("2027-09-06 00:00"))
    assert later.session(date(2027, 9, 6)) is None  # Labor Day
    assert later.session(date(2027, 9, 7)) is not None


SHOW = """
import json
from datetime import date
from config.calendar import TradingCalendar
from config.settings import demo_settings
from runtime.schedule import trigger
from strategies.opening_range import window_of
calendar, s = TradingCalendar("XNYS", date(2025, 10, 1), date(2026, 12, 20)), demo_settings()
days = [date(2025, 10, 31), date(2025, 11, 3), date(2026, 3, 6), date(2026, 3, 9)]
print(json.dumps([
    [f"{window_of(s, calendar.session(d)).start:%H:%M}", f"{trigger(d, s):%H:%M}",
     f"{calendar.session(d).open:%H:%M}"] for d in days
]))
"""


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_around_both_changes_of_clocks_with_the_process_in_another_zone(zone: str) -> None:
    """START_TIME_OPEN 09:30 in New York: 13:30 UTC in summer time, 14:30 in winter."""
    assert isinstance(SETTINGS, Settings)
    said = subprocess.run(
        [sys.executable, "-c", SHOW], env=os.environ | {"TZ": zone}, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    summer, winter = ["13:30", "06:00", "13:30"], ["14:30", "06:00", "14:30"]
    assert json.loads(said) == [summer, winter, winter, summer]
