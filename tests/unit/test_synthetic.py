"""The invented market: believable enough to trade, the same for the same seed, never disguised."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import fmean

import pytest

from brokers.market_data import MarketDataError
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours

D = Decimal
HALF_DAY = date(2025, 11, 28)


def sessions(count=10):
    """Weekdays from 2025-11-17, 14:30 to 21:00 UTC; the 28th closes at 18:00."""
    days = [date(2025, 11, 17) + timedelta(days=n) for n in range(2 * count)]
    return [
        SessionHours(
            day,
            datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
            datetime(day.year, day.month, day.day, 18 if day == HALF_DAY else 21, tzinfo=UTC),
        )
        for day in days
        if day.weekday() < 5
    ][:count]


@pytest.fixture(scope="module")
def market():
    return SyntheticMarketData(1, sessions())


def every_day(market):
    for symbol in market.symbols():
        for day in market.days():
            yield market.bars(symbol, day), market.quotes(symbol, day)


def test_bars_and_quotes_are_possible_and_to_the_cent(market):
    for bars, quotes in every_day(market):
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            assert bar.volume > 0
            assert {price.as_tuple().exponent for price in (bar.open, bar.high, bar.low)} == {-2}
        for quote in quotes:
            assert 0 < quote.bid < quote.ask
            assert quote.ask.as_tuple().exponent == -2
            assert quote.bid_size > 0
        starts = [bar.start for bar in bars]
        assert starts == sorted(set(starts))
        assert set(starts) <= {quote.start for quote in quotes}


def test_minutes_are_those_of_the_session_with_a_few_holes(market):
    full, half = market.bars("ALFA", date(2025, 11, 17)), market.bars("ALFA", HALF_DAY)
    assert {bar.start.date() for bar in half} == {HALF_DAY}
    assert max(bar.end for bar in half) <= datetime(2025, 11, 28, 18, 0, tzinfo=UTC)
    assert 380 < len(full) <= 390
    assert 200 < len(half) <= 210
    assert any(len(bars) < len(quotes) for bars, quotes in every_day(market))


def test_volume_is_u_shaped_and_one_symbol_is_too_thin_for_a_whole_order(market):
    for bars, _ in every_day(market):
        volumes = [bar.volume for bar in bars]
        third = len(volumes) // 6
        noon = fmean(volumes[len(volumes) // 2 - third : len(volumes) // 2 + third])
        assert min(fmean(volumes[:third]), fmean(volumes[-third:])) > 1.5 * noon
    thin = market.bars("EKHO", market.days()[0])
    assert max(bar.volume // 10 for bar in thin) < 100


def test_some_quotes_are_too_wide_to_trade_and_most_are_not(market):
    shares = [q.spread / q.ask for _, quotes in every_day(market) for q in quotes]
    wide = sum(share > D("0.015") for share in shares)
    assert 0.002 < wide / len(shares) < 0.05


def test_days_gap_and_break_out_upwards_downwards_or_not_at_all(market):
    outcomes = {"up": 0, "down": 0, "neither": 0}
    for bars, _ in every_day(market):
        first = bars[0].start + timedelta(minutes=30)
        high = max(bar.high for bar in bars if bar.start < first) * D("1.0005")
        low = min(bar.low for bar in bars if bar.start < first) * D("0.9995")
        later = (bar for bar in bars if first <= bar.start < first + timedelta(minutes=60))
        beyond = (b for b in later if not low <= b.close <= high)
        signal = next(beyond, None)
        outcome = "neither" if signal is None else "up" if signal.close > high else "down"
        outcomes[outcome] += 1
    assert min(outcomes.values()) >= 5, outcomes

    bars = [market.bars("ALFA", day) for day in market.days()]
    gaps = [after[0].open / before[-1].close - 1 for before, after in pairwise(bars)]
    assert any(abs(gap) > D("0.004") for gap in gaps)
    assert max(abs(gap) for gap in gaps) < D("0.04")


def test_the_order_of_asking_changes_nothing():
    forwards, backwards = (SyntheticMarketData(3, sessions()) for _ in range(2))
    ahead = [forwards.bars("BRVO", day) for day in forwards.days()]
    back = [backwards.bars("BRVO", day) for day in reversed(backwards.days())]
    assert ahead == back[::-1]
    alone = SyntheticMarketData(3, sessions(), ["BRVO"])
    assert alone.bars("BRVO", HALF_DAY) == forwards.bars("BRVO", HALF_DAY)
    assert SyntheticMarketData(4, sessions()).bars("BRVO", HALF_DAY) != ahead[9]


def test_it_says_that_it_is_synthetic_and_knows_only_what_was_asked_for(market):
    assert market.describe().startswith("synthetic minute bars, seed 1, of ALFA, ")
    assert market.symbols() == ("ALFA", "BRVO", "CHRL", "DLTA", "EKHO")
    with pytest.raises(MarketDataError, match="NONE for 2025-11-28"):
        market.bars("NONE", HALF_DAY)
    with pytest.raises(MarketDataError, match="ALFA for 2025-11-29"):
        market.quotes("ALFA", date(2025, 11, 29))
    with pytest.raises(MarketDataError, match="0 sessions"):
        SyntheticMarketData(1, [])


def test_a_symbol_of_ones_own_gets_a_character_of_its_own():
    own = SyntheticMarketData(1, sessions(1), ["ZULU", "YNKE"])
    day = own.days()[0]
    assert len(own.bars("ZULU", day)) > 350
    assert own.bars("ZULU", day)[0].open != own.bars("YNKE", day)[0].open
