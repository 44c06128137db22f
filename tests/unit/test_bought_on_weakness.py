"""OPEN on weakness: its signal where something is bought, and exits by the underlying, mirrored."""

from decimal import Decimal
from typing import Any

import pytest
from beside import beside

from aggregates.market import Bar
from config.settings import Settings
from strategies.installed import INSTALLED, install, short_type

days = beside("unit/strategy_days")
D, at, bar, held, fed, brief = Decimal, days.at, days.bar, days.held, days.fed, days.brief
# a range of 4 minutes from 90 to 100, entries for 5 more, then 6 of monitoring
SETTINGS = Settings(
    OPEN_ANALYSIS_TIME=4,
    OPEN_BREAKOUT_TIME=5,
    OPEN_MONITORING_TIME=6,
    STRAT_OPEN_BUFFER=D("0.01"),
    TRADING_TRAILING_STOP_PCT=D("0.10"),
    SHORT_TYPE_OPEN="InverseETF",
)
RANGE = [bar(m, "95", high="100", low="90") for m in range(4)]
SH = {"symbol": "SH", "on_weakness_of": "SPY"}


def given(*bars: Bar) -> Any:
    return fed(install("OPEN", SETTINGS, days.HOURS, ("SPY",), days.HOURS.open), *RANGE, *bars)


def reasons(strategy: Any, minute: int, **held_as: str) -> list[tuple[str, str]]:
    signals = strategy.exits(at(minute), held(4, **(held_as or SH)))
    return [(s.symbol, s.reason) for s in signals]


def test_weakness_has_its_stop_at_the_ranges_high() -> None:
    (signal,) = given(bar(4, "80")).entries(at(5), set())
    assert brief([signal]) == [("SPY", "bearish", "close below the opening range")]
    assert (signal.price, signal.stop) == (D("80"), D("100"))
    last = ["short_type", "initial_stop"]
    assert list(signal.inputs)[-2:] == last
    assert [signal.inputs[name] for name in last] == ["InverseETF", "100"]


@pytest.mark.parametrize(("high", "out"), [("99.9999", False), ("100", True), ("101", True)])
def test_it_ends_where_the_underlying_touches_its_high(high: str, out: bool) -> None:
    strategy = given(bar(4, "85", high=high))
    assert reasons(strategy, 5) == ([("SH", "stop")] if out else [])


def test_the_trailing_stop_follows_the_low_water_mark_down_and_never_up() -> None:
    # low 70 makes 77; the bar's own high of 76 is below it, and 80 later does not raise it
    strategy = given(bar(4, "75", high="85", low="80"), bar(5, "75", high="76", low="70"))
    assert reasons(strategy, 6) == []
    strategy.on_bar(bar(6, "76", high="76.9999", low="75"))
    assert reasons(strategy, 7) == []
    strategy.on_bar(bar(7, "76", high="77", low="76"))
    (signal,) = strategy.exits(at(8), held(4, **SH))
    assert list(signal.inputs.items()) == [
        ("quantity", "5"),
        ("average_price", "40"),
        ("first_fill_at", "2013-10-07T13:34Z"),
        ("underlying", "SPY"),
        ("bar_start", "2013-10-07T13:37Z"),
        ("high", "77"),
        ("close", "76"),
        ("stop", "77.00"),
        ("initial_stop", "100"),
        ("trailing_stop", "77.00"),
        ("trailing_fraction", "0.10"),
        ("low_water_mark", "70"),
    ]
    assert (signal.symbol, signal.reason, signal.price) == ("SH", "trailing stop", D("76"))


def test_a_fall_that_would_end_a_long_position_does_not_end_it() -> None:
    strategy = given(bar(4, "85", low="60", high="85"), bar(5, "55", high="60"))
    assert reasons(strategy, 6) == []
    assert reasons(strategy, 6, symbol="SPY") == [("SPY", "stop")]


def test_its_own_bars_do_not_end_it_and_both_positions_are_watched_apart() -> None:
    strategy = given(bar(4, "101"), bar(5, "100.5", low="91"), bar(4, "40", symbol="SH"))
    fed(strategy, bar(5, "1", symbol="SH"))
    both = held(4, **SH) | held(5)
    signals = strategy.exits(at(6), both)
    assert [(s.symbol, s.reason) for s in signals] == [("SH", "stop")]
    strategy.on_bar(bar(6, "89"))
    assert [s.symbol for s in strategy.exits(at(7), both)] == ["SH", "SPY"]


def test_it_is_sold_at_the_end_of_monitoring_by_the_underlyings_last_close() -> None:
    strategy = given(bar(4, "85"))
    assert reasons(strategy, 14) == []
    (signal,) = strategy.exits(at(15), held(4, **SH))
    assert (signal.symbol, signal.reason, signal.price) == ("SH", "end of monitoring", D("85"))


def test_a_fresh_instance_fed_the_same_bars_gives_the_same_exit() -> None:
    bars = [bar(4, "85"), bar(5, "70"), bar(6, "76"), bar(7, "80")]
    live, answers = given(), []
    for each in bars:
        live.on_bar(each)
        answers = live.exits(each.end, held(4, **SH))
    assert answers
    assert given(*bars).exits(at(8), held(4, **SH)) == answers


def test_every_phase_has_its_strategy_and_says_what_it_buys_on_weakness() -> None:
    for name in INSTALLED:
        strategy = install(name, SETTINGS, days.HOURS, ("SPY",), days.HOURS.open)
        assert (strategy.name, strategy.self_check()) == (name, [])
    assert [short_type(SETTINGS, name) for name in ("OPEN", "MID", "CLOSE")] == [
        "InverseETF", "disabled", "disabled",
    ]  # fmt: skip
