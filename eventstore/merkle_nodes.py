"""The Merkle tree of a long history, for proofs that read a few kilobytes of it.

Kept are the roots of the complete subtrees of 16, 16², 16³ … events: two bytes an event. What lies
between two of these heights is computed from the lower ones' nodes, at most 15 for a path, and what
lies below from the hashes of as many events. docs/decisions/0012-merkle-nodes.md says why.

Their file is derived and never believed: a proof made with it counts once it leads to a signed
root. It holds a mark, the number of events and the chain hash of the last of them, then for each
height upwards its nodes, 32 bytes each.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from eventstore.errors import StoreUnreadable
from eventstore.merkle import HASH_BYTES, ProvingTree, higher, leaf_hashes

STEP = 4  # heights from one kept level to the next
WIDTH = 1 << STEP
BATCH = WIDTH**3  # events read at a time
_MARK = b"tradebot/nodes/v1\n"
_HEADER = struct.Struct(">18sQ32s")


class Entries(Protocol):
    """Where the leaves come from: a Feed."""

    def hashes(self, after: int, until: int) -> list[bytes]:
        """The chain hashes of ``after < position <= until``. Raises StoreUnreadable."""


class _Level:
    """Nodes of one height in order: the first ``kept`` in the file, the others in memory."""

    def __init__(self, file: BinaryIO | None = None, offset: int = 0, kept: int = 0) -> None:
        self._file, self._offset, self._kept = file, offset, kept
        self._grown = bytearray()

    @property
    def count(self) -> int:
        return self._kept + len(self._grown) // HASH_BYTES

    def grow(self, nodes: list[bytes]) -> None:
        self._grown += b"".join(nodes)

    def read(self, first: int, count: int) -> bytes:
        kept, data = min(max(self._kept - first, 0), count), b""
        if self._file is not None and kept:
            size = kept * HASH_BYTES
            data = os.pread(self._file.fileno(), size, self._offset + first * HASH_BYTES)
            # what was cut off since the file was opened reads as zeros, which lead to no root
            data = data.ljust(size, b"\0")
        start = max(first - self._kept, 0) * HASH_BYTES
        return data + self._grown[start : start + (count - kept) * HASH_BYTES]


class MerkleNodes(ProvingTree):
    """The tree over the first ``size`` events. Grows in memory; writes nothing.

    A file that is given must stay open as long as the tree is used; ``close`` closes it.
    """

    def __init__(self, entries: Entries, file: BinaryIO | None = None, size: int = 0) -> None:
        self.size = size
        self._entries, self._file = entries, file
        self._levels: list[_Level] = []
        offset = _HEADER.size
        for count in _counts(size):
            self._levels.append(_Level(file, offset, count))
            offset += count * HASH_BYTES

    @classmethod
    def of(cls, entries: Entries, size: int) -> Self:
        """The tree of the stored events alone, in one pass. Raises StoreUnreadable."""
        tree = cls(entries)
        tree.grow(size)
        return tree

    @classmethod
    def read(cls, path: Path, entries: Entries) -> Self:
        """The tree of a file; an empty one when it is missing, cut, or of another history."""
        try:
            file = path.open("rb", buffering=0)
        except OSError:
            return cls(entries)
        if size := _fitting(file, entries):
            return cls(entries, file, size)
        file.close()
        return cls(entries)

    @property
    def from_file(self) -> bool:
        """Whether some nodes are not computed from the stored events."""
        return self._file is not None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def grow(self, size: int) -> None:
        """Up to ``size`` events, from the last kept node on. Raises StoreUnreadable."""
        after = self._count(0) * WIDTH
        while after + WIDTH <= size:
            until = min(after + BATCH, size // WIDTH * WIDTH)
            self._add(0, higher(leaf_hashes(self._entries.hashes(after, until)), STEP))
            after = until
        self.size = max(self.size, size)

    def to_bytes(self) -> bytes:
        """The content of the file; the same history, the same bytes."""
        head = self._entries.hashes(self.size - 1, self.size)[0] if self.size else bytes(HASH_BYTES)
        levels = (level.read(0, level.count) for level in self._levels)
        return _HEADER.pack(_MARK, self.size, head) + b"".join(levels)

    def _count(self, level: int) -> int:
        return self._levels[level].count if level < len(self._levels) else 0

    def _add(self, level: int, nodes: list[bytes]) -> None:
        """Nodes at the end of a level, and those above that they complete."""
        if level == len(self._levels):
            self._levels.append(_Level())
        self._levels[level].grow(nodes)
        first, end = self._count(level + 1) * WIDTH, self._count(level) // WIDTH * WIDTH
        if first < end:
            self._add(level + 1, higher(self._kept(level, first, end), STEP))

    def _node(self, height: int, number: int) -> bytes:
        level, above = divmod(height, STEP)
        first, end = number << above, number + 1 << above
        if level:
            nodes = self._kept(level - 1, first, end)
        else:
            nodes = leaf_hashes(self._entries.hashes(first, end))
        return higher(nodes, above)[0]

    def _kept(self, level: int, first: int, end: int) -> list[bytes]:
        data = self._levels[level].read(first, end - first)
        return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def _counts(size: int) -> list[int]:
    """How many nodes are kept of each height for so many events."""
    counts = []
    while size := size >> STEP:
        counts.append(size)
    return counts


def _fitting(file: BinaryIO, entries: Entries) -> int:
    """The number of events that a file covers; 0 when it is not a node file of this history."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return 0
    mark, size, last = _HEADER.unpack(head)
    length = _HEADER.size + HASH_BYTES * sum(_counts(size))
    if mark != _MARK or not size or os.fstat(file.fileno()).st_size != length:
        return 0
    try:
        return size if entries.hashes(size - 1, size) == [last] else 0
    except StoreUnreadable:
        return 0
