"""Checkpoints of one data folder: made, kept, and held against the store and the books.

A checkpoint is not an event: making one changes neither the store nor its head hash.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
import tempfile
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from aggregates.errors import DomainError, TradeBotError
from aggregates.session import SessionClosed, session_stream
from config.clock import from_micros
from config.paths import DataFolder
from eventstore.checkpoint import (
    Checkpoint,
    CheckpointMismatch,
    SignedCheckpoint,
    check_signature,
    origin_of,
    parse,
    read_checkpoint,
    sign,
)
from eventstore.envelope import Envelope, blind_of
from eventstore.feed import Feed
from eventstore.merkle_nodes import MerkleNodes
from eventstore.proofs import check_entry, prove_entry, to_bytes
from exporters.files import write_atomically
from projections.base import Progress, no_progress
from projections.ledger import Ledger
from runtime.keys import keys_at_hand
from runtime.signer_proofs import is_proven
from runtime.signers import follow_line, last_introduction, own_line, signer_of, signers
from runtime.views import Views, identity_of
from security.signing import VerifierKey

STATE_TAG = b"tradebot/state/v1"
# posting, transaction, position, about, amount, quantity, rules version; lengths of date and code
_POSTING = struct.Struct(">7q2I")


class Pin(NamedTuple):
    """What the store itself says of its first events: the Merkle root and the last hash."""

    root: bytes
    head: bytes


def demo_seed(seed: int) -> bytes:
    """The key of a demo follows from its seed, so that its checkpoints repeat; only there."""
    return hashlib.sha256(f"tradebot demo checkpoint {seed}".encode()).digest()


def state_root(ledger: sqlite3.Connection, position: int) -> tuple[int, bytes]:
    """Rules version in force at the position, and a running SHA-256 over the postings up to it.

    Postings are numbered in the order of the events that caused them, so the hash of a longer
    history goes on from that of a shorter one.
    """
    digest = hashlib.sha256(STATE_TAG)
    rows = ledger.execute(
        "SELECT p.transaction_id, p.position, p.about, p.amount, p.quantity, t.rules_version,"
        " p.effective_date, p.account_code FROM postings p CROSS JOIN entries USING"
        " (transaction_id) CROSS JOIN terms t USING (terms_id) WHERE p.position <= ?"
        " ORDER BY p.transaction_id, p.posting_id",
        (position,),
    )
    for number, (*numbers, effective, account) in enumerate(rows, 1):
        day, code = effective.encode(), account.encode()
        digest.update(_POSTING.pack(number, *numbers, len(day), len(code)) + day + code)
    rules = ledger.execute(
        "SELECT rules_version FROM rules WHERE position <= ? ORDER BY position DESC", (position,)
    ).fetchone()
    return (rules[0] if rules else 0), digest.digest()


def pins(feed: Feed, tree: MerkleNodes, sizes: Iterable[int]) -> dict[int, Pin]:
    """Root and head after each of those numbers of events."""
    return {size: Pin(tree.root(size), stored_row(feed, size).hash) for size in sizes}


# -- making ----------------------------------------------------------------------------------


def checkpoint_session(folder: DataFolder, views: Views, day: date, fresh_seed: bytes) -> None:
    """Keep the checkpoint of a session's last event; one that is there already stays."""
    closed = views.feed.page(
        topics=(SessionClosed.topic,), stream=session_stream(day.isoformat()), limit=1
    )
    if closed and not folder.checkpoint(closed[0].position).exists():
        keep_checkpoint(folder, views.feed, views.ledger, closed[0].position, fresh_seed)


def checkpoint_now(folder: DataFolder, fresh_seed: bytes) -> SignedCheckpoint:
    """Keep a checkpoint of the newest event; the caller has verified the chain."""
    with closing(Views.for_reading(folder)) as views:
        position = views.ledger.tracked()[0]
        return keep_checkpoint(folder, views.feed, views.ledger, position, fresh_seed)


def keep_checkpoint(
    folder: DataFolder, feed: Feed, ledger: Ledger, position: int, fresh_seed: bytes
) -> SignedCheckpoint:
    """Sign and keep a checkpoint, its vkey beside it; the same events give the same bytes.

    Nothing is signed that does not continue the newest kept checkpoint, and nothing but what
    follows from the stored rows: the tree's nodes are kept for proofs, and never read here. Raises
    CheckpointMismatch, KeyFileError, StoreUnreadable.
    """
    origin = origin_of(identity_of(feed))
    by = signers(folder, origin, fresh_seed)
    last = kept(folder)[-1:]
    for signed in last:
        check_length(feed, signed.checkpoint)
    sizes = [position, *(s.checkpoint.size for s in last)]
    tree = MerkleNodes.of(feed, max(sizes))
    found = pins(feed, tree, sizes)
    for signed in last:
        check_pin(feed, signed.checkpoint, found[signed.checkpoint.size], [])
    row = stored_row(feed, position)
    rules, state = state_root(ledger.connection, position)
    pin = found[position]
    made = Checkpoint(origin, position, pin.root, pin.head, rules, state, row.recorded_at)
    note = sign(made, by.current, *([by.leaving] if by.leaving else []))
    write_atomically(folder.merkle_nodes, tree.to_bytes())
    write_atomically(folder.checkpoint_vkey, f"{by.current.verifier}\n".encode())
    write_atomically(folder.checkpoint(position), note.encode())
    signed = parse(note.encode(), str(folder.checkpoint(position)))
    if by.leaving is not None:
        _publish_signer(folder, feed, tree, signed, by.leaving.verifier, by.current.verifier)
    return signed


def _publish_signer(
    folder: DataFolder,
    feed: Feed,
    tree: MerkleNodes,
    signed: SignedCheckpoint,
    old: VerifierKey,
    new: VerifierKey,
) -> None:
    """The proof that the old key's history introduces the new one, beside the checkpoints."""
    found = last_introduction(feed, signed.checkpoint.size)
    if found is None or is_proven(folder.signer_proof(found[0]), str(old), str(new)):
        return
    number, position = found
    row, previous = stored_row(feed, position), stored_row(feed, position - 1).hash
    blind = blind_of(feed.keys.of(row.key_epoch).blind, row.originator_id, row.originator_version)
    proof = prove_entry(row, feed.payload(row), previous, blind, tree, signed)
    check_entry(proof, old, f"The proof of event {position}")
    write_atomically(folder.signer_proof(number), to_bytes(proof))


def _kept_paths(folder: DataFolder) -> list[Path]:
    return sorted(folder.checkpoints.glob("*.checkpoint"))


def kept(folder: DataFolder) -> list[SignedCheckpoint]:
    """The checkpoints of the folder, the shortest history first."""
    found = [read_checkpoint(path) for path in _kept_paths(folder)]
    return sorted(found, key=lambda signed: signed.checkpoint.size)


# -- checking --------------------------------------------------------------------------------


class Held(NamedTuple):
    """A checkpoint that holds, and whether the books could be replayed, too."""

    checkpoint: Checkpoint
    books: bool


def check_checkpoint(
    folder: DataFolder, path: Path, key: VerifierKey | None, progress: Progress = no_progress
) -> Held:
    """Hold a signed checkpoint against the store, a replay of the ledger, and the live ledger.

    The caller has verified the chain. Without a key, the data folder's own must have signed. Where
    payloads are sealed under keys that are not here, such as in an imported history, the chain and
    the root are held against it, and the books are not. Raises CheckpointMismatch that says what
    does not fit; CheckpointUnreadable, KeyFileError.
    """
    signed = read_checkpoint(path)
    claimed = signed.checkpoint
    with closing(Feed(folder.events, keys_at_hand(folder))) as feed:
        readable = _readable(feed, claimed.size)
        # an empty store has no name yet: an older copy put back is told by its length
        origin = origin_of(identity_of(feed)) if readable else claimed.origin
        if claimed.origin != origin:
            raise CheckpointMismatch(
                f"FOREIGN: {path} is a checkpoint of {claimed.origin}, but this store is "
                f"{origin}. Nothing was changed; name a checkpoint of this bot."
            )
        # a key from elsewhere is followed along the line of keys that it began
        line = follow_line(folder, key) if key else own_line(folder, origin)
        check_signature(signed, signer_of(line, signed), str(path))
        check_length(feed, claimed)
        earlier = _readable_before(folder, claimed)
        sizes = [claimed.size, *(c.size for c in earlier)]
        found = pins(feed, MerkleNodes.of(feed, claimed.size), sizes)
        same = [c.size for c in earlier if found[c.size] == Pin(c.root, c.head)]
        check_pin(feed, claimed, found[claimed.size], same)
        if readable:
            _check_books(folder, feed, claimed, progress)
    return Held(claimed, readable)


def _readable(feed: Feed, until: int) -> bool:
    """Whether there is a payload, and the key of every epoch up to a position."""
    row = feed.at(min(until, feed.head().position))
    return row is not None and all(feed.keys.knows(n) or not n for n in range(row.key_epoch + 1))


def _readable_before(folder: DataFolder, claimed: Checkpoint) -> list[Checkpoint]:
    """Kept checkpoints of shorter histories: they only help to say where a history changed."""
    found = []
    for path in _kept_paths(folder):
        try:
            found.append(read_checkpoint(path).checkpoint)
        except (TradeBotError, OSError):
            continue
    return [c for c in found if c.size < claimed.size and c.origin == claimed.origin]


def check_length(feed: Feed, claimed: Checkpoint) -> None:
    end = feed.head().position
    if end < claimed.size:
        raise CheckpointMismatch(
            f"CUT SHORT: event {claimed.size:,} was signed, but the store ends at event {end:,}. "
            f"Its last {claimed.size - end:,} events were cut off, or an older copy was put back. "
            "Nothing was changed. Stop the bot and restore the store from a newer backup."
        )


def check_pin(feed: Feed, claimed: Checkpoint, found: Pin, same: list[int]) -> None:
    """The event at the signed position must be the signed one, and the root that of its history."""
    row = stored_row(feed, claimed.size)
    known = f"Events 1 to {max(same):,} are as they were signed. " if same else ""
    then = f"{known}Nothing was changed. Stop the bot, keep this file, and restore a backup."
    if found.head != claimed.head and row.recorded_at > claimed.recorded_at:
        raise CheckpointMismatch(
            f"FORKED: event {claimed.size:,} of this store was recorded at "
            f"{from_micros(row.recorded_at):%Y-%m-%d %H:%M:%S} UTC, after the signed one "
            f"({from_micros(claimed.recorded_at):%Y-%m-%d %H:%M:%S}): an older copy was put back "
            f"and written on. {then}"
        )
    if found.head != claimed.head:
        raise CheckpointMismatch(
            f"REWRITTEN: the chain up to event {claimed.size:,} holds in itself, but it is not the "
            f"one that was signed: an event was changed and the chain computed anew. {then}"
        )
    if (found.root, row.recorded_at) != (claimed.root, claimed.recorded_at):
        raise CheckpointMismatch(
            f"CONTRADICTORY: the checkpoint of event {claimed.size:,} names the right last event, "
            f"but another root or time: it was not made from a sound history. {then}"
        )


def _check_books(folder: DataFolder, feed: Feed, claimed: Checkpoint, progress: Progress) -> None:
    """The replayed ledger must have the signed state root, and the live one too."""
    signed = (claimed.rules_version, claimed.state)
    with (
        tempfile.TemporaryDirectory(prefix="tbot-verify-") as scratch,
        closing(Ledger.open(Path(scratch) / "ledger.db")) as replayed,
    ):
        replayed.connection.execute("PRAGMA synchronous = OFF")  # thrown away at once
        replayed.catch_up(feed, claimed.size, progress)
        if state_root(replayed.connection, claimed.size) != signed:
            raise CheckpointMismatch(
                f"OTHER BOOKS: the events up to {claimed.size:,} are the signed ones, but the "
                "postings that this version makes of them are not. Nothing was changed; use the "
                "version that signed, and report this."
            )
    live = folder.ledger(identity_of(feed))
    if not live.is_file():
        return
    with closing(Ledger.read_only(live)) as books:
        behind = books.tracked()[0] < claimed.size  # completed from the events at the next start
        if not behind and state_root(books.connection, claimed.size) != signed:
            raise CheckpointMismatch(
                f"BOOKS CHANGED: the events are the signed ones, but the postings in {live} are "
                "not those that follow from them. Nothing was changed; the events are safe. Move "
                "the ledger away: it is rebuilt at the next start."
            )


def stored_row(feed: Feed, position: int) -> Envelope:
    row = feed.at(position)
    if row is None:
        raise DomainError(f"There is no event {position} in {feed.path}; run `tbot verify`.")
    return row
