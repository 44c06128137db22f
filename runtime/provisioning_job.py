"""A provisioning in a thread of the pages, with what it has done so far."""

from __future__ import annotations

import logging
from contextlib import suppress
from decimal import Decimal
from threading import Thread
from typing import NamedTuple

from aggregates.errors import TradeBotError
from config.clock import Clock
from config.paths import DataFolder
from config.settings import Settings
from runtime.bot_state import is_open
from runtime.provisioning import STEPS, finish, provision_bot
from security.keyfile import KeyFileError

log = logging.getLogger("provisioning")


class Failure(NamedTuple):
    """What happened, what is safe, what to do: the three things that the page says."""

    happened: str
    safe: str
    todo: str


class ProvisioningJob:
    """Begins at once. ``step`` is the name in STEPS that is worked on, empty before the first."""

    def __init__(
        self,
        folder: DataFolder,
        settings: Settings,
        recovery: str,
        *,
        clock: Clock,
        deposit: Decimal | None,
    ) -> None:
        self._folder, self._settings, self._recovery = folder, settings, recovery
        self._clock, self._deposit = clock, deposit
        self.step = ""
        self.failure: Failure | None = None
        self.finished = False
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def done(self) -> int:
        """How many of the steps are done."""
        names = list(STEPS)
        return len(names) if self.finished else names.index(self.step) if self.step else 0

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self._provision()
            self.finished = True
        except (TradeBotError, KeyFileError) as e:
            self.failure = self._failed(str(e))
        except OSError as e:
            self.failure = self._failed(f"{e.filename or self._folder.root}: {e.strerror or e}.")
        except Exception:
            log.exception("provisioning")
            self.failure = self._failed(
                "It stopped for a reason that was not foreseen; see the log."
            )

    def _provision(self) -> None:
        if is_open(self._folder):  # tried again, after what counts was on the disk
            finish(self._folder, self._clock, self._tell)
            return
        provision_bot(
            self._folder,
            self._settings,
            self._recovery,
            clock=self._clock,
            deposit=self._deposit,
            progress=self._tell,
        )

    def _tell(self, step: str) -> None:
        if step in STEPS:
            self.step = step

    def _failed(self, happened: str) -> Failure:
        todo = (
            "Make room on the disk, or give the data folder to the user that runs the bot (chown, "
            "chmod 700). Then try again; if that fails too, `tbot run` started anew says more."
        )
        with suppress(TradeBotError, OSError):
            if is_open(self._folder):
                safe = "Keys, secrets and books are on the disk. What is missing follows from them."
                return Failure(happened, safe, todo)
            self._folder.provisioning.unlink(missing_ok=True)
        safe = "Nothing was set up: what had been begun counts for nothing. Your entries are kept."
        return Failure(happened, safe, todo)
