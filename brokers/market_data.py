"""Sources of one-minute bars and quotes: the protocol, and CSV files.

A source holds whole days, the future of a simulated day included; what of it may be seen at an
instant is decided in ``known_market`` alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from aggregates.market import Bar, Quote
from brokers.port import BrokerError

T = TypeVar("T")
Row = TypeVar("Row", Bar, Quote)
DAYS_KEPT = 8  # days of all symbols in memory; a day of one symbol is below a megabyte

_BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")
_QUOTE_COLUMNS = ("ts", "bid", "bid_size", "ask", "ask_size")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", re.ASCII)
_PRICE = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?", re.ASCII)  # six decimals: what Price holds
_COUNT = re.compile(r"-?\d{1,15}", re.ASCII)


class MarketDataError(BrokerError):
    """Market data that is missing or cannot be believed; nothing of that file was used."""


class MarketData(Protocol):
    """Whole days of one-minute bars and quotes, in order of time; a minute may be missing."""

    def symbols(self) -> tuple[str, ...]:
        """Sorted."""

    def days(self) -> tuple[date, ...]:
        """Days that every symbol has, in order."""

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        """All bars of the day, pre-market and after-hours included. Raises MarketDataError."""

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        """The last quote of each minute of the day, in the same hours as ``bars``."""

    def describe(self) -> str:
        """One line for reports; says "synthetic" where the market is invented."""


class DayCache(Generic[T]):
    """What is read once by symbol and day; the day that came in first leaves when it is full."""

    def __init__(self, read: Callable[[str, date], T]) -> None:
        self._read: Callable[[str, date], T] = read
        self._days: dict[date, dict[str, T]] = {}

    def get(self, symbol: str, day: date) -> T:
        known = self._days.get(day, {})
        if symbol in known:
            return known[symbol]
        found = self._read(symbol, day)
        self._days.setdefault(day, {})[symbol] = found
        if len(self._days) > DAYS_KEPT:
            del self._days[next(iter(self._days))]
        return found


class CsvMarketData:
    """``bars/SYM/YYYY-MM-DD.csv`` and ``quotes/SYM/YYYY-MM-DD.csv`` under one folder.

    Bars have the columns ts, open, high, low, close, volume; quotes ts, bid, bid_size, ask,
    ask_size; in any order, other columns are ignored. ``ts`` is the UTC instant at which the
    minute starts, ``2013-10-07T13:30:00Z``; a file named by the day holds minutes of that UTC day
    and of the next one (after-hours in winter). Prices have at most six decimals.

    A missing minute stays a hole. A quote with a side of zero or with bid above ask happens in
    real data and states no market: it is left out, as if that minute had no quote. Everything
    else that is wrong raises ``MarketDataError`` with file and line, and no row of that file is
    used: a missing column or field, a row out of order or doubled, a time that is not a whole
    UTC minute, a price that is no number, negative or (in bars) zero, a bar whose open or close
    lies outside low and high, a negative volume or size.

    Files are read when they are first asked for. ``days()`` are the days whose bars every symbol
    has; a quote file missing on such a day is an error when it is asked for.
    """

    def __init__(self, folder: Path, symbols: Sequence[str] | None = None) -> None:
        self._folder = folder
        if symbols is None:
            symbols = self._folders(folder / "bars")
        self._symbols = tuple(sorted(set(symbols)))
        if not self._symbols:
            raise MarketDataError(
                f"{folder / 'bars'} names no symbol. Nothing was read; give a folder with "
                "bars/SYM/YYYY-MM-DD.csv and quotes/SYM/YYYY-MM-DD.csv, or name the symbols."
            )
        days = [self._days_of(symbol) for symbol in self._symbols]
        self._days = tuple(sorted(set.intersection(*days)))
        self._bars = DayCache[tuple[Bar, ...]](
            lambda symbol, day: _read(self._file("bars", symbol, day), _BAR_COLUMNS, _bar)
        )
        self._quotes = DayCache[tuple[Quote, ...]](
            lambda symbol, day: _read(self._file("quotes", symbol, day), _QUOTE_COLUMNS, _quote)
        )

    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    def days(self) -> tuple[date, ...]:
        return self._days

    def bars(self, symbol: str, day: date) -> tuple[Bar, ...]:
        return self._bars.get(symbol, day)

    def quotes(self, symbol: str, day: date) -> tuple[Quote, ...]:
        return self._quotes.get(symbol, day)

    def describe(self) -> str:
        """Symbols and days, without the folder: the same data reads the same wherever it lies."""
        span = f"{self._days[0]} to {self._days[-1]}" if self._days else "none in common"
        return f"CSV minute bars of {', '.join(self._symbols)}; days: {len(self._days)}, {span}"

    @staticmethod
    def _folders(bars: Path) -> list[str]:
        if not bars.is_dir():
            raise MarketDataError(
                f"There is no folder {bars}. Nothing was read; give the folder that holds "
                "bars/SYM/YYYY-MM-DD.csv and quotes/SYM/YYYY-MM-DD.csv."
            )
        return [e.name for e in bars.iterdir() if e.is_dir() and not e.name.startswith(".")]

    def _days_of(self, symbol: str) -> set[date]:
        folder = self._folder / "bars" / symbol
        if symbol != folder.name or symbol.startswith(".") or not folder.is_dir():
            raise MarketDataError(
                f"There are no bars of {symbol}: no folder {folder}. Nothing was read; leave the "
                "symbol out or add its files."
            )
        days: set[date] = set()
        for file in folder.glob("[!.]*.csv"):
            try:
                days.add(datetime.strptime(file.stem, "%Y-%m-%d").replace(tzinfo=UTC).date())
            except ValueError:
                raise MarketDataError(
                    f"{file} is not named by a day such as 2013-10-07.csv. Nothing was read; "
                    "rename it or move it elsewhere."
                ) from None
        return days

    def _file(self, kind: str, symbol: str, day: date) -> Path:
        file = self._folder / kind / symbol / f"{day.isoformat()}.csv"
        if symbol in self._symbols and file.is_file():
            return file
        raise MarketDataError(
            f"There are no {kind} of {symbol} for {day}: {file} does not exist or was not asked "
            "for. Nothing was guessed in its place; add the file or leave out the day or symbol."
        )


def _read(
    file: Path, columns: tuple[str, ...], build: Callable[[str, datetime, list[str]], Row | None]
) -> tuple[Row, ...]:
    """The rows of one file, or MarketDataError with its name and the line."""
    try:
        # A byte that is no UTF-8 turns into a sign that no number holds, so its line is named.
        text = file.read_text("utf-8-sig", errors="replace")
    except OSError as e:
        raise MarketDataError(
            f"{file} cannot be read: {e.strerror}. Nothing of it was used; make it readable."
        ) from e
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    last: datetime | None = None
    try:
        for fields in _records(reader, columns):
            start = _minute(fields[0], date.fromisoformat(file.stem))
            if last is not None and start <= last:
                raise ValueError(f"{fields[0]} is not later than the row before it")
            last = start
            if (row := build(file.parent.name, start, fields)) is not None:
                rows.append(row)
    except (ValueError, csv.Error) as e:
        raise MarketDataError(
            f"{file}, line {max(reader.line_num, 1)}: {e}. Nothing of this file was used; "
            "correct it, or leave out this symbol or day."
        ) from e
    return tuple(rows)


def _records(reader: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[list[str]]:
    """The fields, in the order of ``columns``, of every row below the header."""
    header = next(reader, [])
    for column in columns:
        if header.count(column) != 1:
            raise ValueError(f"the header needs the column {column!r} once; it is {header}")
    places = [header.index(column) for column in columns]
    for fields in reader:
        if not fields:
            continue  # an empty line, as editors leave one at the end
        if len(fields) != len(header):
            raise ValueError(f"{len(fields)} fields under a header of {len(header)}")
        yield [fields[place] for place in places]


def _minute(text: str, day: date) -> datetime:
    if not _STAMP.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole minute in UTC such as 2013-10-07T13:30:00Z")
    start = datetime.fromisoformat(text)
    if start.toordinal() - day.toordinal() not in (0, 1):
        raise ValueError(f"{text} does not belong to the day {day} that names the file")
    return start


def _price(name: str, text: str) -> Decimal:
    if not _PRICE.fullmatch(text):
        raise ValueError(f"{name} {text!r} is not a price with at most six decimals")
    price = Decimal(text)
    if price.is_signed():
        raise ValueError(f"{name} {text} is negative")
    return price


def _count(name: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{name} {text!r} is not a whole number")
    if (count := int(text)) < 0:
        raise ValueError(f"{name} {text} is negative")
    return count


def _bar(symbol: str, start: datetime, fields: list[str]) -> Bar:
    opened, high, low, close = (
        _price(name, text) for name, text in zip(_BAR_COLUMNS[1:5], fields[1:5], strict=True)
    )
    if not low:
        raise ValueError("a price of the bar is zero")
    if not (low <= opened <= high and low <= close <= high):
        raise ValueError(f"open {opened} or close {close} lies outside low {low} to high {high}")
    volume = _count("volume", fields[5])
    return Bar(
        symbol=symbol, start=start, open=opened, high=high, low=low, close=close, volume=volume
    )


def _quote(symbol: str, start: datetime, fields: list[str]) -> Quote | None:
    bid, ask = _price("bid", fields[1]), _price("ask", fields[3])
    bid_size, ask_size = _count("bid_size", fields[2]), _count("ask_size", fields[4])
    if not bid or not ask or bid > ask:
        return None  # states no market, see CsvMarketData
    return Quote(symbol=symbol, start=start, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)
