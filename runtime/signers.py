"""Who signs checkpoints, and the line of keys: each new one introduced under the one before.

With a vault the seeds lie there; without one (a demo) a single key lies in a file. A new key comes
with an event. From then on checkpoints carry both signatures, until the event is proven under one
that the old key signed (``checkpoints/keys/NNN.json``, an entry proof); the rotation after that
forgets the old key.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aggregates.errors import DomainError
from aggregates.keys import STREAM, IntroduceSigner, SignerIntroduced
from config.paths import DataFolder
from eventstore.checkpoint import SignedCheckpoint, origin_of
from eventstore.feed import Feed
from eventstore.proofs import EntryProof, check_entry, read_proof
from runtime.custody import SEED_BYTES, Custody
from runtime.dispatch import Recorded
from runtime.keys import committed_generation, open_vault
from runtime.signer_proofs import introduced_by
from runtime.views import identity_of
from security.keyfile import KeyFileError, read_key, read_or_create_key
from security.secret_names import SIGNING_KEY
from security.signing import SigningKey, VerifierKey


class Signers(NamedTuple):
    """The key in force, and the one before while its successor is not proven yet."""

    current: SigningKey
    leaving: SigningKey | None = None


def signers(folder: DataFolder, origin: str, fresh_seed: bytes | None = None) -> Signers:
    """The keys that sign here. Without a vault, ``fresh_seed`` becomes the key when there is none.

    Raises KeyFileError: a key is missing, or is not to be made anew.
    """
    if folder.vault.exists():
        vault = open_vault(folder)
        vault.follow(lambda: committed_generation(folder))
        return _of_secret(origin, vault.in_force().secret(SIGNING_KEY))
    # No vault: a demo, or a store from before there was one. Its key lies in a file.
    if fresh_seed is None:
        return Signers(SigningKey(origin, read_key(folder.checkpoint_key)))
    if not folder.checkpoint_key.exists() and any(folder.checkpoints.glob("*.checkpoint")):
        raise KeyFileError(
            f"The key file {folder.checkpoint_key} is missing, but it signed the checkpoints in "
            f"{folder.checkpoints}. Nothing was signed; restore it from a backup."
        )
    return Signers(SigningKey(origin, read_or_create_key(folder.checkpoint_key, fresh_seed)))


def _of_secret(origin: str, content: bytes) -> Signers:
    """The newest seed comes first; a second one is that of the key before."""
    seeds = [content[n : n + SEED_BYTES] for n in range(0, len(content), SEED_BYTES)]
    keys = [SigningKey(origin, seed) for seed in seeds]
    return Signers(keys[0], keys[1] if len(keys) > 1 else None)


def introduce_signer(
    custody: Custody,
    *,
    reason: str,
    actor: str,
    command_id: str,
    fresh: Callable[[int], bytes] = os.urandom,
) -> Recorded:
    """A new signing key from here on, told by an event; the next checkpoint carries both.

    Raises DomainError while the key before last is not proven: `tbot checkpoint` does that.
    """
    origin, seed = _origin(custody.folder, custody), fresh(SEED_BYTES)
    found = signers(custody.folder, origin)
    now = custody.clock.now()
    command = IntroduceSigner(
        at=now,
        effective_date=now.date(),
        old_vkey=str(found.current.verifier),
        new_vkey=str(SigningKey(origin, seed).verifier),
        reason=reason,
    )

    def with_new(held: bytes) -> bytes:
        if len(held) > SEED_BYTES:
            raise DomainError(
                "The last new signing key has no checkpoint yet. Nothing was changed; make one "
                "with `tbot checkpoint -o FILE`, then ask again."
            )
        return seed + held

    return custody.change(
        command, actor=actor, command_id=command_id, secrets={SIGNING_KEY: with_new}
    )


def _origin(folder: DataFolder, custody: Custody) -> str:
    feed = Feed(folder.events, custody.store.keys)
    try:
        return origin_of(identity_of(feed))
    finally:
        feed.close()


# -- the line, from the files beside the checkpoints -----------------------------------------------


def introductions(folder: DataFolder) -> list[Path]:
    """The published proofs, the oldest first."""
    return sorted(folder.signer_proofs.glob("*.json"))


def follow_line(folder: DataFolder, key: VerifierKey) -> list[VerifierKey]:
    """``key`` and every later one that the published proofs lead to, each checked under the one
    before. Raises ProofUnreadable, CheckpointMismatch, KeyFileError."""
    line = [key]
    for path in introductions(folder):
        proof = read_proof(path.read_bytes(), EntryProof, str(path))
        told = introduced_by(proof, str(path))
        if told.old_vkey == str(line[-1]):
            check_entry(proof, line[-1], str(path))
            line.append(VerifierKey.parse(told.new_vkey, str(path)))
    return line


def own_line(folder: DataFolder, origin: str) -> list[VerifierKey]:
    """Every key that has signed here, as the published proofs and the vault say, newest last."""
    found = signers(folder, origin)
    own = [k.verifier for k in (found.leaving, found.current) if k is not None]
    if not (published := introductions(folder)):
        return own
    first = introduced_by(
        read_proof(published[0].read_bytes(), EntryProof, str(published[0])), str(published[0])
    )
    line = follow_line(folder, VerifierKey.parse(first.old_vkey, str(published[0])))
    return [k for k in line if k not in own] + own


def signer_of(line: list[VerifierKey], *signed: SignedCheckpoint) -> VerifierKey:
    """The newest key of the line that all those checkpoints say they are signed by; the newest of
    all when there is none: checking a signature then says so."""
    common = (k for k in reversed(line) if all(is_signed_by(one, k) for one in signed))
    return next(common, line[-1])


def is_signed_by(signed: SignedCheckpoint, key: VerifierKey) -> bool:
    """Whether a checkpoint says so; the signature is not checked."""
    return any((name, key_id) == (key.name, key.id) for name, key_id, _ in signed.signatures)


def last_introduction(feed: Feed, until: int) -> tuple[int, int] | None:
    """Number in the line and position of the newest introduction up to a position."""
    rows = [r for r in feed.stream(STREAM) if r.topic == SignerIntroduced.topic]
    covered = [r.position for r in rows if r.position <= until]
    return (len(covered), covered[-1]) if covered else None
