"""The published proofs of the line of signing keys: what one says, and whether it holds."""

from __future__ import annotations

from pathlib import Path

import msgspec

from aggregates.errors import TradeBotError
from aggregates.keys import STREAM, SignerIntroduced
from eventstore.checkpoint import CheckpointMismatch
from eventstore.proofs import EntryProof, check_entry, read_proof
from security.keyfile import KeyFileError
from security.signing import VerifierKey


def introduced_by(proof: EntryProof, where: str) -> SignerIntroduced:
    """The event that a proof of the line discloses. Raises CheckpointMismatch."""
    try:
        if (proof.event.topic, proof.event.originator_id) == (SignerIntroduced.topic, STREAM):
            return msgspec.json.decode(proof.payload, type=SignerIntroduced)
    except msgspec.DecodeError:
        pass
    raise CheckpointMismatch(
        f"{where} does not introduce a signing key. Nothing was changed; get it again from where "
        "the checkpoints are kept."
    )


def is_proven(path: Path, old_vkey: str, new_vkey: str) -> bool:
    """Whether the file proves, under the old key, that the new one follows it."""
    try:
        proof = read_proof(path.read_bytes(), EntryProof, str(path))
        told = introduced_by(proof, str(path))
        check_entry(proof, VerifierKey.parse(old_vkey, str(path)), str(path))
    except (OSError, TradeBotError, KeyFileError):
        return False
    return (told.old_vkey, told.new_vkey) == (old_vkey, new_vkey)
