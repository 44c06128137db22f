"""A fake IB Gateway over a real socket: the wire format of the TWS API at server version 176.

Faults are put in with `fault` and come true for the next messages that they are meant for. The
books beside this file are what is true; what a fault answers may not be.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beside import beside

books_module, say = beside("fakes/ibkr_books"), beside("fakes/ibkr_messages")
answering = beside("fakes/ibkr_answering")
frame, error = say.frame, say.error

VERSION = 176
LATE_S = 0.15  # after which a late request reaches the books
PLACE, CANCEL = "3", "4"
READS = ("6", "7", "9", "16", "20", "1", "49", "61", "76", "78", "99")
# What a fault does: before = the message never reaches the books, after = it does first. Late: the
# connection ends first, and unless late beyond the gateway the client id stays in use until then.
KINDS = {
    "mute_before", "mute_after", "late", "late_beyond", "reset_before", "reset_after",
    "garbled_after", "no_end", "cut_after",
}  # fmt: skip


@dataclass
class Fault:
    kind: str
    messages: tuple[str, ...]
    times: int


class Gateway:
    def __init__(self, books: Any) -> None:
        self.books, self.account = books, books_module.ACCOUNT
        books.told = self._told
        self.next_id = 1
        self.asked: list[list[str]] = []
        self.links: list[_Link] = []
        self.busy: set[int] = set()  # client ids with a message that is still on its way
        self.bars: dict[str, list[tuple[Any, ...]]] = {}
        self.quoted: dict[str, datetime] = {}  # symbols with a quote, and since when
        self.index: dict[str, tuple[str, datetime | None]] = {}
        self.no_data: dict[str, tuple[int, str]] = {}  # errors of market data
        self.data_type = 1
        self.listing = "plain"  # of executions: or "twice", "backwards"
        self.telling = "plain"  # of changes: or "lost", "twice"
        self.hold_costs = self.pacing = False
        self.foreign_cash: dict[str, str] = {}
        self.base = "USD"
        self.pending = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_Link(self, connection).serve, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.drop()

    def drop(self) -> None:
        for link in list(self.links):
            link.reset()

    # --- faults -----------------------------------------------------------------------------

    def fault(self, kind: str, *messages: str, times: int = 1) -> None:
        """For the next ``times`` messages of these numbers."""
        assert kind in KINDS, kind
        with self._lock:
            self._faults.append(Fault(kind, messages, times))

    def take_fault(self, message: str) -> str:
        with self._lock:
            for fault in self._faults:
                if message in fault.messages:
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault.kind
        return ""

    def calm_reads(self) -> None:
        with self._lock:
            self._faults = [f for f in self._faults if set(f.messages) & {PLACE, CANCEL}]
        self.say_to_all(error(-1, 1102, "Connectivity between IB and TWS has been restored"))

    def calm(self) -> None:
        """No more faults, and nothing is on its way any more."""
        with self._lock:
            self._faults.clear()
        self.listing = self.telling = "plain"
        self.hold_costs, self.books.hidden_fills = False, 0
        while self.pending:
            time.sleep(0.005)
        self.say_to_all(error(-1, 1102, "Connectivity between IB and TWS has been restored"))

    def later(self, client_id: int, do: Callable[[], object]) -> None:
        def wait_and_do() -> None:
            self._ended.wait(LATE_S)
            do()
            with self._lock:
                self.pending -= 1
                self.busy.discard(client_id)

        with self._lock:
            self.pending += 1
            self.busy.add(client_id)
        threading.Thread(target=wait_and_do, daemon=True).start()

    def reject(self, ref: str, why: str) -> None:
        """An order that was accepted, by an error; it is listed nowhere any more."""
        order = self.books.reject(ref, why)
        del self.books.orders[order.perm_id]
        self.say_to_all(error(order.order_id, 201, f"Order rejected - reason:{why}"))

    # --- what came in, and goes out by itself -------------------------------------------------

    def sent(self, ref: str) -> int:
        return sum(f[0] == PLACE and f[26] == ref for f in self.asked)

    def count(self, *messages: str) -> int:
        return sum(f[0] in messages for f in self.asked)

    def say_to_all(self, data: bytes) -> None:
        for link in list(self.links):
            link.send(data)

    def _told(self, order: Any, fill: Any) -> None:
        data = say.open_order(order) + say.status(order)
        if fill is not None:
            data = say.execution(-1, fill) + data
            data += b"" if self.hold_costs else say.commission(fill)
        if self.telling == "lost":
            return
        for link in list(self.links):
            if link.client_id == order.client_id:
                link.send(data * (2 if self.telling == "twice" else 1))


class _Link:
    """One connection."""

    def __init__(self, gateway: Gateway, connection: socket.socket) -> None:
        self.gateway, self.books, self._socket = gateway, gateway.books, connection
        self.client_id = -1
        self._sending = threading.Lock()

    def serve(self) -> None:
        with suppress(OSError, EOFError):
            assert self._read(4) == b"API\0"
            self._message()
            self.send(frame(VERSION, "20260302 09:00:00 EST"))
            while True:
                self._heard(self._message())
        with self.gateway._lock:
            if self in self.gateway.links:
                self.gateway.links.remove(self)
        self._socket.close()

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._socket.recv(size - len(found))
            if not part:
                raise EOFError
            found += part
        return found

    def _message(self) -> list[str]:
        size = int.from_bytes(self._read(4), "big")
        return self._read(size).decode().split("\0")[:-1]

    def send(self, data: bytes) -> None:
        with suppress(OSError), self._sending:
            self._socket.sendall(data)

    def reset(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.shutdown(socket.SHUT_RDWR)

    def _heard(self, fields: list[str]) -> None:
        gateway = self.gateway
        if fields[0] == "71":
            self._start(int(fields[2]))
            return
        gateway.asked.append(fields)
        kind = gateway.take_fault(fields[0])
        if not kind:
            self.send(b"".join(self._answer(fields)))
        elif kind.startswith("late"):
            busy = self.client_id if kind == "late" else -1
            gateway.later(busy, lambda: self._answer(fields))
            self.reset()
            raise EOFError
        else:
            self._misbehave(kind, fields)

    def _start(self, client_id: int) -> None:
        gateway = self.gateway
        with gateway._lock:
            taken = client_id in gateway.busy | {link.client_id for link in gateway.links}
            if not taken:
                self.client_id = client_id
                gateway.links.append(self)
        if taken:
            self.send(error(-1, 326, "Unable to connect as the client id is already in use."))
            raise EOFError
        self.send(frame(15, 1, gateway.account) + frame(9, 1, gateway.next_id))
        self.send(error(-1, 2104, "Market data farm connection is OK:usfarm"))

    def _misbehave(self, kind: str, fields: list[str]) -> None:
        rows = self._answer(fields) if not kind.endswith("_before") else []
        done = b"".join(rows)
        if kind == "garbled_after":
            self.send(frame(3, "one", "Submitted", "many") + done)
        elif kind == "no_end":
            self.send(b"".join(rows[:-1]))
        elif kind == "cut_after":
            self.send(error(-1, 1100, "Connectivity between IB and TWS has been lost") + done)
        elif kind.startswith("reset"):
            self.reset()
            raise EOFError

    def _answer(self, f: list[str]) -> list[bytes]:
        """Message by message. What an order changes is told in its answer, and only there."""
        answer = answering.ANSWERS.get(f[0])
        if answer is None:
            return []
        with self.books.lock:
            told, self.books.told = self.books.told, lambda _order, _fill: None
            try:
                return list(answer(self, f))
            finally:
                self.books.told = told
