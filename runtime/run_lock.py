"""One `tbot run` for each data folder, and one process that trades (M20)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aggregates.errors import DomainError, TradeBotError
from config.paths import DataFolder


class CannotStart(TradeBotError):
    """The folder or the machine is not fit: nothing was started."""


class TradedElsewhere(DomainError):
    """Another process trades for this folder."""


@contextmanager
def alone(folder: DataFolder) -> Iterator[None]:
    """Hold the folder's lock, which goes with the process, however that ends.

    Raises DomainError when another process holds it, CannotStart for a folder that is not fit.
    """
    with _held(folder, folder.run_lock, 0.0) as holder:
        if holder:
            raise DomainError(
                f"`tbot run` already runs on {folder.root} (process {holder}). This one changed "
                "nothing and ends; use that one, or end it first."
            )
        yield


TRADER_WAIT_S = 2.0  # for one that was just killed to be gone, and for those who only look


@contextmanager
def trading_alone(folder: DataFolder) -> Iterator[None]:
    """Be the one process that intends orders and asks the broker: supervisor, or main for a kill.

    Raises TradedElsewhere when another is.
    """
    with _held(folder, folder.supervisor_lock, TRADER_WAIT_S) as holder:
        if holder:
            raise TradedElsewhere(
                f"A supervisor already trades for {folder.root} (process {holder}). This one "
                "changed nothing and ends."
            )
        yield


def trader(folder: DataFolder) -> int:
    """The process that trades now; 0 when none does."""
    with suppress(OSError):
        handle = os.open(folder.supervisor_lock, os.O_RDWR)
        with os.fdopen(handle, "r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read().strip() or 0)
    return 0


@contextmanager
def _held(folder: DataFolder, path: Path, wait_s: float) -> Iterator[str]:
    """Hold a lock file, which goes with the process; gives who holds it instead, if somebody does.

    Raises CannotStart for a folder that is not fit.
    """
    try:
        folder.control.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise CannotStart(
            f"{folder.root} cannot be written ({e.strerror or e}). Nothing was started; make it a "
            "folder of the user that runs the bot (chown, chmod 700), or name another --data-dir."
        ) from None
    with os.fdopen(handle, "r+") as lock:
        end = time.monotonic() + wait_s
        while not _try(lock.fileno()):
            if time.monotonic() >= end:
                yield lock.read().strip() or "unknown"
                return
            time.sleep(0.02)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield ""


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
