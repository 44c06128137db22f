"""A fake Alpaca over real sockets: orders, account, market data and both streams on one port.

Its faults are those of every fake broker over HTTP (`faulty_http`), and disturbances of its streams
and lists. The books beside this file are what is true.
"""

import json
from typing import Any
from urllib.parse import unquote

import msgspec
from beside import beside

http, streams = beside("fakes/faulty_http"), beside("fakes/alpaca_streams")
Fault = http.Fault


class AlpacaServer(http.FaultyServer):
    """One port for everything."""

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.fill_listing = "plain"  # or "twice", "backwards"
        self.stream_mode = "plain"  # or "lost", "garbled", "twice"
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.streams: list[Any] = []
        self.data_streams: list[Any] = []
        self.refuse_data = self.refuse_statuses = ""  # Alpaca's words of an error
        self.refuse_streams = False
        self.hold_streams = False  # connected, and then without a word
        books.told = self._told
        super().__init__(books, hold_s)

    @property
    def stream_url(self) -> str:
        return str(self.url.replace("http", "ws", 1)) + "/stream"

    def close(self) -> None:
        self.ended.set()
        self.drop_streams()
        self.drop_data_streams()
        super().close()

    def calm(self) -> None:
        """No more faults, and nothing that was held is on its way any more."""
        self.stream_mode = self.fill_listing = "plain"
        self.books.hidden_fills = 0
        super().calm()

    # --- its words --------------------------------------------------------------------------

    def knows(self, headers: dict[str, str]) -> bool:
        given = (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
        return bool(given == self.keys)

    def no_keys(self) -> Any:
        return 401, {"code": 40110000, "message": "request is not authorized"}, {}

    def too_many(self, reset: int) -> Any:
        said = {"code": 42910000, "message": "rate limit exceeded"}
        return 429, said, {"X-RateLimit-Reset": str(reset)}

    def refusal(self, said: str) -> Any:
        return 422, {"code": 42210000, "message": said}, {}

    def upgrade(self, handler: Any) -> bool:
        stream = {"/stream": streams.Stream, "/v2/iex": streams.DataStream}.get(handler.path)
        if stream is not None:
            stream(handler).serve()
        return stream is not None

    # --- the stream -------------------------------------------------------------------------

    def _told(self, data: dict[str, Any]) -> None:
        frame = json.dumps({"stream": "trade_updates", "data": data})
        if self.stream_mode == "lost":
            return
        if self.stream_mode == "garbled":
            frame = frame[: len(frame) // 2]
        for stream in list(self.streams):
            if stream.listening:
                for _ in range(2 if self.stream_mode == "twice" else 1):
                    stream.send(frame)

    def drop_streams(self) -> None:
        for stream in list(self.streams):
            stream.drop()

    def say(self, frame: str) -> None:
        for stream in list(self.streams):
            stream.send(frame)

    def drop_data_streams(self) -> None:
        for stream in list(self.data_streams):
            stream.drop()

    def status(self, symbol: str, code: str, reason: str = "", tape: str = "C") -> None:
        """A trading status, as the exchange tells it to whoever listens."""
        told = {
            "T": "s", "S": symbol, "sc": code, "sm": "", "rc": reason, "rm": "", "z": tape,
            "t": self.books.now(),
        }  # fmt: skip
        self.say_data(msgspec.msgpack.encode([told]))

    def say_data(self, frame: str | bytes) -> None:
        for stream in list(self.data_streams):
            if stream.listening:
                stream.send(frame)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """What Alpaca would say; the books change here and nowhere else."""
        books = self.books
        with books.lock:
            if method == "POST" and path == "/v2/orders":
                return books.submit(body)  # type: ignore[no-any-return]
            if method == "DELETE" and path.startswith("/v2/orders/"):
                return books.cancel(path.rpartition("/")[2])  # type: ignore[no-any-return]
            return self._told_of(path, query)

    def _told_of(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        books, last = self.books, unquote(path.rpartition("/")[2])
        if path == "/v2/account":
            return 200, books.account()
        if path == "/v2/clock":
            return 200, {"timestamp": books.now().isoformat(), "is_open": True}
        if path == "/v2/positions":
            return 200, books.held()
        if path == "/v2/orders:by_client_order_id":
            return _or_404(books.by_client(query["client_order_id"]), "order")
        if path.startswith("/v2/assets/"):
            return _or_404(books.assets.get(last), "asset")
        if path == "/v2/orders":
            after = query.get("after", "")
            rows = [o for o in books.open_orders() if o["submitted_at"] > after]
            return 200, rows[: int(query["limit"])]
        if path.startswith("/v2/orders/"):
            return _or_404(books.orders.get(last), "order")
        if path.startswith("/v2/account/activities"):
            return 200, self._activities(last == "FILL", query)
        return self._market(path, query)

    def _activities(self, fills: bool, query: dict[str, str]) -> list[dict[str, Any]]:
        if not fills:
            return _page([a for a in self.books.others if a["date"] > query["after"]], query)
        rows = [f for f in self.books.listed_fills() if f["transaction_time"] > query["after"]]
        page = _page(rows, query)
        if self.fill_listing == "backwards":
            page.reverse()
        return page + page if self.fill_listing == "twice" and len(page) < 50 else page

    def _market(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        symbol = query.get("symbols", "")
        if path == "/v2/stocks/quotes/latest":
            return 200, {"quotes": {s: q for s, q in self.quotes.items() if s == symbol}}
        if path == "/v2/stocks/bars":
            bars = [
                bar for bar in self.bars.get(symbol, [])
                if query["start"] <= bar["t"] and bar["t"] <= query["end"]
            ]  # fmt: skip
            first = int(query.get("page_token") or 0)  # two bars a page, so that pages are turned
            more = str(first + 2) if len(bars) > first + 2 else None
            return 200, {"bars": {symbol: bars[first : first + 2]}, "next_page_token": more}
        return self._options(path, query)

    def _options(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Contracts and snapshots come two a page, so that pages are turned."""
        books, last = self.books, unquote(path.rpartition("/")[2])
        first = int(query.get("page_token") or 0)
        if path == "/v2/options/contracts":
            rows = [row for row in books.contracts.values() if _asked_for(row, query)]
            more = str(first + 2) if len(rows) > first + 2 else None
            return 200, {"option_contracts": rows[first : first + 2], "next_page_token": more}
        if path.startswith("/v2/options/contracts/"):
            return _or_404(books.contracts.get(last), "option contract")
        if path.startswith("/v1beta1/options/snapshots/"):
            query = query | {"underlying_symbols": last}
            quoted = [s for s, row in books.contracts.items() if _asked_for(row, query)]
            more = str(first + 2) if len(quoted) > first + 2 else None
            page = {s: self._snapshot(s) for s in quoted[first : first + 2]}
            return 200, {"snapshots": page, "next_page_token": more}
        if path == "/v1beta1/options/quotes/latest":
            symbol = query["symbols"]
            known = {symbol: self._quote(symbol)} if symbol in books.contracts else {}
            return 200, {"quotes": known}
        return 404, {"message": "Not Found"}

    def _snapshot(self, symbol: str) -> dict[str, Any]:
        return {
            "latestQuote": self._quote(symbol), "impliedVolatility": 0.2231,
            "greeks": {"delta": -0.4123, "gamma": 0.01, "rho": -0.02, "theta": -0.05, "vega": 0.1},
        }  # fmt: skip

    def _quote(self, symbol: str) -> dict[str, Any]:
        bid, ask = self.books.prices[symbol]
        return {
            "t": self.books.clock().isoformat().replace("+00:00", "Z"), "ax": "C", "as": 12,
            "ap": float(ask), "bx": "C", "bs": 9, "bp": float(bid), "c": "A",
        }  # fmt: skip


def _asked_for(row: dict[str, Any], query: dict[str, str]) -> bool:
    wanted = query["underlying_symbols"], query["type"], query.get("status", "active")
    day = row["expiration_date"]
    return (row["underlying_symbol"], row["type"], row["status"]) == wanted and (
        query["expiration_date_gte"] <= day <= query["expiration_date_lte"]
    )


def _or_404(found: Any, what: str) -> tuple[int, Any]:
    if found is None:
        return 404, {"code": 40410000, "message": f"{what} not found"}
    return 200, found


def _page(rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    token = query.get("page_token")
    ids = [row["id"] for row in rows]
    first = ids.index(token) + 1 if token in ids else 0
    return rows[first : first + int(query["page_size"])]
