"""Trade updates of Alpaca's stream, in a thread of its own.

The stream says sooner what asking says for certain. It repeats nothing after a reconnect, so every
beginning, every end and everything unreadable in between is told as "ask": nothing is dropped in
silence.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from alpaca.trading.stream import TradingStream

from brokers.alpaca_http import Keys, refuse_keys
from brokers.alpaca_wire import exact_json, order
from brokers.port import BrokerOrder, News

PING_S = 5  # a connection that answers no ping for twice this long is given up
MOST_KEPT = 10_000  # updates that nobody fetched; beyond it all are dropped, and "ask" says so

_QUIET = logging.getLogger("tradebot.alpaca.frames")
_QUIET.setLevel(logging.WARNING)  # at debug, websockets logs every frame: the keys are in one


class AlpacaStream:
    """``wake`` is called in the stream's thread whenever there is news; it must be short."""

    def __init__(
        self,
        keys: Keys,
        paper: bool,
        url: str | None,
        timeout_s: float,
        *,
        ping_s: float = PING_S,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._lock = threading.Lock()
        self._orders: list[BrokerOrder] = []
        self._ask, self._refused = True, False
        self._wake = wake
        limits = {
            "ping_interval": ping_s, "ping_timeout": 2 * ping_s, "open_timeout": timeout_s,
            "close_timeout": 1, "max_queue": 1024, "logger": _QUIET,
        }  # fmt: skip
        self._socket = _Socket(self, keys, paper, url, limits, timeout_s)
        self._thread: threading.Thread | None = None
        self.listening = threading.Event()  # set while Alpaca has confirmed that it tells us

    def start(self) -> None:
        """Connect, and connect again whenever it ends; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._socket.run, name="alpaca-stream", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End the connection; waits for a few seconds at most."""
        if self._thread is not None:
            self._socket.end()
            self._thread.join(5)
            self._thread = None

    def news(self) -> News:
        """Everything since the last call, in order of arrival. Raises KeysRefused."""
        with self._lock:
            found, self._orders = tuple(self._orders), []
            # without a connection nothing is told, so everything must be asked
            ask, self._ask = self._ask or not self.listening.is_set(), False
            refused = self._refused
        if refused:
            refuse_keys()
        return News(orders=found, ask=ask)

    # --- from the stream's thread -----------------------------------------------------------

    def hear(self, frame: str | bytes) -> None:
        """One message, whatever is in it; raises nothing."""
        try:
            said = exact_json(frame)
            kind = said["stream"]
            told = order(said["data"]["order"]) if kind == "trade_updates" else None
        except (ValueError, TypeError, KeyError, RecursionError):
            self._note(None, ask=True)
            return
        if kind == "listening":
            self._note(None, ask=True)  # what happened before this was told to nobody
            self.listening.set()
        elif told is not None:
            self._note(told, ask=False)

    def ended(self) -> None:
        self.listening.clear()
        self._note(None, ask=True)

    def keys_refused(self) -> None:
        self._refused = True
        self._note(None, ask=True)

    def _note(self, told: BrokerOrder | None, *, ask: bool) -> None:
        with self._lock:
            if len(self._orders) >= MOST_KEPT:
                self._orders, ask = [], True
            if told is not None:
                self._orders.append(told)
            self._ask = self._ask or ask
        try:
            self._wake()
        except Exception:  # whatever wakes the reader: the news is kept, and is asked for too
            self._ask = True


class _Socket(TradingStream):
    """alpaca-py's connection and reconnection; what comes in goes to ``hear`` unparsed.

    Its own loop parses prices as floats and drops a message whose handler raises.
    """

    _ws: Any
    _loop: Any
    _stop_stream_event: Any

    def __init__(
        self, owner: AlpacaStream, keys: Keys, paper: bool, url: str | None,
        limits: dict[str, Any], timeout_s: float,
    ) -> None:  # fmt: skip
        super().__init__(
            keys.key_id.reveal(), keys.secret.reveal(), paper=paper, raw_data=True,
            url_override=url or "", websocket_params=limits,
        )  # fmt: skip
        self._owner, self._timeout_s, self._ending = owner, timeout_s, False
        self._reconnect_min_backoff = min(1.0, timeout_s)
        self.subscribe_trade_updates(self._never)

    async def _never(self, _update: Any) -> None:
        raise NotImplementedError  # only there because alpaca-py wants a handler to subscribe

    async def _start_ws(self) -> None:
        self._should_run = not self._ending  # asked to end before there was a connection
        if self._should_run:
            await super()._start_ws()  # type: ignore[no-untyped-call]

    async def _auth(self) -> None:
        try:
            await asyncio.wait_for(super()._auth(), self._timeout_s)  # type: ignore[no-untyped-call]
        except ValueError as e:
            if str(e) == "failed to authenticate":  # not an answer that cannot be read
                self._owner.keys_refused()
            raise

    async def _consume(self) -> None:
        try:
            while not self._ending:
                self._owner.hear(await self._ws.recv())
                self._data_received = True
            await self.close()
        finally:
            self._owner.ended()

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
