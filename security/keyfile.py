"""A key in a file of its own, 0600, until the vault takes custody."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

KEY_BYTES = 32


class KeyFileError(Exception):
    """A key file that cannot be used. The text never holds the key."""


def random_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def read_key(path: Path) -> bytes:
    """The key; refuses links, looser permissions than 0600 and a wrong length."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        raise KeyFileError(
            f"The key file {path} is missing. Nothing was changed; restore it from a backup."
        ) from None
    if stat.S_ISLNK(info.st_mode) or stat.S_IMODE(info.st_mode) & 0o077:
        raise KeyFileError(
            f"{path} is a link or can be read by others. Nothing was started; make it a plain file "
            "of its owner alone (chmod 600)."
        )
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path} holds {len(key)} bytes instead of {KEY_BYTES}; restore it.")
    return key


def read_or_create_key(path: Path, fresh: bytes) -> bytes:
    """The key in the file; when there is none, ``fresh`` is written first, durably."""
    if not path.exists() and not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)  # appears whole or not at all
    return read_key(path)
