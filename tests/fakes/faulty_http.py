"""What every fake broker over HTTP has in common: a server on a real socket, and its faults.

A fake is a subclass of `FaultyServer` that says what is particular to its broker: `answer`, who may
ask (`knows`), and its words of refusal. Faults are put in with `fault` and come true for the next
requests that they are meant for. The books of the fake are what is true; what a fault answers may
not be.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEYS = ("canary-key-id-0001", "canary-secret-0002")

LATE_S = 0.15  # after which a late request reaches the books

# What a fault does: before = the request never reaches the books, after = it does first.
KINDS = {
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "504_before", "504_after",
    "malformed_after", "empty", "429", "gateway_404", "keys_refused", "echo",
    "deep", "redirect", "drip",
}  # fmt: skip

Reply = tuple[int, Any, dict[str, str]]  # status, JSON (or bytes, or None for no body), headers


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


class FaultyServer:
    """``hold_s``: how long a mute request is held; a late one is lost, and arrives all the same.

    ``CLIENT_ID`` is what the broker calls the client order id in the body of an order.
    """

    CLIENT_ID = "client_order_id"

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.books, self.hold_s = books, hold_s
        self.keys = KEYS
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.pending = 0  # requests that are not answered yet, late ones among them
        self.held = 0  # those of them that never will be, and change nothing any more
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    # --- what is particular to a broker -----------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """What the broker would say: status, and JSON (or bytes, or None for no body). The books
        change here and nowhere else."""
        raise NotImplementedError

    def knows(self, headers: dict[str, str]) -> bool:
        """Whether these headers (names in small letters) hold the right ``keys``."""
        raise NotImplementedError

    def no_keys(self) -> Reply:
        """The broker's words to keys that it does not know."""
        raise NotImplementedError

    def too_many(self, reset: int) -> Reply:
        """429; ``reset`` in seconds since 1970."""
        raise NotImplementedError

    def refusal(self, said: str) -> Reply:
        """A refusal in the broker's own words, of which ``said`` are a part."""
        raise NotImplementedError

    def now(self) -> float:
        """What its answers are dated with, in seconds since 1970."""
        return time.time()

    def parsed(self, raw: bytes) -> dict[str, Any]:
        """The body of a request; JSON unless the broker takes something else."""
        return dict(json.loads(raw)) if raw else {}

    def upgrade(self, _handler: Any) -> bool:
        """Whether this GET was a websocket, served until its end."""
        return False

    # --- faults -----------------------------------------------------------------------------

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
        while self.pending:
            time.sleep(0.005)

    def calm_reads(self) -> None:
        """No more faults of questions; those of orders stay."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.method != "GET"]

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method in ("", method) and path.startswith(fault.path):
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def later(self, do: Callable[[], Any]) -> None:
        def wait_and_do() -> None:
            self.ended.wait(LATE_S)
            do()
            with self._lock:
                self.pending -= 1

        with self._lock:
            self.pending += 1
        threading.Thread(target=wait_and_do, daemon=True).start()

    # --- what came in -----------------------------------------------------------------------

    def posts(self, client_order_id: str) -> int:
        """How often this order was sent."""
        return sum(a.body.get(self.CLIENT_ID) == client_order_id for a in self.asked)

    def count(self, method: str, path: str) -> int:
        return sum(a.method == method and a.path.startswith(path) for a in self.asked)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FaultyServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go apart: the client would wait 40 ms for both

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked was killed
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.fake.now() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        if not self.fake.upgrade(self):
            self._go()

    def do_POST(self) -> None:
        self._go()

    def do_PUT(self) -> None:
        self._go()

    def do_DELETE(self) -> None:
        self._go()

    def _go(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = fake.parsed(self.rfile.read(length) if length else b"")
        headers = {name.lower(): value for name, value in self.headers.items()}
        with fake._lock:
            fake.pending += 1
        fake.asked.append(Asked(self.command, parts.path, body, headers))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        fault = fake.take_fault(self.command, parts.path)
        try:
            if not fake.knows(headers) or (fault and fault.kind == "keys_refused"):
                self._say(fake.no_keys())
            elif fault is None:
                self._say((*fake.answer(self.command, parts.path, query, body), {}))
            else:
                self._misbehave(fault, lambda: fake.answer(self.command, parts.path, query, body))
        except OSError:
            self.close_connection = True  # whoever asked did not wait
        finally:
            with fake._lock:
                fake.pending -= 1

    def _misbehave(self, fault: Fault, answer: Callable[[], tuple[int, Any]]) -> None:
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
            self._say(self.fake.too_many(int(at + 0.999)))
        elif kind == "redirect":
            self._say((307, None, {"Location": self.path}))
        elif kind == "drip":
            self._send(200, b"", {}, length=1_000)
            for _ in range(1_000):
                self.wfile.write(b" ")
                if self.fake.ended.wait(0.02):
                    return
        elif kind == "echo":
            self._say(self.fake.refusal(f"what is {' '.join(self.fake.keys)}?"))
        else:
            self._send(*_nonsense(kind, done), {})

    def _hold(self) -> None:
        """No word, until whoever asked has surely given up."""
        with self.fake._lock:
            self.fake.held += 1
        self.fake.ended.wait(self.fake.hold_s)
        with self.fake._lock:
            self.fake.held -= 1
        self.close_connection = True

    def _say(self, reply: Reply) -> None:
        status, answer, headers = reply
        self._send(status, _body(answer), headers)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


def _body(answer: Any) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return b"" if answer is None else json.dumps(answer).encode()


def _nonsense(kind: str, done: tuple[int, Any]) -> tuple[int, bytes]:
    return {
        "504": (504, b"<html>upstream request timeout</html>"),
        "malformed": (200, _body(done[1])[:-9]),
        "empty": (200, b""),
        "deep": (200, b"[" * 200_000),
        "gateway_404": (404, b"<html>no route</html>"),
    }[kind]
