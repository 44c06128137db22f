"""The form of a history file, and what every piece of one must satisfy.

An xz stream of frames. A record is the bytes that the chain hashes, so a row has one form only.
docs/verifier/format.md is the published description; docs/verifier/verify_tradebot.py checks the
same files without this code.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from aggregates.errors import TradeBotError
from eventstore.checkpoint import (
    SIZE_LIMIT,
    CheckpointMismatch,
    CheckpointUnreadable,
    SignedCheckpoint,
    check_signature,
    parse,
)
from eventstore.envelope import CHAIN_TAG, GENESIS, Envelope
from eventstore.errors import VerificationFailed
from eventstore.merkle import HASH_BYTES, CompactRange
from security.data_keys import PLAIN
from security.keyfile import KeyFileError
from security.signing import VKEY_LIMIT, VerifierKey

MAGIC = b"tradebot/history/v1\n"
EVENT_LIMIT = 16 * 1024 * 1024  # bytes of one event; real ones have less than a thousand

FRAME = struct.Struct(">cI")  # kind, length of the body
NUMBERS = struct.Struct(">3q")  # a header's events, checkpoints, bytes unpacked; then the vkey
TRAILER = struct.Struct(f">q{HASH_BYTES}s")  # events, head
# position, originator_version, schema_version, recorded_at, command_index, key_epoch, then the
# lengths of the ten other fields
RECORD = struct.Struct(">6q10I")
LIMITS = {
    b"H": NUMBERS.size + VKEY_LIMIT,
    b"E": EVENT_LIMIT,
    b"C": SIZE_LIMIT,
    b"T": TRAILER.size,
}


class HistoryMismatch(VerificationFailed):
    """A history that does not hold; the text names the first bad event (exit code 1)."""


class HistoryUnreadable(TradeBotError):
    """No history file, cut, damaged, too large, or of a newer version (exit code 3)."""


class Untrue(Exception):
    """Readable, but not so. The text says why; whoever knows the file makes an error of it."""


class UntrueCheckpoint(Untrue):
    """The text names the event of the checkpoint."""


class Malformed(Exception):
    """Not of this form."""


class Header(NamedTuple):
    """What a file says of itself; ``size`` is the number of its bytes once unpacked."""

    events: int
    checkpoints: int
    size: int
    key: VerifierKey | None


class Chain:
    """A history as far as it was shown to hold, in little memory."""

    def __init__(self, key: VerifierKey | None) -> None:
        self.position, self.head, self.checkpoints = 0, GENESIS, 0
        self.sealed = 0  # events whose payload is sealed
        self._recorded_at, self._signed, self._epoch = 0, 0, PLAIN
        self._key, self._tree = key, CompactRange()

    def add(self, row: Envelope, record: bytes) -> None:
        """Raises Untrue unless the row is the next one."""
        if row.position != self.position + 1:
            raise Untrue(f"the row that comes next says that it is number {row.position}")
        found = hashlib.sha256(CHAIN_TAG + self.head + record).digest()
        if found != row.hash:
            raise Untrue("its hash does not follow from its content and the event before")
        if row.key_epoch < self._epoch:
            raise Untrue(f"its key epoch goes back from {self._epoch} to {row.key_epoch}")
        self._epoch = row.key_epoch
        self.sealed += row.key_epoch > PLAIN
        self.position, self.head, self._recorded_at = row.position, found, row.recorded_at
        self._tree.append(found)

    def check(self, note: bytes) -> SignedCheckpoint:
        """Raises Untrue unless the note is a signed checkpoint of what was added."""
        where = f"the checkpoint of event {self.position}"
        if self._key is None:
            raise UntrueCheckpoint(f"{where} comes without a verifier key")
        try:
            found = parse(note, where)
            check_signature(found, self._key, where)
        except (CheckpointUnreadable, CheckpointMismatch) as e:
            raise UntrueCheckpoint(str(e).partition(". Nothing was changed")[0]) from None
        claimed = found.checkpoint
        if claimed.size > self.position:  # a row is missing, not the checkpoint wrong
            raise Untrue(f"a checkpoint of {claimed.size:,} events comes too early")
        if claimed.size != self.position or claimed.size == self._signed:
            raise UntrueCheckpoint(f"{where} is doubled, or not in its place")
        held = (self._tree.root(), self.head, self._recorded_at)
        if (claimed.root, claimed.head, claimed.recorded_at) != held:
            raise UntrueCheckpoint(f"{where} was signed for another history")
        self._signed = claimed.size
        self.checkpoints += 1
        return found


def frame(kind: bytes, body: bytes) -> bytes:
    """A piece of a file. Raises Untrue when it is larger than a reader allows."""
    if len(body) > LIMITS[kind]:
        raise Untrue(f"the next piece has {len(body):,} bytes, more than a reader may trust")
    return FRAME.pack(kind, len(body)) + body


def header_frame(header: Header) -> bytes:
    vkey = str(header.key).encode() if header.key else b""
    return frame(b"H", NUMBERS.pack(header.events, header.checkpoints, header.size) + vkey)


def header_of(body: bytes) -> Header:
    """Raises Malformed."""
    if len(body) < NUMBERS.size:
        raise Malformed("its header is too short")
    events, checkpoints, size = NUMBERS.unpack_from(body)
    try:
        vkey = body[NUMBERS.size :].decode()
        key = VerifierKey.parse(vkey, "it") if vkey else None
    except (UnicodeDecodeError, KeyFileError):
        raise Malformed("its verifier key is damaged") from None
    if str(key or "") != vkey or (key is None) != (checkpoints == 0):
        raise Malformed("its verifier key is missing, not needed, or written in a second way")
    return Header(events, checkpoints, size, key)


def record_of(row: Envelope) -> bytes:
    """What the chain hashes of a row, after its tag and the hash before."""
    fields = (
        row.originator_id.encode(), row.topic.encode(), row.state, row.commitment,
        row.command_id.encode(), row.command_digest, row.actor.encode(),
        row.correlation_id.encode(), row.causation_id.encode(), row.software_version.encode(),
    )  # fmt: skip
    numbers = (row.position, row.originator_version, row.schema_version, row.recorded_at,
               row.command_index, row.key_epoch)  # fmt: skip
    return RECORD.pack(*numbers, *map(len, fields)) + b"".join(fields)


def row_of(record: bytes, own_hash: bytes) -> Envelope:
    """The row of a record. Raises Malformed."""
    if len(record) < RECORD.size:
        raise Malformed("it is too short")
    position, version, schema, recorded_at, index, epoch, *lengths = RECORD.unpack_from(record)
    fields, start = [], RECORD.size
    for length in lengths:
        fields.append(record[start : start + length])
        start += length
    if start != len(record):
        raise Malformed("the lengths of its fields do not add up")
    stream, topic, state, commitment, command, digest, *rest = fields
    try:
        actor, correlation, causation, software = (text.decode() for text in rest)
        return Envelope(
            position, stream.decode(), version, topic.decode(), schema, state, commitment,
            recorded_at, command.decode(), index, digest, actor, correlation, causation, software,
            epoch, own_hash,
        )  # fmt: skip
    except UnicodeDecodeError:
        raise Malformed("a text in it is not UTF-8") from None
