"""A market of daily prices: what a day trades at, what it does not; one walk on every machine."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from brokers.daily_data import DailyMarket, DayPrices, read_daily, walk
from brokers.market_data import MarketDataError
from config.calendar import TradingCalendar

D = Decimal
MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
SESSIONS = TradingCalendar("XNYS", MONDAY, TUESDAY).sessions(MONDAY, TUESDAY)
PRICES = {
    "LONG": {MONDAY: DayPrices(D("100.00"), D("101.50"))},
    "EDGE": {day: DayPrices(D("50.00"), D("49.00")) for day in (MONDAY, TUESDAY)},
}


def market() -> DailyMarket:
    return DailyMarket(PRICES, SESSIONS, (0, 1, 60), {"EDGE": 1}, "made up")


def test_the_open_holds_until_the_turn_and_the_close_from_then_on() -> None:
    opened = SESSIONS[0].open
    assert [(b.start - opened, b.close) for b in market().bars("LONG", MONDAY)] == [
        (timedelta(minutes=0), D("100.00")), (timedelta(minutes=1), D("100.00")),
        (timedelta(minutes=60), D("100.00")), (timedelta(minutes=389), D("101.50")),
    ]  # fmt: skip
    assert [b.close for b in market().bars("EDGE", MONDAY)] == [D("50.00"), *[D("49.00")] * 3]


def test_every_minute_is_quoted_around_its_price() -> None:
    first, *_, last = market().quotes("LONG", MONDAY)
    assert (first.bid, first.ask) == (D("99.99"), D("100.01"))
    assert (last.bid, last.ask) == (D("101.49"), D("101.51"))


def test_what_has_no_price_on_a_day_does_not_trade_on_it() -> None:
    assert market().days() == (MONDAY, TUESDAY)
    assert list(market().bars("LONG", TUESDAY)) == []
    assert list(market().quotes("LONG", TUESDAY)) == []


def test_the_same_seed_walks_the_same_way() -> None:
    days = [MONDAY + timedelta(days=n) for n in range(300)]
    first, second = (walk(Random("7"), days, 5_000, 300, 9_000) for _ in range(2))
    assert first == second != walk(Random("8"), days, 5_000, 300, 9_000)
    assert list(first) == days
    assert all(p.open >= 2 and p.close >= 2 for p in first.values())
    assert D("20") < first[days[-1]].close < D("120")


HEAD = "symbol,date,open,high,low,close,volume\n"


def test_a_file_is_read_for_its_symbols_alone(tmp_path: Path) -> None:
    file = tmp_path / "daily.csv"
    file.write_text(HEAD + "LONG,2026-03-02,100.00,102,99,101.50,1\nOTHER,x,x,x,x,x,x\n")
    assert read_daily(file, ["LONG"]) == {"LONG": PRICES["LONG"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("symbol,date,open\n", "has no column close"),
        (HEAD, "has no prices of LONG"),
        (HEAD + "LONG,03/02/2026,1.5,2,1,2,1\n", "cannot be used"),
        (HEAD + "LONG,2026-03-02,NaN,2,1,2,1\n", "not a price above 1"),
        (HEAD + "LONG,2026-03-02,0.50,2,1,2,1\n", "not a price above 1"),
        (HEAD + "LONG,2026-03-02,x,2,1,2,1\n", "cannot be used"),
    ],
)
def test_a_file_that_cannot_be_believed_is_not_used(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "daily.csv"
    file.write_text(text)
    with pytest.raises(MarketDataError, match=said):
        read_daily(file, ["LONG"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="Nothing was read"):
        read_daily(tmp_path / "none.csv", ["LONG"])
