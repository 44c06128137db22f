"""CLOSE, row by row of docs/decisions/0036: given bars, when it is asked, then these signals."""

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from beside import beside

from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.installed import install

days = beside("unit/strategy_days")
D, at, bar, held, fed, brief = Decimal, days.at, days.bar, days.held, days.fed, days.brief
HOURS: SessionHours = days.HOURS
# analysed from minute 300 to 304, entries to 310, watched to 320
SETTINGS = Settings(
    START_TIME_CLOSE=time(14, 30),
    CLOSE_ANALYSIS_TIME=4,
    CLOSE_BREAKOUT_TIME=6,
    CLOSE_MONITORING_TIME=10,
    TRADING_TRAILING_STOP_PCT=D("0.10"),
    SHORT_TYPE_CLOSE="LongPut",
)
LONG_MOMENTUM = ("SPY", "entry", "momentum: close above the closing range")
LONG_FADE = ("SPY", "entry", "fade: close above the closing range")
SHORT_MOMENTUM = ("SPY", "bearish", "momentum: close below the closing range")
SHORT_FADE = ("SPY", "bearish", "fade: close below the closing range")


def given(*bars: Bar, settings: Settings = SETTINGS) -> Any:
    return fed(install("CLOSE", settings, HOURS, ("SPY",), HOURS.open), *bars)


def closing(window_opened: str, window_closed: str) -> list[Bar]:
    """A session that opened at 100, and an analysis window from 90 to 110 with these ends."""
    first = bar(300, "100", opened=window_opened, high="110", low="90")
    return [
        bar(0, "100"), first, bar(301, "100"), bar(302, "100"),
        bar(303, window_closed),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("window", "above", "below"),
    [
        # the day is up, and the window went on: momentum upward; a fall out of it is nothing
        (("104", "106"), [LONG_MOMENTUM], []),
        # the day is up, and the window gave back, or stood still: its fall is faded
        (("106", "104"), [], [SHORT_FADE]),
        (("104", "104"), [], [SHORT_FADE]),
        # mirrored, on a day that is down
        (("96", "94"), [], [SHORT_MOMENTUM]),
        (("94", "96"), [LONG_FADE], []),
        (("96", "96"), [LONG_FADE], []),
        # the window may cross the open: the day is what it came to
        (("99", "101"), [LONG_MOMENTUM], []),
        (("101", "99"), [], [SHORT_MOMENTUM]),
    ],
)
def test_day_and_window_say_what_is_looked_for_and_in_which_direction(
    window: tuple[str, str],
    above: list[tuple[str, str, str]],
    below: list[tuple[str, str, str]],
) -> None:
    for close, expected in (("110.01", above), ("89.99", below), ("110", []), ("90", [])):
        strategy = given(*closing(*window), bar(304, close))
        assert brief(strategy.entries(at(305), set())) == expected


def test_a_day_without_a_move_is_said_once() -> None:
    strategy = given(*closing("104", "100"), bar(304, "120"))
    (signal,) = strategy.entries(at(305), set())
    assert brief([signal]) == [("SPY", "no_range", "no move of the day")]
    assert (signal.inputs["session_open"], signal.inputs["window_close"]) == ("100", "100")
    assert strategy.entries(at(306), set()) == []


def test_too_few_bars_are_no_range_whatever_the_day_did() -> None:
    strategy = given(bar(0, "100"), bar(303, "100"), bar(304, "120"))
    assert brief(strategy.entries(at(305), set())) == [("SPY", "no_range", "no range")]


def test_the_first_trade_is_the_open_of_the_session() -> None:
    late = [bar(7, "103", opened="102"), *closing("100", "101")[1:]]
    (signal,) = given(*late, bar(304, "111")).entries(at(305), set())
    assert (signal.inputs["session_open"], signal.inputs["plan"]) == ("102", "fade")


def test_an_entry_carries_its_stop_and_every_number_that_justified_it() -> None:
    (signal,) = given(*closing("104", "106"), bar(304, "111")).entries(at(305), set())
    assert (signal.strategy, signal.price, signal.stop) == ("CLOSE", D("111"), D("90"))
    assert list(signal.inputs.items()) == [
        ("range_start", "2013-10-07T18:30Z"),
        ("range_end", "2013-10-07T18:34Z"),
        ("range_bars", "4"),
        ("range_minutes", "4"),
        ("range_high", "110"),
        ("range_low", "90"),
        ("analysis_volume", "400"),
        ("session_open", "100"),
        ("window_open", "104"),
        ("window_close", "106"),
        ("plan", "momentum"),
        ("direction", "up"),
        ("bar_start", "2013-10-07T18:34Z"),
        ("close", "111"),
        ("initial_stop", "90"),
    ]


def test_weakness_has_its_stop_at_the_high_and_none_where_nothing_is_bought() -> None:
    (signal,) = given(*closing("96", "94"), bar(304, "89")).entries(at(305), set())
    assert (signal.stop, signal.inputs["initial_stop"]) == (D("110"), "110")
    off = replace(SETTINGS, SHORT_TYPE_CLOSE="disabled")
    (signal,) = given(*closing("96", "94"), bar(304, "89"), settings=off).entries(at(305), set())
    assert (signal.reason, signal.stop) == ("bearish, no instrument", None)


@pytest.mark.parametrize(("minute", "seen"), [(304, True), (309, True), (310, False)])
def test_entries_end_with_the_breakout_window(minute: int, seen: bool) -> None:
    strategy = given(*closing("104", "106"), bar(minute, "111"))
    assert bool(strategy.entries(at(minute + 1), set())) is seen


# Exits: at the range's other side, at the trailing stop, and always before the close


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([bar(306, "95", low="90.01")], []),
        ([bar(306, "95", low="90")], ["stop"]),
        ([bar(306, "120"), bar(307, "109", low="108")], ["trailing stop"]),
    ],
)
def test_a_long_position_ends_at_its_stops(bars: list[Bar], expected: list[str]) -> None:
    strategy = given(*closing("104", "106"), bar(304, "111"), bar(305, "95"), *bars)
    assert [s.reason for s in strategy.exits(at(310), held(306))] == expected


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([bar(306, "105", high="109.99")], []),
        ([bar(306, "105", high="110")], ["stop"]),
        ([bar(306, "80"), bar(307, "87", high="88")], ["trailing stop"]),
    ],
)
def test_what_was_bought_on_weakness_ends_mirrored(bars: list[Bar], expected: list[str]) -> None:
    strategy = given(*closing("96", "94"), bar(304, "89"), *bars)
    put = held(306, "SPY131018P00090000", on_weakness_of="SPY")
    signals = strategy.exits(at(310), put)
    assert [(s.symbol, s.reason) for s in signals] == [
        ("SPY131018P00090000", reason) for reason in expected
    ]


def test_everything_is_sold_at_the_end_of_monitoring_and_that_is_before_the_close() -> None:
    strategy = given(*closing("104", "106"), bar(304, "111"))
    assert strategy.exits(at(319), held(305)) == []
    assert [s.reason for s in strategy.exits(at(320), held(305))] == ["end of monitoring"]
    long = replace(SETTINGS, CLOSE_MONITORING_TIME=360)
    assert given(settings=long).window.monitoring_end == HOURS.close - timedelta(minutes=5)


def test_a_half_day_that_ends_before_its_window_is_a_fault_in_words() -> None:
    half = SessionHours(HOURS.day, HOURS.open, HOURS.open + timedelta(minutes=210))
    (fault,) = install("CLOSE", SETTINGS, half, (), half.open).self_check()
    assert "CLOSE: no minute is left for entries on 2013-10-07" in fault
    assert given().self_check() == []
