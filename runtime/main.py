"""The one entry point (M20): what `tbot run` and the systemd unit start.

Checks first, then the pages as a child process, which is started again when it dies, and the
trading days, each a child process too, which the pages' troubles do not touch. Alerts are mailed by
a thread of this process.
"""

from __future__ import annotations

import os
import platform
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NamedTuple

from aggregates.errors import DomainError, TradeBotError
from config.clock import Clock, SystemClock
from config.errors import ConfigError
from config.paths import DataFolder
from config.settings import Settings
from runtime import logs
from runtime.alerts import Alerts, last_words
from runtime.bot_state import IDLE, SHUTDOWN, state_of, write_state
from runtime.build_check import log_fatal
from runtime.build_report import BuildReport
from runtime.custody import Custody
from runtime.json_log import append_line
from runtime.log_follower import LogFollower
from runtime.provisioning import resume
from runtime.run_lock import alone
from runtime.sd_notify import ALIVE, READY, STOPPING, notify
from runtime.settings_change import current_settings
from runtime.setup_token import drop_token, new_token
from runtime.trading import Trading, Wiring
from runtime.version import VERSION
from runtime.web_process import ADDRESS_UNUSABLE, WebProcess
from security.keyfile import KeyFileError

TICK_S = 0.5
UNSOUND_S = 60.0  # without a look at flags and supervisor
LOOPBACK, PORT = "127.0.0.1", 6900  # until the settings say otherwise


class Address(NamedTuple):
    """Where the pages are served."""

    host: str
    port: int

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"


def run(
    data_dir: Path,
    port: int | None,
    clock: Clock | None = None,
    wiring: Wiring = Wiring(),  # noqa: B008 - cannot change
) -> int:
    """Run until told to end (SIGTERM, SIGINT). ``port`` wins over WEB_PORT.

    Exit codes: 0 ended as told, 2 the pages' address cannot be used. Raises TradeBotError,
    ConfigError or KeyFileError when the bot must not start; main_bot.log has the same.
    """
    os.umask(0o077)  # books, keys and logs are their owner's alone
    folder, clock = DataFolder(data_dir), clock or SystemClock()
    if folder.demo.exists():
        raise DomainError(
            f"{data_dir} holds a demo, whose keys follow from a seed. Nothing was started; "
            "`tbot demo --serve` shows it, and a bot needs a --data-dir of its own."
        )
    with alone(folder):
        logs.hold()
        try:
            return Main(folder, port, clock, wiring).run()
        except (TradeBotError, ConfigError, KeyFileError) as e:
            log_fatal(folder, clock.now(), type(e).__name__, str(e))
            last_words(folder, clock, f"`tbot run` has not started or has ended: {e}")
            raise
        finally:
            logs.release()  # whatever it ended with, what led to it is written


class Main:
    """The life of one process: checks, pages, state."""

    def __init__(self, folder: DataFolder, port: int | None, clock: Clock, wiring: Wiring) -> None:
        self._folder, self._port, self._clock, self._wiring = folder, port, clock, wiring
        self._web = WebProcess(folder.root)
        self._trading: Trading | None = None
        self._follower: LogFollower | None = None
        self._alerts: Alerts | None = None
        self._state = ""
        self._ending = Event()

    def run(self) -> int:
        self.log("INFO", f"TradeBot {VERSION} starts: Python {platform.python_version()}, SQLite "
                 f"{sqlite3.sqlite_version}.")  # fmt: skip
        self._mend()
        settings = self._checked()
        address = self._address(settings)
        logs.use(self._folder, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            return self._watch(address)
        finally:
            notify(STOPPING)
            if self._trading is not None:
                self._trading.stop()
            if self._follower is not None:
                self._follower.close()
            self._web.stop()
            if self._alerts is not None:
                self._alerts.stop()
            drop_token(self._folder)
            write_state(self._folder, SHUTDOWN)
            self.log("INFO", "TradeBot has ended.")
            say("TradeBot has ended.")

    def _mend(self) -> None:
        if said := resume(self._folder, self._clock):
            self.log("WARNING", said)
            say(said)

    def _checked(self) -> Settings | None:
        """The settings in force; None while there are none. Raises when the bot must not start."""

        def holds(position: int) -> None:
            self.log("INFO", f"The history holds: {position:,} events.")

        return BuildReport(self._folder, self._clock, holds).settings()

    def _address(self, settings: Settings | None) -> Address | None:
        if settings is None:
            return Address(LOOPBACK, self._port or PORT)
        port = self._port or settings.WEB_PORT
        # Until there is an admin the pages are there, even where WEB_ENABLED is false, and for
        # this machine alone: without them nobody could register.
        if state_of(self._folder) != IDLE:
            return Address(LOOPBACK, port)
        # WEB_ENABLED=false: no page is served; the bot runs without.
        return Address(settings.WEB_HOST, port) if settings.WEB_ENABLED else None

    def _watch(self, address: Address | None) -> int:
        """Keep the pages up and the state told, until the end."""
        if address is None:
            self.log("INFO", "WEB_ENABLED is false: no page is served. The bot runs without.")
            say("No page is served, as WEB_ENABLED is false. The bot runs without; Ctrl-C ends it.")
        elif self._start_web(address) == ADDRESS_UNUSABLE and self._state != IDLE:
            # the child said why on the terminal; a set-up is nothing without its pages
            self.log("FATAL", f"The pages cannot be served at {address.url}.")
            return ADDRESS_UNUSABLE
        notify(READY)
        while not self._ending.wait(TICK_S):
            self._tell_state()
            self._notify_alive()
            if self._follower is not None:
                self._follower.tick()
            if address is not None and (code := self._web.ended()) is not None:
                self._revive(address, code)
        return 0

    def _revive(self, address: Address, code: int) -> None:
        self._web.stop()
        wait = self._web.next_wait()
        self._told("ERROR", f"The pages have ended (code {code}); they are started again in "
                   f"{wait:g} s.")  # fmt: skip
        if not self._ending.wait(wait):
            self._mend()  # a provisioning that died with the child
            self._start_web(address)

    def _start_web(self, address: Address) -> int | None:
        """Start the pages and say where they are, with a new token while there is a set-up.

        None when they are served, otherwise the child's exit code.
        """
        self._tell_state()
        token = new_token(self._folder) if self._state != IDLE else ""
        if (code := self._web.start(*address)) is not None:
            return code
        self.log("INFO", f"The pages are served at {address.url}.")
        if not token:
            say(f"Pages at {address.url} (Ctrl-C ends the bot)")
        elif os.environ.get("JOURNAL_STREAM"):  # systemd keeps what is said: no token there
            say(f"Set-up at {address.url}/setup; its token is in {self._folder.setup_token}")
        else:
            say(f"Set-up at {address.url}/setup?token={token}")
        return None

    def _notify_alive(self) -> None:
        """To systemd, as long as trading goes round; else it starts all of this anew."""
        if self._trading is None or self._trading.sound(UNSOUND_S):
            notify(ALIVE)

    def _tell_state(self) -> None:
        """Derived from disk and events, until there are users; from then on trading tells it."""
        if self._state == IDLE:
            return
        state = state_of(self._folder)
        if state != self._state:
            self._state = state
            write_state(self._folder, state)
            self.log("INFO", f"The bot is {state}.")
            if state == IDLE:
                self._trade()

    def _trade(self) -> None:
        with closing(Custody.open(self._folder, self._clock)) as custody:
            settings = current_settings(custody)
        logs.use(self._folder, settings)
        self._follower = LogFollower(self._folder, settings, self._clock)
        self._alerts = Alerts(self._folder, settings, self._clock)
        self._alerts.start()
        self._trading = Trading(
            self._folder, settings, self._clock, self._told, self._wiring, self._alerts.tell
        )
        self._trading.start()

    def _told(self, level: str, message: str) -> None:
        self.log(level, message)
        say(message)
        if self._alerts is not None and level in ("ERROR", "FATAL"):
            self._alerts.tell(message)

    def log(self, level: str, message: str) -> None:
        append_line(self._folder.global_logs / "main_bot.log", self._clock.now(), level, message)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending.set()


def say(text: str) -> None:
    print(text, flush=True)
