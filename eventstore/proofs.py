"""Proofs as small JSON files: one event under a checkpoint, or two checkpoints of one history.

docs/verifier/format.md is the published description; docs/verifier/verify_tradebot.py checks the
same files without this code. Hashes are hexadecimal, bytes are base64.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Literal, TypeVar

import msgspec

from aggregates.errors import TradeBotError
from eventstore.checkpoint import CheckpointMismatch, SignedCheckpoint, check_signature, parse
from eventstore.envelope import Envelope, chain_hash, commitment_of
from eventstore.merkle import ProvingTree, leaf_hash, verify_consistency, verify_inclusion
from security.signing import VerifierKey

SIZE_LIMIT = 16 * 1024 * 1024  # bytes; an event and 64 hashes are far below


class ProofUnreadable(TradeBotError):
    """Not a proof, cut, or of a newer version (exit code 3)."""


class ProvenEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The envelope as stored; ``previous_hash`` is the hash of the event before (or genesis)."""

    position: int
    originator_id: str
    originator_version: int
    topic: str
    schema_version: int
    state: str
    commitment: str
    recorded_at: int
    command_id: str
    command_index: int
    command_digest: str
    actor: str
    correlation_id: str
    causation_id: str
    software_version: str
    key_epoch: int
    hash: str
    previous_hash: str


class EntryProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Discloses one event: its payload with the blind, and its path to a signed root."""

    format: Literal["tradebot/proof/entry/v1"]
    event: ProvenEvent
    payload: str
    blind: str
    path: tuple[str, ...]
    checkpoint: str


class ConsistencyProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shows that the history of ``first`` is the beginning of that of ``second``."""

    format: Literal["tradebot/proof/consistency/v1"]
    first: str
    second: str
    path: tuple[str, ...]


P = TypeVar("P", EntryProof, ConsistencyProof)


def prove_entry(
    row: Envelope,
    payload: bytes,
    previous: bytes,
    blind: bytes,
    tree: ProvingTree,
    signed: SignedCheckpoint,
) -> EntryProof:
    """``payload`` is the row's plain one; ``state`` in the proof stays as stored.

    ``tree`` holds at least the events of the checkpoint, and the row is one of those.
    """
    fields: dict[str, Any] = {
        name: _text(getattr(row, name), name == "state")
        for name in ProvenEvent.__struct_fields__
        if name != "previous_hash"
    }
    return EntryProof(
        format="tradebot/proof/entry/v1",
        event=ProvenEvent(**fields, previous_hash=previous.hex()),
        payload=payload.decode(),
        blind=blind.hex(),
        path=_hexes(tree.inclusion(row.position - 1, signed.checkpoint.size)),
        checkpoint=signed.note,
    )


def prove_consistency(
    tree: ProvingTree, first: SignedCheckpoint, second: SignedCheckpoint
) -> ConsistencyProof:
    """``first`` is the smaller one, or as large."""
    path = tree.consistency(first.checkpoint.size, second.checkpoint.size)
    return ConsistencyProof(
        format="tradebot/proof/consistency/v1",
        first=first.note,
        second=second.note,
        path=_hexes(path),
    )


def to_bytes(proof: EntryProof | ConsistencyProof) -> bytes:
    """Indented JSON with a newline at its end: the same proof, the same bytes."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


def read_proof(data: bytes, kind: type[P], where: str) -> P:
    """Strict: exactly the bytes that ``to_bytes`` gives. Raises ProofUnreadable."""
    try:
        if len(data) > SIZE_LIMIT:
            raise ValueError(f"it is larger than {SIZE_LIMIT:,} bytes")
        proof = msgspec.json.decode(data, type=kind)
        if to_bytes(proof) != data:
            raise ValueError("a field is there twice, or it was written by another program")
    except (ValueError, RecursionError) as e:
        raise ProofUnreadable(
            f"{where} is not a proof that this version can read: {e}. Nothing was changed; get it "
            "again, or use the version that wrote it."
        ) from None
    return proof


def check_entry(proof: EntryProof, key: VerifierKey, where: str) -> None:
    """Raises CheckpointMismatch that says what does not hold; CheckpointUnreadable."""
    signed = _signed(proof.checkpoint, key, where)
    checkpoint, event = signed.checkpoint, proof.event
    row, previous = _row(event, where), _bytes(event.previous_hash, where)
    try:
        chained = chain_hash(previous, row)
    except (struct.error, UnicodeError):
        raise _does_not_hold(where, "a field of the event is out of its range") from None
    if chained != row.hash:
        raise _does_not_hold(where, "the event's hash does not follow from its fields")
    payload = proof.payload.encode()
    if commitment_of(_bytes(proof.blind, where), payload) != row.commitment:
        raise _does_not_hold(where, "payload and blind do not open the event's commitment")
    if not event.key_epoch and row.state != payload:
        raise _does_not_hold(where, "the payload is not what the store holds")
    path = [_bytes(node, where) for node in proof.path]
    leaf = leaf_hash(row.hash)
    if not verify_inclusion(leaf, row.position - 1, checkpoint.size, path, checkpoint.root):
        raise _does_not_hold(where, "the path does not lead from the event to the signed root")


def check_consistency(proof: ConsistencyProof, key: VerifierKey, where: str) -> None:
    """Raises CheckpointMismatch that says what does not hold; CheckpointUnreadable."""
    first = _signed(proof.first, key, where).checkpoint
    second = _signed(proof.second, key, where).checkpoint
    path = [_bytes(node, where) for node in proof.path]
    if not verify_consistency(first.size, second.size, first.root, second.root, path):
        raise _does_not_hold(where, "the path does not lead from the first root to the second")
    if first.size == second.size and first != second:
        raise _does_not_hold(where, "two checkpoints of the same size contradict each other")
    if first.recorded_at > second.recorded_at:
        raise _does_not_hold(where, "the longer history ends earlier than the shorter one")


def _signed(note: str, key: VerifierKey, where: str) -> SignedCheckpoint:
    signed = parse(note.encode(), f"the checkpoint in {where}")
    check_signature(signed, key, f"the checkpoint in {where}")
    return signed


def _row(event: ProvenEvent, where: str) -> Envelope:
    fields = {name: getattr(event, name) for name in Envelope._fields}
    fields |= {name: _bytes(fields[name], where) for name in ("commitment", "hash")}
    fields["command_digest"] = _bytes(event.command_digest, where, None)
    try:
        fields["state"] = base64.b64decode(event.state, validate=True)
    except ValueError:
        raise _does_not_hold(where, "the stored bytes are not base64") from None
    return Envelope(**fields)


def _bytes(text: str, where: str, length: int | None = 32) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if found.hex() != text or (length is not None and len(found) != length):
        raise _does_not_hold(where, f"{text[:80]!r} is not a hash in hexadecimal")
    return found


def _does_not_hold(where: str, why: str) -> CheckpointMismatch:
    return CheckpointMismatch(f"{where} does not hold: {why}. Nothing was changed.")


def _text(value: int | str | bytes, as_base64: bool) -> int | str:
    if not isinstance(value, bytes):
        return value
    return base64.b64encode(value).decode() if as_base64 else value.hex()


def _hexes(nodes: list[bytes]) -> tuple[str, ...]:
    return tuple(node.hex() for node in nodes)
