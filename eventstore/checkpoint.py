"""Checkpoints: a few signed lines that pin a history and its books (C2SP tlog-checkpoint v1).

A checkpoint is a signed note. Its text is the origin, the tree size and the root, then three lines
of our own: the head of the chain, the state root of the ledger, and when the last event was
recorded. docs/verifier/format.md is the published description.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from aggregates.errors import TradeBotError
from config.clock import from_micros, to_micros
from eventstore.errors import VerificationFailed
from eventstore.merkle import HASH_BYTES
from security.signing import SigningKey, VerifierKey, is_key_name

SIZE_LIMIT = 65_536  # bytes; our own take about five hundred
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_BODY = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"head (?P<head>[0-9a-f]{64})\n"
    r"state (?P<rules>0|[1-9][0-9]{0,8}) (?P<state>[0-9a-f]{64})\n"
    r"recorded (?P<recorded>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\n",
    re.ASCII,
)
_TREE_HEAD = re.compile(r"[^\n]+\n(0|[1-9][0-9]*)\n[A-Za-z0-9+/]{43}=\n", re.ASCII)


class CheckpointUnreadable(TradeBotError):
    """Not a checkpoint, cut, doubled, or of a newer version: nothing was changed (exit code 3)."""


class CheckpointMismatch(VerificationFailed):
    """A checkpoint and a store, key or proof that do not belong together (exit code 1)."""


class Checkpoint(NamedTuple):
    """What is signed. Hashes are 32 bytes, ``recorded_at`` UTC microseconds, ``size`` >= 1."""

    origin: str
    size: int
    root: bytes
    head: bytes
    rules_version: int
    state: bytes
    recorded_at: int

    @property
    def text(self) -> str:
        """The text of the note: six lines, each with its newline."""
        return (
            f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
            f"head {self.head.hex()}\nstate {self.rules_version} {self.state.hex()}\n"
            f"recorded {from_micros(self.recorded_at).strftime(_TIME)}\n"
        )


class SignedCheckpoint(NamedTuple):
    """A checkpoint as it was read; ``signatures`` are (key name, key id, signature)."""

    checkpoint: Checkpoint
    signatures: list[tuple[str, bytes, bytes]]
    note: str


def origin_of(identity: str) -> str:
    """The name of a bot's log and of the key that signs it."""
    return f"tradebot/{identity}"


def sign(checkpoint: Checkpoint, *keys: SigningKey) -> str:
    """The signed note, a line for each key. The same checkpoint and keys give the same text."""
    text = checkpoint.text.encode()
    signatures = [
        f"— {k.verifier.name} {base64.b64encode(k.verifier.id + k.sign(text)).decode()}\n"
        for k in keys
    ]
    return f"{checkpoint.text}\n{''.join(signatures)}"


def read_checkpoint(path: Path) -> SignedCheckpoint:
    """Raises CheckpointUnreadable, OSError."""
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    return parse(data, str(path))


def parse(data: bytes, where: str) -> SignedCheckpoint:
    """Take a note apart, strictly; no signature is checked yet. Raises CheckpointUnreadable."""
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise _unreadable(where, "it is not UTF-8 text") from None
    if len(data) > SIZE_LIMIT:
        raise _unreadable(where, f"it is larger than {SIZE_LIMIT:,} bytes")
    if any(c < " " and c != "\n" for c in note):
        raise _unreadable(where, "it holds control characters or Windows line ends")
    body, blank, signatures = note.rpartition("\n\n")
    body += "\n"
    if not blank or not note.endswith("\n"):
        raise _unreadable(where, "it is cut off or has no signature")
    if "\n\n" in body:
        raise _unreadable(where, "it holds more than one checkpoint")
    found = [_signature(line, where) for line in signatures[:-1].split("\n")]
    return SignedCheckpoint(_checkpoint(body, where), found, note)


def _checkpoint(body: str, where: str) -> Checkpoint:
    match = _BODY.fullmatch(body)
    if match is None:
        if _TREE_HEAD.match(body):
            why = "its lines are not those that this version writes; another version or log did"
            raise _unreadable(where, why)
        raise _unreadable(where, "origin, tree size and root are not as they should be")
    try:
        root = base64.b64decode(match["root"], validate=True)
        recorded = datetime.fromisoformat(match["recorded"])
    except ValueError as e:
        raise _unreadable(where, str(e)) from None
    found = Checkpoint(
        match["origin"],
        int(match["size"]),
        root,
        bytes.fromhex(match["head"]),
        int(match["rules"]),
        bytes.fromhex(match["state"]),
        to_micros(recorded),
    )
    if found.text != body or len(root) != HASH_BYTES:  # a second way to write the same
        raise _unreadable(where, "a line is not written in the one allowed way")
    return found


def _signature(line: str, where: str) -> tuple[str, bytes, bytes]:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    canonical = base64.b64encode(raw).decode() == encoded
    if mark != "—" or not is_key_name(name) or len(raw) < 5 or not canonical:
        raise _unreadable(where, "a signature line is cut off or malformed")
    return name, raw[:4], raw[4:]


def _unreadable(where: str, why: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(
        f"{where} is not a checkpoint that can be read: {why}. Nothing was changed; get the file "
        "again from where checkpoints are kept."
    )


def check_signature(signed: SignedCheckpoint, key: VerifierKey, where: str) -> None:
    """Every signature of this key must hold, and there must be one. Raises CheckpointMismatch."""
    if signed.checkpoint.origin != key.name:
        raise CheckpointMismatch(
            f"FOREIGN: {where} is a checkpoint of {signed.checkpoint.origin}, not of {key.name}. "
            "Nothing was changed; name a checkpoint of this bot."
        )
    text = signed.checkpoint.text.encode()
    mine = [s for name, key_id, s in signed.signatures if (name, key_id) == (key.name, key.id)]
    if not mine:
        raise CheckpointMismatch(
            f"NOT SIGNED by this key: {where} carries no signature of {key.name}+{key.id.hex()}. "
            "Nothing was changed; somebody else signed it, or the key is another one."
        )
    if not all(key.signed(text, signature) for signature in mine):
        raise CheckpointMismatch(
            f"FORGED: the signature of {where} does not belong to its text. Nothing was changed; "
            "get the checkpoint again from where it is kept."
        )
