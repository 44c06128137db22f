"""The process of one trading day, a child of `tbot run`: `python -m runtime.supervisor_process`.

It alone intends orders and asks the broker (rule 3). A kill of the process at any moment is made
good by starting it again: every step is a command with an id of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from types import FrameType

from aggregates.control import STREAM, Control
from aggregates.errors import TradeBotError
from brokers.port import BrokerUnavailable, KeysRefused
from config.clock import Clock, SystemClock
from config.errors import ConfigError
from config.paths import DataFolder
from eventstore.errors import ClockBehind, StoreUnreadable
from exporters.errors import ExportError
from runtime import logs
from runtime.bootstrap import Bot
from runtime.brokers import connect, nothing_named
from runtime.build_check import StartBlocked
from runtime.connected import Connect
from runtime.event_log import EventLog, result_of
from runtime.guard import KillOrder
from runtime.kill_switch import kill_without_session
from runtime.live_guard import NAP, Ending, LiveGuard
from runtime.run_lock import TradedElsewhere, trading_alone
from runtime.screening import screener_of
from runtime.started import start_up_is_over
from runtime.strategy_phases import not_offered
from runtime.supervisor import StartRefused, Supervisor
from runtime.trading_bot import Pulse, TradingBot, day_files, open_trading, register
from security.keyfile import KeyFileError

# How the process ends, for main: the day is over, or was killed; it must not be tried again today;
# it failed and is tried again; it was told to end.
OVER, REFUSED, FAILED, TOLD = 0, 3, 4, 5
ASK_AGAIN = timedelta(seconds=10)  # a broker that does not answer before the day has begun
NOT_AGAIN = (TradeBotError, KeyFileError, ConfigError)
# a disk that is full, a store that is busy, a clock that went back: nothing is bought until that
# has passed, and exits are seen to with every start that can record them
TRY_AGAIN = (BrokerUnavailable, StoreUnreadable, ExportError, ClockBehind)
START_REFUSED = (StartRefused, StartBlocked, KeysRefused)
NOT_TRADED = "Nothing is traded today."  # begins what is said of a start that is refused


class SupervisorProcess:
    """One day. ``nap`` is how long a wait goes without looking up, on the injected clock."""

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        *,
        connect: Connect = connect,
        nap: timedelta = NAP,
    ) -> None:
        self._folder, self._clock, self._connect, self._nap = folder, clock, connect, nap
        self._guard: LiveGuard | None = None
        self._end_asked = False
        self._left = ""  # what is held or on order at the end, in words

    def run(self, day: date) -> int:
        """Returns one of the codes above. Says and logs why, whatever it is."""
        os.umask(0o077)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            with trading_alone(self._folder), ExitStack() as stack:
                return self._with(
                    open_trading(self._folder, day, self._clock, self._connect, stack)
                )
        except Ending:
            self._say(*self._ended_between())
            return TOLD
        except TradedElsewhere as e:
            self._say("WARNING", str(e))
            return FAILED
        except TRY_AGAIN as e:
            self._say("ERROR", f"{e} It is tried again.")
            return FAILED
        except NOT_AGAIN as e:
            self._say("FATAL", f"{NOT_TRADED} {e}", type(e).__name__)
            return REFUSED
        except Exception as e:
            logs.log_error(self._folder, self._clock.now(), e, "The supervisor could not start.")
            self._say("ERROR", f"{type(e).__name__} at the start; see error_tracebacks.log.")
            return FAILED

    def _with(self, opened: TradingBot) -> int:
        self._guard = guard = self._guarded(opened)
        start_up_is_over()
        if self._end_asked:
            guard.end()
        try:
            self._day(opened, guard)
        except (*START_REFUSED, *TRY_AGAIN):
            raise
        except Exception as e:
            return self._critical(opened.bot, e)
        finally:
            self._left = guard.left()
            guard.tell("", None)  # the log follows to the end, and the state is told
        day_files(opened.bot, opened.hours.day)
        return OVER

    def _day(self, opened: TradingBot, guard: LiveGuard) -> None:
        bot, hours, connected = opened.bot, opened.hours, opened.connected
        guard.tell("", None)
        self._say("INFO", f"The supervisor of {hours.day} has started: {connected.market}.")
        if not connected.symbols and (said := nothing_named(self._folder, bot.settings)):
            self._say("WARNING", said)
        register(bot, connected.symbols)
        screener = screener_of(self._folder, bot.settings, self._clock)
        supervisor = Supervisor(bot, connected.symbols, guard, screener)
        if (kill := self._until_it_answers(opened, guard)) is not None:
            kill_without_session(bot, kill.source, kill.reason)
        if said := supervisor.run_session(hours):
            self._say("WARNING", f"{hours.day} was not traded to its end: {said}.")

    def _until_it_answers(self, opened: TradingBot, guard: LiveGuard) -> KillOrder | None:
        """Keys that are refused, a broker that is not there, and what it does not offer of what
        the settings ask for, are found before the open, when there is time to mend it."""
        while self._clock.now() < opened.hours.close:
            try:
                opened.broker.account()
                early = self._clock.now() < opened.hours.open
                for fault in not_offered(opened.bot) if early else ():
                    self._say("ERROR", f"The session would not start: {fault}")
            except BrokerUnavailable as e:
                self._say("WARNING", f"{e} It is asked again in {ASK_AGAIN.seconds} s.")
            else:
                break
            if (kill := guard.wait_until(self._clock.now() + ASK_AGAIN)) is not None:
                return kill
        return None

    def _guarded(self, opened: TradingBot) -> LiveGuard:
        bot, hours = opened.bot, opened.hours
        code, feed = bot.settings.BROKER_CODE, bot.views.feed
        log = EventLog(self._folder, bot.identity, feed, code, result_of(bot.views))
        return LiveGuard(
            self._folder,
            self._clock,
            opened.flags,
            opened.broker,
            session=hours.day.isoformat(),
            opens_at=hours.open,
            market=opened.connected.market,
            pid=os.getpid(),
            beat=Pulse(self._folder).beat,
            each_tell=log.follow_all,
            nap=self._nap,
        )

    def _critical(self, bot: Bot, error: Exception) -> int:
        """An error that nobody foresaw: written down, then the kill switch (M14).

        If that cannot be carried out, or the day fails though it is killed, main starts the process
        again after a pause, which goes on with the kill and the day's end.
        """
        now = self._clock.now()
        again = bot.store.load(Control, STREAM).killed  # what failed once may fail at every start
        logs.log_error(self._folder, now, error, "The trading day failed; the kill switch follows.")
        reason = f"{type(error).__name__} in the trading loop; see error_tracebacks.log"
        self._say("FATAL", f"{reason}. Trading ends.", type(error).__name__)
        try:
            kill_without_session(bot, "error", reason)
        except Exception as e:
            logs.log_error(self._folder, now, e, "The kill switch could not be carried out.")
            return FAILED
        return FAILED if again else OVER

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        """Told to end: between two steps, as soon as there is a wait."""
        self._end_asked = True
        if self._guard is None:
            raise Ending
        self._guard.end()

    def _ended_between(self) -> tuple[str, str]:
        if not self._left:
            return "INFO", "The supervisor has ended as it was told to; trading holds nothing."
        return "WARNING", (
            f"The supervisor has ended as it was told to, and leaves {self._left}. Nobody watches "
            "that until the bot runs again; it then goes on where it stood."
        )

    def _say(self, level: str, message: str, error_code: str = "") -> None:
        path = self._folder.global_logs / "main_bot.log"
        logs.append_line(path, self._clock.now(), level, message, error_code=error_code)
        if level != "INFO":
            print(message, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m runtime.supervisor_process")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--day", type=date.fromisoformat, help="session; without it, today's (UTC)")
    asked = parser.parse_args(arguments)
    clock = SystemClock()
    day = asked.day or clock.now().date()
    return SupervisorProcess(DataFolder(asked.data_dir), clock).run(day)


if __name__ == "__main__":
    sys.exit(main())
