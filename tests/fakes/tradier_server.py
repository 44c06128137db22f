"""A fake Tradier over real sockets: account, orders by form, market data.

Its faults are those of every fake broker over HTTP (`faulty_http`). The books beside this file are
what is true.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from beside import beside

from aggregates.occ import occ_terms

http, tradier = beside("fakes/faulty_http"), beside("fakes/tradier_books")
NEW_YORK = ZoneInfo("America/New_York")
PAGE = 25  # orders and events in a page that asks for no more


def as_json(answer: Any) -> bytes:
    """Numbers as JSON numbers with their digits, 50.00000000 among them."""
    numbers: list[str] = []

    def number(value: Any) -> str:
        assert isinstance(value, Decimal)
        numbers.append(f"{value:f}")
        return f"\0{len(numbers) - 1}\0"

    text = json.dumps(answer, default=number)
    for n, written in enumerate(numbers):
        text = text.replace(f'"\\u0000{n}\\u0000"', written)
    return text.encode()


class TradierServer(http.FaultyServer):
    """``listing`` "short": pages of orders hold two, whatever is asked for."""

    CLIENT_ID = "tag"

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.listing = "plain"
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.indices: dict[str, dict[str, Any]] = {}
        super().__init__(books, hold_s)
        self.keys = self.keys[:1]  # a token is all there is

    def knows(self, headers: dict[str, str]) -> bool:
        return bool(headers.get("authorization") == f"Bearer {self.keys[0]}")

    def no_keys(self) -> Any:
        fault = {"faultstring": "Invalid access token", "detail": {"errorcode": "keymanagement"}}
        return 401, {"fault": fault}, {}

    def too_many(self, reset: int) -> Any:
        fault = {"faultstring": "Rate limit quota violation.", "detail": {"errorcode": "quota"}}
        headers = {"X-Ratelimit-Allowed": "120", "X-Ratelimit-Used": "121"}
        return 429, {"fault": fault}, headers | {"X-Ratelimit-Expiry": str(reset * 1_000)}

    def refusal(self, said: str) -> Any:
        return 400, {"errors": {"error": said}}, {}

    def parsed(self, raw: bytes) -> dict[str, Any]:
        return {name: values[-1] for name, values in parse_qs(raw.decode()).items()}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        books = self.books
        with books.lock:
            orders = f"/v1/accounts/{tradier.ACCOUNT}/orders"
            if method == "POST" and path == orders:
                status, told = books.submit(body)
            elif method == "DELETE" and path.startswith(orders):
                status, told = books.cancel(int(path.rpartition("/")[2]))
            else:
                status, told = self._told_of(path, query)
            return status, as_json(told)

    def _told_of(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        books, account = self.books, f"/v1/accounts/{tradier.ACCOUNT}"
        if path == "/v1/user/profile":
            return 200, {"profile": {"id": "id-1", "name": "Somebody", "account": {
                "account_number": tradier.ACCOUNT, "classification": "individual",
                "option_level": books.option_level, "status": "active", "type": "margin",
            }}}  # fmt: skip
        if path == "/v1/markets/clock":
            return 200, {"clock": {"state": "open", "timestamp": int(books.now().timestamp())}}
        if path == f"{account}/balances":
            return 200, {"balances": books.balances()}
        if path == f"{account}/positions":
            return 200, {"positions": tradier.one_or_many("position", books.held())}
        if path == f"{account}/orders":
            return 200, {"orders": tradier.one_or_many("order", self._orders(query))}
        if path.startswith(f"{account}/orders/"):
            found = books.orders.get(int(path.rpartition("/")[2]))
            if found is None:
                return 400, {"errors": {"error": "order not found"}}
            return 200, {"order": books.shown(found, "includeTags" in query)}
        if path == f"{account}/history":
            rows = [e for e in books.history if e["date"][:10] >= query["start"]]
            return 200, {"history": tradier.one_or_many("event", _page(rows, query))}
        return self._market(path, query)

    def _orders(self, query: dict[str, str]) -> list[dict[str, Any]]:
        rows = [self.books.shown(o, "includeTags" in query) for o in self.books.orders.values()]
        if self.listing == "all":  # whatever page is asked for
            return rows
        if self.listing == "default":
            query = {"page": query["page"]}
        return _page(rows, query)

    # --- market data ------------------------------------------------------------------------

    def _market(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        symbol = query.get("symbols") or query.get("symbol", "")
        if path == "/v1/markets/quotes":
            if symbol in self.indices:
                return 200, {"quotes": {"quote": self.indices[symbol]}}
            if symbol not in self.books.kinds:
                return 200, {"quotes": {"unmatched_symbols": {"symbol": symbol}}}
            return 200, {"quotes": {"quote": self._quote(symbol)}}
        if path == "/v1/markets/timesales":
            first, last = (_wall(query[name]) for name in ("start", "end"))
            bars = [b for b in self.bars.get(symbol, []) if first <= b["timestamp"] <= last]
            found = tradier.one_or_many("data", bars)
            return 200, {"series": None if found == "null" else found}
        if path == "/v1/markets/options/expirations":
            days = sorted({f"{t.expiry}" for _, t in self._puts(symbol)})
            shown = days[0] if len(days) == 1 else days
            return 200, {"expirations": {"date": shown} if days else None}
        if path == "/v1/markets/options/chains":
            wanted = [s for s, t in self._puts(symbol) if f"{t.expiry}" == query["expiration"]]
            found = tradier.one_or_many("option", [self._quote(s) for s in wanted])
            return 200, {"options": None if found == "null" else found}
        return 404, {"fault": {"faultstring": "Not found"}}

    def _puts(self, underlying: str) -> list[tuple[str, Any]]:
        found = [(s, occ_terms(s)) for s, kind in self.books.kinds.items() if kind == "option"]
        return [(s, terms) for s, terms in found if terms and terms.root == underlying]

    def _quote(self, symbol: str) -> dict[str, Any]:
        bid, ask = self.books.prices[symbol]
        at = int(self.books.clock().timestamp() * 1000)
        found = {
            "symbol": symbol, "description": symbol, "exch": "Q", "type": self.books.kinds[symbol],
            "last": bid, "volume": 1000, "bid": bid, "ask": ask, "bidsize": 2, "asksize": 3,
            "bid_date": at - 5, "ask_date": at, "bidexch": "Q", "askexch": "P",
        }  # fmt: skip
        if terms := occ_terms(symbol):
            found |= {
                "underlying": terms.root, "root_symbol": terms.root, "strike": terms.strike,
                "contract_size": 100, "expiration_date": f"{terms.expiry}",
                "option_type": terms.right, "open_interest": 250,
                "greeks": {"delta": Decimal("-0.41"), "updated_at": "2026-01-05 14:59:08"},
            }  # fmt: skip
        return found


def _page(rows: list[Any], query: dict[str, str]) -> list[Any]:
    size = int(query.get("limit", PAGE))
    first = (int(query.get("page", 1)) - 1) * size
    return rows[first : first + size]


def _wall(said: str) -> float:
    """Of New York; ``end`` is within its minute."""
    at = datetime.strptime(said, "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)
    return (at + timedelta(seconds=0)).timestamp()
