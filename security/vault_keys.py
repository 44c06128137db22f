"""What the vault keeps for itself: the data keys of all epochs, and names for keys and secrets."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

import msgspec

from security.data_keys import DataKey
from security.generation import Generation
from security.secret_names import DATA_KEYS, FINGERPRINT_KEY

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[int, tuple[bytes, bytes]])


def write_history(keys: Mapping[int, DataKey]) -> bytes:
    """The data keys of all epochs, as a secret's content."""
    return _ENCODER.encode({epoch: tuple(key) for epoch, key in keys.items()})


def read_history(content: bytes) -> dict[int, DataKey]:
    """The same back; none from an empty secret."""
    if not content:
        return {}
    return {epoch: DataKey(*key) for epoch, key in _DECODER.decode(content).items()}


def data_keys_of(generation: Generation) -> dict[int, DataKey]:
    return read_history(generation.secret(DATA_KEYS))


def fingerprint(fingerprint_key: bytes, what: str, content: bytes) -> str:
    """128 bits of an HMAC-SHA256: tells two contents apart, and nothing else about them."""
    message = what.encode() + b"\0" + content
    return hmac.new(fingerprint_key, message, hashlib.sha256).hexdigest()[:32]


def key_fingerprints(generation: Generation, own: DataKey) -> tuple[str, ...]:
    """Of every key that was made for this generation: those of its secrets, and its data key."""
    keys: Iterable[bytes] = (*map(generation.key, generation.names), own.siv, own.blind)
    by = generation.secret(FINGERPRINT_KEY)
    return tuple(fingerprint(by, "key", key) for key in keys)
