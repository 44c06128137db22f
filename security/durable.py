"""Files and folders that are on disk when a call returns, made once and never overwritten.

``reach`` is told the name of each step: the crash programme stops a process there. It is passed in
because this room imports nothing of ours (config.failpoints has the list).
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from security.keyfile import KeyFileError

Reach = Callable[[str], None]
SIZE_LIMIT = 64 * 1024 * 1024  # bytes; the data keys of half a million rotations


def not_reached(_step: str) -> None:
    """For files that no crash programme stops at."""


def sync(handle: int) -> None:
    """To the disk itself: on macOS fsync leaves the data in the drive's memory."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(handle)
    else:
        fcntl.fcntl(handle, full)


def sync_folder(path: Path, reach: Reach) -> None:
    """The names in the folder, as they are now."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(handle)
    finally:
        os.close(handle)
    reach("vault.folder.synced")


def make_folder(path: Path, reach: Reach) -> None:
    """A new folder of its owner alone. Raises OSError when there is one already."""
    path.mkdir(mode=0o700)
    path.chmod(0o700)  # mkdir's mode may be narrowed by the umask
    reach("vault.folder.made")


def put(path: Path, data: bytes, reach: Reach) -> None:
    """A new file, 0600, on disk. Raises OSError when there is one already, or no room."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)
        reach("vault.file.created")
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        reach("vault.file.written")
        sync(handle)
        reach("vault.file.synced")
    finally:
        os.close(handle)


def put_whole(path: Path, data: bytes, reach: Reach) -> None:
    """A file that appears whole or not at all, for those that a reader may meet at any time."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    put(partial, data, reach)
    partial.replace(path)
    reach("vault.file.renamed")
    sync_folder(path.parent, reach)


def take(path: Path) -> bytes:
    """The content of a plain file. Raises FileNotFoundError, and KeyFileError for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise KeyFileError(
            f"{path} cannot be read ({e.strerror}); a link is not followed. Nothing was changed."
        ) from None
    info = os.fstat(handle)
    if not stat.S_ISREG(info.st_mode) or info.st_size > SIZE_LIMIT:
        os.close(handle)
        raise KeyFileError(f"{path} is no plain file of a sensible size. Nothing was changed.")
    with os.fdopen(handle, "rb") as file:
        return file.read()
