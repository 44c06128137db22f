"""Indicators against pandas, and the promise that a restart changes no exit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates.market import Bar
from config.calendar import SessionHours
from config.settings import Settings, demo_settings
from strategies.indicators import OpeningRange, SessionVwap
from strategies.opening_range import OpeningRangeBreakout
from strategies.protocol import Holding, Signal
from strategies.stops import PositionStop, TrailingStop

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
HOURS = SessionHours(date(2013, 10, 7), OPEN, OPEN + timedelta(minutes=390))
MINUTE = timedelta(minutes=1)
TICK = Decimal("0.0001")
patient = settings(deadline=None)  # the first call into pandas may take its time


@st.composite
def days(draw: st.DrawFn, longest: int = 60) -> pd.DataFrame:
    """Minute bars in ticks (integers), with holes; the index is the UTC start of the minute."""
    minutes = draw(st.lists(st.integers(0, longest - 1), min_size=1, unique=True).map(sorted))
    rows = []
    for _ in minutes:
        low = draw(st.integers(900_000, 1_000_000))
        high = low + draw(st.integers(0, 20_000))
        close = draw(st.integers(low, high))
        rows.append((high, low, close, draw(st.integers(0, 5_000))))
    index = pd.DatetimeIndex([OPEN + m * MINUTE for m in minutes])
    return pd.DataFrame(rows, index=index, columns=["high", "low", "close", "volume"])


def bars_of(day: pd.DataFrame) -> list[Bar]:
    return [
        Bar(
            symbol="SPY",
            start=row.Index.to_pydatetime(),
            open=row.close * TICK,
            high=row.high * TICK,
            low=row.low * TICK,
            close=row.close * TICK,
            volume=row.volume,
        )
        for row in day.itertuples()
    ]


@patient
@given(days(), st.integers(1, 45))
def test_the_opening_range_is_pandas_rolling_extremes_over_the_window(
    day: pd.DataFrame, minutes: int
) -> None:
    opening = OpeningRange(OPEN, OPEN + minutes * MINUTE)
    for bar in bars_of(day):
        opening.fold(bar)
    inside = day[day.index < OPEN + minutes * MINUTE]
    if inside.empty:
        assert (opening.high, opening.low, opening.valid) == (None, None, False)
        return
    # A rolling window as long as the range, read at its last bar, holds exactly the range.
    rolled = inside.rolling(f"{minutes}min")
    assert opening.high == int(rolled["high"].max().iloc[-1]) * TICK
    assert opening.low == int(rolled["low"].min().iloc[-1]) * TICK
    assert opening.volume == int(rolled["volume"].sum().iloc[-1])
    assert opening.bars == len(inside)
    assert opening.valid == (len(inside) >= minutes / 2)


def test_a_window_without_a_minute_is_no_range() -> None:
    assert not OpeningRange(OPEN, OPEN).valid


@patient
@given(days(), st.decimals("0.0001", "0.5", places=4))
def test_the_trailing_stop_follows_pandas_cummax(day: pd.DataFrame, fraction: Decimal) -> None:
    stop = TrailingStop(fraction)
    for bar, mark in zip(bars_of(day), day["high"].cummax(), strict=True):
        stop.fold(bar.high)
        assert stop.mark == int(mark) * TICK
        assert stop.level == int(mark) * TICK * (1 - fraction)


@patient
@given(days(), st.integers(1, 40), st.integers(0, 59), st.decimals("0.0001", "0.05", places=4))
def test_the_bar_that_ends_a_trade_is_the_one_that_pandas_finds(
    day: pd.DataFrame, minutes: int, entered: int, fraction: Decimal
) -> None:
    since, until = OPEN + entered * MINUTE, OPEN + 50 * MINUTE
    opening = OpeningRange(OPEN, OPEN + minutes * MINUTE)
    stop = PositionStop(since, until, opening, fraction)
    for bar in bars_of(day):
        opening.fold(bar)
        stop.fold(bar)

    held = day[(day.index >= since) & (day.index < until)]
    before = held["high"].cummax().shift(1)  # the mark as it stood before each bar
    range_low = day["low"][day.index < opening.end].min()
    expected = None
    for row, mark in zip(held.itertuples(), before, strict=True):
        levels = [] if pd.isna(mark) else [int(mark) * TICK * (1 - fraction)]
        if row.Index >= opening.end and not pd.isna(range_low):
            levels.append(int(range_low) * TICK)
        if levels and row.low * TICK <= max(levels):
            expected = (row.Index.to_pydatetime(), max(levels))
            break
    assert (stop.touch and (stop.touch.bar.start, stop.touch.stop)) == expected


@patient
@given(days(), st.integers(1, 40), st.integers(0, 59), st.decimals("0.0001", "0.05", places=4))
def test_the_bar_that_ends_a_mirrored_position_is_the_one_that_pandas_finds(
    day: pd.DataFrame, minutes: int, entered: int, fraction: Decimal
) -> None:
    since, until = OPEN + entered * MINUTE, OPEN + 50 * MINUTE
    opening = OpeningRange(OPEN, OPEN + minutes * MINUTE)
    stop = PositionStop(since, until, opening, fraction, mirrored=True)
    for bar in bars_of(day):
        opening.fold(bar)
        stop.fold(bar)

    held = day[(day.index >= since) & (day.index < until)]
    before = held["low"].cummin().shift(1)  # the mark as it stood before each bar
    range_high = day["high"][day.index < opening.end].max()
    expected = None
    for row, mark in zip(held.itertuples(), before, strict=True):
        levels = [] if pd.isna(mark) else [int(mark) * TICK * (1 + fraction)]
        if row.Index >= opening.end and not pd.isna(range_high):
            levels.append(int(range_high) * TICK)
        if levels and row.high * TICK >= min(levels):
            expected = (row.Index.to_pydatetime(), min(levels))
            break
    assert (stop.touch and (stop.touch.bar.start, stop.touch.stop)) == expected


@patient
@given(days())
def test_vwap_is_pandas_running_sums_of_typical_price_by_volume(day: pd.DataFrame) -> None:
    vwap = SessionVwap()
    traded = ((day["high"] + day["low"] + day["close"]) * day["volume"]).cumsum()
    volume = day["volume"].cumsum()
    for bar, sum_, units in zip(bars_of(day), traded, volume, strict=True):
        vwap.fold(bar)
        exact = Fraction(int(sum_), 3 * int(units)) * Fraction(TICK) if units else None
        if exact is None:
            assert vwap.value is None
        else:
            assert vwap.value is not None
            assert Fraction(vwap.value) == round(exact, 6)


@patient
@given(days(120), st.integers(0, 119), st.integers(0, 130))
def test_a_fresh_instance_fed_the_same_bars_gives_the_same_exits(
    day: pd.DataFrame, entered: int, asked: int
) -> None:
    config = demo_settings(
        {"OPEN_ANALYSIS_TIME": "20", "OPEN_BREAKOUT_TIME": "60", "OPEN_MONITORING_TIME": "30"}
    )
    since = OPEN + entered * MINUTE
    held = {
        "SPY": Holding(
            symbol="SPY", quantity=Decimal(5), average_price=Decimal(95), first_fill_at=since
        )
    }
    bars = {bar.end: bar for bar in bars_of(day)}

    def live() -> list[Signal]:
        """Runs all day: asked every minute, holding from the minute after the first fill."""
        strategy, answer = OpeningRangeBreakout(config, HOURS, ["SPY"]), []
        for minute in range(1, asked + 1):
            now = OPEN + minute * MINUTE
            if now in bars:
                strategy.on_bar(bars[now])
            answer = strategy.exits(now, held if now > since else {})
        return answer

    def restarted() -> list[Signal]:
        strategy, now = OpeningRangeBreakout(config, HOURS, ["SPY"]), OPEN + asked * MINUTE
        for end, bar in bars.items():
            if end <= now:
                strategy.on_bar(bar)
        return strategy.exits(now, held if now > since else {})

    assert live() == restarted()


@patient
@given(days(120), st.integers(1, 119))
def test_a_fresh_instance_fed_the_same_bars_gives_the_same_entries(
    day: pd.DataFrame, asked: int
) -> None:
    config, now = Settings(OPEN_ANALYSIS_TIME=20), OPEN + asked * MINUTE
    live, fresh = (OpeningRangeBreakout(config, HOURS, ["SPY"]) for _ in range(2))
    decided: set[str] = set()
    bars = {bar.end: bar for bar in bars_of(day) if bar.end <= now}
    for bar in bars.values():
        fresh.on_bar(bar)
    for minute in range(1, asked):
        if (then := OPEN + minute * MINUTE) in bars:
            live.on_bar(bars[then])
        decided |= {signal.symbol for signal in live.entries(then, decided)}
    if now in bars:
        live.on_bar(bars[now])
    assert live.entries(now, decided) == fresh.entries(now, decided)
