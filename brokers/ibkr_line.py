"""The way to IBKR: one question after another, each with an end in time.

A question that is not answered to its end ends the connection, so that no late answer is ever taken
for the answer to another question. The event loop runs only while something is asked: what the
gateway tells meanwhile waits in the socket and is heard at the next question or look for news.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from brokers.ibkr_link import (
    FIRST_QUESTION,
    Access,
    ClientIdTaken,
    Enough,
    Link,
    Lost,
    Refused,
    Send,
    opened,
)
from brokers.ibkr_told import Error, Told, Unreadable
from brokers.port import ApiAction, BrokerUnavailable, KeysRefused
from config.clock import Clock

T = TypeVar("T")
Tell = Callable[[ApiAction], None]

LOOK_S = 5.0  # for a look at the market: what has not come by then is not there
AFTER_END_S = 3.0  # how long what belongs to an answer may come after its end


class IbkrLine:
    """For one thread. ``refused_orders``: errors about orders that came when nobody waited for
    them, by order id; ``next_order_id`` is above every one that was named by the gateway or used.
    """

    def __init__(self, access: Access, clock: Clock, tell: Tell) -> None:
        self.access, self.refused_orders = access, dict[int, Error]()
        self.next_order_id = 1
        self._clock, self._tell = clock, tell
        self._loop = asyncio.new_event_loop()
        # a thread for it: the caller's may have another event loop that runs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ibkr")
        self._link: Link | None = None
        self._number, self._news = FIRST_QUESTION, True

    # --- questions --------------------------------------------------------------------------

    def ask(
        self,
        what: str,
        send: Send,
        kinds: Collection[str],
        end: str,
        *,
        after: Enough | None = None,
        stop: Send | None = None,
    ) -> list[Told]:
        """All that is told until ``end``; tried again as often as allowed, and never an empty
        answer in place of none. What may come ``after`` the end is waited for a moment; ``stop``
        ends what would otherwise go on being told.

        Raises Refused, BrokerUnavailable, KeysRefused.
        """

        async def once(link: Link) -> list[Told]:
            wanted, number = {*kinds, end}, self._next()
            told, complete = await link.collect(
                number, wanted, lambda so_far: so_far[-1].kind == end, self.access.timeout_s, send
            )
            if not complete:
                raise Lost("no answer in time")
            if stop is not None:
                with suppress(ConnectionError):  # told is told
                    stop(link.client, number)
            if after is None or after(told):
                return told
            seconds = min(AFTER_END_S, self.access.timeout_s)
            late, _ = await link.collect(
                number, wanted, lambda more: after([*told, *more]), seconds, _nothing
            )
            return told + late

        return self._tried(what, once)

    def watch(
        self, what: str, sends: Sequence[Send], kinds: Collection[str], enough: Enough, end: Send
    ) -> list[list[Told] | Refused]:
        """Market data of several contracts at once, each until it is ``enough``: what has come
        when the time is up is the answer, and nothing at all of any is none. ``end`` ends each.
        """

        async def one(link: Link, send: Send) -> list[Told] | Refused:
            number = self._next()
            try:
                told, _ = await link.collect(number, kinds, enough, self._time_for(sends), send)
            except Refused as no:
                return no
            with suppress(ConnectionError):  # told is told
                end(link.client, number)
            return told

        async def all_of(link: Link) -> list[list[Told] | Refused]:
            found = await asyncio.gather(*(one(link, send) for send in sends))
            if not any(found):
                raise Lost("no answer in time")
            return found

        return self._tried(what, all_of)

    def order(
        self, what: str, number: int, send: Callable[[Any], None], kinds: Collection[str],
        enough: Enough,
    ) -> list[Told]:  # fmt: skip
        """Sent once, whatever comes of it. What has been told when the time is up is the answer.

        Raises Refused, and Lost where nothing was told: it may or may not have arrived.
        """
        link = self._link
        if link is None:
            raise Lost("the connection ended before it was sent")

        async def once() -> list[Told]:
            told, _ = await link.collect(
                number, kinds, enough, self.access.timeout_s, lambda client, _: send(client)
            )
            if not told:
                raise Lost("no answer in time")
            return told

        return self._logged("SEND", what, once)

    def heard(self) -> bool:
        """Whether anything was told that nobody had asked for, or may have been missed, since the
        last time that this was asked."""
        link = self._link
        if link is not None:
            self._run(link.breathe())
            self._news, link.news = self._news or link.news or link.ended.done(), False
        told, self._news = self._news or link is None, False
        return told

    def close(self) -> None:
        """Orders stay at IBKR."""
        self._drop()
        self._thread.shutdown()
        if not self._loop.is_closed():
            self._loop.close()

    # --- how --------------------------------------------------------------------------------

    def _tried(self, what: str, once: Callable[[Link], Coroutine[Any, Any, T]]) -> T:
        said = ""
        for _ in range(self.access.retries + 1):
            try:
                link = self._connected()
                found = self._logged("ASK", what, partial(once, link))
            except Lost as e:
                said = str(e)
                continue
            if not link.cut:
                return found
            said = "it has lost the connection to IBKR's own servers"
        raise BrokerUnavailable(
            f"IBKR's gateway did not tell {what}: {said}. Nothing is known of it; ask later."
        )

    def _connected(self) -> Link:
        """The connection that there is, or a new one. Raises Lost, ClientIdTaken, KeysRefused."""
        if self._link is not None:
            self._run(self._link.breathe())
            if not self._link.ended.done():
                return self._link
            self._drop()
        link = self._logged("CONNECT", "connect", lambda: opened(self.access, self.refused_orders))
        accounts = link.client.getAccounts()
        self._link, self._news = link, True
        if self.access.account not in accounts:
            self._drop()
            raise KeysRefused(
                "IBKR's gateway is signed in to another account than that of IBKR_ACCOUNT. Nothing "
                "was changed there. Sign in to the right one, or change the setting, and start "
                "again."
            )
        self.next_order_id = max(self.next_order_id, link.client.getReqId())
        return link

    def _logged(self, method: str, what: str, once: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs it and tells of it. A question that is lost loses its connection, too."""
        at, began, outcome = self._clock.now(), self._loop.time(), "200"
        try:
            return self._run(once())
        except (Refused, Lost, ClientIdTaken) as e:
            outcome = "client id in use" if isinstance(e, ClientIdTaken) else str(e)
            if isinstance(e, Lost):
                self._drop()
            raise
        finally:
            action = ApiAction(
                at=at, broker="ibkr", method=method, endpoint=what, outcome=outcome,
                duration_ms=round((self._loop.time() - began) * 1000),
            )  # fmt: skip
            with suppress(Exception):  # a log that cannot be written never stops trading
                self._tell(action)

    def _run(self, asked: Coroutine[Any, Any, T]) -> T:
        """Waits for it to end; each has an end in time."""
        return self._thread.submit(self._loop.run_until_complete, asked).result()

    def _drop(self) -> None:
        link, self._link, self._news = self._link, None, True
        if link is not None:
            self._run(link.close())

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _time_for(self, sends: Sequence[Send]) -> float:
        """As many as that wait for each other to leave."""
        per_second, seconds = self.access.messages_per_second, min(LOOK_S, self.access.timeout_s)
        return seconds + (len(sends) / per_second if per_second else 0)


def believed(what: str, make: Callable[[], T]) -> T:
    """What was told, made into what it means. Raises BrokerUnavailable for what cannot be."""
    try:
        return make()
    except Unreadable as e:
        raise BrokerUnavailable(
            f"IBKR's gateway told {what} in a way that cannot be read ({e}). Nothing is known of "
            "it; ask later."
        ) from None


def no_answer(what: str, no: Refused) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"IBKR's gateway did not tell {what}: {no}. Nothing is known of it; ask later."
    )


def _nothing(_client: object, _number: int) -> None:
    """What was asked is being answered."""
