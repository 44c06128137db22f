"""The envelope of an event and its place in the hash chain.

The hash covers a domain tag, the previous hash and every column, each with its length, so that no
two different rows can give the same bytes. Anyone can check it
without being able to read a payload.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

_sha256 = hashlib.sha256
GENESIS = hashlib.sha256(b"tradebot/chain/v1/genesis").digest()
CHAIN_TAG = b"tradebot/chain/v1"
COMMITMENT_TAG = b"tradebot/commitment/v1"

COLUMNS = (
    "position", "originator_id", "originator_version", "topic", "schema_version", "state",
    "commitment", "recorded_at", "command_id", "command_index", "command_digest", "actor",
    "correlation_id", "causation_id", "software_version", "key_epoch", "hash",
)  # fmt: skip
COLUMN_LIST = ", ".join(COLUMNS)

# position, originator_version, schema_version, recorded_at, command_index, key_epoch,
# then the lengths of the ten variable fields
_header = struct.Struct(">17s32s6q10I").pack


class Envelope(NamedTuple):
    """One stored row, in the order of the columns. ``recorded_at`` is UTC microseconds."""

    position: int
    originator_id: str
    originator_version: int
    topic: str
    schema_version: int
    state: bytes
    commitment: bytes
    recorded_at: int
    command_id: str
    command_index: int
    command_digest: bytes
    actor: str
    correlation_id: str
    causation_id: str
    software_version: str
    key_epoch: int
    hash: bytes


class CommandContext(NamedTuple):
    """Who asked for what, written beside every event that the command led to.

    ``opens_exposure`` marks entries: they alone are refused while the clock is behind the store.
    """

    command_id: str
    command_digest: bytes
    actor: str
    correlation_id: str = ""
    causation_id: str = ""
    opens_exposure: bool = False


def chain_hash(previous: bytes, row: Sequence[Any]) -> bytes:
    """SHA-256 over the tag, the previous hash and every field of the row but its own hash.

    ``row`` holds the COLUMNS in order. Millions of rows go through here: one call, no loop.
    """
    (
        position, originator_id, originator_version, topic, schema_version, state, commitment,
        recorded_at, command_id, command_index, command_digest, actor, correlation_id, causation_id,
        software_version, key_epoch, _,
    ) = row  # fmt: skip
    stream, name = originator_id.encode(), topic.encode()
    command, by = command_id.encode(), actor.encode()
    correlation, causation = correlation_id.encode(), causation_id.encode()
    software = software_version.encode()
    header = _header(
        CHAIN_TAG, previous, position, originator_version, schema_version, recorded_at,
        command_index, key_epoch, len(stream), len(name), len(state), len(commitment),
        len(command), len(command_digest), len(by), len(correlation), len(causation), len(software),
    )  # fmt: skip
    return _sha256(
        b"".join(
            (
                header, stream, name, state, commitment, command, command_digest, by, correlation,
                causation, software,
            )
        )
    ).digest()  # fmt: skip


def blind_of(blind_key: bytes, originator_id: str, originator_version: int) -> bytes:
    """The per-event blind: keyed BLAKE2b of the event's place in its stream."""
    place = f"{originator_version}\n{originator_id}".encode()
    return hashlib.blake2b(place, key=blind_key, digest_size=32).digest()


def commitment_of(blind: bytes, payload: bytes) -> bytes:
    """SHA-256 over a tag, the blind (32 bytes) and the plain payload: discloses one event alone."""
    return hashlib.sha256(COMMITMENT_TAG + blind + payload).digest()
