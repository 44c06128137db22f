"""The Merkle tree over a history: roots and proofs of RFC 6962, section 2.1, with SHA-256.

An entry is the 32-byte chain hash of an event; the event at position P is leaf number P - 1. Every
hash is 32 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """0x00 before the entry: a leaf can never pass for an inner node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The same of many."""
    return [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]


def higher(nodes: list[bytes], heights: int) -> list[bytes]:
    """The roots of the complete subtrees over each 2^``heights`` of these neighbours."""
    for _ in range(heights):
        nodes = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)
        ]
    return nodes


class CompactRange:
    """A tree that only grows: it keeps the roots of its complete subtrees, O(log n) hashes."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, entry: bytes) -> None:
        node, below = leaf_hash(entry), self.size
        while below & 1:  # each set bit is a complete subtree as large as the one just closed
            node, below = node_hash(self._peaks.pop(), node), below >> 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for left in reversed(self._peaks[:-1]):
            node = node_hash(left, node)
        return node


class ProvingTree:
    """A tree of ``size`` leaves that proves. Subclasses say how a complete subtree is found."""

    size = 0

    def _node(self, height: int, number: int) -> bytes:
        """The root of the complete subtree of the leaves from ``number`` * 2^``height`` on."""
        raise NotImplementedError

    def root(self, size: int) -> bytes:
        """The root when the tree had ``size`` leaves. Raises ValueError beyond its end."""
        self._check(0, size, self.size)
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """PATH(index, D[size]), RFC 6962 section 2.1.1, from the leaf upwards."""
        self._check(0, size, self.size)
        self._check(0, index, size - 1)
        path, start, end = [], 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """PROOF(old, D[new]), RFC 6962 section 2.1.2, for 1 <= old <= new."""
        self._check(1, new, self.size)
        self._check(1, old, new)
        path, start, end, known = [], 0, new, True
        while end != old:
            middle = start + _split(end - start)
            if old <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start, known = middle, False
        if not known:
            path.append(self._subtree(start, end))
        return path[::-1]

    def _subtree(self, start: int, end: int) -> bytes:
        count = end - start
        if not count & (count - 1):
            return self._node(count.bit_length() - 1, start // count)
        middle = start + _split(count)
        return node_hash(self._subtree(start, middle), self._subtree(middle, end))

    @staticmethod
    def _check(low: int, number: int, high: int) -> None:
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")


class MerkleTree(ProvingTree):
    """In memory: every complete subtree is kept, 64 bytes an entry."""

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = []  # [h]: the roots of the subtrees of 2^h leaves
        for entry in entries:
            self.append(entry)

    def append(self, entry: bytes) -> None:
        node, index, height = leaf_hash(entry), self.size, 0
        while True:
            if height == len(self._levels):
                self._levels.append(bytearray())
            level = self._levels[height]
            level += node
            if not index & 1:  # a left child waits for its sibling
                break
            node = node_hash(bytes(level[-2 * HASH_BYTES : -HASH_BYTES]), node)
            index, height = index >> 1, height + 1
        self.size += 1

    def _node(self, height: int, number: int) -> bytes:
        at = number * HASH_BYTES
        return bytes(self._levels[height][at : at + HASH_BYTES])


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether the leaf hash is at ``index`` of the tree with that root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, position, last = leaf, index, size - 1
    for other in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(other, node)
            while position and not position & 1:  # levels on which the last subtree has no sibling
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, other)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the tree of ``old`` leaves is the beginning of the new one (RFC 9162, 2.1.4.2)."""
    if not 1 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    nodes = list(path)
    if not old & (old - 1):
        nodes.insert(0, old_root)  # a complete old tree is a node of the new one: not in the path
    if not nodes:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_node = new_node = nodes[0]
    for other in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_node, new_node = node_hash(other, old_node), node_hash(other, new_node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new_node = node_hash(new_node, other)
        position, last = position >> 1, last >> 1
    return last == 0 and old_node == old_root and new_node == new_root
