"""What is looked at before anything starts (M20): every fault in one report, not one a start."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import NamedTuple

from aggregates.errors import TradeBotError
from config.clock import Clock, from_micros
from config.env_file import read_settings
from config.errors import ConfigError
from config.paths import DataFolder
from config.setting_keys import ENV, ENV_BOT
from config.settings import Settings
from eventstore.checkpoint import CheckpointMismatch, check_signature
from eventstore.errors import HistoryBroken
from eventstore.feed import Feed
from runtime.bot_state import is_open
from runtime.build_check import check_books
from runtime.checkpoints import check_length, kept, stored_row
from runtime.custody import Custody
from runtime.queries import Queries
from runtime.run_lock import CannotStart
from runtime.settings_change import current_settings
from runtime.settings_files import loose_files, refuse_stray_files
from runtime.signers import own_line, signer_of
from runtime.views import Views
from security.keyfile import KeyFileError

PYTHON, SQLITE = (3, 11), (3, 37)
LEAST_FREE = 200 * 2**20  # bytes: some weeks of events and logs
BEHIND = timedelta(seconds=5)  # as the store has it: no entry is recorded then
FAULTS = (TradeBotError, KeyFileError, ConfigError, OSError)


class _Opened(NamedTuple):
    """What the check of the books looks at."""

    folder: DataFolder
    settings: Settings
    views: Views


class BuildReport:
    """The checks of one start, in order. ``holds`` is told of the history that holds."""

    def __init__(self, folder: DataFolder, clock: Clock, holds: Callable[[int], None]) -> None:
        self._folder, self._clock, self._holds = folder, clock, holds
        self._settings: Settings | None = None
        self._faults: list[Exception] = []
        self._sound = True  # the history, as far as was looked

    def settings(self) -> Settings | None:
        """The settings in force; None while there is no bot yet.

        Raises the one fault that there is, or CannotStart with all of them. Nothing is changed.
        """
        self._check(self._versions)
        self._check(self._disk)
        try:
            provisioned = is_open(self._folder)
        except FAULTS as e:
            self._faults.append(e)
        else:
            for check in self._of_a_bot() if provisioned else (self._before_set_up,):
                self._check(check)
        if len(self._faults) == 1:
            raise self._faults[0]
        if self._faults:
            lines = "\n".join(f"  {n}. {fault}" for n, fault in enumerate(self._faults, 1))
            raise CannotStart(f"Nothing was started: {len(self._faults)} faults.\n{lines}")
        return self._settings

    def _check(self, check: Callable[[], None]) -> None:
        try:
            check()
        except FAULTS as e:
            self._faults.append(e)
            if check in (self._chain, self._checkpoint):
                self._sound = False

    def _of_a_bot(self) -> tuple[Callable[[], None], ...]:
        return (
            self._stray, self._permissions, self._chain, self._checkpoint, self._time,
            self._in_force, self._books,
        )  # fmt: skip

    # -- the machine -------------------------------------------------------------------------

    def _versions(self) -> None:
        if sys.version_info < PYTHON or sqlite3.sqlite_version_info < SQLITE:
            raise CannotStart(
                f"Python {platform.python_version()} with SQLite {sqlite3.sqlite_version} is too "
                f"old. Nothing was started; install Python {PYTHON[0]}.{PYTHON[1]} and SQLite "
                f"{SQLITE[0]}.{SQLITE[1]} or newer."
            )

    def _disk(self) -> None:
        free = shutil.disk_usage(self._folder.root).free
        if free < LEAST_FREE:
            raise CannotStart(
                f"{free / 2**20:.0f} MiB are free for {self._folder.root}, and {LEAST_FREE >> 20} "
                "are needed: a disk that is full ends a trading day. Nothing was started; make "
                "room."
            )

    def _permissions(self) -> None:
        """What holds keys or the history is its owner's alone."""
        folder = self._folder
        for path in (folder.storage, folder.control):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise CannotStart(
                    f"{path} can be read or changed by others (permissions {mode:04o}). Nothing "
                    f"was started; run: chmod go-rwx {path}"
                )

    # -- before there is a bot ---------------------------------------------------------------

    def _before_set_up(self) -> None:
        """.env files only fill the set-up's fields in; every bad key is said before all else."""
        root = self._folder.root
        if any((root / file).exists() for file in (ENV_BOT, ENV)):
            read_settings(root)
            if loose := loose_files(self._folder):
                raise CannotStart(" ".join(("Nothing was started.", *loose)))

    # -- a bot ---------------------------------------------------------------------------------

    def _stray(self) -> None:
        refuse_stray_files(self._folder)

    def _chain(self) -> None:
        """A history that does not hold is not served, and nothing is added to it."""
        with closing(Queries(self._folder)) as queries:
            found = queries.verify_now()
        if not found.intact:
            raise HistoryBroken(
                f"The history in {self._folder.events} does not hold: event {found.bad_position:,} "
                f"is bad: {found.reason}. Nothing was started and nothing was changed. Keep the "
                "folder as it is, compare it with a backup, and see `tbot verify`."
            )
        self._holds(found.position)

    def _checkpoint(self) -> None:
        """The chain against the last signature: one that was computed anew holds in itself."""
        with closing(Feed(self._folder.events)) as feed:
            for signed in kept(self._folder)[-1:]:
                claimed = signed.checkpoint
                check_length(feed, claimed)
                line = own_line(self._folder, claimed.origin)
                check_signature(signed, signer_of(line, signed), "the last checkpoint")
                if stored_row(feed, claimed.size).hash != claimed.head:
                    raise CheckpointMismatch(
                        f"The last checkpoint signed another event {claimed.size:,} than the store "
                        "has: the history was written anew. Nothing was started; see `tbot verify`."
                    )

    def _time(self) -> None:
        """The store refuses entries then; a bot that cannot buy is better told at once."""
        with closing(Feed(self._folder.events)) as feed:
            newest = from_micros(feed.head().recorded_at)
        behind = newest - self._clock.now()
        if behind > BEHIND:
            raise CannotStart(
                f"The machine's clock is {behind.total_seconds():,.0f} s behind the newest event "
                f"({newest:%Y-%m-%d %H:%M:%S} UTC). Nothing was started; set it right (NTP)."
            )

    def _in_force(self) -> None:
        if not self._sound:
            return  # to open a bot may finish what a kill left: not on a history like that
        with closing(Custody.open(self._folder, self._clock)) as custody:
            self._settings = current_settings(custody)

    def _books(self) -> None:
        """Schema, chart of accounts, currency and identity."""
        if self._settings is None:
            return  # why, is said already
        with closing(Views.open(self._folder, self._settings.identity)) as views:
            views.catch_up()
            check_books(_Opened(self._folder, self._settings, views))
