"""The kept Merkle nodes of a data folder: faster proofs, the same ones, whatever became of them."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aggregates.capital import RecordDeposit
from config.paths import DataFolder
from eventstore.checkpoint import CheckpointMismatch, read_checkpoint
from eventstore.feed import Feed
from eventstore.merkle_nodes import MerkleNodes
from runtime.checkpoints import check_checkpoint, checkpoint_now
from runtime.cli import main
from runtime.demo import plan_of, play
from runtime.proving import consistency_proof, entry_proof

SEED = b"s" * 32
PLACES = (1, 15, 16, 17, 64, 256, 257, 290, 300)


@pytest.fixture
def books(keeper: Any) -> Any:
    """Checkpoints of 150 and of 300 events, and two events more."""
    for size in (150, 300):
        deposits = range(keeper.feed.head().position, size)
        keeper.send(*(deposit(keeper, number) for number in deposits))
        checkpoint_now(keeper.folder, SEED)
    keeper.deposit("2.00")
    keeper.deposit("3.00")
    return keeper


def deposit(keeper: Any, number: int) -> Any:
    fields = {"reference": f"d{number}", "currency": "USD", "reason": "savings"}
    return keeper.command(RecordDeposit, amount=1 + number, **fields)


def nodes(books: Any) -> Path:
    path: Path = books.folder.merkle_nodes
    return path


def proofs(books: Any) -> list[bytes]:
    """As many different ones as have something of their own, each as `tbot prove` gives it."""
    folder = books.folder
    made = [entry_proof(folder, position)[0] for position in PLACES]
    return [*made, consistency_proof(folder, folder.checkpoint(150), folder.checkpoint(300))[0]]


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many chain hashes were read from the store at a time."""
    found: list[int] = []
    read = Feed.hashes

    def counted(feed: Feed, after: int, until: int) -> list[bytes]:
        found.append(until - after)
        return read(feed, after, until)

    monkeypatch.setattr(Feed, "hashes", counted)
    return found


def test_a_proof_reads_a_few_rows_and_changes_nothing(books: Any, rows_read: list[int]) -> None:
    before = files(books.folder.root)
    for position in PLACES:
        entry_proof(books.folder, position)
        assert sum(rows_read) < 60
        rows_read.clear()
    consistency_proof(books.folder, books.folder.checkpoint(150), books.folder.checkpoint(300))
    assert sum(rows_read) < 60
    assert files(books.folder.root) == before


def test_without_nodes_or_with_fewer_the_proofs_are_the_same(
    books: Any, rows_read: list[int]
) -> None:
    true = proofs(books)
    nodes(books).write_bytes(MerkleNodes.of(books.feed, 200).to_bytes())
    before = files(books.folder.root)
    rows_read.clear()
    entry_proof(books.folder, 1)
    assert 100 < sum(rows_read) < 160, "the last hundred events, from the last node on"
    assert proofs(books) == true
    assert files(books.folder.root) == before
    nodes(books).unlink()
    assert proofs(books) == true
    assert not nodes(books).exists()


def test_with_damaged_nodes_the_proofs_are_the_same_and_the_next_checkpoint_mends_them(
    books: Any,
) -> None:
    true, whole = proofs(books), nodes(books).read_bytes()
    assert len(whole) == 58 + 32 * (18 + 1)
    damaged = [b"", b"SQLite format 3\0", whole[:-1], whole[:58], whole + whole]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(0, len(whole), 16)
    ]
    for content in damaged:
        nodes(books).write_bytes(content)
        assert proofs(books) == true
    books.folder.checkpoint(300).unlink()
    checkpoint_now(books.folder, SEED)
    with closing(MerkleNodes.read(nodes(books), books.feed)) as tree:
        assert (tree.size, tree.from_file) == (302, True)
    assert nodes(books).read_bytes() == MerkleNodes.of(books.feed, 302).to_bytes()


def test_nodes_of_another_bot_do_no_harm(books: Any, keep: Callable[..., Any]) -> None:
    true, other = proofs(books), keep("other")
    other.send(*(deposit(other, number) for number in range(400)))
    checkpoint_now(other.folder, SEED)
    nodes(books).write_bytes(nodes(other).read_bytes())
    assert proofs(books) == true


def change(books: Any, sql: str) -> None:
    books.store.close()
    with closing(sqlite3.connect(books.path)) as c, c:
        for trigger in ("no_update", "no_delete"):
            c.execute(f"DROP TRIGGER {trigger}")
        c.execute(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE stored_events SET hash = zeroblob(32) WHERE position = 300", "REWRITTEN"),
        ("DELETE FROM stored_events WHERE position > 290", "CUT SHORT"),
    ],
)
def test_the_nodes_prove_nothing_of_a_store_that_is_not_what_was_signed(
    books: Any, sql: str, said: str
) -> None:
    change(books, sql)
    for position in (1, 280):
        with pytest.raises(CheckpointMismatch, match=said):
            entry_proof(books.folder, position)
    kept = [books.folder.checkpoint(size) for size in (150, 300)]
    with pytest.raises(CheckpointMismatch, match=said):
        consistency_proof(books.folder, *kept)


def test_verifying_and_signing_read_the_rows_and_not_the_nodes(books: Any) -> None:
    """Event 3's own hash is changed: the nodes still say what was signed, the rows do not."""
    change(books, "UPDATE stored_events SET hash = zeroblob(32) WHERE position = 3")
    before = files(books.folder.root)
    with pytest.raises(CheckpointMismatch, match="CONTRADICTORY"):
        check_checkpoint(books.folder, books.folder.checkpoint(300), None)
    with pytest.raises(CheckpointMismatch, match="CONTRADICTORY"):
        checkpoint_now(books.folder, SEED)
    assert files(books.folder.root) == before


def test_a_session_and_the_command_keep_the_nodes_of_what_they_sign(tmp_path: Path) -> None:
    folder, day = DataFolder(tmp_path / "demo"), date(2026, 3, 2)
    play(folder, plan_of(None, day, day, ("SPY",), seed=3), lambda *_: None)
    assert folder.merkle_nodes.stat().st_mode & 0o077 == 0
    (signed,) = folder.checkpoints.glob("*.checkpoint")
    sizes = [read_checkpoint(signed).checkpoint.size]
    out = tmp_path / "today.txt"
    command = ["checkpoint", "--data-dir", str(folder.root), "-o", str(out)]
    with closing(Feed(folder.events)) as feed:
        for expected in (sizes[0], feed.head().position):
            with closing(MerkleNodes.read(folder.merkle_nodes, feed)) as tree:
                assert (tree.size, tree.from_file) == (expected, True)
            assert CliRunner().invoke(main, command).exit_code == 0
