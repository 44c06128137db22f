"""The one lock of a vault. The system frees it when its process is killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from security.keyfile import KeyFileError

LONGEST_WAIT_S = 60.0  # a rotation takes a fraction of a second
POLL_S = 0.002


@contextmanager
def locked(storage: Path) -> Iterator[None]:
    """Nobody else changes the vault meanwhile.

    Raises KeyFileError when another holds it for longer than a rotation can take.
    """
    end = time.monotonic() + LONGEST_WAIT_S
    while (handle := try_lock(storage)) is None:
        if time.monotonic() > end:
            raise KeyFileError(
                f"Another process has been changing the keys in {storage} for "
                f"{LONGEST_WAIT_S:.0f} s. Nothing was changed; end it, then try again."
            )
        time.sleep(POLL_S)
    try:
        yield
    finally:
        os.close(handle)


def try_lock(storage: Path) -> int | None:
    """The handle that holds the lock, against other threads of this process, too; or None."""
    path = storage / "VAULT.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as e:
        raise KeyFileError(
            f"{path} cannot be used ({e.strerror}). Nothing was changed; check who may write to "
            "the folder, and that the file is no link."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle
