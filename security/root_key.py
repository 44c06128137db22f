"""The key that wraps all others: 32 bytes in a file outside the data folder.

Whoever copies the data folder, a backup of it among others, has nothing without this file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from security.durable import Reach, put_whole, sync_folder
from security.keyfile import KEY_BYTES, KeyFileError

CREDENTIAL = "tradebot-root-key"
END = ".root-key"
OTHERS = 0o077
OTHERS_WRITE = 0o022


class RootKeyFault(KeyFileError):
    """One that is missing or cannot be used. ``nothing`` says what was therefore not done."""

    def __init__(self, path: Path, why: str, then: str, nothing: str = "started") -> None:
        super().__init__(f"The root key: {path} {why}. Nothing was {nothing}; {then}.")
        self.parts = path, why, then


class RootKey:
    """What is derived from the root key (HKDF-SHA256, RFC 5869); the key itself is not kept."""

    def __init__(self, key: bytes, where: str) -> None:
        self.where = where
        self.wrap = _derived(key, b"tradebot/wrap/v1", 64)
        self._check = _derived(key, b"tradebot/check/v1", 32)
        self._seal = _derived(key, b"tradebot/seal/v1", 32)

    def check_value(self, vault: str) -> str:
        """Names this key in a vault's manifests, so that another one is recognised."""
        return hmac.new(self._check, vault.encode(), hashlib.sha256).hexdigest()

    def seal(self, data: bytes) -> str:
        """A MAC over a manifest: who has not this key cannot write one."""
        return hmac.new(self._seal, data, hashlib.sha256).hexdigest()


def _derived(key: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=purpose).derive(key)


def root_key_file(vault: str, environment: Mapping[str, str]) -> Path:
    """Where the first key of this vault lies: systemd's credential, else the user's file."""
    return credential_of(environment) or config_folder(environment) / f"{vault}{END}"


def config_folder(environment: Mapping[str, str]) -> Path:
    """The user's own, in which root keys lie that no unit hands over."""
    own = environment.get("XDG_CONFIG_HOME", "")
    # the XDG specification: a path that is not absolute is to be ignored
    config = Path(own) if own.startswith("/") else Path.home() / ".config"
    return config / "tradebot"


def credential_of(environment: Mapping[str, str]) -> Path | None:
    """systemd's LoadCredential= or LoadCredentialEncrypted= gave this unit a root key."""
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / CREDENTIAL
    return path if folder and (path.exists() or path.is_symlink()) else None


def make_root_key(
    vault: str, environment: Mapping[str, str], fresh: bytes, reach: Reach
) -> RootKey:
    """The root key that is there; when there is none, ``fresh`` becomes it, durably."""
    path = root_key_file(vault, environment)
    if not path.exists() and not path.is_symlink():
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            put_whole(path, fresh, reach)
            sync_folder(path.parent.parent, reach)  # its folder may be new, too
        except OSError as e:
            raise KeyFileError(
                f"The root key cannot be written to {path} ({e.strerror}). Nothing was started; "
                "make the folder writable, with room, and start again."
            ) from None
    return read_root_key(vault, environment)


def read_root_key(vault: str, environment: Mapping[str, str]) -> RootKey:
    """The first root key of a vault. Raises RootKeyFault."""
    path = root_key_file(vault, environment)
    return read_key_file(path, credential=path == credential_of(environment))


def read_key_file(path: Path, *, credential: bool) -> RootKey:
    """One root key. Raises RootKeyFault, which names the file and what to do."""
    check_folder(path.parent, credential)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        then = "copy it from where you keep it, or run `tbot restore-keys --recovery-key FILE`"
        raise RootKeyFault(path, "is missing", then) from None
    except OSError as e:
        why = "is a link" if path.is_symlink() else f"cannot be read ({e.strerror})"
        raise RootKeyFault(path, why, "put the key itself there, readable by its owner") from None
    try:
        _check_file(path, os.fstat(handle), credential)
        key = os.read(handle, KEY_BYTES + 1)
    finally:
        os.close(handle)
    if len(key) != KEY_BYTES:
        size = f"more than {KEY_BYTES}" if len(key) > KEY_BYTES else f"{len(key)}"
        raise RootKeyFault(
            path, f"holds {size} bytes instead of {KEY_BYTES}", "copy it from a backup"
        )
    return RootKey(key, str(path))


def check_folder(folder: Path, credential: bool) -> None:
    try:
        info = folder.lstat()
    except FileNotFoundError:
        return  # the file is missing, and that is what is said
    if not stat.S_ISDIR(info.st_mode):
        raise RootKeyFault(folder, "is a link or no folder", "make it a folder of the bot's user")
    _check_owner(folder, info, credential)
    if info.st_mode & OTHERS_WRITE:
        raise RootKeyFault(folder, "can be changed by others", f"chmod go-w {folder}")


def _check_file(path: Path, info: os.stat_result, credential: bool) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise RootKeyFault(path, "is no plain file", "put the key itself there")
    _check_owner(path, info, credential)
    # systemd opens a credential of root to the unit's user by an access list: group bits show it
    loose = 0o027 if credential and info.st_uid == 0 else OTHERS
    if info.st_mode & loose:
        raise RootKeyFault(path, "can be read or changed by others", f"chmod 600 {path}")


def _check_owner(path: Path, info: os.stat_result, credential: bool) -> None:
    owners = {os.geteuid()} | ({0} if credential else set())
    if info.st_uid not in owners:
        raise RootKeyFault(path, "belongs to another user", "run the bot as the owner of its key")
