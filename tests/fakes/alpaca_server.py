"""A fake Alpaca over real sockets: orders, account, market data and both streams on one port.

Faults are put in with `fault` and come true for the next requests that they are meant for. The
books beside this file are what is true; what a fault answers may not be.
"""

import importlib.util
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

_beside = Path(__file__).with_name("alpaca_streams.py")  # these files are no package
_spec = importlib.util.spec_from_file_location("helper_alpaca_streams", _beside)
assert _spec is not None
assert _spec.loader is not None
streams = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(streams)

KEYS = ("canary-key-id-0001", "canary-secret-0002")

LATE_S = 0.15  # after which a late request reaches the books

# What a fault does: before = the request never reaches the books, after = it does first.
KINDS = {
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "504_before", "504_after",
    "malformed_after", "empty", "429", "gateway_404", "keys_refused", "echo",
    "deep",
}  # fmt: skip


@dataclass
class Fault:
    kind: str
    method: str
    path: str
    times: int
    reset_s: float


@dataclass
class Asked:
    """A request that came in, as it came."""

    method: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class AlpacaServer:
    """``hold_s``: how long a mute request is held; a late one is lost, and arrives all the same."""

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.books, self.hold_s = books, hold_s
        self.keys = KEYS
        self.asked: list[Asked] = []
        self.fill_listing = "plain"  # or "twice", "backwards"
        self.stream_mode = "plain"  # or "lost", "garbled", "twice"
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.streams: list[Any] = []
        self.data_streams: list[Any] = []
        self.refuse_data = self.refuse_statuses = ""  # Alpaca's words of an error
        self.refuse_streams = False
        self.hold_streams = False  # connected, and then without a word
        self.ended = threading.Event()
        self.pending = 0  # requests that are not answered yet, late ones among them
        self.held = 0  # those of them that never will be, and change nothing any more
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        books.told = self._told
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def stream_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/stream"

    def close(self) -> None:
        self.ended.set()
        self.drop_streams()
        self.drop_data_streams()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fault(
        self, kind: str, method: str = "", path: str = "", times: int = 1, reset_s: float = 0
    ) -> None:
        """For the next ``times`` requests of that method whose path begins so."""
        assert kind in KINDS, kind
        with self._lock:
            self._faults.append(Fault(kind, method, path, times, reset_s))

    def calm(self) -> None:
        """No more faults, and nothing that was held is on its way any more."""
        with self._lock:
            self._faults.clear()
        self.stream_mode = self.fill_listing = "plain"
        self.books.hidden_fills = 0
        while self.pending:
            time.sleep(0.005)

    def calm_reads(self) -> None:
        """No more faults of questions; those of orders stay."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.method != "GET"]

    def posts(self, client_order_id: str) -> int:
        """How often this order was sent."""
        return sum(a.body.get("client_order_id") == client_order_id for a in self.asked)

    def count(self, method: str, path: str) -> int:
        return sum(a.method == method and a.path.startswith(path) for a in self.asked)

    def later(self, do: Callable[[], Any]) -> None:
        def wait_and_do() -> None:
            self.ended.wait(LATE_S)
            do()
            with self._lock:
                self.pending -= 1

        with self._lock:
            self.pending += 1
        threading.Thread(target=wait_and_do, daemon=True).start()

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method in ("", method) and path.startswith(fault.path):
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

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
        return 404, {"message": "Not Found"}


def _or_404(found: Any, what: str) -> tuple[int, Any]:
    if found is None:
        return 404, {"code": 40410000, "message": f"{what} not found"}
    return 200, found


def _page(rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    token = query.get("page_token")
    ids = [row["id"] for row in rows]
    first = ids.index(token) + 1 if token in ids else 0
    return rows[first : first + int(query["page_size"])]


class _Handler(BaseHTTPRequestHandler):
    fake: AlpacaServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go apart: the client would wait 40 ms for both

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked was killed
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        if self.path == "/stream":
            streams.Stream(self).serve()
        elif self.path == "/v2/iex":
            streams.DataStream(self).serve()
        else:
            self._go()

    def do_POST(self) -> None:
        self._go()

    def do_DELETE(self) -> None:
        self._go()

    def _go(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        with fake._lock:
            fake.pending += 1
        fake.asked.append(Asked(self.command, parts.path, body, headers))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        given = (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
        fault = fake.take_fault(self.command, parts.path)
        try:
            if given != fake.keys or (fault and fault.kind == "keys_refused"):
                self._say(401, {"code": 40110000, "message": "request is not authorized"})
            elif fault is None:
                self._say(*fake.answer(self.command, parts.path, query, body))
            else:
                self._misbehave(fault, lambda: fake.answer(self.command, parts.path, query, body))
        except OSError:
            self.close_connection = True  # whoever asked did not wait
        finally:
            with fake._lock:
                fake.pending -= 1

    def _misbehave(self, fault: Fault, answer: Any) -> None:
        done = answer() if fault.kind.endswith("_after") else (0, None)
        kind = fault.kind.removesuffix("_after").removesuffix("_before")
        if kind == "mute":
            self._hold()
        elif kind in ("reset", "late"):
            if kind == "late":
                self.fake.later(answer)
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif kind == "429":
            at = self.fake.books.clock().timestamp() + fault.reset_s
            reset = {"X-RateLimit-Reset": str(int(at + 0.999))}
            self._say(429, {"code": 42910000, "message": "rate limit exceeded"}, reset)
        else:
            self._send(*self._nonsense(kind, done), {})

    def _hold(self) -> None:
        """No word, until whoever asked has surely given up."""
        with self.fake._lock:
            self.fake.held += 1
        self.fake.ended.wait(self.fake.hold_s)
        with self.fake._lock:
            self.fake.held -= 1
        self.close_connection = True

    def _nonsense(self, kind: str, done: tuple[int, Any]) -> tuple[int, bytes]:
        quoted = f"what is {' '.join(self.fake.keys)}?"
        return {
            "504": (504, b"<html>upstream request timeout</html>"),
            "malformed": (200, json.dumps(done[1]).encode()[:-9]),
            "empty": (200, b""),
            "deep": (200, b"[" * 200_000),
            "gateway_404": (404, b"<html>no route</html>"),
            "echo": (422, json.dumps({"code": 42210000, "message": quoted}).encode()),
        }[kind]

    def _say(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, b"" if answer is None else json.dumps(answer).encode(), headers or {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
