"""What may be told of a bot's keys: numbers, places, public halves, and the line of signers."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from aggregates.keys import STREAM, KeysRotated, SignerIntroduced
from config.clock import from_micros
from eventstore.checkpoint import origin_of
from eventstore.feed import Feed
from runtime.custody import Custody
from runtime.signers import signers
from runtime.views import identity_of
from security.secret_names import RECOVERY


class Introduced(NamedTuple):
    """A signing key in the line. ``proof`` is the published one, None before a checkpoint."""

    number: int
    position: int
    recorded_at: datetime
    actor: str
    reason: str
    vkey: str
    proof: Path | None


class KeyFacts(NamedTuple):
    """``position`` and ``recorded_at`` are of the rotation in force. ``root_key`` is a place, never
    a key; ``older_root_keys`` go when no generation on disk needs them."""

    vault: str
    generation: int
    position: int
    recorded_at: datetime
    rotations: int
    root_key: Path
    credential: bool
    older_root_keys: list[Path]
    recovery: str
    vkey: str
    line: list[Introduced]

    @property
    def unproven(self) -> bool:
        """The newest signing key waits for a checkpoint that the one before signs, too."""
        return bool(self.line) and self.line[-1].proof is None


def key_facts(custody: Custody) -> KeyFacts:
    """As it is now. Raises KeyFileError, StoreUnreadable."""
    generation, roots = custody.generation(), custody.root_keys
    with closing(Feed(custody.folder.events, custody.store.keys)) as feed:
        rows = feed.stream(STREAM)
        line = _line(custody, feed)
        origin = origin_of(identity_of(feed))
    rotations = [r for r in rows if r.topic == KeysRotated.topic][: generation.number]
    in_use = Path(generation.root.where)
    return KeyFacts(
        vault=roots.vault,
        generation=generation.number,
        position=rotations[-1].position,
        recorded_at=from_micros(rotations[-1].recorded_at),
        rotations=len(rotations),
        root_key=in_use,
        credential=roots.credential is not None,
        older_root_keys=[path for path in roots.files().values() if path != in_use],
        recovery=generation.secret(RECOVERY).decode(),
        vkey=str(signers(custody.folder, origin).current.verifier),
        line=line,
    )


def carried_out(custody: Custody, command_id: str) -> bool:
    """Whether a change of the keys was asked for under this id before."""
    with closing(Feed(custody.folder.events)) as feed:
        return any(row.command_id == command_id for row in feed.stream(STREAM))


def _line(custody: Custody, feed: Feed) -> list[Introduced]:
    """Every introduction, the oldest first."""
    found = list[Introduced]()
    for row in feed.stream(STREAM):
        if row.topic != SignerIntroduced.topic:
            continue
        event, proof = feed.event(row), custody.folder.signer_proof(len(found) + 1)
        assert isinstance(event, SignerIntroduced)  # noqa: S101 - its topic says so
        found.append(
            Introduced(
                number=len(found) + 1,
                position=row.position,
                recorded_at=from_micros(row.recorded_at),
                actor=row.actor,
                reason=event.reason,
                vkey=event.new_vkey,
                proof=proof if proof.is_file() else None,
            )
        )
    return found
