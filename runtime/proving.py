"""Proofs from one data folder, each checked before it is given out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from aggregates.errors import DomainError
from config.paths import DataFolder
from eventstore.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    check_signature,
    event_hashes,
    origin_of,
    read_checkpoint,
)
from eventstore.envelope import GENESIS, blind_of
from eventstore.feed import Feed
from eventstore.merkle import MerkleTree
from eventstore.proofs import (
    check_consistency,
    check_entry,
    prove_consistency,
    prove_entry,
    to_bytes,
)
from runtime.checkpoints import Pin, check_length, check_pin, kept, own_key, stored_row
from runtime.views import identity_of
from security.keyfile import read_key
from security.signing import VerifierKey


def entry_proof(folder: DataFolder, position: int) -> tuple[bytes, Checkpoint]:
    """The proof of one event under the newest kept checkpoint, checked before it is given out.

    Raises DomainError when there is no such event or no checkpoint covers it; CheckpointMismatch.
    """
    with closing(Feed(folder.events)) as feed:
        row = feed.at(position)
        if row is None:
            last = feed.head().position
            raise DomainError(f"There is no event {position}; the store holds 1 to {last}.")
        newest = kept(folder)[-1:]
        if not newest or newest[0].checkpoint.size < position:
            raise DomainError(
                f"No checkpoint in {folder.checkpoints} covers event {position} yet. Nothing was "
                "written; make one with `tbot checkpoint -o FILE`, then prove the event."
            )
        tree, key = _tree(folder, feed, newest)
        previous = stored_row(feed, position - 1).hash if position > 1 else GENESIS
        blind = blind_of(read_key(folder.blind_key), row.originator_id, row.originator_version)
    proof = prove_entry(row, previous, blind, tree, newest[0])
    check_entry(proof, key, f"The proof of event {position}")
    return to_bytes(proof), newest[0].checkpoint


def consistency_proof(folder: DataFolder, one: Path, other: Path) -> tuple[bytes, int, int]:
    """The proof that the shorter of two signed histories begins the longer, with both sizes.

    Raises CheckpointMismatch, CheckpointUnreadable.
    """
    both = sorted(map(read_checkpoint, (one, other)), key=lambda s: s.checkpoint.size)
    with closing(Feed(folder.events)) as feed:
        tree, key = _tree(folder, feed, both)
    proof = prove_consistency(tree, *both)
    check_consistency(proof, key, "The consistency proof")
    return to_bytes(proof), both[0].checkpoint.size, both[1].checkpoint.size


def _tree(
    folder: DataFolder, feed: Feed, signed: list[SignedCheckpoint]
) -> tuple[MerkleTree, VerifierKey]:
    """The tree up to the longest of these checkpoints, each of which it must continue."""
    key = own_key(folder, origin_of(identity_of(feed)))
    for one in signed:
        check_signature(one, key, f"the checkpoint of event {one.checkpoint.size:,}")
        check_length(feed, one.checkpoint)
    tree = MerkleTree(event_hashes(feed.path, max(s.checkpoint.size for s in signed)))
    for one in signed:
        size = one.checkpoint.size
        check_pin(feed, one.checkpoint, Pin(tree.root(size), stored_row(feed, size).hash), [])
    return tree, key
