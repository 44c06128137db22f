"""Trading halts, from Alpaca's market data stream, in a thread of its own.

The stream tells when trading halts and resumes, of every symbol, and never how things stand: what
was not told since the connection began is not known. All is forgotten with each end, each error and
each message that cannot be read, because a resumption may have been missed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from alpaca.data.enums import DataFeed
from alpaca.data.live.stock import StockDataStream

from brokers.alpaca_http import Keys
from brokers.alpaca_socket import PING_S, Ending, InThread, limits
from brokers.alpaca_statuses import EVERY_SYMBOL, FOR_GOOD, error, halt, messages, tells_all
from brokers.http_fields import Unreadable
from brokers.port import ApiAction
from config.clock import Clock

MOST_SYMBOLS = 50_000  # several times what is listed; beyond it all are forgotten
MOST_SAID = 100  # lines that nobody fetched; beyond it no more are kept until they are


class AlpacaHalts:
    """``said`` gives what happened to the stream, for the log, to whoever fetches it.

    ``url`` is that of market data, as for HTTP; None for Alpaca's own.
    """

    def __init__(
        self,
        keys: Keys,
        feed: str,
        url: str | None,
        timeout_s: float,
        clock: Clock,
        *,
        ping_s: float = PING_S,
    ) -> None:
        self._clock, self._endpoint = clock, f"/v2/{feed} statuses"
        self._lock = threading.Lock()
        self._halted: dict[str, bool] = {}
        self._said: list[ApiAction] = []
        socket = _Socket(self, keys, feed, url, ping_s, timeout_s)
        self._running = InThread(socket, "alpaca-halts")
        self.listening = threading.Event()  # set while Alpaca has confirmed that it tells us

    def start(self) -> None:
        """Connect, and connect again whenever it ends; returns at once."""
        self._running.start()

    def close(self) -> None:
        """End the connection; waits for a few seconds at most."""
        self._running.close()

    def halted(self, symbol: str) -> bool | None:
        """What was told last; None where nothing was since the connection began."""
        with self._lock:
            return self._halted.get(symbol)

    def said(self) -> list[ApiAction]:
        """Since the last call."""
        with self._lock:
            found, self._said = self._said, []
        return found

    # --- from the stream's thread -----------------------------------------------------------

    def hear(self, frame: str | bytes) -> None:
        """One frame, whatever is in it; raises nothing."""
        try:
            for message in messages(frame):
                self._take(message)
        except Unreadable:  # whose halt or resumption it was nobody knows
            self.forget("a message that cannot be read")

    def _take(self, message: Mapping[str, Any]) -> None:
        kind = message.get("T")
        if kind == "s":
            self._status(message)
        elif kind == "subscription":
            if tells_all(message):
                self.listening.set()
                self._say("200")
            else:
                self.ended("not told of every symbol")
        elif kind == "error":
            self.forget(error(message)[1])

    def _status(self, message: Mapping[str, Any]) -> None:
        found = halt(message)
        if found is None:
            return
        if found.halted is None:
            self._say("a status that is not known")
        with self._lock:
            if len(self._halted) >= MOST_SYMBOLS:
                self._halted.clear()
            self._halted.pop(found.symbol, None)
            if found.halted is not None:
                self._halted[found.symbol] = found.halted

    def ended(self, why: str = "connection lost") -> None:
        self.listening.clear()
        self.forget(why)

    def forget(self, why: str) -> None:
        with self._lock:
            self._halted.clear()
        self._say(why)

    def _say(self, outcome: str) -> None:
        """In the manner of a request; one that repeats the last is left out."""
        action = ApiAction(
            at=self._clock.now(), broker="alpaca", method="STREAM", endpoint=self._endpoint,
            outcome=outcome, duration_ms=0,
        )  # fmt: skip
        with self._lock:
            if len(self._said) < MOST_SAID and (
                not self._said or self._said[-1].outcome != outcome
            ):
                self._said.append(action)


class _Refused(Exception):
    """Said already."""


class _Socket(Ending, StockDataStream):
    """Subscribes to every symbol: nobody knows today's when a halt begins."""

    _owner: AlpacaHalts

    def __init__(
        self, owner: AlpacaHalts, keys: Keys, feed: str, url: str | None, ping_s: float,
        timeout_s: float,
    ) -> None:  # fmt: skip
        super().__init__(
            keys.key_id.reveal(), keys.secret.reveal(), raw_data=True, feed=DataFeed(feed),
            url_override=url and f"{url.replace('http', 'ws', 1)}/v2/{feed}",
            websocket_params=limits(ping_s, timeout_s),
        )  # fmt: skip
        self._owner, self._timeout_s = owner, timeout_s
        self._reconnect_min_backoff = min(1.0, timeout_s)
        self.subscribe_trading_statuses(self._never, EVERY_SYMBOL)

    async def _never(self, _status: Any) -> None:
        raise NotImplementedError  # only there because alpaca-py wants a handler to subscribe

    async def _start_ws(self) -> None:
        try:  # to open, to be greeted, to have the keys looked at
            await asyncio.wait_for(super()._start_ws(), 3 * self._timeout_s)
        except _Refused:
            raise
        except Exception:  # alpaca-py takes an answer apart as if it could be nothing else
            self._owner.ended("no connection")
            raise

    async def _auth(self) -> None:
        """By Alpaca's number of a refusal, which alpaca-py drops for its text."""
        keys = {"action": "auth", "key": self._api_key, "secret": self._secret_key}
        await self._ws.send(msgspec.msgpack.encode(keys))
        answer = messages(await self._ws.recv())
        first = answer[0] if answer else {}
        if first.get("msg") == "authenticated":
            return
        number, why = error(first)
        if number in FOR_GOOD:
            self._ending, self._should_run = True, False
            self._stop_stream_event.set()
            why += "; not asked again by this process"
        self._owner.ended(why)
        raise _Refused("refused")  # the answer may quote what it was sent

    async def _send_subscribe_msg(self) -> None:
        if not self._ending:
            await super()._send_subscribe_msg()
