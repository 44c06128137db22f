"""Bars and quotes of Webull's market data, asked for over HTTP; what reads them is pure.

Shapes: https://developer.webull.com/apis/docs/market-data-api/data-api (version v3 of the paths).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aggregates.market import MINUTE, Bar, Quote
from brokers.http_fields import Unreadable, count, exact, fields, moment, rows, text
from brokers.webull_http import Wire
from config.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_BARS = 1_650  # as many as one answer holds


class WebullData:
    """Stocks alone; an account may have to pay for the feed."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire, self._clock = wire, clock

    def quote(self, symbol: str) -> Quote | None:
        """The best level, known at its own instant; None without one that states a market."""

        def ask() -> Quote | None:
            found = self._wire.asked(
                "/market-data/stocks/depths/list",
                symbol=symbol, category="US_STOCK", depth="1", overnight_required="false",
            )  # fmt: skip
            return quote(symbol, found.json())

        return self._wire.find(f"a quote of {symbol}", ask)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        """One-minute bars that are complete; a minute without a trade has none."""
        until = min(end, self._clock.now())
        body = {
            "symbols": [symbol], "category": "US_STOCK", "timespan": "M1", "count": MOST_BARS,
            "start_time": milliseconds(start), "end_time": milliseconds(until),
            "trading_sessions": "RTH", "real_time_required": True,
        }  # fmt: skip

        def ask() -> list[Bar]:
            given = bars(symbol, self._wire.sent("/market-data/stocks/bars/list", body).json())
            once = {one.start: one for one in given if start <= one.start and one.end <= until}
            return [once[at] for at in sorted(once)]

        return self._wire.read(f"bars of {symbol}", ask) if start < until else []


def quote(symbol: str, raw: Any) -> Quote | None:
    """The best level of the depth at its own instant; None where it states no market."""
    row = fields(raw, "depth")
    known, best = _instant(row, "quote_time"), {}
    for side in ("bids", "asks"):
        levels = rows(row.get(side), side)
        if not levels:
            return None
        level = fields(levels[0], "a level")
        best[side] = exact(level, "price"), count(level, "size")
    (bid, bid_size), (ask, ask_size) = best["bids"], best["asks"]
    if not 0 < bid <= ask:
        return None
    return Quote(
        symbol=symbol, start=known - MINUTE, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size
    )


def bars(symbol: str, raw: Any) -> list[Bar]:
    """One-minute bars of one symbol; refused where open or close lies outside low and high."""
    found = [fields(one, "bars") for one in rows(fields(raw, "bars").get("result"), "result")]
    if [text(one, "symbol") for one in found] not in ([symbol], []):
        raise Unreadable("symbol of bars")
    return [
        _bar(symbol, fields(row, "bar")) for one in found for row in rows(one["result"], "bars")
    ]


def _bar(symbol: str, row: Mapping[str, Any]) -> Bar:
    opened, high, low, close = (exact(row, name) for name in ("open", "high", "low", "close"))
    if not (0 < low <= opened <= high and low <= close <= high):
        raise Unreadable("prices of a bar")
    return Bar(
        symbol=symbol, start=moment(row, "time"), open=opened, high=high, low=low, close=close,
        volume=count(row, "volume"),
    )  # fmt: skip


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _instant(row: Mapping[str, Any], name: str) -> datetime:
    """Milliseconds since 1970, as text or as a number."""
    return _EPOCH + timedelta(milliseconds=int(exact(row, name)))
