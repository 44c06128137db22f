"""Reading bar and quote files: what is believed, what is refused, and where the fault is named."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.known_market import KnownMarket
from brokers.market_data import CsvMarketData, MarketDataError

DAY = date(2013, 10, 7)
BARS = """\
ts,open,high,low,close,volume
2013-10-07T13:30:00Z,48.8000,48.9000,48.7500,48.8500,1200
2013-10-07T13:31:00Z,48.8500,48.8500,48.8500,48.8500,0
2013-10-07T13:34:00Z,48.8400,48.8600,48.8000,48.8100,900
"""
QUOTES = """\
ts,bid,bid_size,ask,ask_size
2013-10-07T13:30:00Z,48.8400,300,48.8600,200
2013-10-07T13:31:00Z,48.8600,300,48.8400,200
2013-10-07T13:32:00Z,0.0000,0,48.8600,200
2013-10-07T13:33:00Z,48.8500,300,48.8500,200
"""


@pytest.fixture
def folder(tmp_path):
    """``folder(bars=…, quotes=…)`` is a data folder of AIG with those texts for one day."""

    def write(bars=BARS, quotes=QUOTES, symbol="AIG", day=DAY):
        for kind, text in (("bars", bars), ("quotes", quotes)):
            if text is not None:
                file = tmp_path / kind / symbol / f"{day}.csv"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def test_bars_keep_their_exact_prices_and_holes_stay_holes(folder):
    bars = CsvMarketData(folder()).bars("AIG", DAY)
    assert [bar.start.minute for bar in bars] == [30, 31, 34]
    assert bars[0].start == datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
    assert bars[0].low == Decimal("48.75")
    assert bars[2].volume == 900


def test_a_crossed_or_one_sided_quote_is_no_quote_and_a_locked_one_is(folder):
    quotes = CsvMarketData(folder()).quotes("AIG", DAY)
    assert [quote.start.minute for quote in quotes] == [30, 33]
    assert quotes[1].spread == 0


def test_columns_may_stand_in_any_order_and_others_are_ignored(folder):
    lines = [line.split(",") for line in BARS.split()]
    turned = "\r\n".join(",".join(["x", *reversed(fields)]) for fields in lines)
    assert CsvMarketData(folder(b"\xef\xbb\xbf" + turned.encode() + b"\r\n\r\n")).bars(
        "AIG", DAY
    ) == CsvMarketData(folder()).bars("AIG", DAY)


def bars_with(line):
    """BARS with the row at 13:31, line 3 of the file, replaced."""
    lines = BARS.splitlines()
    return "\n".join([*lines[:2], line, *lines[3:]])


ROW = "2013-10-07T13:31:00Z,48.85,48.86,48.84,48.85,100"


@pytest.mark.parametrize(
    ("bars", "line", "words"),
    [
        ("", 1, "'ts' once"),
        (BARS.replace("low,", ""), 1, "'low' once"),
        (BARS.replace("low", "high"), 1, "'high' once"),
        (bars_with(ROW.replace("13:31", "13:30")), 3, "not later than the row before"),
        (bars_with(ROW.replace("13:31", "13:29")), 3, "not later than the row before"),
        (bars_with(ROW.replace("31:00Z", "31:30Z")), 3, "whole minute in UTC"),
        (bars_with(ROW.replace("31:00Z", "31:00")), 3, "whole minute in UTC"),
        (bars_with(ROW.replace("31:00Z", "31:00+00:00")), 3, "whole minute in UTC"),
        (bars_with(ROW.replace("13:31", "25:31")), 3, "hour must be in"),
        (bars_with(ROW.replace("10-07", "10-09")), 3, "does not belong to the day"),
        (bars_with(ROW.replace("48.84", "-48.84")), 3, "low -48.84 is negative"),
        (bars_with(ROW.replace("48.84", "0.00")), 3, "zero"),
        (bars_with(ROW.replace("48.84", "NaN")), 3, "low 'NaN' is not a price"),
        (bars_with(ROW.replace("48.84", "4e1")), 3, "low '4e1' is not a price"),
        (bars_with(ROW.replace("48.84", "48.1234567")), 3, "six decimals"),
        (bars_with(ROW.replace("48.84", "")), 3, "low '' is not a price"),
        (bars_with(ROW.replace("48.86", "48.83")), 3, "outside low 48.84 to high 48.83"),
        (bars_with(ROW.replace("48.85", "48.87", 1)), 3, "open 48.87"),
        (bars_with(ROW.replace("48.85,100", "48.83,100")), 3, "close 48.83"),
        (bars_with(ROW.replace(",100", ",-100")), 3, "volume -100 is negative"),
        (bars_with(ROW.replace(",100", ",1.5")), 3, "volume '1.5' is not a whole number"),
        (bars_with(ROW.removesuffix(",100")), 3, "5 fields under a header of 6"),
        (bars_with(ROW.replace(",100", ',"100')), 4, "unexpected end of data"),
        (bars_with("x" + ROW).encode("utf-16"), 1, "'ts' once"),
        (bars_with(ROW).encode().replace(b"48.86", b"48\xff86"), 3, "high"),
    ],
)
def test_a_bad_bar_names_file_and_line_and_nothing_is_used(folder, bars, line, words):
    market = CsvMarketData(folder(bars))
    with pytest.raises(MarketDataError) as fault:
        market.bars("AIG", DAY)
    assert f"bars/AIG/2013-10-07.csv, line {line}: " in str(fault.value)
    assert words in str(fault.value)
    assert "Nothing of this file was used" in str(fault.value)


@pytest.mark.parametrize(
    ("was", "becomes", "line"),
    [
        ("48.8400,300", "-48.8400,300", 2),
        ("48.8400,300", "nan,300", 2),
        ("48.8500,200", "48.8500,-200", 5),
        ("13:31", "13:30", 3),
        ("bid_size", "size", 1),
    ],
)
def test_a_bad_quote_names_file_and_line(folder, was, becomes, line):
    market = CsvMarketData(folder(quotes=QUOTES.replace(was, becomes)))
    with pytest.raises(MarketDataError, match=rf"quotes/AIG/2013-10-07\.csv, line {line}: "):
        market.quotes("AIG", DAY)


def test_days_are_those_that_every_symbol_has(folder):
    other = date(2013, 10, 8)
    folder(symbol="IBM")
    folder(symbol="IBM", day=other)
    market = CsvMarketData(folder())
    assert market.symbols() == ("AIG", "IBM")
    assert market.days() == (DAY,)
    assert CsvMarketData(folder(), ["IBM"]).days() == (DAY, other)
    with pytest.raises(MarketDataError, match=r"bars/AIG/2013-10-08\.csv does not exist"):
        market.bars("AIG", other)


def test_after_hours_in_winter_belong_to_the_file_of_the_day_before(folder):
    evening = BARS.replace("2013-10-07T13", "2013-12-03T00")
    market = KnownMarket(CsvMarketData(folder(evening, day=date(2013, 12, 2))))
    start = datetime(2013, 12, 3, 0, 31, tzinfo=UTC)
    late = start + timedelta(hours=1)
    assert [bar.start.minute for bar in market.bars("AIG", start, late, late)] == [31, 34]
    assert market.last_bar("AIG", start).start.minute == 30


def test_missing_folders_and_files_are_named(folder, tmp_path):
    with pytest.raises(MarketDataError, match=f"no folder {tmp_path / 'nowhere' / 'bars'}"):
        CsvMarketData(tmp_path / "nowhere")
    with pytest.raises(MarketDataError, match="bars/NONE"):
        CsvMarketData(folder(), ["AIG", "NONE"])
    with pytest.raises(MarketDataError, match=r"no bars of \.\./AIG"):
        CsvMarketData(folder() / "bars", ["../AIG"])
    with pytest.raises(MarketDataError, match=r"quotes/IBM/2013-10-07\.csv does not exist"):
        CsvMarketData(folder(symbol="IBM", quotes=None), ["IBM"]).quotes("IBM", DAY)
    (tmp_path / "bars" / "AIG" / "notes.csv").touch()
    with pytest.raises(MarketDataError, match=r"notes\.csv is not named by a day"):
        CsvMarketData(tmp_path)


def test_the_description_does_not_depend_on_the_folder(folder):
    assert CsvMarketData(folder()).describe() == (
        "CSV minute bars of AIG; days: 1, 2013-10-07 to 2013-10-07"
    )


def test_real_data_reads_whole(marketdata):
    market = CsvMarketData(marketdata)
    assert market.symbols() == ("AIG", "BAC", "IBM", "SPY")
    assert [day.day for day in market.days()] == [4, 7, 8, 9, 10, 11]
    bars = {(s, d): market.bars(s, d) for s in market.symbols() for d in market.days()}
    for symbol, day in bars:
        for kind, rows in (("bars", bars[symbol, day]), ("quotes", market.quotes(symbol, day))):
            lines = (marketdata / kind / symbol / f"{day}.csv").read_bytes().splitlines()
            assert len(rows) == len(lines) - 1
    assert len(bars["SPY", DAY]) == 828
    assert sum(map(len, bars.values())) == 13_429
