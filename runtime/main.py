"""The one entry point (M20): what `tbot run` and the systemd unit start.

Checks first, then the pages as a child process, which is started again when it dies. Sessions are
not scheduled in this version; it says so rather than seeming to trade.
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
from config.env_file import read_settings
from config.paths import DataFolder
from config.setting_keys import ENV, ENV_BOT
from config.settings import Settings
from eventstore.errors import HistoryBroken
from runtime.bot_state import IDLE, is_open, state_of, write_state
from runtime.build_check import check_books, log_fatal
from runtime.custody import Custody
from runtime.json_log import append_line
from runtime.provisioning import resume
from runtime.queries import Queries
from runtime.run_lock import CannotStart, alone
from runtime.settings_change import current_settings
from runtime.settings_files import loose_files, refuse_stray_files
from runtime.setup_token import drop_token, new_token
from runtime.version import VERSION
from runtime.views import Views
from runtime.web_process import ADDRESS_UNUSABLE, WebProcess
from security.keyfile import KeyFileError

TICK_S = 0.5
LOOPBACK, PORT = "127.0.0.1", 6900  # until the settings say otherwise
NOT_SCHEDULED = (
    "Sessions are not scheduled in this version: nothing is traded. The pages, the books, their "
    "history and the exports work."
)


class Address(NamedTuple):
    """Where the pages are served."""

    host: str
    port: int

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"


class _Opened(NamedTuple):
    """What the build checks look at."""

    folder: DataFolder
    settings: Settings
    views: Views


def run(data_dir: Path, port: int | None, clock: Clock | None = None) -> int:
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
        try:
            return Main(folder, port, clock).run()
        except (TradeBotError, KeyFileError) as e:
            log_fatal(folder, clock.now(), type(e).__name__, str(e))
            raise


class Main:
    """The life of one process: checks, pages, state."""

    def __init__(self, folder: DataFolder, port: int | None, clock: Clock) -> None:
        self._folder, self._port, self._clock = folder, port, clock
        self._web = WebProcess(folder.root)
        self._state = ""
        self._ending = Event()

    def run(self) -> int:
        self.log("INFO", f"TradeBot {VERSION} starts: Python {platform.python_version()}, SQLite "
                 f"{sqlite3.sqlite_version}.")  # fmt: skip
        self._mend()
        settings = self._checked()
        address = self._address(settings)
        self.log("INFO", NOT_SCHEDULED)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            return self._watch(address)
        finally:
            self._web.stop()
            drop_token(self._folder)
            write_state(self._folder, "shutdown")
            self.log("INFO", "TradeBot has ended.")
            say("TradeBot has ended.")

    def _mend(self) -> None:
        if said := resume(self._folder, self._clock):
            self.log("WARNING", said)
            say(said)

    def _checked(self) -> Settings | None:
        """The settings in force; None while there are none. Raises when the bot must not start."""
        folder = self._folder
        if is_open(folder):
            refuse_stray_files(folder)
            self._verify()
            with closing(Custody.open(folder, self._clock)) as custody:
                settings = current_settings(custody)
            with closing(Views.open(folder, settings.identity)) as views:
                views.catch_up()
                check_books(_Opened(folder, settings, views))
            return settings
        if any((folder.root / file).exists() for file in (ENV_BOT, ENV)):
            # they only fill the set-up's fields in; every bad key is said before anything else
            read_settings(folder.root)
            if loose := loose_files(folder):
                raise CannotStart(" ".join(("Nothing was started.", *loose)))
        return None

    def _verify(self) -> None:
        """A history that does not hold is not served, and nothing is added to it."""
        with closing(Queries(self._folder)) as queries:
            found = queries.verify_now()
        if not found.intact:
            raise HistoryBroken(
                f"The history in {self._folder.events} does not hold: event {found.bad_position:,} "
                f"is bad: {found.reason}. Nothing was started and nothing was changed. Keep the "
                "folder as it is, compare it with a backup, and see `tbot verify`."
            )
        self.log("INFO", f"The history holds: {found.position:,} events.")

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
        while not self._ending.wait(TICK_S):
            self._tell_state()
            if address is not None and (code := self._web.ended()) is not None:
                self._revive(address, code)
        return 0

    def _revive(self, address: Address, code: int) -> None:
        self._web.stop()
        wait = self._web.next_wait()
        said = f"The pages have ended (code {code}); they are started again in {wait:g} s."
        self.log("ERROR", said)
        say(said)
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

    def _tell_state(self) -> None:
        """Derived from disk and events. Idle is the last state that this version reaches."""
        if self._state == IDLE:
            return
        state = state_of(self._folder)
        if state != self._state:
            self._state = state
            write_state(self._folder, state)
            self.log("INFO", f"The bot is {state}.")

    def log(self, level: str, message: str) -> None:
        append_line(self._folder.global_logs / "main_bot.log", self._clock.now(), level, message)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending.set()


def say(text: str) -> None:
    print(text, flush=True)
