"""One generation of the vault: every secret under a key of its own, and a manifest over the files.

A generation is written once and never changed. Its keys are wrapped under the root key with
AES-256-SIV (RFC 5297), bound to vault, generation and name: a file from elsewhere is recognised.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from security.durable import Reach, make_folder, put, sync_folder, take
from security.keyfile import KEY_BYTES, KeyFileError
from security.root_key import RootKey
from security.secret_names import NAMES, key_file, secret_file

MANIFEST = "MANIFEST.json"
HOW_TO_RESTORE = (
    "Nothing was changed. Stop the bot and put storage/ back from a backup; without one, "
    "`tbot restore-keys --recovery-key FILE` makes the keys anew from the archives in storage/gen."
)


class VaultDamaged(KeyFileError):
    """A file of the vault is missing, cut, changed, or of another vault or generation."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} {why}. {HOW_TO_RESTORE}")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``files`` has the SHA-256 of each file; ``previous`` the hash of the manifest before.

    ``root_key`` tells whether a root key is the right one, ``seal`` is a MAC over all the rest.
    """

    format: Literal["tradebot/vault/v1"] = "tradebot/vault/v1"
    vault: str
    generation: int
    previous: str
    root_key: str
    files: dict[str, str]
    seal: str = ""

    def sealed(self, root: RootKey) -> Manifest:
        rest = msgspec.json.encode(msgspec.structs.replace(self, seal=""))
        return msgspec.structs.replace(self, seal=root.seal(rest))


class Generation:
    """A generation as it was read: decrypting asks no file any more, so nothing is ever mixed."""

    def __init__(
        self, folder: Path, manifest: Manifest, data: bytes, root: RootKey, files: dict[str, bytes]
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self.number = manifest.generation
        self.manifest_bytes, self.manifest_hash = data, _sha256(data)
        self.root, self._files = root, files

    def secret(self, name: str) -> bytes:
        """The content; empty when this generation was made by a version without that secret."""
        if secret_file(name) not in self._files:
            return b""
        token = self._files[secret_file(name)]
        try:
            return Fernet(base64.urlsafe_b64encode(self.key(name))).decrypt(token)
        except InvalidToken:
            raise VaultDamaged(
                self.folder / secret_file(name), "does not belong to its key"
            ) from None

    def key(self, name: str) -> bytes:
        """The Fernet key of a secret, unwrapped: 32 bytes."""
        wrapped = self._files[key_file(name)]
        belongs_to = bound(self.manifest.vault, self.number, name)
        try:
            return AESSIV(self.root.wrap).decrypt(wrapped, belongs_to)
        except (InvalidTag, ValueError):
            raise VaultDamaged(
                self.folder / key_file(name), f"is no key of generation {self.number}"
            ) from None

    def file(self, relative: str) -> bytes:
        return self._files[relative]

    @property
    def names(self) -> list[str]:
        return [name for name in NAMES if key_file(name) in self._files]


FindRoot = Callable[[str, Path], RootKey]  # check value, manifest


def read_generation(folder: Path, vault: str, number: int, find_root: FindRoot) -> Generation:
    """Everything of one generation, each file held against the manifest.

    ``find_root`` gives the key that the manifest names. Raises FileNotFoundError when a file is not
    there, VaultDamaged, and what ``find_root`` raises.
    """
    path = folder / MANIFEST
    data = take(path)
    manifest = read_manifest(path, data)
    if (manifest.vault, manifest.generation) != (vault, number):
        raise VaultDamaged(path, f"is not that of generation {number} of vault {vault}")
    root = find_root(manifest.root_key, path)
    if manifest != manifest.sealed(root):
        raise VaultDamaged(path, "was changed")
    files = {relative: take(folder / relative) for relative in _listed(path, manifest)}
    for relative, content in files.items():
        if _sha256(content) != manifest.files[relative]:
            raise VaultDamaged(folder / relative, "was changed or cut off")
    return Generation(folder, manifest, data, root, files)


def read_manifest(path: Path, data: bytes) -> Manifest:
    """As it is written there: whether it is true, its seal tells. Raises VaultDamaged."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise VaultDamaged(path, "is no manifest that this version can read") from None


def root_key_of(folder: Path) -> str:
    """The check value of the root key that a generation is wrapped under; "" when its manifest is
    not there whole: it was not written to its end, or its removal was begun."""
    path = folder / MANIFEST
    try:
        return read_manifest(path, take(path)).root_key
    except (FileNotFoundError, VaultDamaged):
        return ""


def _listed(path: Path, manifest: Manifest) -> list[str]:
    """The files of a manifest, which may only name a key and a secret for each known name."""
    known = [f for name in NAMES if key_file(name) in manifest.files for f in _pair(name)]
    if set(known) != set(manifest.files):
        raise VaultDamaged(path, "does not list a key and a secret for each name")
    return known


def write_generation(
    folder: Path,
    contents: Mapping[str, bytes],
    *,
    vault: str,
    number: int,
    previous: str,
    root: RootKey,
    fresh: Callable[[int], bytes],
    reach: Reach,
) -> Generation:
    """A new generation, on disk and read back. ``fresh`` gives the keys, 32 random bytes each.

    Raises OSError (no room; it exists), and VaultDamaged when it does not read as it was written.
    """
    for part in (folder, folder / "keys", folder / "secrets"):
        make_folder(part, reach)
    files: dict[str, str] = {}
    wrap = AESSIV(root.wrap)
    for name in NAMES:
        key = fresh(KEY_BYTES)
        wrapped = wrap.encrypt(key, bound(vault, number, name))
        token = Fernet(base64.urlsafe_b64encode(key)).encrypt(contents.get(name, b""))
        for relative, data in zip(_pair(name), (wrapped, token), strict=True):
            put(folder / relative, data, reach)
            files[relative] = _sha256(data)
    unsealed = Manifest(
        vault=vault,
        generation=number,
        previous=previous,
        root_key=root.check_value(vault),
        files=files,
    )
    manifest = msgspec.json.encode(unsealed.sealed(root))
    put(folder / MANIFEST, msgspec.json.format(manifest), reach)
    for part in (folder / "keys", folder / "secrets", folder, folder.parent):
        sync_folder(part, reach)
    made = read_generation(folder, vault, number, lambda *_: root)
    for name in NAMES:
        if made.secret(name) != contents.get(name, b""):
            raise VaultDamaged(folder / secret_file(name), "does not read as it was written")
    reach("vault.generation.read_back")
    return made


def _pair(name: str) -> tuple[str, str]:
    return key_file(name), secret_file(name)


def bound(vault: str, number: int, name: str) -> list[bytes]:
    """What a wrapped key belongs to: decrypting it for anything else fails."""
    return [b"tradebot/key/v1", vault.encode(), number.to_bytes(8, "big"), name.encode()]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
