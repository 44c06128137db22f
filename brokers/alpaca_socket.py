"""What both of Alpaca's streams share: the limits of a connection, its thread, and a quick end."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any, Protocol

PING_S = 5  # a connection that answers no ping for twice this long is given up

_QUIET = logging.getLogger("tradebot.alpaca.frames")
_QUIET.setLevel(logging.WARNING)  # at debug, websockets logs every frame: the keys are in one


def limits(ping_s: float, timeout_s: float) -> dict[str, Any]:
    """Of a websocket, in the words of its library."""
    return {
        "ping_interval": ping_s, "ping_timeout": 2 * ping_s, "open_timeout": timeout_s,
        "close_timeout": 1, "max_queue": 1024, "logger": _QUIET,
    }  # fmt: skip


class Owner(Protocol):
    """Who is told; neither may raise."""

    def hear(self, frame: str | bytes) -> None: ...

    def ended(self) -> None: ...


class Ending:
    """Put before a stream of alpaca-py, whose connecting and connecting again it keeps, until
    ``end`` is called. Frames go to the owner unparsed."""

    _owner: Owner
    _ws: Any
    _loop: Any
    _stop_stream_event: Any
    _should_run: bool
    _ending = _data_received = False

    def run(self) -> None:
        super().run()  # type: ignore[misc]

    async def _start_ws(self) -> None:
        self._should_run = not self._ending  # asked to end before there was a connection
        if self._should_run:
            await super()._start_ws()  # type: ignore[misc]

    async def _consume(self) -> bool:
        try:
            while not self._ending:
                self._owner.hear(await self._ws.recv())
                self._data_received = True
            await self.close()  # type: ignore[attr-defined]
        except Exception:
            if not self._ending:  # else it is our own end
                raise
        finally:
            self._owner.ended()
        return False

    def end(self) -> None:
        """From another thread; quick, also while it waits to connect again."""
        self._ending, self._should_run = True, False
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._stop_stream_event is not None:
            self._stop_stream_event.set()
        if self._ws is not None:
            self._closing = asyncio.ensure_future(_shut(self._ws))


async def _shut(connection: Any) -> None:
    with suppress(Exception):  # it may have ended without us
        await connection.close()


class InThread:
    """A socket in a thread of its own, from the first ``start`` on."""

    def __init__(self, socket: Ending, name: str) -> None:
        self._socket, self._name = socket, name
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect, and connect again whenever it ends; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._socket.run, name=self._name, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the connection; waits for a few seconds at most."""
        if self._thread is not None:
            self._socket.end()
            self._thread.join(5)
            self._thread = None
