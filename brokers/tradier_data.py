"""Quotes, bars and option chains of Tradier's market data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from aggregates.occ import occ_terms
from brokers.http_fields import Unreadable, count, exact, fields, hint, text
from brokers.http_wire import Refused
from brokers.port import Asset
from brokers.tradier_http import Wire
from brokers.tradier_quotes import asset, bar, index_level, market_of, quote_row
from brokers.tradier_quotes import quote as quote_of
from brokers.tradier_wire import CONTRACT, many, there
from config.clock import Clock, utc_to_local

KNOWN_SYMBOL = "SPY"


class TradierData:
    """Real time with a brokerage account; the sandbox's is a quarter of an hour old."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire, self._clock = wire, clock

    def quote(self, symbol: str) -> Quote | None:
        row = self._row(symbol)
        return None if row is None else self._wire.read("a quote", lambda: quote_of(symbol, row))

    def asset(self, symbol: str) -> Asset | None:
        row = self._row(symbol)
        return None if row is None else self._wire.read("an asset", lambda: asset(symbol, row))

    def index(self, symbol: str) -> IndexLevel | None:
        row = self._row(symbol)
        if row is None or row.get("type") != "index":
            return None
        return self._wire.read("an index", lambda: index_level(symbol, row))

    def _row(self, symbol: str) -> Mapping[str, Any] | None:
        query = {"symbols": there(symbol), "greeks": "false"}
        return self._wire.read(
            f"a quote of {symbol}",
            lambda: quote_row(self._wire.ask("/markets/quotes", query), symbol),
        )

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        """One-minute bars that are complete; a minute without a trade has none."""
        until = min(end, self._clock.now())
        if start >= until:
            return []
        query = {
            "symbol": there(symbol), "interval": "1min", "session_filter": "all",
            "start": _wall(start), "end": _wall(until),
        }  # fmt: skip

        def ask() -> list[Bar]:
            listed = many(self._wire.ask("/markets/timesales", query), "series", "data")
            given = [bar(symbol, raw) for raw in listed]
            once = {one.start: one for one in given if start <= one.start and one.end <= until}
            return [once[at] for at in sorted(once)]

        return self._wire.read(f"bars of {symbol}", ask)

    # --- options ----------------------------------------------------------------------------

    def chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Puts; a question for each expiry."""
        query = {"symbol": there(underlying), "includeAllRoots": "true"}
        days = self._wire.read(
            f"expiries of {underlying}",
            lambda: _days(self._wire.ask("/markets/options/expirations", query)),
        )
        found: list[OptionContract] = []
        for day in days:
            if first <= day <= last:
                found += self._expiry(underlying, day)
        return sorted(found, key=lambda c: (c.expiry, c.strike, c.symbol))

    def _expiry(self, underlying: str, day: date) -> list[OptionContract]:
        query = {"symbol": there(underlying), "expiration": f"{day}", "greeks": "true"}

        def ask() -> list[OptionContract]:
            listed = many(self._wire.ask("/markets/options/chains", query), "options", "option")
            return [contract(underlying, raw) for raw in listed]

        read = self._wire.read(f"options of {underlying}", ask)
        return [one for one in read if one.right == "put"]

    def fault(self) -> str:
        """Why market data cannot be had, in words; "" when it can."""
        try:
            self.quote(KNOWN_SYMBOL)
        except Refused as e:
            return str(e)
        return ""


def contract(underlying: str, raw: Any) -> OptionContract:
    """Adjusted where root or size are not those of a plain contract. The delta is ORATS's, an hour
    old at most; it steers a choice, and no money follows from its digits."""
    row = fields(raw, "option")
    terms = occ_terms(text(row, "symbol"))
    if terms is None:
        raise Unreadable("symbol of an option")
    size, sides = count(row, "contract_size"), market_of(row)
    return OptionContract(
        symbol=text(row, "symbol"),
        underlying=underlying,
        right=terms.right,
        strike=exact(row, "strike"),
        expiry=terms.expiry,
        multiplier=size,
        adjusted=terms.root != underlying.replace(".", "") or size != CONTRACT,
        bid=sides[0] if sides else None,
        ask=sides[1] if sides else None,
        quote_known_at=sides[2] if sides else None,
        open_interest=None if row.get("open_interest") is None else count(row, "open_interest"),
        delta=hint(row.get("greeks"), "delta"),
    )


def _days(raw: Mapping[str, Any]) -> list[date]:
    held = raw.get("expirations", Unreadable)
    if held in (None, "null"):
        return []
    days: Any = fields(held, "expirations").get("date")
    try:
        return [date.fromisoformat(day) for day in ([days] if isinstance(days, str) else days)]
    except (TypeError, ValueError):
        raise Unreadable("expirations") from None


def _wall(at: datetime) -> str:
    return f"{utc_to_local(at, 'America/New_York'):%Y-%m-%d %H:%M}"
