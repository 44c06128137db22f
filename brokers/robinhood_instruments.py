"""Robinhood's instruments: it names them by addresses, and their symbols are asked for once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote as quoted

from aggregates.market import Quote
from brokers import robinhood_wire as wire
from brokers.http_fields import Unreadable, fields, text
from brokers.port import Asset, BrokerError, OrderRefused
from brokers.robinhood_http import Wire


class Instruments:
    """Symbols by the id of the instrument, as far as they were met."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._symbols: dict[str, str] = {}

    def asset(self, symbol: str) -> Asset | None:
        """``halted`` as its quote says it, None without one."""
        row = self._wire.read(f"about {symbol}", lambda: self._found(symbol))
        if row is None:
            return None
        return Asset(
            symbol=symbol, tradable=wire.tradable(row), halted=self._halted(symbol),
            fractionable=row.get("fractional_tradability") == "tradable",
        )  # fmt: skip

    def id_of(self, symbol: str) -> str:
        """Raises OrderRefused for a symbol that Robinhood does not know."""
        known = (number for number, name in self._symbols.items() if name == symbol)
        number = next(known, None)
        if number is None:
            row = self._wire.read(f"about {symbol}", lambda: self._found(symbol))
            if row is None:
                raise OrderRefused("unknown_symbol", f"Robinhood knows no {symbol}.")
            number = text(row, "id")
        return number

    def symbol_in(self, row: Mapping[str, Any]) -> str:
        """Of whatever names an instrument; may ask. Raises WireFailure and Unreadable."""
        number = wire.id_in(text(row, "instrument"))
        if number not in self._symbols:
            found = fields(self._wire.json(f"/instruments/{quoted(number)}/"), "instrument")
            self._symbols[number] = text(found, "symbol")
        return self._symbols[number]

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote, known at its own instant; None without one that states a market."""
        return self._wire.find(
            f"a quote of {symbol}", lambda: wire.quote(symbol, self._quoted(symbol))
        )

    def _found(self, symbol: str) -> Mapping[str, Any] | None:
        found = list(self._wire.results("/instruments/", symbol=symbol))
        if len(found) > 1 or any(text(row, "symbol") != symbol for row in found):
            raise Unreadable("symbol of an instrument")
        for row in found:
            self._symbols[text(row, "id")] = symbol
        return found[0] if found else None

    def _halted(self, symbol: str) -> bool | None:
        halted = None
        with suppress(BrokerError):
            found = self._wire.find(f"a quote of {symbol}", lambda: self._quoted(symbol))
            halted = found.get("trading_halted") if found else None
        return halted if isinstance(halted, bool) else None

    def _quoted(self, symbol: str) -> Mapping[str, Any]:
        return fields(self._wire.json(f"/quotes/{quoted(symbol, safe='')}/"), "quote")
