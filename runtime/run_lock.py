"""One `tbot run` for each data folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from aggregates.errors import DomainError, TradeBotError
from config.paths import DataFolder


class CannotStart(TradeBotError):
    """The folder or the machine is not fit: nothing was started."""


@contextmanager
def alone(folder: DataFolder) -> Iterator[None]:
    """Hold the folder's lock, which goes with the process, however that ends.

    Raises DomainError when another process holds it, CannotStart for a folder that is not fit.
    """
    try:
        folder.control.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder.run_lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise CannotStart(
            f"{folder.root} cannot be written ({e.strerror or e}). Nothing was started; make it a "
            "folder of the user that runs the bot (chown, chmod 700), or name another --data-dir."
        ) from None
    with os.fdopen(handle, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DomainError(
                f"`tbot run` already runs on {folder.root} (process {lock.read().strip()}). This "
                "one changed nothing and ends; use that one, or end it first."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
