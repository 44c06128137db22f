"""MID, row by row of docs/decisions/0036: given bars, when it is asked, then these signals."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from beside import beside

from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import SessionVwap
from strategies.installed import install
from strategies.vwap_reversion import window_of

days = beside("unit/strategy_days")
D, at, bar, held, fed, brief = Decimal, days.at, days.bar, days.held, days.fed, days.brief
HOURS: SessionHours = days.HOURS
# analysed from minute 60 to 64, entries to 74, watched to 84; a hundredth of VWAP is a signal
SETTINGS = Settings(
    START_TIME_MID=time(10, 30),
    MID_ANALYSIS_TIME=4,
    MID_BREAKOUT_TIME=10,
    MID_MONITORING_TIME=10,
    STRAT_MID_VWAP_THRESHOLD=D("0.01"),
    TRADING_TRAILING_STOP_PCT=D("0.10"),
)
ENTRY = ("SPY", "entry", "close far below VWAP")
BEARISH = ("SPY", "bearish", "bearish, no instrument")


def given(*bars: Bar, settings: Settings = SETTINGS, not_before: datetime = HOURS.open) -> Any:
    return fed(install("MID", settings, HOURS, ("SPY",), not_before), *bars)


def hundred(*minutes: int) -> list[Bar]:
    """Bars that leave VWAP at 100."""
    return [bar(m, "100") for m in minutes]


MORNING = hundred(*range(64))

# VWAP


def test_vwap_is_the_mean_of_typical_prices_by_volume() -> None:
    vwap = SessionVwap()
    assert vwap.value is None
    vwap.fold(bar(0, "10", high="12", low="8", volume=3))  # typical 10
    vwap.fold(bar(1, "20", high="21", low="18", volume=1))  # typical 59/3
    assert vwap.value == D("12.416667")  # (30 + 59/3) / 4
    assert (vwap.price_volume, vwap.volume) == (D(149), 4)


def test_minutes_without_a_trade_leave_vwap_alone() -> None:
    strategy = given(*MORNING, bar(64, "98", volume=0))
    (signal,) = strategy.entries(at(65), set())
    assert signal.inputs["vwap"] == "100.000000"


# Window


def window(not_before: datetime, **changed: Any) -> list[str]:
    found = window_of(replace(SETTINGS, **changed), HOURS, not_before)
    edges = (found.start, found.analysis_end, found.breakout_end, found.monitoring_end)
    return [f"{edge:%H:%M}" for edge in edges]


def test_the_window_starts_at_its_time_or_when_the_holdings_phase_has_ended() -> None:
    assert window(HOURS.open) == ["14:30", "14:34", "14:44", "14:54"]
    assert window(at(60)) == ["14:30", "14:34", "14:44", "14:54"]
    assert window(at(90) + timedelta(microseconds=1)) == ["15:01", "15:05", "15:15", "15:25"]


def test_it_is_cut_where_close_starts_and_before_the_session_ends() -> None:
    late = at(295)  # 18:25; CLOSE starts at 18:30
    assert window(late) == ["18:25", "18:29", "18:39", "18:49"]
    assert window(late, STRAT_CLOSE_ENABLED=True) == ["18:25", "18:29", "18:30", "18:30"]
    alone = window(late, STRAT_CLOSE_ENABLED=True, STRATEGY_OVERRIDE="MID")
    assert alone == ["18:25", "18:29", "18:39", "18:49"]
    assert window(at(384)) == ["19:54", "19:55", "19:55", "19:55"]


def test_a_day_that_leaves_no_minute_is_a_fault_that_names_the_keys() -> None:
    assert given().self_check() == []
    (fault,) = given(not_before=at(384)).self_check()
    assert "MID: no minute is left for entries on 2013-10-07" in fault
    assert "START_TIME_MID" in fault


# Signal


@pytest.mark.parametrize(
    ("close", "expected"),
    # a close of 99 + x moves VWAP of 65 bars a little: 64 × 100 and itself
    [("98.98", [ENTRY]), ("98.99", []), ("100", []), ("101", []), ("101.02", [BEARISH])],
)
def test_a_signal_is_a_close_farther_from_vwap_than_the_threshold(
    close: str, expected: list[tuple[str, str, str]]
) -> None:
    assert brief(given(*MORNING, bar(64, close)).entries(at(65), set())) == expected


def test_exactly_the_threshold_is_no_signal() -> None:
    # the bar has no volume, so VWAP stays at 100 and its edges at 99 and 101
    for close in ("99", "101"):
        assert given(*MORNING, bar(64, close, volume=0)).entries(at(65), set()) == []


def test_an_entry_carries_its_stop_and_every_number_that_justified_it() -> None:
    (signal,) = given(*MORNING, bar(64, "98", volume=0)).entries(at(65), set())
    assert (signal.strategy, signal.price, signal.stop) == ("MID", D("98"), D("97.02"))
    assert list(signal.inputs.items()) == [
        ("range_start", "2013-10-07T14:30Z"),
        ("range_end", "2013-10-07T14:34Z"),
        ("range_bars", "4"),
        ("range_minutes", "4"),
        ("range_high", "100"),
        ("range_low", "100"),
        ("analysis_volume", "400"),
        ("price_volume", "1920000"),
        ("session_volume", "6400"),
        ("vwap", "100.000000"),
        ("threshold", "0.01"),
        ("stretched_below", "99.00000000"),
        ("stretched_above", "101.00000000"),
        ("bar_start", "2013-10-07T14:34Z"),
        ("close", "98"),
        ("initial_stop", "97.02"),
    ]


def test_far_above_vwap_is_bearish_with_a_stop_above_where_something_may_be_bought() -> None:
    bought = replace(SETTINGS, SHORT_TYPE_MID="InverseETF")
    (signal,) = given(*MORNING, bar(64, "102"), settings=bought).entries(at(65), set())
    assert brief([signal]) == [("SPY", "bearish", "close far above VWAP")]
    assert (signal.price, signal.stop) == (D("102"), D("103.02"))
    assert (signal.inputs["short_type"], signal.inputs["initial_stop"]) == ("InverseETF", "103.02")
    (off,) = given(*MORNING, bar(64, "102")).entries(at(65), set())
    assert (off.stop, "initial_stop" in off.inputs) == (None, False)


@pytest.mark.parametrize(("minute", "seen"), [(63, False), (64, True), (73, True), (74, False)])
def test_only_bars_after_the_analysis_and_by_the_end_of_the_breakout_count(
    minute: int, seen: bool
) -> None:
    strategy = given(*hundred(*range(minute)), bar(minute, "95"))
    assert bool(strategy.entries(at(minute + 1), set())) is seen


def test_too_few_bars_in_the_analysis_window_are_said_once() -> None:
    strategy = given(*hundred(*range(60), 61), bar(64, "95"))
    assert brief(strategy.entries(at(65), set())) == [("SPY", "no_range", "no range")]
    assert strategy.entries(at(66), set()) == []


def test_the_first_signal_is_the_only_one_and_an_old_bar_gives_none() -> None:
    strategy = given(*MORNING, bar(64, "95"))
    assert strategy.entries(at(66), set()) == []
    assert strategy.entries(at(65), {"SPY"}) == []


# Exits of a long position, entered on the close of 95: the stop is 94.05


@pytest.mark.parametrize(
    ("low", "close", "reason"),
    [
        ("94.06", "95", ""),
        ("94.05", "95", "stop"),
        ("95", "99.9", ""),
        ("95", "100", "VWAP reached"),
        ("94", "101", "stop"),  # nobody knows which of the two came first
    ],
)
def test_a_long_position_ends_at_its_stop_or_at_vwap(low: str, close: str, reason: str) -> None:
    strategy = given(*MORNING, bar(64, "95", volume=0))
    strategy.on_bar(bar(65, close, low=low, high=close, volume=0))
    assert brief(strategy.exits(at(66), held(65))) == ([("SPY", "exit", reason)] if reason else [])


def test_vwap_reached_carries_what_vwap_was_made_of() -> None:
    strategy = given(*MORNING, bar(64, "95", volume=0), bar(65, "100", volume=0))
    (signal,) = strategy.exits(at(66), held(65))
    assert signal.price == D("100")
    assert list(signal.inputs.items())[3:] == [
        ("bar_start", "2013-10-07T14:35Z"),
        ("close", "100"),
        ("price_volume", "1920000"),
        ("session_volume", "6400"),
        ("vwap", "100.000000"),
    ]


def test_vwap_is_that_of_the_minute_not_that_of_the_entry() -> None:
    # so much is traded around 95.5 that VWAP comes down to the price
    strategy = given(*MORNING, bar(64, "95"), bar(65, "95.6", low="95.3", volume=10**7))
    (signal,) = strategy.exits(at(66), held(65))
    assert signal.reason == "VWAP reached"
    assert signal.inputs["vwap"] == "95.502873"


def test_the_trailing_stop_counts_where_it_is_higher() -> None:
    tight = replace(SETTINGS, TRADING_TRAILING_STOP_PCT=D("0.005"))
    strategy = given(*MORNING, bar(64, "95", volume=0), settings=tight)
    fed(strategy, bar(65, "98", volume=0), bar(66, "97.6", low="97.52", high="98", volume=0))
    assert strategy.exits(at(67), held(65)) == []
    strategy.on_bar(bar(67, "97.6", low="97.51", volume=0))
    (signal,) = strategy.exits(at(68), held(65))
    assert (signal.reason, signal.inputs["stop"]) == ("trailing stop", "97.510")


def test_the_stop_lies_beyond_the_last_close_before_the_purchase() -> None:
    # an entry that waited for two minutes is bought at another price, and has its stop by that
    strategy = given(*MORNING, bar(64, "95", volume=0), bar(65, "96", volume=0))
    fed(strategy, bar(66, "95", low="95.04", volume=0))
    (signal,) = strategy.exits(at(67), held(66))
    assert (signal.reason, signal.inputs["initial_stop"]) == ("stop", "95.04")
    assert strategy.exits(at(67), held(65)) == []


def test_the_end_of_monitoring_is_the_time_limit() -> None:
    strategy = given(*MORNING, bar(64, "95"), bar(83, "96"))
    assert strategy.exits(at(83), held(65)) == []
    (signal,) = strategy.exits(at(84), held(65))
    assert (signal.reason, strategy.finished(at(84))) == ("end of monitoring", True)
    assert signal.inputs["range_start"] == "2013-10-07T14:30Z"


# Exits of what was bought on weakness: by the bars of its underlying, mirrored


@pytest.mark.parametrize(
    ("high", "close", "reason"),
    [
        ("106.04", "105", ""),
        ("106.05", "105", "stop"),
        ("105", "100.1", ""),
        ("105", "100", "VWAP reached"),
        ("107", "99", "stop"),
    ],
)
def test_what_was_bought_on_weakness_ends_when_the_underlying_rises_or_comes_back(
    high: str, close: str, reason: str
) -> None:
    strategy = given(*MORNING, bar(64, "105", volume=0))
    strategy.on_bar(bar(65, close, high=high, low=close, volume=0))
    signals = strategy.exits(at(66), held(65, "SH", on_weakness_of="SPY"))
    assert brief(signals) == ([("SH", "exit", reason)] if reason else [])
    assert all(s.inputs["underlying"] == "SPY" for s in signals)
