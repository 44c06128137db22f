"""Where the chain ends, as the newest row says."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventstore.envelope import GENESIS

NEWEST = (
    "SELECT position, hash, recorded_at, key_epoch FROM stored_events"
    " ORDER BY position DESC LIMIT 1"
)


class Head(NamedTuple):
    """Where the chain ends: position 0 and the genesis hash in an empty store."""

    position: int
    hash: bytes
    recorded_at: int
    key_epoch: int = 0


def read_head(c: Any) -> Head:
    """The newest row, read inside the caller's transaction: two processes may write."""
    return head_of(c.execute(NEWEST).fetchall())


def head_of(rows: list[Any]) -> Head:
    return Head(*rows[0]) if rows else Head(0, GENESIS, 0)
