"""Bars and quotes of Alpaca's market data, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from aggregates.market import Bar, Quote
from brokers.alpaca_http import Keys, Wire
from brokers.alpaca_wire import bar, quote
from brokers.http_fields import Unreadable, rows
from brokers.http_wire import Refused
from config.clock import Clock

KNOWN_SYMBOL = "SPY"  # quoted on every day of every feed


class AlpacaData:
    """``feed`` is iex (every account) or sip (all exchanges, paid)."""

    def __init__(self, wire: Wire, keys: Keys, url: str | None, feed: str, clock: Clock) -> None:
        self._wire, self._clock, self._feed = wire, clock, DataFeed(feed)
        self._client = StockHistoricalDataClient(
            keys.key_id.reveal(), keys.secret.reveal(), raw_data=True, url_override=url
        )
        self._client._session = wire  # time-outs, exact numbers, no repetition of its own

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote, known at its own instant; None without one that states a market."""
        wanted = StockLatestQuoteRequest(symbol_or_symbols=symbol, feed=self._feed)

        def ask() -> Quote | None:
            found = by_symbol(lambda: self._client.get_stock_latest_quote(wanted))
            return quote(symbol, found[symbol]) if found.get(symbol) is not None else None

        return self._wire.read(f"a quote of {symbol}", ask)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        """Unadjusted one-minute bars that are complete; a minute without a trade has none."""
        until = min(end, self._clock.now())
        wanted = StockBarsRequest(
            symbol_or_symbols=symbol, start=start, end=until, feed=self._feed,
            timeframe=TimeFrame(1, TimeFrameUnit.Minute), adjustment=Adjustment.RAW,
        )  # fmt: skip

        def ask() -> list[Bar]:
            found = by_symbol(lambda: self._client.get_stock_bars(wanted))
            given = [bar(symbol, raw) for raw in rows(found.get(symbol, []), "bars")]
            once = {one.start: one for one in given if start <= one.start and one.end <= until}
            return [once[at] for at in sorted(once)]

        return self._wire.read(f"bars of {symbol}", ask) if start < until else []

    def fault(self) -> str:
        """Why market data cannot be had, in words; "" when it can. Raises BrokerUnavailable when
        nobody answers: no fault of the account, and asked again."""
        try:
            self.quote(KNOWN_SYMBOL)
        except Refused as e:
            return str(e)
        return ""


def by_symbol(ask: Callable[[], Any]) -> Mapping[str, Any]:
    """What alpaca-py made of an answer, by symbol; Unreadable where it could not."""
    try:
        found = ask()
    except (ValueError, TypeError, KeyError, AttributeError):
        found = None  # alpaca-py met a shape that it does not know
    if not isinstance(found, dict):
        raise Unreadable("market data")
    return found
