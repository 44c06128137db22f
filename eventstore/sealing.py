"""Payloads at rest: AES-SIV (RFC 5297) under the data key of their epoch, bound to their event.

Deterministic, so there is no nonce to lose, and the same event is always stored as the same bytes.
What is bound besides the payload is the event's place (epoch, stream, version), its form (topic,
schema version) and its commitment: a payload that opens is the one that was committed to.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from eventstore.envelope import blind_of, commitment_of
from eventstore.errors import SealBroken
from security.data_keys import PLAIN, DataKey, KeyRing

COMMAND = b"tb/command"  # BLAKE2b's personalisation: this use of the blind key is no other
# epoch, originator_version, schema_version, then the lengths of stream and topic in bytes
_NUMBERS = struct.Struct(">3q2I")
_NOTHING = AESSIV(bytes(64))  # opens nothing: replaced before its first use


@lru_cache(256)
def _cipher(siv_key: bytes) -> AESSIV:
    """By key, not by epoch: a rotation that was refused leaves no key behind under its number."""
    return AESSIV(siv_key)


def bound(
    epoch: int, stream: str, version: int, topic: str, schema_version: int, commitment: bytes
) -> bytes:
    """The associated data: numbers, lengths, stream, topic, commitment. No two events share one."""
    name, kind = stream.encode(), topic.encode()
    numbers = _NUMBERS.pack(epoch, version, schema_version, len(name), len(kind))
    return numbers + name + kind + commitment


def seal(
    epoch: int,
    key: DataKey,
    stream: str,
    version: int,
    topic: str,
    schema_version: int,
    payload: bytes,
) -> tuple[bytes, bytes]:
    """The bytes to store, 16 longer than the payload, and the commitment to the plain payload."""
    commitment = commitment_of(blind_of(key.blind, stream, version), payload)
    if epoch == PLAIN:  # a demo, or a bot from before its vault: stored as it is
        return payload, commitment
    data = bound(epoch, stream, version, topic, schema_version, commitment)
    return _cipher(key.siv).encrypt(payload, [data]), commitment


def opener(keys: KeyRing) -> Callable[[Sequence[Any]], bytes]:
    """What gives the plain payload of stored rows (eventstore.envelope.COLUMNS), one after another.

    It raises MissingKey where the epoch's key is not here, SealBroken. For one thread: the cipher
    of the epoch last met stays at hand.
    """
    latest, decrypt = PLAIN, _NOTHING.decrypt

    def open_next(row: Sequence[Any]) -> bytes:
        nonlocal latest, decrypt
        (
            position, stream, version, topic, schema_version, state, commitment, _, _, _, _, _, _,
            _, _, epoch, _,
        ) = row  # fmt: skip
        if epoch == PLAIN:
            return state  # type: ignore[no-any-return]
        if epoch != latest:
            latest, decrypt = epoch, _cipher(keys.of(epoch).siv).decrypt
        data = bound(epoch, stream, version, topic, schema_version, commitment)
        try:
            return decrypt(state, [data])
        except (InvalidTag, ValueError):  # the latter: too short to be a ciphertext
            raise SealBroken(position, topic, epoch) from None

    return open_next


def open_row(keys: KeyRing, row: Sequence[Any]) -> bytes:
    """The same of one row."""
    return opener(keys)(row)


def is_committed(key: DataKey, row: Sequence[Any], payload: bytes) -> bool:
    """Whether the row's commitment is that of the payload, under the blind key of its epoch."""
    return commitment_of(blind_of(key.blind, row[1], row[2]), payload) == bytes(row[6])


def keyed_digest(key: DataKey, digest: bytes) -> bytes:
    """A command's digest as stored beside a sealed payload: a bare one would confirm a guess."""
    return hashlib.blake2b(digest, key=key.blind, digest_size=32, person=COMMAND).digest()
