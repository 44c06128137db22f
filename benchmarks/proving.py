"""How long a proof takes by the function that `tbot prove` uses, once the store is open."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.made_keys import BLIND_KEY, PLAIN_KEYS
from benchmarks.measure import Progress, Rounds, Spread
from benchmarks.report import Row, Section
from config.paths import DataFolder
from eventstore.checkpoint import Checkpoint, origin_of, sign
from eventstore.feed import Feed
from eventstore.merkle_nodes import MerkleNodes
from exporters.files import write_atomically
from runtime.checkpoints import pins, stored_row
from runtime.proving import prove_event, prove_growth
from runtime.views import identity_of
from security.keyfile import read_or_create_key
from security.signing import SigningKey

PROOFS = 500  # in a round, at places that a seed draws
SESSIONS = 250  # kept checkpoints, as of a year
STEP = 1_000  # events that the nodes are behind


def measure_proofs(folder: Path, store: Path, rounds: int, progress: Progress) -> Section:
    """``store`` is only read; nodes and checkpoints are written to a data folder of its own."""
    data = DataFolder(folder / "proofs")
    data.events.parent.mkdir(parents=True)
    data.events.symlink_to(store.resolve())
    with closing(Feed(data.events, PLAIN_KEYS)) as feed:
        progress("Merkle nodes and checkpoints")
        size = feed.head().position
        tree, behind = MerkleNodes(feed), min(STEP, size // 2)
        whole = _timed(lambda: tree.grow(size - behind))
        write_atomically(_older(data), tree.to_bytes())
        whole += _timed(lambda: tree.grow(size))
        _keep(data, feed, tree)
        found: dict[str, list[float]] = {}
        for number in range(1, rounds + 1):
            progress(f"proofs, round {number} of {rounds}")
            for name, milliseconds in _round(data, feed, size, random.Random(number)):
                found.setdefault(name, []).append(milliseconds)
    return _section(size, data.merkle_nodes.stat().st_size, Rounds(found), whole)


def _older(data: DataFolder) -> Path:
    """A node file that is behind."""
    return data.merkle_nodes.with_name("older.nodes")


def _keep(data: DataFolder, feed: Feed, tree: MerkleNodes) -> None:
    """The node file, keys and checkpoints. A proof does not read the books: their root is zero."""
    write_atomically(data.merkle_nodes, tree.to_bytes())
    read_or_create_key(data.blind_key, BLIND_KEY)
    origin = origin_of(identity_of(feed))
    key = SigningKey(origin, read_or_create_key(data.checkpoint_key, bytes(32)))
    sizes = {max(tree.size * number // SESSIONS, 1) for number in range(1, SESSIONS + 1)}
    for size, pin in pins(feed, tree, sizes).items():
        at = stored_row(feed, size).recorded_at
        made = Checkpoint(origin, size, pin.root, pin.head, 1, bytes(32), at)
        data.checkpoint(size).parent.mkdir(parents=True, exist_ok=True)
        data.checkpoint(size).write_text(sign(made, key))


def _round(
    data: DataFolder, feed: Feed, size: int, draw: random.Random
) -> Iterator[tuple[str, float]]:
    """The figures of one round by name, in milliseconds."""
    kept = sorted(data.checkpoints.glob("*.checkpoint"))
    proofs: dict[str, Callable[[], object]] = {
        "inclusion": lambda: prove_event(data, feed, draw.randint(1, size)),
        "consistency": lambda: prove_growth(data, feed, *draw.choices(kept, k=2)),
    }
    for name, prove in proofs.items():
        took = sorted(1e3 * _timed(prove) for _ in range(PROOFS))
        yield from ((f"{name} {share}", took[PROOFS * share // 100]) for share in (50, 95))
    with closing(MerkleNodes.read(_older(data), feed)) as nodes:
        behind = min(STEP, size // 2)
        yield "growth", 1e3 * _timed(partial(nodes.grow, size)) * STEP / behind


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _section(events: int, file_size: int, timed: Rounds, whole: float) -> Section:
    rows = [
        Row(f"{name} proof, p{share}", timed.of(f"{name} {share}"), unit="ms",
            aim="≤ 5, then 1" if share == 95 else "")
        for name in ("inclusion", "consistency")
        for share in (50, 95)
    ]  # fmt: skip
    rows += [
        Row(f"nodes of {STEP:,} more events", timed.of("growth"), unit="ms"),
        Row("nodes of all events", Spread.of([whole]), note=f"their file has {file_size:,} bytes"),
    ]
    return Section(f"Proofs from a history of {events:,} events, each checked", rows)
