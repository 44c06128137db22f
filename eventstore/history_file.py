"""A whole history in one file: every stored row, the kept checkpoints, and nothing derived.

Written and read as a stream: memory does not grow with the history, nor with what a hostile file
says of itself. The form is that of eventstore.history_format.
"""

from __future__ import annotations

import lzma
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from eventstore.checkpoint import SignedCheckpoint
from eventstore.envelope import COLUMN_LIST, Envelope
from eventstore.history_format import (
    FRAME,
    LIMITS,
    MAGIC,
    RECORD,
    TRAILER,
    Chain,
    Header,
    HistoryMismatch,
    HistoryUnreadable,
    Malformed,
    Untrue,
    UntrueCheckpoint,
    frame,
    header_frame,
    header_of,
    record_of,
    row_of,
)
from eventstore.merkle import HASH_BYTES
from eventstore.schema import open_reader, unreadable
from security.signing import VerifierKey

PRESET = 1  # of xz: what higher ones gain and cost is in docs/decisions/0008
MEMORY_LIMIT = 64 * 1024 * 1024  # bytes that unpacking may take, whatever the file asks for
CHUNK = 65_536  # packed bytes read at a time
REPORT_EVERY = 5_000  # events

_TEXTS = (
    "originator_id", "topic", "command_id", "actor", "correlation_id", "causation_id",
    "software_version",
)  # fmt: skip
_LENGTHS = " + ".join(
    [f"length(CAST({name} AS BLOB))" for name in _TEXTS]
    + [f"length({name})" for name in ("state", "commitment", "command_digest")]
)
Progress = Callable[[int, int], None]


# -- writing ---------------------------------------------------------------------------------


def write_history(
    store: Path,
    kept: Sequence[SignedCheckpoint],
    key: VerifierKey | None,
    out: BinaryIO,
    progress: Progress = lambda *_: None,
) -> Chain:
    """Write the store's rows and the kept checkpoints, smallest first; returns what was written.

    Every piece is checked on its way, so a file that was written holds. The same store gives the
    same bytes. Raises HistoryMismatch, StoreUnreadable.
    """
    chain = Chain(key)
    try:
        with closing(open_reader(store)) as connection, lzma.open(out, "wb", preset=PRESET) as xz:
            connection.execute("BEGIN")  # one snapshot, also beside a writer
            header = _header(connection, kept, key)
            xz.write(MAGIC + header_frame(header))
            for piece in _pieces(connection, list(kept), chain):
                xz.write(piece)
                if chain.position % REPORT_EVERY == 0:
                    progress(chain.position, header.events)
    except sqlite3.Error as e:
        raise unreadable(str(store), e) from None
    except Untrue as e:
        raise HistoryMismatch(
            f"{store} and its checkpoints hold up to event {chain.position:,} only: {e}. Nothing "
            "was written. Stop the bot and run `tbot verify`."
        ) from None
    return chain


def _header(
    connection: sqlite3.Connection, kept: Sequence[SignedCheckpoint], key: VerifierKey | None
) -> Header:
    events, fields = connection.execute(
        f"SELECT count(*), COALESCE(sum({_LENGTHS}), 0) FROM stored_events"
    ).fetchone()
    empty = len(MAGIC) + len(header_frame(Header(0, 0, 0, key))) + FRAME.size + TRAILER.size
    notes = sum(FRAME.size + len(signed.note.encode()) for signed in kept)
    rows = events * (FRAME.size + HASH_BYTES + RECORD.size) + fields
    return Header(events, len(kept), empty + notes + rows, key)


def _pieces(
    connection: sqlite3.Connection, waiting: list[SignedCheckpoint], chain: Chain
) -> Iterator[bytes]:
    rows = connection.execute(f"SELECT {COLUMN_LIST} FROM stored_events ORDER BY position")
    for row in map(Envelope._make, rows):
        record = record_of(row)
        chain.add(row, record)
        yield frame(b"E", row.hash + record)
        while waiting and waiting[0].checkpoint.size <= chain.position:
            note = waiting.pop(0).note.encode()
            chain.check(note)
            yield frame(b"C", note)
    if waiting:
        raise Untrue(f"it was cut short, as event {waiting[0].checkpoint.size:,} was signed")
    yield frame(b"T", TRAILER.pack(chain.position, chain.head))


# -- reading ---------------------------------------------------------------------------------


class HistoryFile:
    """A history file, read once from its beginning; every piece is checked before it is given.

    The header is read at once. Iterating gives each row, and after it the checkpoint of that
    position if there is one; it ends only when the file was whole and held to its last byte.
    Raises HistoryMismatch, HistoryUnreadable.
    """

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._where, self._bytes = where, _Unpacked(file)
        self.header = Header(0, 0, len(MAGIC) + FRAME.size + LIMITS[b"H"], None)
        self.chain = Chain(None)
        with self._named():
            self.header = self._read_header()
        self.chain = Chain(self.header.key)

    def __iter__(self) -> Iterator[Envelope | SignedCheckpoint]:
        with self._named():
            kind, body = self._piece()
            while kind != b"T":
                if kind == b"E":
                    own_hash, record = body[:HASH_BYTES], body[HASH_BYTES:]
                    row = row_of(record, own_hash)
                    self.chain.add(row, record)
                    yield row
                elif kind == b"C":
                    yield self.chain.check(body)
                else:
                    raise Malformed("there is a second header")
                kind, body = self._piece()
            self._check_end(body)

    def _read_header(self) -> Header:
        start = self._read(len(MAGIC))
        if start != MAGIC and start.startswith(MAGIC.rpartition(b"v")[0]):
            raise Malformed("a newer version of TradeBot wrote it; install that one")
        if start != MAGIC:
            raise Malformed("it holds something else")
        kind, body = self._piece()
        if kind != b"H":
            raise Malformed("it has no header")
        return header_of(body)

    def _piece(self) -> tuple[bytes, bytes]:
        kind, length = FRAME.unpack(self._read(FRAME.size))
        if length > LIMITS.get(kind, -1):
            raise Malformed(f"a piece of kind {kind!r} and {length:,} bytes is not allowed")
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        if self._bytes.count + count > self.header.size:
            raise Malformed("it unpacks to more than it says")
        return self._bytes.read(count)

    def _check_end(self, trailer: bytes) -> None:
        if len(trailer) != TRAILER.size:
            raise Malformed("its trailer is too short")
        found = (self.chain.position, self.chain.checkpoints, self._bytes.count)
        if found != self.header[:3] or TRAILER.unpack(trailer) != (found[0], self.chain.head):
            raise Untrue("what it holds is not what its header and trailer say")
        if not self._bytes.at_end():
            raise Malformed("something follows after its end")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A fault becomes a message with the first bad event."""
        try:
            yield
        except (Untrue, Malformed, lzma.LZMAError) as e:
            good, what = self.chain.position, str(e)
            if good < self.header.events and not isinstance(e, UntrueCheckpoint):
                what = f"event {good + 1:,} is bad: {e}"
            elif good and not isinstance(e, UntrueCheckpoint):
                what = f"its {good:,} events hold, but {e}"
            if isinstance(e, Untrue):
                raise HistoryMismatch(
                    f"{self._where} does not hold: {what}. Nothing was changed; export it again "
                    "from a store that `tbot verify` finds intact."
                ) from None
            raise HistoryUnreadable(
                f"{self._where} is not a history file that can be read: {what}. Nothing was "
                "changed; get the file again from where it was exported."
            ) from None


class _Unpacked:
    """The bytes inside one xz stream, no more at a time than are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self._file = file
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT)

    def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises Malformed at the end, lzma.LZMAError for damage."""
        found = b""
        while len(found) < count:
            found += self._more(count - len(found))
        self.count += count
        return found

    def at_end(self) -> bool:
        """Whether nothing is left, in the stream or behind it."""
        while not self._xz.eof:
            if self._more(1):
                return False
        return not self._xz.unused_data and not self._file.read(1)

    def _more(self, limit: int) -> bytes:
        if self._xz.eof:
            raise Malformed("it ends too early")
        packed = self._file.read(CHUNK) if self._xz.needs_input else b""
        if self._xz.needs_input and not packed:
            raise Malformed("it is cut off")
        return self._xz.decompress(packed, limit)
