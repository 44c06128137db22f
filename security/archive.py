"""Generations as files that the recovery key alone opens (age, age-encryption.org/v1).

Each generation leaves two: NNNNNN.age is kept for ever and holds its keys, unwrapped, its secrets
and its own data key; NNNNNN.data_keys.age, with the data keys of all epochs, is dropped with the
folder, so that many rotations do not make many copies of a long list. The identity that opens them
is kept by a person and never on this machine.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pyrage
from cryptography.fernet import Fernet
from pyrage import x25519

from security.data_keys import DataKey
from security.durable import Reach, put, sync_folder, take
from security.generation import Generation, VaultDamaged, read_manifest
from security.keyfile import KeyFileError
from security.secret_names import DATA_KEYS, secret_file

DATA_KEYS_END = ".data_keys.age"


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``keys`` are the unwrapped Fernet keys (32 bytes), ``secrets`` the tokens as stored."""

    format: Literal["tradebot/archive/v1"] = "tradebot/archive/v1"
    vault: str
    generation: int
    manifest: bytes
    keys: dict[str, bytes]
    secrets: dict[str, bytes]
    data_key: tuple[bytes, bytes]

    def __repr__(self) -> str:
        return f"Archive({self.vault}, {self.generation})"


def check_recipient(recipient: str) -> str:
    """The recipient, an X25519 one of age ("age1…"). Raises KeyFileError."""
    try:
        return str(x25519.Recipient.from_str(recipient.strip()))
    except pyrage.RecipientError:
        raise KeyFileError(
            "The recovery recipient is not one of age (age1…). Nothing was changed; make a "
            "recovery key again."
        ) from None


def archive_files(gen: Path, number: int) -> tuple[Path, Path]:
    """The one that is kept, and the one with all data keys."""
    return gen / f"{number:06d}.age", gen / f"{number:06d}{DATA_KEYS_END}"


def write_archives(generation: Generation, recipient: str, own: DataKey, reach: Reach) -> None:
    """Both files of a generation, on disk. Raises OSError."""
    to = [x25519.Recipient.from_str(recipient)]
    kept, data_keys = archive_files(generation.folder.parent, generation.number)
    others = [name for name in generation.names if name != DATA_KEYS]
    for path, names in ((kept, others), (data_keys, [DATA_KEYS])):
        archive = Archive(
            vault=generation.manifest.vault,
            generation=generation.number,
            manifest=generation.manifest_bytes,
            keys={name: generation.key(name) for name in names},
            secrets={name: generation.file(secret_file(name)) for name in names},
            data_key=(own.siv, own.blind),
        )
        put(path, pyrage.encrypt(msgspec.json.encode(archive), to), reach)
    sync_folder(kept.parent, reach)


def open_archive(path: Path, identity: str) -> Archive:
    """One file, opened with the recovery key ("AGE-SECRET-KEY-1…"). Raises KeyFileError."""
    try:
        opened = pyrage.decrypt(take(path), [x25519.Identity.from_str(_identity(identity))])
        return msgspec.json.decode(opened, type=Archive)
    except pyrage.IdentityError:
        raise KeyFileError(
            "This is no recovery key (AGE-SECRET-KEY-1…). Nothing was changed."
        ) from None
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} is missing. Nothing was changed; get it from a backup."
        ) from None
    except (pyrage.DecryptError, msgspec.DecodeError):
        raise KeyFileError(
            f"{path} was changed, or is not for this recovery key. Nothing was changed; use the "
            "recovery key that was shown when this bot was set up."
        ) from None


def _identity(text: str) -> str:
    """The first identity in a text, such as a file that age-keygen wrote, with its comments."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line.startswith("AGE-SECRET-KEY-")), "")


class Recovered(NamedTuple):
    """A generation out of its archives: its vault, its manifest's hash, the check value of its root
    key, every secret."""

    vault: str
    manifest_hash: str
    root_key: str
    contents: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Recovered({self.vault})"


def recovered(gen: Path, number: int, identity: str) -> Recovered:
    """What both archives of a generation hold, with the recovery key alone. Raises KeyFileError."""
    paths = archive_files(gen, number)
    parts = [open_archive(path, identity) for path in paths]
    first = parts[0]
    contents: dict[str, bytes] = {}
    for path, part in zip(paths, parts, strict=True):
        if (part.vault, part.generation, part.manifest) != (first.vault, number, first.manifest):
            raise VaultDamaged(path, f"is not of generation {number}")
        manifest = read_manifest(path, part.manifest)  # whether it is true, its hash says
        for name, key in part.keys.items():
            token = part.secrets[name]
            if hashlib.sha256(token).hexdigest() != manifest.files.get(secret_file(name)):
                raise VaultDamaged(path, f"holds another {name} than its manifest lists")
            contents[name] = Fernet(base64.urlsafe_b64encode(key)).decrypt(token)
    root_key = read_manifest(paths[0], first.manifest).root_key
    manifest_hash = hashlib.sha256(first.manifest).hexdigest()
    return Recovered(first.vault, manifest_hash, root_key, contents)
