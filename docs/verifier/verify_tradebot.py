#!/usr/bin/env python3
"""Check a TradeBot checkpoint or proof. Needs Python 3.11 and the package `cryptography` alone.

    python3 verify_tradebot.py checkpoint FILE --key checkpoint.vkey
    python3 verify_tradebot.py proof FILE --key checkpoint.vkey

Exit codes: 0 it holds, 1 it does not hold, 2 usage, 3 unreadable. Written from format.md; it shares
no code with TradeBot, so that both can be wrong only in different ways.
"""

import argparse
import base64
import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check a TradeBot checkpoint or proof.")
    parser.add_argument("what", choices=("checkpoint", "proof"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="the bot's checkpoint.vkey")
    chosen = parser.parse_args(arguments)
    try:
        key = read_key(chosen.key.read_bytes()[:NOTE_LIMIT].decode())
        with chosen.file.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            raise Unreadable("it is too large")
        if chosen.what == "proof":
            shown = check_proof(data, key)
        else:
            signed = read_checkpoint(data.decode(), key)
            shown = f"Signed by {key.name}:\n{signed.text}".rstrip()
    except DoesNotHold as e:
        print(f"DOES NOT HOLD: {chosen.file}: {e}.", file=sys.stderr)
        return 1
    except (Unreadable, UnicodeDecodeError, OSError) as e:
        print(f"UNREADABLE: {chosen.file}: {e}.", file=sys.stderr)
        return 3
    print(f"HOLDS. {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
