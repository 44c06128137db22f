"""The websockets of the fake Alpaca: the stream of trade updates, and that of market data."""

import json
import logging
import socket
import threading
from contextlib import suppress
from typing import Any

import msgspec
from websockets.exceptions import WebSocketException
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

_QUIET = logging.getLogger("tests.fake_alpaca")
_QUIET.setLevel(logging.WARNING)
ERRORS = {
    "auth failed": 402, "symbol limit exceeded": 405, "connection limit exceeded": 406,
    "slow client": 407, "insufficient subscription": 409, "internal error": 500,
}  # fmt: skip


class Stream:
    """One websocket. ``mute`` stops reading and writing, pongs included, with the socket open."""

    def __init__(self, handler: Any) -> None:
        self._socket, self._fake = handler.connection, handler.fake
        self._all = self._fake.streams
        self._begun = b""  # of a message that comes in several frames
        self._protocol = ServerProtocol(logger=_QUIET)  # its frames hold the keys
        self._lock = threading.Lock()
        self.mute = self.listening = False
        head = handler.raw_requestline + bytes(handler.headers) + b""
        self._protocol.receive_data(head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        handler.close_connection = True

    def serve(self) -> None:
        with self._lock:
            for request in self._protocol.events_received():
                assert isinstance(request, Request)
                self._protocol.send_response(self._protocol.accept(request))
            self._flush()
        self._all.append(self)
        self._greet()
        self._socket.settimeout(0.02)
        try:
            while not self._fake.ended.is_set():
                if self.mute:
                    self._fake.ended.wait(0.02)
                elif not self._read():
                    return
        except OSError:
            return
        finally:
            self._all.remove(self)

    def _greet(self) -> None:
        """Alpaca's trade stream says nothing of itself."""

    def _read(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return True
        with self._lock:
            if data:
                self._protocol.receive_data(data)
            frames = self._protocol.events_received()
            self._flush()
        for frame in frames:
            if getattr(frame, "opcode", None) in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._begun += frame.data  # type: ignore[union-attr]
                if frame.fin:  # type: ignore[union-attr]
                    whole, self._begun = self._begun, b""
                    self._said(self._decoded(whole))
        return bool(data) and not self._protocol.close_expected()

    def _decoded(self, message: bytes) -> Any:
        return json.loads(message)

    def _said(self, message: dict[str, Any]) -> None:
        if self._fake.hold_streams:
            return
        if message["action"] == "authenticate":
            given = (message["data"]["key_id"], message["data"]["secret_key"])
            fine = given == self._fake.keys and not self._fake.refuse_streams
            status = "authorized" if fine else "unauthorized"
            self._reply("authorization", {"status": status, "action": "authenticate"})
        elif message["action"] == "listen":
            self.listening = True  # first: what changes after the reply must be told
            self._reply("listening", {"streams": message["data"]["streams"]})

    def _reply(self, stream: str, data: dict[str, Any]) -> None:
        self.send(json.dumps({"stream": stream, "data": data}))

    def send(self, frame: str | bytes) -> None:
        if self.mute:
            return
        with self._lock, suppress(OSError, WebSocketException):  # it may have ended meanwhile
            if isinstance(frame, bytes):
                self._protocol.send_binary(frame)
            else:
                self._protocol.send_text(frame.encode())
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)

    def drop(self) -> None:
        """Without a word."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class DataStream(Stream):
    """Market data in MessagePack; of it the trading statuses alone."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler)
        self._all = self._fake.data_streams

    def _greet(self) -> None:
        if not self._fake.hold_streams:
            self._tell({"T": "success", "msg": "connected"})

    def _decoded(self, message: bytes) -> Any:
        return msgspec.msgpack.decode(message)

    def _said(self, message: dict[str, Any]) -> None:
        if self._fake.hold_streams:
            return
        if message["action"] == "auth":
            fine = (message["key"], message["secret"]) == self._fake.keys
            if no := self._fake.refuse_data or ("" if fine else "auth failed"):
                self._tell({"T": "error", "code": ERRORS[no], "msg": f"{no} {message['key']}"})
            else:
                self._tell({"T": "success", "msg": "authenticated"})
        elif message["action"] == "subscribe":
            if no := self._fake.refuse_statuses:
                self._tell({"T": "error", "code": ERRORS[no], "msg": no})
                return
            self.listening = True  # first: what is told after the reply must arrive
            self._tell({"T": "subscription", "trades": [], "statuses": message["statuses"]})

    def _tell(self, message: dict[str, Any]) -> None:
        self.send(msgspec.msgpack.encode([message]))
