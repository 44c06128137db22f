"""The envelope of an event and its place in the hash chain.

The hash covers a domain tag, the previous hash and every column, each with its length, so that no
two different rows can give the same bytes. Anyone can check it
without being able to read a payload.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

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
_HEADER = struct.Struct(">17s32s6q10I")


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


def chain_hash(previous: bytes, row: Envelope) -> bytes:
    """SHA-256 over the tag, the previous hash and every field of the row but its own hash."""
    parts = (
        row.originator_id.encode(),
        row.topic.encode(),
        row.state,
        row.commitment,
        row.command_id.encode(),
        row.command_digest,
        row.actor.encode(),
        row.correlation_id.encode(),
        row.causation_id.encode(),
        row.software_version.encode(),
    )
    header = _HEADER.pack(
        CHAIN_TAG,
        previous,
        row.position,
        row.originator_version,
        row.schema_version,
        row.recorded_at,
        row.command_index,
        row.key_epoch,
        *map(len, parts),
    )
    return hashlib.sha256(header + b"".join(parts)).digest()


def blind_of(blind_key: bytes, originator_id: str, originator_version: int) -> bytes:
    """The per-event blind: keyed BLAKE2b of the event's place in its stream."""
    place = f"{originator_version}\n{originator_id}".encode()
    return hashlib.blake2b(place, key=blind_key, digest_size=32).digest()


def commitment_of(blind: bytes, payload: bytes) -> bytes:
    """SHA-256 over a tag, the blind (32 bytes) and the plain payload: discloses one event alone."""
    return hashlib.sha256(COMMITMENT_TAG + blind + payload).digest()
