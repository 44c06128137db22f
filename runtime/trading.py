"""Trading as `tbot run` sees it: the supervisor at its time, and what to do when it fails.

It has a thread of its own, so that nothing that happens to the pages delays a kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date, datetime
from threading import Event, Thread
from typing import NamedTuple

from aggregates.control import STREAM, Control
from aggregates.errors import TradeBotError
from aggregates.session import session_stream
from config.calendar import SessionHours
from config.clock import Clock
from config.errors import ConfigError
from config.paths import DataFolder
from config.settings import Settings
from eventstore.feed import Feed
from runtime import logs
from runtime.bot_state import ERROR, IDLE, KILLED, STOPPED, write_state
from runtime.brokers import connect
from runtime.connected import Connect
from runtime.control import ACTIONS, Flags
from runtime.custody import Custody
from runtime.dispatch import Dispatcher
from runtime.guard import KillOrder
from runtime.log_files import log_path
from runtime.log_reading import last_message
from runtime.schedule import Due, Horizon, calendar_around, next_due
from runtime.status import NextPhase, Status, heartbeat, write_status
from runtime.supervisor_child import COMMAND, SupervisorChild
from runtime.supervisor_process import NOT_TRADED, OVER, REFUSED, TOLD
from runtime.waits import Waits
from runtime.watchdog import KillFlag, hung_after, take_over
from security.keyfile import KeyFileError

TICK_S = 0.2
KILL_AGAIN_S = 2.0
SESSIONS = 40  # so many are looked at for one that is not over
PLAN_S = 30.0  # how often it is looked whether something else is due, and the status told anew
FAULTS = (TradeBotError, KeyFileError, ConfigError, OSError)
Say = Callable[[str, str], None]


class Wiring(NamedTuple):
    """How the process that trades is made and connected; a test plays days with others."""

    supervisor: Sequence[str] = COMMAND
    connect: Connect = connect


class Facts(NamedTuple):
    """What the history says that the schedule goes by."""

    control: Control
    unfinished: date | None


class Trading:
    """Runs until ``stop``. ``say`` tells level and message to log and terminal, ``alert`` people
    what a supervisor has said there itself."""

    def __init__(
        self,
        folder: DataFolder,
        settings: Settings,
        clock: Clock,
        say: Say,
        wiring: Wiring = Wiring(),  # noqa: B008 - cannot change
        alert: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._folder, self._settings, self._clock, self._say = folder, settings, clock, say
        self._alert = alert
        self._connect = wiring.connect
        self._child = SupervisorChild(folder, wiring.supervisor)
        self._horizon = Horizon(settings.EXCHANGE_CALENDAR)
        self._kill_flag, self._waits = KillFlag(folder), Waits()
        self._kill: KillOrder | None = None  # main carries it out
        self._given_up: set[date] = set()  # what was refused is not tried again that day
        self._refused = ""  # why, in words
        self._given_up_on: date | None = None
        self._due: Due | None = None
        self._day: date | None = None  # of the supervisor that runs
        self._state = ""
        self._planned_at = self._not_before = self._kill_tried = float("-inf")
        self._looked_at = time.monotonic()
        self._busy = False
        self._ending = Event()
        self._thread = Thread(target=self._run, name="trading", daemon=True)

    def start(self) -> None:
        if pid := self._child.adopt():
            self._say("INFO", f"A supervisor trades already (process {pid}); it is watched.")
        self._thread.start()

    def stop(self) -> None:
        """End the supervisor in peace: it finishes its step, and says what it leaves."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._child.stop()

    def sound(self, longest_s: float) -> bool:
        """Whether the thread has gone round lately; a kill that main carries out may take long,
        and beats the pulse of the supervisor whose work it does."""
        if self._busy:
            return self._child.silent_for() < hung_after(self._settings)
        return self._thread.is_alive() and time.monotonic() - self._looked_at < longest_s

    def _run(self) -> None:
        while not self._ending.wait(TICK_S):
            self._looked_at = time.monotonic()
            try:
                self.tick()
            except FAULTS as e:
                self._later(f"{e} It is looked at again.")
            except Exception as e:
                logs.log_error(self._folder, self._clock.now(), e, "The schedule failed.")
                self._later(f"{type(e).__name__} in the schedule; see error_tracebacks.log.")

    def tick(self) -> None:
        """One look at flags, the supervisor, and the time."""
        if self._child.running:
            self._watch()
        elif time.monotonic() >= self._not_before or self._kill_waits():
            self._between()

    def _kill_waits(self) -> bool:
        """A kill does not wait for the end of a pause, but is not tried without any either."""
        now = time.monotonic()
        if not self._folder.flag("kill").exists() or now < self._kill_tried + KILL_AGAIN_S:
            return False
        self._kill_tried = now
        return True

    # -- while a supervisor runs -------------------------------------------------------------

    def _watch(self) -> None:
        if (code := self._child.ended()) is not None:
            self._after(code)
        elif self._kill_flag.ignored() and not self._kill_is_under_way():
            self._end_for(KillOrder("flag", "a kill that the supervisor did not take up"))
        elif self._child.silent_for() > hung_after(self._settings):
            self._end_for(KillOrder("watchdog", "the trading loop did not go on"))

    def _kill_is_under_way(self) -> bool:
        """Then a second one asks for nothing more, and is answered with the first."""
        with closing(Feed(self._folder.events)) as feed:
            last = feed.page(
                topics=("Control.KillStarted", "Control.Killed"), newest_first=True, limit=1
            )
        return bool(last) and last[0].topic == "Control.KillStarted"

    def _end_for(self, order: KillOrder) -> None:
        self._say("ERROR", f"{order.reason}: the supervisor is ended, and its work taken over.")
        self._child.kill()
        self._kill = order
        self._between()

    def _after(self, code: int) -> None:
        self._planned_at, self._state = float("-inf"), ""
        if code == REFUSED and self._day is not None:
            said = last_message(log_path(self._folder, "main_bot"), "FATAL")
            self._refused = said.removeprefix(NOT_TRADED).strip() or "main_bot.log says why."
            self._alert(f"{self._day} is not traded: {self._refused}")
            self._given_up.add(self._day)
            self._given_up_on = self._clock.now().date()
        elif code not in (OVER, TOLD) and not self._kill:
            self._wait(f"The supervisor has ended (code {code}); it is started again")

    def _wait(self, said: str) -> None:
        wait = self._waits.next()
        self._not_before = time.monotonic() + wait
        self._say("ERROR", f"{said} in {wait:g} s.")

    def _later(self, said: str) -> None:
        self._not_before = time.monotonic() + self._waits.next()
        self._tell(ERROR)
        self._say("ERROR", said)

    # -- while none runs -----------------------------------------------------------------------

    def _between(self) -> None:
        flagged = any(self._folder.flag(action).exists() for action in ACTIONS)
        if flagged or time.monotonic() - self._planned_at > PLAN_S:
            self._plan(started=self._folder.flag("start").exists())
        if self._kill is not None:
            self._carry_out(self._kill)
        elif self._due is not None and self._clock.now() >= self._due.at:
            self._day, self._due = self._due.hours.day, None
            self._waits.started()
            self._child.start(self._day)

    def _carry_out(self, order: KillOrder) -> None:
        self._child.alive()
        self._busy = True
        try:
            flat = take_over(self._folder, self._clock, self._connect, order)
        finally:
            self._busy = False
        self._kill, self._planned_at = None, float("-inf")
        left = "trading is flat" if flat else "not everything could be sold; see the page"
        self._say("WARNING", f"The kill switch is latched: {left}.")

    def _plan(self, *, started: bool) -> None:
        """Answer what was asked, then look for the next session."""
        self._planned_at = time.monotonic()
        now = self._clock.now()
        if started or now.date() != self._given_up_on:
            self._given_up.clear()  # somebody says that it was mended, or it is another day
        facts = self._facts()
        state = IDLE
        if facts.control.killed:
            state = KILLED
        elif facts.control.stopped:
            state = STOPPED  # sessions go on: what is held is watched, nothing is bought
        if facts.control.killed and facts.unfinished is None:
            self._due = None  # nothing could be traded until an admin resets the kill
        else:
            self._due = next_due(
                self._settings, self._horizon.at(now), now, self._is_done, self._hours(facts)
            )
        self._tell(ERROR if self._given_up else state, facts.control.entries_blocked, now)

    def _hours(self, facts: Facts) -> SessionHours | None:
        """Of the session that is not over; it may be older than what the schedule looks at."""
        day = facts.unfinished
        code = self._settings.EXCHANGE_CALENDAR
        return calendar_around(code, day).session(day) if day is not None else None

    def _facts(self) -> Facts:
        with closing(Custody.open(self._folder, self._clock)) as custody:
            store = custody.store
            flags = Flags(self._folder, store, Dispatcher(store, "supervisor"), self._clock)
            self._kill = flags.look() or self._kill
            return Facts(store.load(Control, STREAM), self._unfinished())

    def _unfinished(self) -> date | None:
        """Of the last sessions the newest that is not over: it may be today's. What was given up
        today is left for another."""
        with closing(Feed(self._folder.events)) as feed:
            opened, closed = (
                [row.originator_id for row in feed.page(topics=(t,), newest_first=True, limit=n)]
                for t, n in (("Session.Opened", SESSIONS), ("Session.Closed", 2 * SESSIONS))
            )
        for n, stream in enumerate(opened):
            day = date.fromisoformat(stream.removeprefix(session_stream("")))
            over = stream in closed and (n > 0 or self._is_kept(day))
            if not over and day not in self._given_up:
                return day
        return None

    def _is_done(self, day: date) -> bool:
        return day in self._given_up or self._is_kept(day)

    def _is_kept(self, day: date) -> bool:
        """Whether the day was closed, and its files were written after that."""
        with closing(Feed(self._folder.events)) as feed:
            closed = feed.page(
                topics=("Session.Closed",), stream=session_stream(day.isoformat()), limit=1
            )
        return bool(closed) and self._folder.checkpoint(closed[0].position).exists()

    def _tell(self, state: str, blocked: str = "", now: datetime | None = None) -> None:
        if state != self._state:
            self._state = state
            write_state(self._folder, state)
        due = self._due
        status = Status(
            at=now or self._clock.now(),
            state=state,
            session="",
            phase="",
            next_phase=NextPhase(name="supervisor", at=due.at) if due else None,
            pid=0,
            entries_blocked=blocked,
            broker=None,
            logs=logs.trouble(),
            refused=self._refused if self._given_up else "",
        )
        write_status(self._folder, status)
        heartbeat(self._folder, status.at, state)
