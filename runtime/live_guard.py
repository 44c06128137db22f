"""The guard of a live session: looks for flags while it waits, tells what runs, beats the pulse."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from aggregates.errors import TradeBotError
from brokers.port import BrokerError
from config.clock import EPOCH, Clock
from config.paths import DataFolder
from runtime import logs
from runtime.bot_state import session_state, write_state
from runtime.control import Flags
from runtime.desk import Desk
from runtime.guard import KillOrder
from runtime.status import (
    BrokerStatus,
    Figures,
    NextPhase,
    Status,
    figures_of,
    heartbeat,
    write_status,
)
from runtime.watched_broker import WatchedBroker
from strategies.protocol import Window

NAP = timedelta(milliseconds=200)  # how late a flag is seen at most
REFRESH = timedelta(seconds=30)  # a status is told anew, so that a reader knows that it holds
BROKER_LIMIT = timedelta(seconds=120)  # without an answer, while something is at risk
AFTER = {"": "open", "open": "holdings", "holdings": "mid", "mid": "close", "close": "universe"}


class Ending(SystemExit):
    """Told to end (SIGTERM), and between two steps: nothing is half done."""


class LiveGuard:
    """Implements ``runtime.guard.Guard``. ``beat`` tells main that the loop is alive.

    ``each_tell`` is called with every ``tell``: the log that follows the events. ``opens_at`` is
    the session's start.
    """

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        flags: Flags,
        broker: WatchedBroker,
        *,
        session: str,
        opens_at: datetime,
        market: str,
        pid: int,
        beat: Callable[[], None],
        each_tell: Callable[[], None],
        nap: timedelta = NAP,
    ) -> None:
        self._folder, self._clock, self._flags, self._broker = folder, clock, flags, broker
        self._session, self._opens_at = session, opens_at
        self._window: Window | None = None
        self._market, self._pid, self._nap = market, pid, nap
        self._beat, self._each_tell = beat, each_tell
        self._phase, self._figures = "", Figures()
        self._desk: Desk | None = None
        self._state, self._told_at = "", EPOCH
        self._end_asked = False

    def end(self) -> None:
        """At the next wait: ``Ending`` is raised. For a signal's handler."""
        self._end_asked = True

    # -- waiting ---------------------------------------------------------------------------

    def wait_until(self, moment: datetime) -> KillOrder | None:
        while True:
            if self._end_asked:
                raise Ending
            self._beat()
            if (kill := self._flags.look() or self._broker_lost()) is not None:
                return kill
            now = self._clock.now()
            if now - self._told_at >= REFRESH:
                self._write()
                heartbeat(self._folder, now, self._state, self._session)
            if now >= moment:
                return None
            self._clock.wait_until(min(moment, now + self._nap))

    def _broker_lost(self) -> KillOrder | None:
        """Without an answer for longer than is borne while something is on order or held."""
        since, desk = self._broker.unreachable_since, self._desk
        if since is None or desk is None or self._flags.control.killed:
            return None
        now = self._clock.now()
        waited = now - since
        if waited <= BROKER_LIMIT or not desk.symbols or now >= desk.hours.close:
            return None  # after the close nothing can be sold, and orders have ended
        with suppress(BrokerError):
            self._broker.clock()  # nobody may have asked since: one failure is no silence
        if self._broker.unreachable_since is None:
            return None
        return KillOrder(
            "broker",
            f"no answer from {self._broker.capabilities.name} since {since:%Y-%m-%d %H:%M:%S} UTC, "
            f"with {', '.join(sorted(desk.symbols))} held or on order",
        )

    # -- telling ---------------------------------------------------------------------------

    def watch(self, window: Window) -> None:
        self._window = window

    def tell(self, phase: str, desk: Desk | None) -> None:
        """A figure that cannot be had stays as it was told last; the log may fail likewise."""
        self._phase, self._desk = phase, desk
        self._beat()
        with suppress(TradeBotError, OSError, sqlite3.Error, ArithmeticError):
            self._figures = Figures() if desk is None else figures_of(desk)
        self._write()
        with suppress(TradeBotError, OSError, sqlite3.Error):
            self._each_tell()

    def _write(self) -> None:
        self._told_at = now = self._clock.now()
        with suppress(TradeBotError, sqlite3.Error):
            control = self._flags.control
            state = session_state(self._phase, now, self._window, control)
            if state != self._state:
                write_state(self._folder, state)
                self._state = state
            status = Status(
                **{name: getattr(self._figures, name) for name in Figures.__struct_fields__},
                at=now,
                state=state,
                session=self._session,
                phase=self._phase,
                next_phase=self._next_phase(),
                pid=self._pid,
                entries_blocked=control.entries_blocked,
                broker=BrokerStatus(
                    name=self._broker.capabilities.name,
                    reachable=self._broker.unreachable_since is None,
                    unreachable_since=self._broker.unreachable_since,
                    market=self._market,
                ),
                logs=logs.trouble(),
            )
            write_status(self._folder, status)

    def _next_phase(self) -> NextPhase | None:
        name = AFTER.get(self._phase)
        at = None if self._phase else self._opens_at
        return NextPhase(name=name, at=at) if name else None

    def left(self) -> str:
        """What is held and on order, in words, for an end in between; empty when nothing is."""
        with suppress(TradeBotError, sqlite3.Error):
            if self._desk is not None:
                held = [f"{s} {h.quantity:f}" for s, h in sorted(self._desk.holdings().items())]
                orders = [o.terms.order_id for o in self._desk.open_orders()]
                return ", ".join(held + [f"order {order_id}" for order_id in orders])
        return ""
