"""Ed25519 keys with a name, in the forms of C2SP signed-note (key id, vkey). Deterministic."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from security.keyfile import KeyFileError

ED25519 = b"\x01"  # the signature type of signed-note
PUBLIC_BYTES = 32
VKEY_LIMIT = 1024  # bytes of a vkey file; a real one has about a hundred


class VerifierKey(NamedTuple):
    """Who signs, and with what. ``str`` gives the vkey, ``name+id+base64``; no secret."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that name the key beside its signatures; no proof of anything."""
        named = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(named).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """The key of a vkey line. Raises KeyFileError that names ``where`` it came from."""
        name, _, rest = text.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        key = cls(name, raw[1:])
        sound = raw[:1] == ED25519 and len(key.public) == PUBLIC_BYTES and is_key_name(name)
        if not sound or stated != key.id.hex():
            raise KeyFileError(
                f"{where} holds no Ed25519 verifier key (one line, name+id+base64). Nothing was "
                "changed; get the checkpoint.vkey of the bot again."
            )
        return key

    @classmethod
    def read(cls, path: Path) -> Self:
        with path.open("rb") as file:
            data = file.read(VKEY_LIMIT)
        return cls.parse(data.decode("utf-8", "replace"), str(path))


class SigningKey:
    """The private half; made from a seed of 32 bytes that never leaves the process."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message (RFC 8032)."""
        return self._private.sign(message)


def is_key_name(name: str) -> bool:
    """Not empty, without spaces, plus signs and control characters (C2SP signed-note)."""
    return bool(name) and name.isprintable() and not any(c.isspace() or c == "+" for c in name)
