"""The token bucket: within the limit in any minute, and an exit is never last."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.errors import DomainError
from config.clock import VirtualClock
from runtime.pace import LEAST_PER_MINUTE, Pace, Urgency

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMITS = st.sampled_from([LEAST_PER_MINUTE, 24, 33, 200])
REQUESTS = st.lists(
    st.tuples(st.sampled_from(Urgency), st.integers(0, 20_000), st.integers(1, 60)), max_size=40
)


def passed(limit: int, requests: list[tuple[Urgency, int, int]]) -> list[tuple[datetime, Urgency]]:
    """What of so many requests at a time, milliseconds apart, was let through, and when."""
    clock = VirtualClock(NOON)
    pace = Pace(limit, clock)
    found = []
    for urgency, wait_ms, times in requests:
        clock.wait_until(clock.now() + timedelta(milliseconds=wait_ms))
        found += [(clock.now(), urgency) for _ in range(times) if pace.take(urgency)]
    return found


@given(LIMITS, REQUESTS)
def test_never_more_than_the_limit_in_any_minute(
    limit: int, requests: list[tuple[Urgency, int, int]]
) -> None:
    times = [at for at, _ in passed(limit, requests)]
    for first in times:
        assert sum(first <= at < first + MINUTE for at in times) <= limit


@given(LIMITS, REQUESTS, st.sampled_from(Urgency))
def test_what_is_less_urgent_never_stops_what_is_more_so(
    limit: int, requests: list[tuple[Urgency, int, int]], urgency: Urgency
) -> None:
    clock = VirtualClock(NOON)
    pace = Pace(limit, clock)
    for other, wait_ms, times in requests:
        clock.wait_until(clock.now() + timedelta(milliseconds=wait_ms))
        for _ in range(times):
            if other > urgency:
                pace.take(other)
    assert pace.take(urgency)


def test_an_exit_goes_through_when_nothing_else_does() -> None:
    pace = Pace(80, VirtualClock(NOON))
    left = dict.fromkeys(Urgency, 0)
    for urgency in reversed(Urgency):
        while pace.take(urgency):
            left[urgency] += 1
    assert left == {Urgency.DATA: 25, Urgency.ENTRY: 5, Urgency.CANCEL: 5, Urgency.EXIT: 5}


def test_what_was_used_comes_back_evenly() -> None:
    clock = VirtualClock(NOON)
    pace = Pace(120, clock)
    while pace.take(Urgency.EXIT):
        pass
    clock.wait_until(NOON + timedelta(seconds=1))
    assert [pace.take(Urgency.EXIT) for _ in range(2)] == [True, False]
    clock.wait_until(NOON + timedelta(seconds=31))
    assert sum(pace.take(Urgency.EXIT) for _ in range(100)) == 30


def test_a_broker_that_does_not_count_is_never_waited_for() -> None:
    pace = Pace(None, VirtualClock(NOON))
    assert all(pace.take(Urgency.DATA) for _ in range(10_000))


def test_a_limit_that_nobody_can_trade_with_is_refused() -> None:
    with pytest.raises(DomainError, match="too few"):
        Pace(LEAST_PER_MINUTE - 1, VirtualClock(NOON))
