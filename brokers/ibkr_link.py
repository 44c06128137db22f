"""One connection to IB Gateway or TWS, on the library's Client.

ib_async's Client knows the handshake, the requests and the order of their fields. Its ``IB`` class
is not used: it says "connected" with empty lists when the gateway never answers (raiseSyncErrors
mends this at the start only), passes over messages that it cannot read, calls an order cancelled
after nearly any error, and keeps all of that as the state of the account. Here nothing is fetched
at the start and nothing is remembered.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from ib_async.client import Client

from brokers.ibkr_codes import BACK, CLIENT_ID_TAKEN, CUT, is_warning
from brokers.ibkr_told import Error, Told, Unreadable
from brokers.ibkr_wire import SERVER_VERSION, read
from brokers.port import BrokerUnavailable

Enough = Callable[[Sequence[Told]], bool]
Send = Callable[[Any, int], None]  # the library's Client, which has no types, and a number

FIRST_QUESTION = 1_000_000_000  # their numbers never meet those of orders, which count from 1
AGAIN_S = 0.02  # between two tries to connect under a client id that is still taken
NEWS = frozenset({"open_order", "status", "fill", "cost"})

# Its messages would quote the account's number; what went wrong is told by us.
_LIBRARY = logging.getLogger("ib_async")
_LIBRARY.addHandler(logging.NullHandler())
_LIBRARY.propagate = False


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom. ``timeout_s`` is for each answer, the connection among them. ``paper`` is
    what the port says of the account, None where it says nothing.

    ``settle_s``: how long after an unclear answer an order may still turn up at IBKR.
    ``messages_per_second`` is what IBKR allows (50) with room to spare; 0: no limit, for tests.
    """

    host: str
    port: int
    client_id: int
    account: str
    paper: bool | None
    timeout_s: float
    retries: int
    settle_s: float = 30.0
    messages_per_second: int = 45


class Lost(Exception):
    """No answer to its end; the words say why. For callers in these modules."""


class Refused(Exception):
    """The gateway answered with an error about this very question or order."""

    def __init__(self, error: Error) -> None:
        super().__init__(f"error {error.code}")
        self.error = error


class ClientIdTaken(BrokerUnavailable):
    """Another program is connected under our client id."""


class _Wait:
    """For what is told about one question, until ``enough`` says that it is all."""

    def __init__(self, number: int, kinds: Collection[str], enough: Enough) -> None:
        self._number, self._kinds, self._enough = number, kinds, enough
        self.told: list[Told] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(self, told: Told) -> bool:
        """Whether it was about this question. Orders have numbers of their own in any answer."""
        if told.kind == "error" and told.number == self._number:
            if not is_warning(told.row.code):
                self.fail(Refused(told.row))
            return True
        asks = self._number >= FIRST_QUESTION > told.number
        if told.kind not in self._kinds or not (asks or told.number == self._number):
            return False
        self.told.append(told)
        if not self.done.done() and self._enough(self.told):
            self.done.set_result(None)
        return True

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Link:
    """What the library's Client needs of its wrapper and its decoder. Made inside the loop.

    ``cut``: the gateway has lost IBKR's own servers. ``refused_orders`` keeps errors about orders
    that nobody was waiting for; ``news`` says that something was told without being asked for.
    """

    def __init__(self, access: Access, refused_orders: dict[int, Error]) -> None:
        self.client = Client(self)  # type: ignore[no-untyped-call]
        self.client.MaxClientVersion = SERVER_VERSION
        self.client.MaxRequests = access.messages_per_second
        self.client.decoder = self  # type: ignore[assignment]
        self.client.conn.disconnected += self._closed
        self.serverVersion = 0  # the client says which
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.taken = self.cut = False
        self.news = True  # nobody knows what was told before
        self._refused, self._waits = refused_orders, list[_Wait]()

    async def open(self, access: Access, seconds: float) -> str:
        """Why there is no connection; empty when there is one."""
        opening: asyncio.Future[None] = asyncio.ensure_future(
            self.client.connectAsync(  # type: ignore[no-untyped-call]
                access.host, access.port, access.client_id, seconds
            )
        )
        first: set[asyncio.Future[Any]] = {opening, self.ended}
        await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ended = self.ended.result() if self.ended.done() else "no answer in time"
        if not opening.done():
            opening.cancel()
        (failed,) = await asyncio.gather(opening, return_exceptions=True)
        if isinstance(failed, OSError) and failed.errno:
            return os.strerror(failed.errno) if failed.errno > 0 else str(failed.strerror)
        return ended if isinstance(failed, BaseException) else ""

    async def collect(
        self, number: int, kinds: Collection[str], enough: Enough, seconds: float, send: Send
    ) -> tuple[list[Told], bool]:
        """What was told, and whether it is enough. Raises Refused, Lost."""
        wait = _Wait(number, kinds, enough)
        self._waits.append(wait)
        try:
            if self.ended.done():
                raise Lost(self.ended.result())
            send(self.client, number)
            await asyncio.wait_for(wait.done, seconds)
        except TimeoutError:
            return wait.told, False
        except ConnectionError:
            raise Lost("the connection ended") from None
        finally:
            self._waits.remove(wait)
        return wait.told, True

    async def breathe(self) -> None:
        """Hear what lies in the socket; waits for nothing."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """What was sent before is delivered first."""
        transport: Any = self.client.conn.transport
        try:
            self.client.disconnect()  # type: ignore[no-untyped-call]
        except OSError:  # the other side was faster
            transport.abort()
        await self.breathe()

    # --- what the client tells --------------------------------------------------------------

    def interpret(self, fields: list[str]) -> None:
        try:
            told = read(fields)
        except Unreadable as e:
            self._closed(f"an answer that cannot be read ({e})")
            return
        if told is not None:
            heard = [wait.hear(told) for wait in list(self._waits)]
            self.news = self.news or (told.kind in NEWS and not any(heard))
            if told.kind == "error":
                self._error(told.number, told.row, heard=any(heard))

    def _error(self, number: int, error: Error, *, heard: bool) -> None:
        self.taken = self.taken or error.code == CLIENT_ID_TAKEN
        if error.code in CUT | BACK:
            self.cut, self.news = error.code in CUT, True
        elif 0 < number < FIRST_QUESTION and not heard and not is_warning(error.code):
            self._refused[number], self.news = error, True

    def _closed(self, why: str = "") -> None:
        if not self.ended.done():
            self.ended.set_result(why or "the connection ended")
        for wait in self._waits:
            wait.fail(Lost(self.ended.result()))

    def connectAck(self) -> None:  # noqa: N802 - the library's name
        """The handshake is done."""

    def setEventsDone(self) -> None:  # noqa: N802 - the library's name
        """There are no subscriptions."""

    def connectionClosed(self) -> None:  # noqa: N802 - the library's name
        """``_closed`` is told too."""


async def opened(access: Access, refused_orders: dict[int, Error]) -> Link:
    """A client id that is still taken, by ourselves before a restart say, is tried until the time
    is up. Raises Lost, ClientIdTaken."""
    loop = asyncio.get_running_loop()
    until = loop.time() + access.timeout_s
    while True:
        link = Link(access, refused_orders)
        why = await link.open(access, max(until - loop.time(), AGAIN_S))
        if not why:
            return link
        await link.close()
        if loop.time() + AGAIN_S < until and link.taken:
            await asyncio.sleep(AGAIN_S)
        elif link.taken:
            raise ClientIdTaken(
                f"Client id {access.client_id} is in use at IBKR's gateway, by this bot "
                "itself if it is trading. Nothing was sent; end the other program, or change "
                "IBKR_CLIENT_ID, and start again."
            )
        else:
            raise Lost(why)
