"""Proofs from one data folder, each checked before it is given out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from aggregates.errors import DomainError
from config.paths import DataFolder
from eventstore.checkpoint import (
    Checkpoint,
    CheckpointMismatch,
    SignedCheckpoint,
    check_signature,
    origin_of,
    read_checkpoint,
)
from eventstore.envelope import GENESIS, blind_of
from eventstore.feed import Feed
from eventstore.merkle_nodes import MerkleNodes
from eventstore.proofs import (
    ConsistencyProof,
    EntryProof,
    check_consistency,
    check_entry,
    prove_consistency,
    prove_entry,
    to_bytes,
)
from runtime.checkpoints import check_length, check_pin, pins, stored_row
from runtime.keys import key_ring
from runtime.signers import own_line, signer_of
from runtime.views import identity_of
from security.signing import VerifierKey

P = TypeVar("P", EntryProof, ConsistencyProof)


def entry_proof(folder: DataFolder, position: int) -> tuple[bytes, Checkpoint]:
    """The proof of one event under the newest kept checkpoint, checked before it is given out.

    Raises DomainError when there is no such event or no checkpoint covers it; CheckpointMismatch.
    """
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        return prove_event(folder, feed, position)


def prove_event(folder: DataFolder, feed: Feed, position: int) -> tuple[bytes, Checkpoint]:
    """The same with a store that is open already."""
    row = feed.at(position)
    if row is None:
        last = feed.head().position
        raise DomainError(f"There is no event {position}; the store holds 1 to {last}.")
    newest = _newest(folder)
    if newest is None or newest.checkpoint.size < position:
        raise DomainError(
            f"No checkpoint in {folder.checkpoints} covers event {position} yet. Nothing was "
            "written; make one with `tbot checkpoint -o FILE`, then prove the event."
        )
    key = signer_of(own_line(folder, origin_of(identity_of(feed))), newest)
    previous = stored_row(feed, position - 1).hash if position > 1 else GENESIS
    blind = blind_of(feed.keys.of(row.key_epoch).blind, row.originator_id, row.originator_version)
    payload = feed.payload(row)

    def make(tree: MerkleNodes) -> EntryProof:
        proof = prove_entry(row, payload, previous, blind, tree, newest)
        check_entry(proof, key, f"The proof of event {position}")
        return proof

    return to_bytes(_proven(folder, feed, [newest], key, make)), newest.checkpoint


def _newest(folder: DataFolder) -> SignedCheckpoint | None:
    """The kept checkpoint of the longest history; the others are not read, be they thousands."""
    if not folder.checkpoints.is_dir():
        return None
    with os.scandir(folder.checkpoints) as found:  # a Path for each would take most of the time
        names = [entry.name for entry in found if entry.name.endswith(".checkpoint")]
    return read_checkpoint(folder.checkpoints / max(names)) if names else None


def consistency_proof(folder: DataFolder, one: Path, other: Path) -> tuple[bytes, int, int]:
    """The proof that the shorter of two signed histories begins the longer, with both sizes.

    Raises CheckpointMismatch, CheckpointUnreadable.
    """
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        return prove_growth(folder, feed, one, other)


def prove_growth(folder: DataFolder, feed: Feed, one: Path, other: Path) -> tuple[bytes, int, int]:
    """The same with a store that is open already."""
    both = sorted(map(read_checkpoint, (one, other)), key=lambda s: s.checkpoint.size)
    line = own_line(folder, origin_of(identity_of(feed)))
    # one key must have signed both: a checkpoint at a change of keys carries both signatures
    key = signer_of(line, *both)

    def make(tree: MerkleNodes) -> ConsistencyProof:
        proof = prove_consistency(tree, *both)
        check_consistency(proof, key, "The consistency proof")
        return proof

    proof = _proven(folder, feed, both, key, make)
    return to_bytes(proof), both[0].checkpoint.size, both[1].checkpoint.size


def _proven(
    folder: DataFolder,
    feed: Feed,
    signed: Sequence[SignedCheckpoint],
    key: VerifierKey,
    make: Callable[[MerkleNodes], P],
) -> P:
    """What ``make`` makes of a tree that these checkpoints, signed by this key, all fit.

    The tree is that of the kept nodes, as far as they go. If it does not fit, either the nodes are
    damaged or the store is not what was signed: then the stored rows alone decide.
    """
    for one in signed:
        check_signature(one, key, f"the checkpoint of event {one.checkpoint.size:,}")
        check_length(feed, one.checkpoint)
    size = max(one.checkpoint.size for one in signed)
    with closing(MerkleNodes.read(folder.merkle_nodes, feed)) as nodes:
        try:
            nodes.grow(size)
            return _under(feed, signed, nodes, make)
        except CheckpointMismatch:
            if not nodes.from_file:
                raise
    return _under(feed, signed, MerkleNodes.of(feed, size), make)


def _under(
    feed: Feed,
    signed: Sequence[SignedCheckpoint],
    tree: MerkleNodes,
    make: Callable[[MerkleNodes], P],
) -> P:
    found = pins(feed, tree, [one.checkpoint.size for one in signed])
    for one in signed:
        check_pin(feed, one.checkpoint, found[one.checkpoint.size], [])
    return make(tree)
