"""Tradier's quotes and bars and the port's values; pure. Every function raises ``Unreadable``.

https://docs.tradier.com/docs (quotes, time and sales)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from aggregates.market import MINUTE, Bar, IndexLevel, Quote
from brokers.http_fields import Unreadable, count, exact, fields, text
from brokers.port import Asset
from brokers.tradier_wire import many, there
from config.clock import from_micros


def quote_row(raw: Mapping[str, Any], symbol: str) -> Mapping[str, Any] | None:
    """The quote of this symbol; None when Tradier says that it knows none."""
    held = fields(raw.get("quotes"), "quotes")
    if "quote" not in held:
        unmatched = fields(held.get("unmatched_symbols"), "quotes").get("symbol")
        if there(symbol) not in (unmatched if isinstance(unmatched, list) else [unmatched]):
            raise Unreadable("quotes")
        return None
    found = [fields(row, "quote") for row in many(raw, "quotes", "quote")]
    wanted = [row for row in found if row.get("symbol") == there(symbol)]
    if not wanted:
        raise Unreadable("symbol of a quote")
    return wanted[0]


def asset(symbol: str, row: Mapping[str, Any]) -> Asset:
    """Tradier tells neither halts nor what is tradable: shares, funds and options are."""
    kinds = ("stock", "etf", "option")
    return Asset(
        symbol=symbol, tradable=text(row, "type") in kinds, fractionable=False, halted=None
    )


def quote(symbol: str, row: Mapping[str, Any]) -> Quote | None:
    """Known when its newer side was told; None where it states no market. Sizes of shares come in
    hundreds."""
    sides = market_of(row)
    if sides is None:
        return None
    bid, ask, known = sides
    lot = 1 if row.get("type") == "option" else 100
    return Quote(
        symbol=symbol, start=known - MINUTE, bid=bid, ask=ask,
        bid_size=count(row, "bidsize") * lot, ask_size=count(row, "asksize") * lot,
    )  # fmt: skip


def market_of(row: Mapping[str, Any]) -> tuple[Decimal, Decimal, datetime] | None:
    """Bid, ask and when the newer of them was told; None where a side is missing or crossed."""
    if row.get("bid") is None or row.get("ask") is None:
        return None
    bid, ask = exact(row, "bid"), exact(row, "ask")
    if bid <= 0 or ask <= 0 or bid > ask:
        return None
    return bid, ask, max(_millis(row, "bid_date"), _millis(row, "ask_date"))


def index_level(symbol: str, row: Mapping[str, Any]) -> IndexLevel | None:
    if row.get("last") is None:
        return None
    level = exact(row, "last")
    if level <= 0:
        raise Unreadable("level of an index")
    return IndexLevel(symbol=symbol, level=level, at=_millis(row, "trade_date"))


def bar(symbol: str, raw: Any) -> Bar:
    """One minute; refused where open or close lies outside low and high."""
    row = fields(raw, "bar")
    opened, high, low, close = (exact(row, name) for name in ("open", "high", "low", "close"))
    if not (0 < low <= opened <= high and low <= close <= high):
        raise Unreadable("prices of a bar")
    return Bar(
        symbol=symbol, start=from_micros(count(row, "timestamp") * 1_000_000), open=opened,
        high=high, low=low, close=close, volume=count(row, "volume"),
    )  # fmt: skip


def _millis(row: Mapping[str, Any], name: str) -> datetime:
    return from_micros(count(row, name) * 1_000)
