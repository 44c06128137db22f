"""Trade updates of Alpaca's stream, in a thread of its own.

The stream says sooner what asking says for certain. It repeats nothing after a reconnect, so every
beginning, every end and everything unreadable in between is told as "ask": nothing is dropped in
silence.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from alpaca.trading.stream import TradingStream

from brokers.alpaca_http import Keys, refuse_keys
from brokers.alpaca_socket import PING_S, Ending, InThread, limits
from brokers.alpaca_wire import order
from brokers.http_fields import exact_json
from brokers.port import BrokerOrder, News

MOST_KEPT = 10_000  # updates that nobody fetched; beyond it all are dropped, and "ask" says so


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
        socket = _Socket(self, keys, paper, url, ping_s, timeout_s)
        self._running = InThread(socket, "alpaca-stream")
        self.listening = threading.Event()  # set while Alpaca has confirmed that it tells us

    def start(self) -> None:
        """Connect, and connect again whenever it ends; returns at once."""
        self._running.start()

    def close(self) -> None:
        """End the connection; waits for a few seconds at most."""
        self._running.close()

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


class _Socket(Ending, TradingStream):
    """Its own loop would parse prices as floats and drop a message whose handler raises."""

    _owner: AlpacaStream

    def __init__(
        self, owner: AlpacaStream, keys: Keys, paper: bool, url: str | None, ping_s: float,
        timeout_s: float,
    ) -> None:  # fmt: skip
        super().__init__(
            keys.key_id.reveal(), keys.secret.reveal(), paper=paper, raw_data=True,
            url_override=url or "", websocket_params=limits(ping_s, timeout_s),
        )  # fmt: skip
        self._owner, self._timeout_s = owner, timeout_s
        self._reconnect_min_backoff = min(1.0, timeout_s)
        self.subscribe_trade_updates(self._never)

    async def _never(self, _update: Any) -> None:
        raise NotImplementedError  # only there because alpaca-py wants a handler to subscribe

    async def _auth(self) -> None:
        try:
            await asyncio.wait_for(super()._auth(), self._timeout_s)  # type: ignore[no-untyped-call]
        except ValueError as e:
            if str(e) == "failed to authenticate":  # not an answer that cannot be read
                self._owner.keys_refused()
            raise
