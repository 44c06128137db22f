"""Kept nodes: the same tree as one built from scratch, however it grew, from few stored hashes."""

import hashlib
import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.errors import StoreUnreadable
from eventstore.merkle import (
    EMPTY_ROOT,
    MerkleTree,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from eventstore.merkle_nodes import STEP, MerkleNodes

ENTRIES = [hashlib.sha256(f"event {n}".encode()).digest() for n in range(1, 6001)]
SCRATCH = MerkleTree(ENTRIES)
HEAD = 18 + 8 + 32  # mark, number of events, hash of the last
SIZES = st.integers(1, len(ENTRIES))


class History:
    """A store of some of the entries, or of other ones; counts what is read of it."""

    def __init__(self, entries: list[bytes] = ENTRIES) -> None:
        self.entries, self.read = entries, 0

    def hashes(self, after: int, until: int) -> list[bytes]:
        if until > len(self.entries):
            raise StoreUnreadable(f"there is no event {until}")
        self.read += until - after
        return self.entries[after:until]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[int], Path]:
    """`file(size)` writes the node file of the first events."""

    def write(size: int) -> Path:
        path = tmp_path / f"{size}.nodes"
        path.write_bytes(MerkleNodes.of(History(), size).to_bytes())
        return path

    return write


@given(
    steps=st.lists(st.tuples(SIZES, st.booleans()), max_size=5),
    size=SIZES,
    places=st.lists(SIZES, max_size=4),
)
def test_however_it_grew_it_is_the_tree_from_scratch(
    steps: list[tuple[int, bool]], size: int, places: list[int]
) -> None:
    history = History()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as files:
        tree = MerkleNodes(history)
        for number, (step, written) in enumerate(steps):
            tree.grow(step)
            if written:
                path = Path(folder) / str(number)
                path.write_bytes(tree.to_bytes())
                tree = files.enter_context(closing(MerkleNodes.read(path, history)))
                assert tree.from_file
        tree.grow(size)
        assert tree.size == max([size, *(step for step, _ in steps)])
        assert tree.to_bytes() == MerkleNodes.of(history, tree.size).to_bytes()
        assert tree.root(size) == SCRATCH.root(size)
        for place in places:
            index, old = place % size, place % size + 1
            assert tree.inclusion(index, size) == SCRATCH.inclusion(index, size)
            assert tree.consistency(old, size) == SCRATCH.consistency(old, size)


def test_another_library_gives_the_same_roots_and_accepts_the_proofs() -> None:
    draw, other = random.Random(6962), pymerkle.InmemoryTree(algorithm="sha256")
    other.append_entries(ENTRIES[:1500])
    tree = MerkleNodes.of(History(), 1500)
    assert tree.root(0) == EMPTY_ROOT
    for _ in range(40):
        size = draw.randint(1, 1500)
        root = other.get_root(size)
        assert tree.root(size) == root
        index, old = draw.randrange(size), draw.randint(1, size)
        leaf = other.get_leaf(index + 1)
        assert verify_inclusion(leaf, index, size, tree.inclusion(index, size), root)
        path = tree.consistency(old, size)
        assert verify_consistency(old, size, other.get_root(old), root, path)


def test_a_path_reads_a_few_hashes_of_a_long_history(file: Callable[[int], Path]) -> None:
    history = History()
    tree = MerkleNodes.read(file(6000), history)
    most, history.read = 2 * ((1 << STEP) - 1), 0
    for index in range(0, 5999, 7):
        tree.inclusion(index, 5999)
        assert history.read <= most
        history.read = 0
    tree.close()


def test_what_is_missing_is_read_from_the_last_node_on(file: Callable[[int], Path]) -> None:
    history = History()
    tree = MerkleNodes.read(file(5000), history)
    history.read = 0
    tree.grow(6000)
    assert history.read <= 1000 + (1 << STEP)
    assert tree.root(6000) == SCRATCH.root(6000)
    tree.close()


def test_a_tree_does_not_grow_beyond_the_store() -> None:
    tree = MerkleNodes(History())
    with pytest.raises(StoreUnreadable, match="there is no event"):
        tree.grow(6016)


# -- files that do not fit ------------------------------------------------------------------


def test_a_missing_cut_or_longer_file_is_left_aside(file: Callable[[int], Path]) -> None:
    path = file(300)
    whole = path.read_bytes()
    assert len(whole) == HEAD + 32 * (18 + 1)
    for content in (*(whole[:end] for end in range(len(whole))), whole + b"\0", whole * 2):
        path.write_bytes(content)
        assert not MerkleNodes.read(path, History()).from_file
    path.unlink()
    assert not MerkleNodes.read(path, History()).from_file
    path.mkdir()
    assert not MerkleNodes.read(path, History()).from_file


def test_a_file_of_another_history_is_left_aside(file: Callable[[int], Path]) -> None:
    path, rewritten = file(300), list(ENTRIES)
    for at in (299, 400):
        rewritten[at] = bytes(32)
    assert not MerkleNodes.read(path, History(rewritten)).from_file
    assert not MerkleNodes.read(path, History(ENTRIES[:299])).from_file, "the store was cut"
    went_on = MerkleNodes.read(path, History(rewritten[:299] + ENTRIES[299:]))
    assert went_on.from_file
    went_on.close()


def test_a_changed_head_is_noticed(file: Callable[[int], Path]) -> None:
    path = file(300)
    whole = path.read_bytes()
    for at in range(HEAD):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert not MerkleNodes.read(path, History()).from_file


def test_a_changed_node_leads_to_no_root(file: Callable[[int], Path]) -> None:
    path, root = file(300), SCRATCH.root(300)
    whole = path.read_bytes()
    for at in range(HEAD, len(whole), 32):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        tree = MerkleNodes.read(path, History())
        failed = 0
        for index in range(0, 300, 16):
            proof, true = tree.inclusion(index, 300), SCRATCH.inclusion(index, 300)
            failed += proof != true
            leaf = leaf_hash(ENTRIES[index])
            assert verify_inclusion(leaf, index, 300, proof, root) == (proof == true)
        assert failed
        tree.close()


def test_a_file_that_is_cut_while_it_is_read_leads_to_no_root(file: Callable[[int], Path]) -> None:
    path = file(300)
    tree = MerkleNodes.read(path, History())
    path.write_bytes(path.read_bytes()[:70])
    assert tree.root(300) != SCRATCH.root(300)
    tree.close()
