"""The Merkle tree against the published vectors of Certificate Transparency and another library."""

from itertools import pairwise

import pymerkle
import pytest

from eventstore.merkle import (
    EMPTY_ROOT,
    CompactRange,
    MerkleTree,
    ProvingTree,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from eventstore.merkle_nodes import MerkleNodes

# The leaves, roots and proofs that the reference implementation of RFC 6962 publishes.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAF_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
FROM_0_TO_2 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
FROM_0_TO_4 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
FROM_2_TO_4 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
FROM_4_TO_6 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
FROM_4_TO_8 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
FROM_6_TO_8 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
INCLUSION = {
    (0, 1): [],
    (0, 8): [LEAF_1, FROM_2_TO_4, FROM_4_TO_8],
    (5, 8): [LEAF_4, FROM_6_TO_8, FROM_0_TO_4],
    (2, 3): [FROM_0_TO_2],
    (1, 5): [LEAF_0, FROM_2_TO_4, LEAF_4],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [LEAF_1, FROM_2_TO_4, FROM_4_TO_8],
    (6, 8): [FROM_4_TO_6, FROM_6_TO_8, FROM_0_TO_4],
    (2, 5): [FROM_2_TO_4, LEAF_4],
}


class Published:
    """The leaves as if a store held them."""

    def hashes(self, after: int, until: int) -> list[bytes]:
        return LEAVES[after:until]


TREES = [MerkleTree(LEAVES), MerkleNodes.of(Published(), len(LEAVES))]
both_trees = pytest.mark.parametrize("tree", TREES, ids=["in memory", "kept nodes"])
ENTRIES = [f"entry {n}".encode() for n in range(70)]
TREE = MerkleTree(ENTRIES)


@both_trees
def test_roots_of_the_published_trees(tree: ProvingTree) -> None:
    growing = CompactRange()
    assert growing.root() == EMPTY_ROOT
    for size, root in enumerate(ROOTS):
        assert tree.root(size).hex() == root
        assert growing.root().hex() == root
        if size < len(LEAVES):
            growing.append(LEAVES[size])


@both_trees
@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs(tree: ProvingTree, index: int, size: int) -> None:
    path = tree.inclusion(index, size)
    assert [node.hex() for node in path] == INCLUSION[index, size]
    root = bytes.fromhex(ROOTS[size])
    assert verify_inclusion(leaf_hash(LEAVES[index]), index, size, path, root)


@both_trees
@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_published_consistency_proofs(tree: ProvingTree, old: int, new: int) -> None:
    path = tree.consistency(old, new)
    assert [node.hex() for node in path] == CONSISTENCY[old, new]
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert verify_consistency(old, new, *roots, path)


def test_another_library_gives_the_same_roots_and_accepts_them() -> None:
    other, growing = pymerkle.InmemoryTree(algorithm="sha256"), CompactRange()
    for size, entry in enumerate(ENTRIES, 1):
        other.append_entry(entry)
        growing.append(entry)
        assert other.get_root(size) == TREE.root(size) == growing.root()
    for size in (1, 2, 3, 7, 8, 21, 33, 64, 70):
        for index in range(size):
            theirs = other.prove_inclusion(index + 1, size)
            pymerkle.verify_inclusion(leaf_hash(ENTRIES[index]), TREE.root(size), theirs)
            nodes = theirs.serialize()["path"]  # theirs starts with the leaf, in its place
            nodes.remove(leaf_hash(ENTRIES[index]).hex())
            assert sorted(nodes) == sorted(n.hex() for n in TREE.inclusion(index, size))
        for old in range(1, size + 1):
            theirs = other.prove_consistency(old, size)
            pymerkle.verify_consistency(TREE.root(old), TREE.root(size), theirs)


def test_every_proof_holds_and_no_other_index_size_or_root_does() -> None:
    wrong = bytes(32)
    for size in range(1, 20):
        root = TREE.root(size)
        for index in range(size):
            path, leaf = TREE.inclusion(index, size), leaf_hash(ENTRIES[index])
            assert verify_inclusion(leaf, index, size, path, root)
            assert not verify_inclusion(leaf, index, size, path, wrong)
            assert not verify_inclusion(wrong, index, size, path, root)
            for other in range(-1, size + 1):
                assert other == index or not verify_inclusion(leaf, other, size, path, root)
        for old in range(1, size + 1):
            path, before = TREE.consistency(old, size), TREE.root(old)
            assert verify_consistency(old, size, before, root, path)
            assert not verify_consistency(old, size, wrong, root, path)
            assert not verify_consistency(old, size, before, wrong, path)
            for other in range(-1, size + 2):
                assert other == old or not verify_consistency(other, size, before, root, path)


def test_a_changed_swapped_missing_or_added_node_is_found() -> None:
    for size in range(2, 20):
        root = TREE.root(size)
        for index in range(size):
            leaf = leaf_hash(ENTRIES[index])
            for forged in forgeries(TREE.inclusion(index, size)):
                assert not verify_inclusion(leaf, index, size, forged, root)
        for old in range(1, size):
            for forged in forgeries(TREE.consistency(old, size)):
                assert not verify_consistency(old, size, TREE.root(old), root, forged)


def forgeries(path: list[bytes]) -> list[list[bytes]]:
    made = [[*path, bytes(32)], [bytes(32), *path], [*path, path[-1]]]
    for i, node in enumerate(path):
        made.append([*path[:i], bytes([node[0] ^ 1]) + node[1:], *path[i + 1 :]])
        made.append([*path[:i], *path[i + 1 :]])
    for i, (one, other) in enumerate(pairwise(path)):
        made.append([*path[:i], other, one, *path[i + 2 :]])
    return made


def test_a_tree_proves_nothing_beyond_its_end() -> None:
    with pytest.raises(ValueError, match="71 is not between"):
        TREE.root(71)
    with pytest.raises(ValueError, match="5 is not between 0 and 4"):
        TREE.inclusion(5, 5)
    with pytest.raises(ValueError, match="is not between 1 and"):
        TREE.consistency(0, 5)
    with pytest.raises(ValueError, match="6 is not between 1 and 5"):
        TREE.consistency(6, 5)
