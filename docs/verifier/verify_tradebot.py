#!/usr/bin/env python3
"""Check a TradeBot checkpoint, proof or history. Needs Python 3.11 and `cryptography` alone.

    python3 verify_tradebot.py checkpoint FILE --key checkpoint.vkey
    python3 verify_tradebot.py proof FILE --key checkpoint.vkey
    python3 verify_tradebot.py history FILE --key checkpoint.vkey

A bot may change its key; with `--line 001.json 002.json …` (the files of its checkpoints/keys, from
the one after your key on) the key is followed to the one that signed FILE.

Exit codes: 0 it holds, 1 it does not hold, 2 usage, 3 unreadable. Written from format.md; it shares
no code with TradeBot, so that both can be wrong only in different ways.
"""

import argparse
import base64
import json
import lzma
import re
import struct
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTE_LIMIT = 65_536  # bytes
FILE_LIMIT = 16 * 1024 * 1024  # bytes
INTEGERS = (
    "position", "originator_version", "schema_version", "recorded_at", "command_index", "key_epoch",
)  # fmt: skip
FIELDS = (
    "originator_id", "topic", "state", "commitment", "command_id", "command_digest", "actor",
    "correlation_id", "causation_id", "software_version",
)  # fmt: skip
MEMBERS = {
    "tradebot/proof/entry/v1": {"format", "event", "payload", "blind", "path", "checkpoint"},
    "tradebot/proof/consistency/v1": {"format", "first", "second", "path"},
}
HISTORY = b"tradebot/history/v1\n"
PIECES = {b"H": 24 + 1024, b"E": FILE_LIMIT, b"C": NOTE_LIMIT, b"T": 40}  # at most so many bytes
BYTES = ("state", "commitment", "command_digest")  # the fields that are no text


class DoesNotHold(Exception):
    """Readable, but not true."""


class Unreadable(Exception):
    """Not the form that format.md describes."""


# -- keys and notes --------------------------------------------------------------------------


class Key(NamedTuple):
    name: str
    id: bytes
    public: Ed25519PublicKey


def read_key(line: str) -> Key:
    """A vkey: name+id+base64."""
    parts = line.strip().split("+", 2)
    try:
        name, key_id, encoded = parts[0], bytes.fromhex(parts[1]), b64(parts[2])
        if encoded[0] != 1 or sha256(f"{name}\n".encode() + encoded).digest()[:4] != key_id:
            raise ValueError
        return Key(name, key_id, Ed25519PublicKey.from_public_bytes(encoded[1:]))
    except (ValueError, IndexError):
        raise Unreadable("the key is no vkey of Ed25519 (name+id+base64)") from None


class Checkpoint(NamedTuple):
    text: str
    origin: str
    size: int
    root: bytes
    head: bytes
    recorded: str


LINES = (
    r"(.+)", r"([1-9][0-9]{0,17})", r"([A-Za-z0-9+/]{43}=)", r"head ([0-9a-f]{64})",
    r"state (?:0|[1-9][0-9]{0,8}) [0-9a-f]{64}",
    r"recorded ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)",
)  # fmt: skip


def read_checkpoint(note: str, key: Key) -> Checkpoint:
    """Take a note apart and check its signature."""
    if len(note.encode()) > NOTE_LIMIT or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise Unreadable("a checkpoint is too large or holds control characters")
    lines = note.split("\n")
    if len(lines) < 9 or lines[6] != "" or lines[-1] != "" or "" in lines[:6] + lines[7:-1]:
        raise Unreadable("a checkpoint is cut off, doubled, or has other lines than six")
    found: list[str] = []
    for pattern, line in zip(LINES, lines, strict=False):
        match = re.fullmatch(pattern, line)
        if match is None:
            raise Unreadable(f"a line of a checkpoint is not as it should be: {line[:80]!r}")
        found += match.groups()
    text = "\n".join(lines[:6]) + "\n"
    check_signatures(text, lines[7:-1], key)
    origin, size, root, head, recorded = found
    if origin != key.name:
        raise DoesNotHold(f"the checkpoint is of {origin}, the key of {key.name}")
    return Checkpoint(text, origin, int(size), b64(root), bytes.fromhex(head), recorded)


def check_signatures(text: str, lines: list[str], key: Key) -> None:
    signatures = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise Unreadable("a signature line is cut off or malformed")
        raw = b64(parts[2])
        if len(raw) < 5:
            raise Unreadable("a signature line is cut off or malformed")
        if (parts[1], raw[:4]) == (key.name, key.id):
            signatures.append(raw[4:])
    if not signatures:
        raise DoesNotHold("the checkpoint carries no signature of this key")
    for signature in signatures:
        try:
            key.public.verify(signature, text.encode())
        except InvalidSignature:
            raise DoesNotHold("the signature of the checkpoint is false") from None


# -- the Merkle tree, by its definition ------------------------------------------------------


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def left_leaves(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root_above(leaf: bytes, index: int, n: int, path: list[bytes]) -> bytes:
    """The root of a tree of n leaves in which ``leaf`` has that index and that path."""
    if n == 1:
        if path:
            raise DoesNotHold("the path is too long for the tree")
        return leaf
    if not path:
        raise DoesNotHold("the path is too short for the tree")
    k = left_leaves(n)
    if index < k:
        return node(root_above(leaf, index, k, path[:-1]), path[-1])
    return node(path[-1], root_above(leaf, index - k, n - k, path[:-1]))


def both_roots(m: int, n: int, path: list[bytes], old: bytes | None) -> tuple[bytes, bytes]:
    """Roots of the first m and of all n leaves. ``old`` is given where the old root is known."""
    if m == n:
        if old is not None and not path:
            return old, old
        if old is None and len(path) == 1:
            return path[0], path[0]
        raise DoesNotHold("the path has another length than the two trees ask for")
    if not path:
        raise DoesNotHold("the path is too short for the two trees")
    k = left_leaves(n)
    if m <= k:
        before, left = both_roots(m, k, path[:-1], old)
        return before, node(left, path[-1])
    before, after = both_roots(m - k, n - k, path[:-1], None)
    return node(path[-1], before), node(path[-1], after)


# -- proofs ----------------------------------------------------------------------------------


def check_proof(data: bytes, key: Key) -> str:
    """What the proof shows, in words. Raises DoesNotHold, Unreadable."""
    proof = read_json(data)
    kind = proof.get("format")
    if not isinstance(kind, str) or kind not in MEMBERS:
        raise Unreadable(f"the format {str(kind)[:80]!r} is unknown; a newer verifier may know it")
    if set(proof) != MEMBERS[kind] or not isinstance(proof["path"], list):
        raise Unreadable("members are missing or unknown")
    path = [digest(entry) for entry in proof["path"]]
    if kind == "tradebot/proof/entry/v1":
        return check_entry(proof, path, key)
    return check_consistency(proof, path, key)


def check_entry(proof: dict[str, Any], path: list[bytes], key: Key) -> str:
    event = proof["event"]
    expected = {*INTEGERS, *FIELDS, "hash", "previous_hash"}
    if not isinstance(event, dict) or set(event) != expected:
        raise Unreadable("members of the event are missing or unknown")
    checkpoint = read_checkpoint(text(proof["checkpoint"]), key)
    own, payload = digest(event["hash"]), text(proof["payload"]).encode()
    if event_hash(event) != own:
        raise DoesNotHold("the event's hash does not follow from its fields")
    opened = sha256(b"tradebot/commitment/v1" + digest(proof["blind"]) + payload).digest()
    if opened != digest(event["commitment"]):
        raise DoesNotHold("payload and blind do not open the event's commitment")
    if event["key_epoch"] == 0 and b64(text(event["state"])) != payload:
        raise DoesNotHold("the payload is not what the store holds")
    position = event["position"]
    if not 1 <= position <= checkpoint.size:
        raise DoesNotHold(f"event {position} is not among the {checkpoint.size} signed ones")
    leaf = sha256(b"\x00" + own).digest()
    if root_above(leaf, position - 1, checkpoint.size, path) != checkpoint.root:
        raise DoesNotHold("the path does not lead from the event to the signed root")
    return (
        f"Event {position} of {checkpoint.origin} ({event['topic']}) is among the "
        f"{checkpoint.size} events signed as of {checkpoint.recorded}:\n{proof['payload']}"
    )


def next_key(data: bytes, key: Key) -> Key:
    """The key that a proof under ``key`` introduces."""
    check_proof(data, key)
    proof = read_json(data)
    event = proof.get("event")
    if not isinstance(event, dict) or event["topic"] != "Keys.SignerIntroduced":
        raise DoesNotHold("it does not introduce a key")
    told = read_json(text(proof["payload"]).encode())
    if text(told.get("old_vkey")) != vkey(key):
        raise DoesNotHold("it introduces a key after another one than that of the line so far")
    return read_key(text(told.get("new_vkey")))


def vkey(key: Key) -> str:
    public = base64.b64encode(b"\x01" + key.public.public_bytes_raw()).decode()
    return f"{key.name}+{key.id.hex()}+{public}"


def event_hash(event: dict[str, Any]) -> bytes:
    parts = [b"tradebot/chain/v1", digest(event["previous_hash"])]
    for name in INTEGERS:
        number = event[name]
        if type(number) is not int:
            raise Unreadable(f"{name} is no integer")
        if not -(2**63) <= number < 2**63:
            raise DoesNotHold(f"{name} is out of range")
        parts.append(number.to_bytes(8, "big", signed=True))
    fields = [stored_bytes(name, text(event[name])) for name in FIELDS]
    parts += [len(field).to_bytes(4, "big") for field in fields]
    return sha256(b"".join(parts + fields)).digest()


def stored_bytes(name: str, value: str) -> bytes:
    if name == "state":
        return b64(value)
    if name == "commitment":
        return digest(value)
    if name == "command_digest":
        return hexadecimal(value)
    return value.encode()


def check_consistency(proof: dict[str, Any], path: list[bytes], key: Key) -> str:
    first = read_checkpoint(text(proof["first"]), key)
    second = read_checkpoint(text(proof["second"]), key)
    if first.size > second.size:
        raise DoesNotHold("the first history is longer than the second")
    if both_roots(first.size, second.size, path, first.root) != (first.root, second.root):
        raise DoesNotHold("the path does not lead from the first root to the second")
    if first.size == second.size and first.text != second.text:
        raise DoesNotHold("two checkpoints of the same size contradict each other")
    if first.recorded > second.recorded:
        raise DoesNotHold("the longer history ends earlier than the shorter one")
    return (
        f"The first {first.size} events of {first.origin}, signed as of {first.recorded}, are the "
        f"beginning of the {second.size} signed as of {second.recorded}."
    )


# -- a whole history -------------------------------------------------------------------------


class Unpacked:
    """The bytes inside one xz stream, no more at a time than are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=4 * FILE_LIMIT)
        self.size, self.limit = 0, FILE_LIMIT

    def read(self, count: int) -> bytes:
        self.size += count
        if self.size > self.limit:
            raise Unreadable("the file unpacks to more than its header says")
        found = b""
        while len(found) < count:
            if self.xz.eof:
                raise Unreadable("the file ends too early")
            found += self.some(count - len(found))
        return found

    def some(self, limit: int) -> bytes:
        packed = self.file.read(NOTE_LIMIT) if self.xz.needs_input else b""
        if self.xz.needs_input and not packed:
            raise Unreadable("the file is cut off")
        try:
            return self.xz.decompress(packed, limit)
        except lzma.LZMAError as e:
            raise Unreadable(f"the file is damaged ({e})") from None

    def piece(self) -> tuple[bytes, bytes]:
        kind, length = struct.unpack(">cI", self.read(5))
        if kind not in PIECES or length > PIECES[kind]:
            raise Unreadable("a piece is of an unknown kind, or too long")
        return kind, self.read(length)

    def check_end(self) -> None:
        while not self.xz.eof:
            if self.some(1):
                raise Unreadable("something follows the trailer")
        if self.xz.unused_data or self.file.read(1):
            raise Unreadable("something follows the end of the file")


class History:
    """What was read and holds, in little memory: the chain's end and the roots of the tree."""

    def __init__(self, key: Key) -> None:
        self.key, self.position, self.recorded_at = key, 0, 0
        self.head = sha256(b"tradebot/chain/v1/genesis").digest()
        self.roots: list[tuple[int, bytes]] = []  # of complete subtrees: leaves, root; left first
        self.checkpoints, self.signed = 0, 0
        self.epoch, self.sealed = 0, 0  # key epoch of the newest event; events with epoch above 0
        self.where = "its beginning"  # what is being read

    def add(self, own: bytes, record: bytes) -> None:
        """The next event: its hash; integers, lengths and fields as they are hashed."""
        numbers = dict(zip(INTEGERS, struct.unpack(">6q", record[:48]), strict=True))
        check_fields(record)
        if numbers["position"] != self.position + 1:
            raise DoesNotHold(f"it says that it is number {numbers['position']}")
        if sha256(b"tradebot/chain/v1" + self.head + record).digest() != own:
            raise DoesNotHold("its hash does not follow from its fields and the event before")
        if numbers["key_epoch"] < self.epoch:
            raise DoesNotHold(f"its key epoch goes back from {self.epoch}")
        self.epoch = numbers["key_epoch"]
        self.sealed += self.epoch > 0
        self.position, self.head, self.recorded_at = self.position + 1, own, numbers["recorded_at"]
        leaves, root = 1, sha256(b"\x00" + own).digest()
        while self.roots and self.roots[-1][0] == leaves:
            leaves, root = leaves * 2, node(self.roots.pop()[1], root)
        self.roots.append((leaves, root))

    def check(self, note: bytes) -> None:
        """The checkpoint that follows the newest event."""
        following, self.where = self.where, f"the checkpoint of event {self.position}"
        try:
            signed = read_checkpoint(note.decode(), self.key)
        except UnicodeDecodeError:
            raise Unreadable("it is not UTF-8") from None
        if signed.size > self.position:
            self.where = following
            raise DoesNotHold(f"a checkpoint of {signed.size} events comes too early")
        if signed.size != self.position or signed.size == self.signed:
            raise DoesNotHold("it is there twice, or not in its place")
        root = self.roots[-1][1]
        for _, left in reversed(self.roots[:-1]):
            root = node(left, root)
        if (signed.root, signed.head, signed.recorded) != (root, self.head, utc(self.recorded_at)):
            raise DoesNotHold("it was signed for another history")
        self.checkpoints, self.signed = self.checkpoints + 1, signed.size


def check_fields(record: bytes) -> None:
    lengths = struct.unpack(">10I", record[48:88])
    if 88 + sum(lengths) != len(record):
        raise Unreadable("the lengths of its fields do not add up")
    start = 88
    for name, length in zip(FIELDS, lengths, strict=True):
        try:
            if name not in BYTES:
                record[start : start + length].decode()
        except UnicodeDecodeError:
            raise Unreadable(f"its {name} is not UTF-8") from None
        start += length


def utc(microseconds: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        raise DoesNotHold("its last event was recorded at no time") from None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def check_history(file: BinaryIO, key: Key) -> str:
    """What the file shows, in words. Memory does not grow with it. Raises as check_proof does."""
    unpacked, history = Unpacked(file), History(key)
    try:
        events, checkpoints = read_header(unpacked, key)
        kind = b"H"
        while kind != b"T":
            following = history.position + 1
            history.where = f"event {following}" if following <= events else "its end"
            kind, body = unpacked.piece()
            if kind == b"E" and len(body) >= 120:
                history.add(body[:32], body[32:])
            elif kind == b"C":
                history.check(body)
            elif kind != b"T":
                raise Unreadable("a piece is too short, or a second header")
        if (history.position, history.checkpoints, unpacked.size) != (
            events, checkpoints, unpacked.limit,
        ):  # fmt: skip
            raise DoesNotHold("it holds less or more than its header says")
        if body != struct.pack(">q", events) + history.head:
            raise DoesNotHold("the trailer names another end")
        unpacked.check_end()
    except (DoesNotHold, Unreadable) as e:
        raise type(e)(f"{history.where} is bad: {e}") from None
    if not history.signed:
        raise DoesNotHold(f"the chain of {events} events holds, but nothing in it is signed")
    sealed = f"{history.sealed} payloads are sealed: chain checked, content not disclosed.\n"
    return (
        f"The chain of {events} events of {key.name} holds; {checkpoints} checkpoints are signed, "
        f"and the last covers events 1 to {history.signed}.\n"
        f"{sealed if history.sealed else ''}Head hash {history.head.hex()}"
    )


def read_header(unpacked: Unpacked, key: Key) -> tuple[int, int]:
    """Number of events and of checkpoints, as the file says."""
    start = unpacked.read(len(HISTORY))
    if start != HISTORY:
        newer = start.startswith(b"tradebot/history/")
        raise Unreadable("it is of a newer version" if newer else "it is no history file")
    kind, body = unpacked.piece()
    if kind != b"H" or len(body) < 24:
        raise Unreadable("there is no header")
    events, checkpoints, unpacked.limit = struct.unpack(">3q", body[:24])
    if body[24:] != (vkey(key).encode() if checkpoints else b""):
        raise DoesNotHold("its checkpoints are said to be signed with another key")
    return events, checkpoints


# -- reading ---------------------------------------------------------------------------------


def read_json(data: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Unreadable("a member is there twice")
        return dict(pairs)

    try:
        found = json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as e:
        raise Unreadable(f"it is not JSON ({e})") from None
    if not isinstance(found, dict):
        raise Unreadable("it is not a JSON object")
    return found


def text(value: Any) -> str:
    if not isinstance(value, str) or not all(c < "\ud800" or c > "\udfff" for c in value):
        raise Unreadable("text was expected")
    return value


def b64(value: str) -> bytes:
    try:
        found = base64.b64decode(value, validate=True)
    except ValueError:
        raise Unreadable("base64 is malformed") from None
    if base64.b64encode(found).decode() != value:  # spare bits that say nothing
        raise Unreadable("base64 is not written in the one allowed way")
    return found


def hexadecimal(value: Any) -> bytes:
    if not re.fullmatch(r"(?:[0-9a-f]{2})*", text(value)):
        raise Unreadable("hexadecimal is malformed")
    return bytes.fromhex(value)


def digest(value: Any) -> bytes:
    found = hexadecimal(value)
    if len(found) != 32:
        raise Unreadable("a hash has another length than 32 bytes")
    return found


def check_file(what: str, path: Path, key: Key) -> str:
    with path.open("rb") as file:
        if what == "history":
            return check_history(file, key)
        data = file.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        raise Unreadable("it is too large")
    if what == "proof":
        return check_proof(data, key)
    return f"Signed by {key.name}:\n{read_checkpoint(data.decode(), key).text}".rstrip()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check a TradeBot checkpoint, proof or history.")
    parser.add_argument("what", choices=("checkpoint", "proof", "history"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="the bot's checkpoint.vkey")
    parser.add_argument("--line", type=Path, nargs="+", default=[], help="proofs of later keys")
    chosen = parser.parse_args(arguments)
    file = chosen.file  # what an error names
    try:
        key = read_key(chosen.key.read_bytes()[:NOTE_LIMIT].decode())
        for file in chosen.line:
            key = next_key(file.read_bytes()[: FILE_LIMIT + 1], key)
        file = chosen.file
        shown = check_file(chosen.what, file, key)
    except DoesNotHold as e:
        print(f"DOES NOT HOLD: {file}: {e}.", file=sys.stderr)
        return 1
    except (Unreadable, UnicodeDecodeError, OSError) as e:
        print(f"UNREADABLE: {file}: {e}.", file=sys.stderr)
        return 3
    print(f"HOLDS. {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
