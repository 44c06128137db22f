"""A small history, its file written down after format.md, and every forgery of it: data alone."""

import lzma
import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from eventstore.checkpoint import Checkpoint, sign
from eventstore.envelope import GENESIS, Envelope, chain_hash
from eventstore.merkle import MerkleTree
from security.signing import SigningKey

ORIGIN = "tradebot/DEMO_USA_SIM_01"
KEY = SigningKey(ORIGIN, bytes(range(32)))
VKEY = str(KEY.verifier).encode()
EVENTS = 7
SIGNED = (1, 4, 6)  # the last event is not signed yet


def rows(actor: str = "tester") -> Iterator[Envelope]:
    previous = GENESIS
    for n in range(1, EVENTS + 1):
        row = Envelope(
            position=n, originator_id=f"stream-{n % 3}", originator_version=n,
            topic="Test.Happened", schema_version=1,
            state=f'{{"text":"№ {n} \U0001f4c8"}}'.encode(),
            commitment=sha256(bytes([n])).digest(), recorded_at=1_700_000_000_000_000 + n,
            command_id=f"c{n}", command_index=0, command_digest=bytes([0xA0 + n]) * 32,
            actor=actor, correlation_id="café", causation_id="", software_version="1",
            key_epoch=0, hash=b"",
        )  # fmt: skip
        row = row._replace(hash=chain_hash(previous, row))
        previous = row.hash
        yield row


def note(history: list[Envelope], size: int, key: SigningKey = KEY, **lies: Any) -> bytes:
    tree, last = MerkleTree(row.hash for row in history), history[size - 1]
    true = Checkpoint(ORIGIN, size, tree.root(size), last.hash, 1, bytes(32), last.recorded_at)
    return sign(true._replace(**lies), key).encode()


class Piece(NamedTuple):
    kind: bytes
    body: bytes

    def __bytes__(self) -> bytes:
        return struct.pack(">cI", self.kind, len(self.body)) + self.body


def event(row: Envelope) -> Piece:
    fields = [
        row.originator_id.encode(), row.topic.encode(), row.state, row.commitment,
        row.command_id.encode(), row.command_digest, row.actor.encode(),
        row.correlation_id.encode(), row.causation_id.encode(), row.software_version.encode(),
    ]  # fmt: skip
    numbers = struct.pack(">6q", row.position, row.originator_version, row.schema_version,
                          row.recorded_at, row.command_index, row.key_epoch)  # fmt: skip
    lengths = struct.pack(">10I", *map(len, fields))
    return Piece(b"E", row.hash + numbers + lengths + b"".join(fields))


def pieces_of(history: list[Envelope], signed: tuple[int, ...] = SIGNED) -> list[Piece]:
    """Events, checkpoints and trailer."""
    found = []
    for row in history:
        found.append(event(row))
        if row.position in signed:
            found.append(Piece(b"C", note(history, row.position)))
    trailer = struct.pack(">q", len(history)) + history[-1].hash
    return [*found, Piece(b"T", trailer)]


def whole(
    pieces: list[Piece],
    *,
    events: int | None = None,
    checkpoints: int | None = None,
    more: int = 0,
    vkey: bytes = VKEY,
    key_for_none: bytes = b"",
    magic: bytes = b"tradebot/history/v1\n",
) -> bytes:
    """The unpacked file with a header that fits the pieces, unless told otherwise."""
    kinds = [piece.kind for piece in pieces]
    signed = kinds.count(b"C") if checkpoints is None else checkpoints
    key = vkey if signed else key_for_none
    body = b"".join(map(bytes, pieces))
    size = len(magic) + 5 + 24 + len(key) + len(body) + more
    count = kinds.count(b"E") if events is None else events
    header = Piece(b"H", struct.pack(">3q", count, signed, size) + key)
    return magic + bytes(header) + body


def packed(unpacked: bytes) -> bytes:
    return lzma.compress(unpacked, preset=0)


ROWS = list(rows())
PIECES = pieces_of(ROWS)
TRUE = packed(whole(PIECES))


class Forgery(NamedTuple):
    name: str
    data: bytes
    bad: int | None


# how many events there are before each piece
ROWS_BEFORE = [sum(p.kind == b"E" for p in PIECES[:i]) for i in range(len(PIECES))]


def fault_in(i: int) -> int | None:
    """The event to be named when the bytes of that piece are not what they were."""
    if PIECES[i].kind == b"C":
        return ROWS_BEFORE[i]
    return ROWS_BEFORE[i] + 1 if PIECES[i].kind == b"E" else None


def replaced(i: int, *pieces: Piece) -> list[Piece]:
    return [*PIECES[:i], *pieces, *PIECES[i + 1 :]]


def wrong_pieces() -> Iterator[Forgery]:
    for i, (kind, body) in enumerate(PIECES):
        before, name = ROWS_BEFORE[i], f"{kind.decode()} {i}"
        then = before + 1 if before < EVENTS else None
        for at in (0, len(body) // 2, len(body) - 1):
            wrong = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            data = whole(replaced(i, Piece(kind, wrong)))
            yield Forgery(f"{name}: byte {at}", packed(data), fault_in(i))
        for other in b"X\0HECT":
            if bytes([other]) != kind:
                data = whole(PIECES).replace(bytes(PIECES[i]), bytes(Piece(bytes([other]), body)))
                bad = before if other == ord("C") and len(body) else then
                yield Forgery(f"{name}: is a {other}", packed(data), bad)
        yield Forgery(f"{name}: empty", packed(whole(replaced(i, Piece(kind, b"")))), fault_in(i))
        cut = Piece(kind, body[:-1])
        yield Forgery(f"{name}: shorter", packed(whole(replaced(i, cut))), fault_in(i))


def wrong_order() -> Iterator[Forgery]:
    at = {n: i for i, n in enumerate(ROWS_BEFORE) if PIECES[i].kind == b"E"}
    for n in range(1, EVENTS + 1):
        i = at[n - 1]
        twice = whole(replaced(i, PIECES[i], PIECES[i]), events=EVENTS)
        bad = n + 1 if n < EVENTS else None
        yield Forgery(f"event {n} doubled", packed(twice), bad)
        longer = whole(replaced(i, PIECES[i], PIECES[i]))
        yield Forgery(f"event {n} doubled and counted", packed(longer), n + 1)
        missing = whole(replaced(i), events=EVENTS)
        yield Forgery(f"event {n} missing", packed(missing), n)
        if n < EVENTS:
            j = at[n]
            swapped = PIECES.copy()
            swapped[i], swapped[j] = PIECES[j], PIECES[i]
            yield Forgery(f"events {n} and {n + 1} swapped", packed(whole(swapped)), n)
    i = next(i for i, piece in enumerate(PIECES) if piece.kind == b"C")
    yield Forgery("checkpoint doubled", packed(whole(replaced(i, PIECES[i], PIECES[i]))), 1)
    yield Forgery("checkpoint missing", packed(whole(replaced(i), checkpoints=3)), None)
    late = PIECES.copy()
    late[i], late[i + 1] = PIECES[i + 1], PIECES[i]
    yield Forgery("checkpoint too late", packed(whole(late)), 2)
    yield Forgery("checkpoint first", packed(whole([PIECES[i], *replaced(i)])), 1)


def other_history() -> list[Envelope]:
    return list(rows(actor="somebody"))


def spliced() -> Iterator[Forgery]:
    other = pieces_of(other_history())
    cut = next(i for i, n in enumerate(ROWS_BEFORE) if n == 4 and PIECES[i].kind == b"E")
    tail = whole([*PIECES[:cut], *other[cut:]])
    yield Forgery("another bot's events from the fifth on", packed(tail), 5)
    one_after_the_other = whole([*PIECES[:-1], *other])
    yield Forgery("two bots, one after the other", packed(one_after_the_other), EVENTS + 1)
    yield Forgery("two files joined", TRUE + packed(whole(other)), None)
    yield Forgery("two files joined before packing", packed(whole(PIECES) + whole(other)), None)
    notes = [o if o.kind == b"C" else p for p, o in zip(PIECES, other, strict=True)]
    yield Forgery("checkpoints of the other history", packed(whole(notes)), 1)
    changed = ROWS[4]._replace(actor="somebody")
    changed = changed._replace(hash=chain_hash(ROWS[3].hash, changed))
    rewritten = [event(changed) if p == event(ROWS[4]) else p for p in PIECES]
    yield Forgery("an event rewritten, its hash too", packed(whole(rewritten)), 6)
    yield Forgery("all rewritten, old checkpoints", packed(whole([
        *(o if o.kind != b"C" else p for p, o in zip(PIECES, other, strict=True))
    ])), 1)  # fmt: skip


def lying_checkpoints() -> Iterator[Forgery]:
    """Well signed, and yet not about this history."""
    i = max(i for i, piece in enumerate(PIECES) if piece.kind == b"C")
    last = ROWS[5]
    lies = {
        "another root": {"root": bytes(32)},
        "another head": {"head": bytes(32)},
        "another time": {"recorded_at": last.recorded_at + 1},
        "another bot": {"origin": "tradebot/OTHER"},
    }
    for name, lie in lies.items():
        wrong = Piece(b"C", note(ROWS, 6, **lie))
        yield Forgery(f"checkpoint of {name}", packed(whole(replaced(i, wrong))), 6)
    early = Piece(b"C", note(ROWS, 5))
    yield Forgery("checkpoint of another size", packed(whole(replaced(i, early))), 6)
    other = Piece(b"C", note(ROWS, 6, SigningKey(ORIGIN, bytes(32))))
    yield Forgery("checkpoint of another key", packed(whole(replaced(i, other))), 6)
    doubled = Piece(b"C", PIECES[i].body * 2)
    yield Forgery("two notes in one", packed(whole(replaced(i, doubled))), 6)


def wrong_frames() -> Iterator[Forgery]:
    newer = b"tradebot/history/v2\n"
    yield Forgery("newer version", packed(whole(PIECES, magic=newer)), None)
    yield Forgery("another format", packed(b"something else" * 99), None)
    for change in (-1, 1, 2**62):
        name = f"says {change} more"
        bad = 8 if change > 0 else None
        yield Forgery(f"{name} events", packed(whole(PIECES, events=EVENTS + change)), bad)
        yield Forgery(f"{name} checkpoints", packed(whole(PIECES, checkpoints=3 + change)), None)
        yield Forgery(f"{name} bytes", packed(whole(PIECES, more=change)), None)
    yield Forgery("says far fewer bytes", packed(whole(PIECES, more=-800)), 6)
    yield Forgery("no key", packed(whole(PIECES, vkey=b"")), None)
    yield Forgery("key in a second way", packed(whole(PIECES, vkey=VKEY + b"\n")), None)
    yield Forgery("a key for nothing", packed(whole(pieces_of(ROWS, ()), key_for_none=VKEY)), None)
    yield Forgery("more inside after the trailer", packed(whole(PIECES) + b"x"), None)
    yield Forgery("more behind the file", TRUE + b"x", None)
    yield Forgery("zeros behind the file", TRUE + bytes(4), None)
    yield Forgery("twice", TRUE + TRUE, None)
    yield Forgery("empty", b"", None)
    yield Forgery("not packed", whole(PIECES), None)
    yield Forgery("packed by an older xz", lzma.compress(whole(PIECES), lzma.FORMAT_ALONE), None)


def ending_in(record: bytes) -> list[Piece]:
    """The last row, which no checkpoint covers, replaced by one that is well chained."""
    own = sha256(b"tradebot/chain/v1" + ROWS[-2].hash + record).digest()
    trailer = Piece(b"T", struct.pack(">q", EVENTS) + own)
    return [*PIECES[:-2], Piece(b"E", own + record), trailer]


def bad_rows() -> Iterator[Forgery]:
    record = event(ROWS[-1]).body[32:]
    latin = record.replace("café".encode(), b"caf\xe9\x20")
    yield Forgery("a text is not UTF-8", packed(whole(ending_in(latin))), EVENTS)
    longer = record[:84] + struct.pack(">I", 2) + record[88:]
    yield Forgery("a field beyond the end", packed(whole(ending_in(longer))), EVENTS)
    yield Forgery("bytes of no field", packed(whole(ending_in(record + b"x"))), EVENTS)
    gap = struct.pack(">q", EVENTS + 2) + record[8:]
    yield Forgery("a gap", packed(whole(ending_in(gap))), EVENTS)
    huge = struct.pack(">cI", b"E", 2**32 - 1)
    unpacked = whole(PIECES, more=2**33)
    start = len(unpacked) - len(b"".join(map(bytes, PIECES)))
    yield Forgery("a huge event", packed(unpacked[:start] + huge + bytes(1000)), 1)


FORGERIES = [
    *wrong_pieces(), *wrong_order(), *spliced(), *lying_checkpoints(), *wrong_frames(),
    *bad_rows(),
]  # fmt: skip
