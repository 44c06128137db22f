"""Option contracts at Alpaca: which there are (trading API), and what they are worth (market data).

https://docs.alpaca.markets/reference/get-options-contracts and /optionchain
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote as quoted

from alpaca.data.enums import OptionsFeed
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.requests import OptionChainRequest, OptionLatestQuoteRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import ContractType

from aggregates.market import OptionContract, Quote
from aggregates.occ import occ_terms
from brokers.alpaca_data import by_symbol
from brokers.alpaca_http import Keys, Wire
from brokers.alpaca_wire import quote
from brokers.http_fields import Unreadable, count, exact, fields, hint, rows, text
from brokers.port import Asset

CONTRACT = 100  # shares of a contract that was not adjusted
PAGE = 1_000
MOST_PAGES = 100


class Priced(NamedTuple):
    """What the market says of a contract; None where it says nothing."""

    quote: Quote | None
    delta: Decimal | None


class AlpacaOptions:
    """``feed`` is opra (paid) or indicative; None: the best that the account has."""

    def __init__(
        self, wire: Wire, client: TradingClient, keys: Keys, url: str | None, feed: str | None
    ) -> None:
        self._wire, self._client = wire, client
        self._feed = None if feed is None else OptionsFeed(feed)
        self._data = OptionHistoricalDataClient(
            keys.key_id.reveal(), keys.secret.reveal(), raw_data=True, url_override=url
        )
        self._data._session = wire  # time-outs, exact numbers, no repetition of its own

    def chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Puts that can be traded; a contract that the market data does not name has no quote."""
        listed = self._wire.read(
            f"options of {underlying}", lambda: list(self._contracts(underlying, first, last))
        )
        wanted = [row for row in listed if row.get("tradable") is True]
        priced = self._priced(underlying, first, last) if wanted else {}

        def read() -> list[OptionContract]:
            return [contract(row, priced.get(text(row, "symbol"))) for row in wanted]

        found = self._wire.read(f"options of {underlying}", read)
        puts = [c for c in found if c.right == "put" and first <= c.expiry <= last]
        return sorted(puts, key=lambda c: (c.expiry, c.strike, c.symbol))

    def _contracts(self, underlying: str, first: date, last: date) -> Iterator[Mapping[str, Any]]:
        query = {
            "underlying_symbols": underlying, "type": "put", "status": "active",
            "expiration_date_gte": f"{first}", "expiration_date_lte": f"{last}",
            "show_deliverables": "true", "limit": f"{PAGE}",
        }  # fmt: skip
        for _ in range(MOST_PAGES):
            page = fields(self._client.get("/options/contracts", query), "option contracts")
            for raw in rows(page.get("option_contracts"), "option contracts"):
                yield fields(raw, "option contract")
            token = page.get("next_page_token")
            if not token:
                return
            query["page_token"] = str(token)
        raise Unreadable("pages of option contracts without end")

    def _priced(self, underlying: str, first: date, last: date) -> Mapping[str, Priced]:
        wanted = OptionChainRequest(
            underlying_symbol=underlying, feed=self._feed, type=ContractType.PUT,
            expiration_date_gte=first, expiration_date_lte=last,
        )  # fmt: skip

        def ask() -> dict[str, Priced]:
            found = by_symbol(lambda: self._data.get_option_chain(wanted))
            return {symbol: priced(symbol, raw) for symbol, raw in found.items()}

        return self._wire.read(f"quotes of options of {underlying}", ask)

    def asset(self, symbol: str) -> Asset | None:
        """A contract as something to be traded, whole."""
        path = f"/options/contracts/{quoted(symbol, safe='')}"

        def ask() -> Asset:
            row = fields(self._client.get(path), "option contract")
            tradable = row.get("tradable") is True and text(row, "status") == "active"
            return Asset(symbol=symbol, tradable=tradable, fractionable=False, halted=None)

        return self._wire.find(f"about {symbol}", ask)

    def quote(self, symbol: str) -> Quote | None:
        wanted = OptionLatestQuoteRequest(symbol_or_symbols=symbol, feed=self._feed)

        def ask() -> Quote | None:
            found = by_symbol(lambda: self._data.get_option_latest_quote(wanted))
            return quote(symbol, found[symbol]) if found.get(symbol) is not None else None

        return self._wire.read(f"a quote of {symbol}", ask)


def contract(row: Mapping[str, Any], market: Priced | None) -> OptionContract:
    """``adjusted``: its root, its size or what it delivers is not that of a plain contract."""
    symbol, underlying = text(row, "symbol"), text(row, "underlying_symbol")
    terms = occ_terms(symbol)
    if terms is None:
        raise Unreadable("symbol of an option")
    size, known = count(row, "size"), market or Priced(None, None)
    root = underlying.replace(".", "")  # as the OCC writes BRK.B
    plain = (terms.root, size, count(row, "multiplier")) == (root, CONTRACT, CONTRACT)
    interest = row.get("open_interest")
    return OptionContract(
        symbol=symbol,
        underlying=underlying,
        right=terms.right,
        strike=exact(row, "strike_price"),
        expiry=terms.expiry,
        multiplier=size,
        adjusted=not plain or not _delivers_shares(row, underlying),
        bid=known.quote.bid if known.quote else None,
        ask=known.quote.ask if known.quote else None,
        quote_known_at=known.quote.end if known.quote else None,
        open_interest=None if interest is None else count(row, "open_interest"),
        delta=known.delta,
    )


def _delivers_shares(row: Mapping[str, Any], underlying: str) -> bool:
    """A hundred of the underlying and nothing else, or nothing is said of it."""
    if row.get("deliverables") is None:
        return True
    found = [fields(raw, "deliverable") for raw in rows(row["deliverables"], "deliverables")]
    return [one.get("symbol") for one in found] == [underlying] and (
        exact(found[0], "amount") == CONTRACT
    )


def priced(symbol: str, raw: Any) -> Priced:
    """Of a snapshot. The delta steers a choice, and no money follows from its digits."""
    row = fields(raw, "snapshot of an option")
    told = row.get("latestQuote")
    return Priced(
        quote=None if told is None else quote(symbol, told), delta=hint(row.get("greeks"), "delta")
    )
