"""OPEN, row by row of docs/decisions/0001: given bars, when it is asked, then these signals."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from aggregates.errors import DomainError
from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings
from strategies.opening_range import OpeningRangeBreakout, window_of
from strategies.protocol import Holding, Signal, Strategy

D = Decimal
MINUTE = timedelta(minutes=1)
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
HOURS = SessionHours(date(2013, 10, 7), OPEN, OPEN + timedelta(minutes=390))
# A range of 4 minutes, entries for 5 more, then 6 of monitoring; round numbers to reckon with.
SETTINGS = Settings(
    OPEN_ANALYSIS_TIME=4,
    OPEN_BREAKOUT_TIME=5,
    OPEN_MONITORING_TIME=6,
    STRAT_OPEN_BUFFER=D("0.01"),
    TRADING_TRAILING_STOP_PCT=D("0.10"),
)


def at(minute: int) -> datetime:
    return OPEN + minute * MINUTE


def bar(
    minute: int,
    close: str,
    *,
    high: str | None = None,
    low: str | None = None,
    symbol: str = "SPY",
    volume: int = 100,
) -> Bar:
    return Bar(
        symbol=symbol,
        start=at(minute),
        open=D(close),
        high=D(high or close),
        low=D(low or close),
        close=D(close),
        volume=volume,
    )


def opening(symbol: str = "SPY", minutes: tuple[int, ...] = (0, 1, 2, 3)) -> list[Bar]:
    """A range from 90 to 100 in every one of its minutes."""
    return [bar(m, "95", high="100", low="90", symbol=symbol) for m in minutes]


def given_bars(
    *bars: Bar, symbols: tuple[str, ...] = ("SPY",), settings: Settings = SETTINGS
) -> OpeningRangeBreakout:
    strategy = OpeningRangeBreakout(settings, HOURS, symbols)
    for each in bars:
        strategy.on_bar(each)
    return strategy


def held(first_fill: int, symbol: str = "SPY", quantity: str = "5") -> Mapping[str, Holding]:
    return {
        symbol: Holding(
            symbol=symbol,
            quantity=D(quantity),
            average_price=D("102"),
            first_fill_at=at(first_fill),
        )
    }


def brief(signals: list[Signal]) -> list[tuple[str, str, str]]:
    return [(s.symbol, s.kind, s.reason) for s in signals]


ENTRY = ("SPY", "entry", "close above the opening range")
BEARISH = ("SPY", "bearish", "bearish, no instrument")
NO_RANGE = ("SPY", "no_range", "no range")


# Windows


def test_windows_follow_each_other_from_the_local_start_time() -> None:
    w = window_of(Settings(), HOURS)
    edges = (w.start, w.analysis_end, w.breakout_end, w.monitoring_end)
    assert edges == (at(0), at(30), at(90), at(150))


@pytest.mark.parametrize(
    ("day", "utc_hour"),
    [(date(2013, 3, 8), 14), (date(2013, 3, 11), 13), (date(2013, 11, 4), 14)],
    ids=["last day of winter time", "first day of summer time", "winter time again"],
)
def test_the_local_start_time_moves_in_utc_when_the_clocks_change(day: date, utc_hour: int) -> None:
    opened = datetime(day.year, day.month, day.day, utc_hour, 30, tzinfo=UTC)
    hours = SessionHours(day, opened, opened + timedelta(minutes=390))
    assert window_of(Settings(), hours).start == opened
    assert OpeningRangeBreakout(Settings(), hours, ["SPY"]).self_check() == []


HALF_DAY = SessionHours(
    date(2013, 11, 29),
    datetime(2013, 11, 29, 14, 30, tzinfo=UTC),
    datetime(2013, 11, 29, 18, 0, tzinfo=UTC),
)


def test_on_a_half_day_the_windows_end_five_minutes_before_the_close() -> None:
    w = window_of(Settings(OPEN_BREAKOUT_TIME=170, OPEN_MONITORING_TIME=90), HALF_DAY)
    cut = datetime(2013, 11, 29, 17, 55, tzinfo=UTC)
    assert w.analysis_end == datetime(2013, 11, 29, 15, 0, tzinfo=UTC)
    assert w.breakout_end == datetime(2013, 11, 29, 17, 50, tzinfo=UTC)
    assert w.monitoring_end == cut
    strategy = OpeningRangeBreakout(
        Settings(OPEN_BREAKOUT_TIME=360, OPEN_MONITORING_TIME=90), HALF_DAY, ["SPY"]
    )
    assert strategy.window.breakout_end == cut
    assert [s.reason for s in strategy.exits(cut, held(0))] == ["end of monitoring"]


def test_windows_that_fill_the_day_are_cut_on_a_whole_day_too() -> None:
    w = window_of(Settings(OPEN_BREAKOUT_TIME=360, OPEN_MONITORING_TIME=360), HOURS)
    assert (w.breakout_end, w.monitoring_end) == (at(385), at(385))


# Range


def test_the_range_is_of_bars_that_start_inside_the_analysis_window() -> None:
    outside = [bar(-1, "95", high="200", low="1"), bar(4, "95", high="300", low="2")]
    strategy = given_bars(outside[0], *opening(), outside[1], bar(5, "101.01"))
    (signal,) = strategy.entries(at(6), set())
    assert (signal.inputs["range_high"], signal.inputs["range_low"]) == ("100", "90")
    assert (signal.inputs["range_bars"], signal.inputs["analysis_volume"]) == ("4", "400")
    assert strategy.analysis_volume("SPY") == 400


def test_high_and_low_come_from_different_minutes() -> None:
    strategy = given_bars(
        bar(0, "95"), bar(1, "96", high="100"), bar(2, "94", low="90"), bar(3, "95"), bar(4, "102")
    )
    (signal,) = strategy.entries(at(5), set())
    assert (signal.inputs["range_high"], signal.stop) == ("100", D("90"))


def test_half_of_the_minutes_are_enough_and_holes_are_not_filled() -> None:
    strategy = given_bars(*opening(minutes=(0, 3)), bar(4, "102"))
    assert strategy.entries(at(4), set()) == []
    (signal,) = strategy.entries(at(5), set())
    assert (signal.kind, signal.inputs["range_bars"]) == ("entry", "2")


def test_fewer_bars_than_half_of_the_minutes_is_no_range_said_once() -> None:
    strategy = given_bars(*opening(minutes=(1,)))
    assert strategy.entries(at(3), set()) == []
    (signal,) = strategy.entries(at(4), set())
    assert brief([signal]) == [NO_RANGE]
    assert (signal.price, signal.stop) == (None, None)
    assert (signal.inputs["range_bars"], signal.inputs["range_minutes"]) == ("1", "4")
    strategy.on_bar(bar(4, "102"))
    assert strategy.entries(at(5), set()) == []


def test_an_odd_window_needs_more_than_its_half() -> None:
    five = Settings(OPEN_ANALYSIS_TIME=5)
    assert brief(given_bars(*opening(minutes=(0, 1)), settings=five).entries(at(5), set()))
    assert not given_bars(*opening(minutes=(0, 1, 2)), settings=five).entries(at(5), set())


def test_a_symbol_without_any_bar_has_no_range_and_says_so() -> None:
    strategy = given_bars()
    (signal,) = strategy.entries(at(4), set())
    assert brief([signal]) == [NO_RANGE]
    assert (signal.inputs["range_high"], signal.inputs["range_low"]) == ("none", "none")
    assert strategy.analysis_volume("SPY") is None


def test_no_range_is_not_said_again_after_a_restart_when_it_is_recorded() -> None:
    assert given_bars().entries(at(6), {"SPY"}) == []


# Signal


@pytest.mark.parametrize(
    ("close", "expected"),
    [
        ("101.0001", [ENTRY]),
        ("101", []),
        ("100.9999", []),
        ("95", []),
        ("89.1001", []),
        ("89.1", []),
        ("89.0999", [BEARISH]),
    ],
)
def test_a_signal_is_a_close_strictly_beyond_the_buffered_range(
    close: str, expected: list[tuple[str, str, str]]
) -> None:
    strategy = given_bars(*opening(), bar(4, close))
    assert brief(strategy.entries(at(5), set())) == expected


def test_without_a_buffer_the_range_itself_is_the_border() -> None:
    bare = Settings(OPEN_ANALYSIS_TIME=4, STRAT_OPEN_BUFFER=D(0))
    assert not given_bars(*opening(), bar(4, "100"), settings=bare).entries(at(5), set())
    assert given_bars(*opening(), bar(4, "100.0001"), settings=bare).entries(at(5), set())


def test_a_high_above_the_range_without_a_close_above_it_is_no_signal() -> None:
    assert given_bars(*opening(), bar(4, "100", high="150")).entries(at(5), set()) == []


def test_an_entry_carries_price_stop_and_every_number_that_justified_it() -> None:
    (signal,) = given_bars(*opening(), bar(4, "101.25")).entries(at(5), set())
    assert (signal.strategy, signal.price, signal.stop) == ("OPEN", D("101.25"), D("90"))
    assert list(signal.inputs.items()) == [
        ("range_start", "2013-10-07T13:30Z"),
        ("range_end", "2013-10-07T13:34Z"),
        ("range_bars", "4"),
        ("range_minutes", "4"),
        ("range_high", "100"),
        ("range_low", "90"),
        ("analysis_volume", "400"),
        ("buffer", "0.01"),
        ("breakout_above", "101.00"),
        ("breakdown_below", "89.10"),
        ("bar_start", "2013-10-07T13:34Z"),
        ("close", "101.25"),
        ("initial_stop", "90"),
    ]


def test_weakness_is_recorded_as_bearish_without_an_instrument() -> None:
    (signal,) = given_bars(*opening(), bar(4, "80")).entries(at(5), set())
    assert brief([signal]) == [BEARISH]
    assert (signal.price, signal.stop) == (D("80"), None)
    assert signal.inputs["short_type"] == "disabled"


@pytest.mark.parametrize(
    ("minute", "seen"), [(3, False), (4, True), (8, True), (9, False)], ids=str
)
def test_only_bars_that_end_after_the_analysis_and_by_the_end_of_the_breakout_count(
    minute: int, seen: bool
) -> None:
    strategy = given_bars(*opening(minutes=(0, 1, 2)), bar(minute, "150", low="90", high="100"))
    assert bool(strategy.entries(at(minute + 1), set())) is seen


def test_a_minute_without_its_bar_gives_no_signal_from_the_bar_before() -> None:
    strategy = given_bars(*opening(), bar(4, "102"))
    assert strategy.entries(at(6), set()) == []
    strategy.on_bar(bar(6, "102"))
    assert brief(strategy.entries(at(7), set())) == [ENTRY]


def test_a_poll_some_seconds_late_still_sees_the_minute() -> None:
    late = at(5) + timedelta(seconds=59, microseconds=5)
    assert brief(given_bars(*opening(), bar(4, "102")).entries(late, set())) == [ENTRY]


def test_the_first_signal_of_a_symbol_is_the_only_one() -> None:
    strategy = given_bars(*opening(), bar(4, "102"))
    assert strategy.entries(at(5), {"SPY"}) == []
    strategy.on_bar(bar(5, "80"))
    assert strategy.entries(at(6), {"SPY"}) == []


def test_signals_are_alphabetical_and_of_the_given_symbols_only() -> None:
    symbols = ("SPY", "AIG", "IBM", "XOM", "GE", "F", "T", "SPY")
    bars = [b for s in (*symbols[:-1], "BAC") for b in (*opening(s), bar(4, "102", symbol=s))]
    signals = given_bars(*bars, symbols=symbols).entries(at(5), {"IBM"})
    assert [s.symbol for s in signals] == ["AIG", "F", "GE", "SPY", "T", "XOM"]


def test_the_disabled_strategy_still_judges_so_that_the_refusal_can_be_recorded() -> None:
    off = Settings(OPEN_ANALYSIS_TIME=4, STRAT_OPEN_ENABLED=False, DISABLE_ALL_TRADES=True)
    signals = given_bars(*opening(), bar(4, "102"), settings=off).entries(at(5), set())
    assert brief(signals) == [ENTRY]


@pytest.mark.parametrize("again", [4, 3], ids=["twice", "backwards"])
def test_a_bar_out_of_order_is_refused_by_name_and_changes_nothing(again: int) -> None:
    strategy = given_bars(*opening(), bar(4, "102"))
    with pytest.raises(DomainError, match=rf"SPY 2013-10-07T13:3{again}Z .* not used"):
        strategy.on_bar(bar(again, "95", high="500"))
    (signal,) = strategy.entries(at(5), set())
    assert signal.inputs["range_high"] == "100"


# Stop. Range low 90; the trailing stop lies 10 % below the high-water mark.


@pytest.mark.parametrize(("low", "out"), [("90.0001", False), ("90", True), ("89.9999", True)])
def test_the_first_bar_is_judged_by_the_range_low_alone(low: str, out: bool) -> None:
    strategy = given_bars(*opening(), bar(5, "101", high="120", low=low))
    signals = strategy.exits(at(6), held(5))
    assert brief(signals) == ([("SPY", "exit", "stop")] if out else [])


def test_a_bars_own_high_raises_the_stop_only_for_later_bars() -> None:
    # High 120 makes 108: the bar's own low of 101 is below it and does not end the trade.
    strategy = given_bars(*opening(), bar(5, "110", high="120", low="101"))
    assert strategy.exits(at(6), held(5)) == []
    strategy.on_bar(bar(6, "109", low="108.0001"))
    assert strategy.exits(at(7), held(5)) == []
    strategy.on_bar(bar(7, "108.5", low="108"))
    (signal,) = strategy.exits(at(8), held(5))
    assert brief([signal]) == [("SPY", "exit", "trailing stop")]
    assert (signal.price, signal.stop) == (D("108.5"), None)
    assert list(signal.inputs.items()) == [
        ("quantity", "5"),
        ("average_price", "102"),
        ("first_fill_at", "2013-10-07T13:35Z"),
        ("bar_start", "2013-10-07T13:37Z"),
        ("low", "108"),
        ("close", "108.5"),
        ("stop", "108.00"),
        ("initial_stop", "90"),
        ("trailing_stop", "108.00"),
        ("trailing_fraction", "0.10"),
        ("high_water_mark", "120"),
    ]


@pytest.mark.parametrize(
    ("high", "low", "reason"),
    [
        ("100", "90", "stop"),  # trailing 90 is not higher than the range's low
        ("99", "90", "stop"),  # trailing 89.1 is lower: the range's low counts
        ("101", "90.9", "trailing stop"),
    ],
)
def test_the_higher_of_the_two_stops_counts_and_names_the_reason(
    high: str, low: str, reason: str
) -> None:
    strategy = given_bars(*opening(), bar(5, "99", high=high), bar(6, "95", low=low))
    assert [s.reason for s in strategy.exits(at(7), held(5))] == [reason]


def test_the_mark_starts_with_the_minute_of_the_first_fill_not_before() -> None:
    # The spike to 150 in minute 4 would stop everything below 135.
    strategy = given_bars(*opening(), bar(4, "102", high="150"), bar(5, "101"), bar(6, "100"))
    assert strategy.exits(at(7), held(5)) == []
    # From minute 4 on, the same bars end the trade.
    assert [s.reason for s in strategy.exits(at(7), held(4))] == ["trailing stop"]


def test_a_first_fill_inside_a_minute_counts_as_that_minute() -> None:
    strategy = given_bars(*opening(), bar(5, "101", low="85"))
    fill = at(5) + timedelta(seconds=30, microseconds=7)
    holding = Holding(symbol="SPY", quantity=D(5), average_price=D("102"), first_fill_at=fill)
    assert [s.reason for s in strategy.exits(at(6), {"SPY": holding})] == ["stop"]


def test_a_low_before_the_first_fill_does_not_end_the_trade() -> None:
    strategy = given_bars(*opening(), bar(4, "102", low="50"), bar(5, "101"))
    assert strategy.exits(at(6), held(5)) == []


def test_the_mark_never_falls() -> None:
    strategy = given_bars(*opening(), bar(5, "120"), bar(6, "112"), bar(7, "108"))
    (signal,) = strategy.exits(at(8), held(5))
    assert (signal.inputs["high_water_mark"], signal.inputs["stop"]) == ("120", "108.00")


def test_a_due_exit_stays_due_while_anything_is_held() -> None:
    strategy = given_bars(*opening(), bar(5, "101"), bar(6, "95", low="85"))
    (first,) = strategy.exits(at(7), held(5))
    strategy.on_bar(bar(7, "130"))
    (again,) = strategy.exits(at(8), held(5))
    assert again == first
    (hole,) = strategy.exits(at(9), held(5, quantity="2"))
    assert (hole.reason, hole.inputs["quantity"]) == (first.reason, "2")
    assert strategy.exits(at(10), {}) == []
    assert strategy.exits(at(10), held(5, quantity="0")) == []


def test_a_position_that_came_back_is_watched_from_its_own_first_fill() -> None:
    strategy = given_bars(*opening(), bar(5, "101"), bar(6, "95", low="85"))
    assert strategy.exits(at(7), held(5))
    assert strategy.exits(at(7), {}) == []
    strategy.on_bar(bar(7, "101"))
    assert strategy.exits(at(8), held(7)) == []


def test_exits_are_alphabetical_and_cover_what_is_held_beyond_the_symbols() -> None:
    bars = [b for s in ("SPY", "AIG") for b in (bar(5, "100", symbol=s), bar(6, "89", symbol=s))]
    strategy = given_bars(*bars, symbols=("SPY",))
    signals = strategy.exits(at(7), {**held(5, "SPY"), **held(5, "AIG")})
    # Without a range there is no range's low: the trailing stop stands alone.
    assert brief(signals) == [("AIG", "exit", "trailing stop"), ("SPY", "exit", "trailing stop")]
    assert signals[0].inputs["initial_stop"] == "none"


# Exit at the end of monitoring


def test_everything_is_sold_when_monitoring_ends() -> None:
    strategy = given_bars(*opening(), bar(5, "101"), bar(13, "102"))
    assert strategy.exits(at(14), held(5)) == []
    assert not strategy.finished(at(14))
    (signal,) = strategy.exits(at(15), held(5))
    assert strategy.finished(at(15))
    assert (signal.kind, signal.reason) == ("exit", "end of monitoring")
    assert signal.price == D("102")  # the last close, although minute 14 has no bar


def test_what_has_no_bar_at_all_is_sold_too() -> None:
    (signal,) = given_bars().exits(at(15), held(5, "XYZ"))
    assert (signal.symbol, signal.reason, signal.price) == ("XYZ", "end of monitoring", None)


def test_a_stop_touched_in_the_last_minute_is_the_reason_and_later_bars_are_not() -> None:
    touched = given_bars(*opening(), bar(14, "95", low="90"))
    assert [s.reason for s in touched.exits(at(15), held(5))] == ["stop"]
    later = given_bars(*opening(), bar(14, "95"), bar(15, "80"))
    assert [s.reason for s in later.exits(at(16), held(5))] == ["end of monitoring"]


# Self check


def test_the_default_settings_have_no_fault() -> None:
    strategy: Strategy = OpeningRangeBreakout(Settings(), HOURS, ["SPY"])
    assert (strategy.name, strategy.self_check()) == ("OPEN", [])


def test_a_start_before_the_session_opens_is_a_fault_that_names_its_key() -> None:
    (fault,) = OpeningRangeBreakout(Settings(START_TIME_OPEN=time(9, 29)), HOURS, []).self_check()
    assert "START_TIME_OPEN 09:29 US/Eastern is 2013-10-07T13:29Z" in fault
    assert "before the session of 2013-10-07 opens at 2013-10-07T13:30Z" in fault


def test_a_day_too_short_for_any_entry_is_a_fault() -> None:
    whole = Settings(START_TIME_OPEN=time(15, 24))
    assert OpeningRangeBreakout(whole, HOURS, []).self_check() == []
    for cut in (Settings(START_TIME_OPEN=time(15, 25)), Settings(START_TIME_OPEN=time(17, 0))):
        (fault,) = OpeningRangeBreakout(cut, HOURS, []).self_check()
        assert "no minute is left for entries on 2013-10-07" in fault
        assert "OPEN_ANALYSIS_TIME" in fault
