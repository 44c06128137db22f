"""Verification against what nobody can do without: SELECT of the same columns, SHA-256 of as much.

The bytes that the plain side hashes are laid out before its clock runs; it only reads the rows and
hashes.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.made_keys import PLAIN_KEYS, SEALED_KEYS
from benchmarks.measure import Progress, Rounds, by_turns
from benchmarks.report import Row, Section
from eventstore.envelope import COLUMN_LIST, COMMITMENT_TAG, Envelope
from eventstore.feed import Feed
from eventstore.verification import verify
from security.data_keys import KeyRing

CHAIN_HEADER = bytes(137)  # as long as tag, previous hash, six numbers and ten lengths
VARIABLE = (
    "originator_id", "topic", "state", "commitment", "command_id", "command_digest", "actor",
    "correlation_id", "causation_id", "software_version",
)  # fmt: skip
BATCH = 5_000
MOST = 60_000  # events: their bytes are held in memory for the plain side


def measure_verification(store: Path, sealed: Path, rounds: int, progress: Progress) -> Section:
    """``store`` is a history that holds, ``sealed`` the same under a key; both are only read."""
    feed = Feed(store)
    events = feed.head().position
    assert events <= MOST, "the bytes to hash would not fit in memory"
    rows = list(feed.all())
    feed.close()
    chain, commitments = [_hashed(row) for row in rows], [_committed(row) for row in rows]
    del rows
    timed = by_turns(
        {
            "verify": partial(_verify, store, None, events),
            "verify sealed": partial(_verify, sealed, SEALED_KEYS, events),
            "SELECT + SHA-256": partial(_plain, store, chain, ()),
            "verify with the blind key": partial(_verify, store, PLAIN_KEYS, events),
            "SELECT + SHA-256 of commitments too": partial(_plain, store, chain, commitments),
        },
        rounds,
        progress,
    )
    return Section(
        f"Verification of {events:,} events against SELECT + SHA-256 of the same bytes",
        [
            _row("hash chain", timed, "verify", "SELECT + SHA-256"),
            _row("hash chain and commitments", timed, "verify with the blind key",
                 "SELECT + SHA-256 of commitments too"),
            Row("the same, payloads sealed | in clear", timed.of("verify sealed"),
                timed.of("verify with the blind key"), "s",
                timed.faster("verify sealed", "verify with the blind key")),
        ],
    )  # fmt: skip


def _row(name: str, timed: Rounds, ours: str, theirs: str) -> Row:
    ratio = timed.faster(ours, theirs)
    return Row(name, timed.of(ours), timed.of(theirs), "s", ratio, "≥ 0.5, then 0.8")


def _verify(store: Path, keys: KeyRing | None, events: int) -> float:
    start = time.perf_counter()
    found = verify(store, keys)
    seconds = time.perf_counter() - start
    assert found.intact, found.reason
    assert found.position == events
    return seconds


def _plain(store: Path, chain: Sequence[bytes], commitments: Sequence[bytes]) -> float:
    connection = sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)
    start = time.perf_counter()
    cursor = connection.execute(f"SELECT {COLUMN_LIST} FROM stored_events ORDER BY position")
    while cursor.fetchmany(BATCH):
        pass
    for content in (*chain, *commitments):
        hashlib.sha256(content).digest()
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def _hashed(row: Envelope) -> bytes:
    """As many bytes as the chain hashes for this row, of the same content."""
    fields = (getattr(row, name) for name in VARIABLE)
    return CHAIN_HEADER + b"".join(f if isinstance(f, bytes) else f.encode() for f in fields)


def _committed(row: Envelope) -> bytes:
    return COMMITMENT_TAG + bytes(32) + row.state
