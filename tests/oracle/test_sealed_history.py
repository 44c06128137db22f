"""Sealed payloads before both verifiers: the chain can be checked, one event disclosed, no more."""

import importlib.util
import io
import json
import lzma
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest

from aggregates.errors import TradeBotError
from eventstore.checkpoint import Checkpoint, parse, sign
from eventstore.envelope import GENESIS, Envelope, blind_of, chain_hash
from eventstore.history_file import HistoryFile, write_history
from eventstore.history_load import load_rows
from eventstore.merkle import MerkleTree
from eventstore.proofs import EntryProof, check_entry, prove_entry, read_proof, to_bytes
from eventstore.sealing import open_row, seal
from security.data_keys import DataKey, KeyRing
from security.signing import SigningKey

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "tradebot/DEMO_USA_SIM_01"
KEY = SigningKey(ORIGIN, bytes(range(32)))
EPOCHS = (0, 0, 1, 1, 2)  # two from before the vault, then two generations
DATA_KEYS = {n: DataKey(sha512(bytes([n])).digest(), sha256(bytes([n])).digest()) for n in (1, 2)}
KEYS = KeyRing({0: DataKey(b"", DATA_KEYS[1].blind), **DATA_KEYS})


def load_verifier() -> Any:
    path = ROOT / "docs" / "verifier" / "verify_tradebot.py"
    spec = importlib.util.spec_from_file_location("sealed_verifier", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = load_verifier()
VKEY = verifier.read_key(str(KEY.verifier))


def rows(epochs: tuple[int, ...] = EPOCHS) -> Iterator[Envelope]:
    """Well chained and, under the keys of their epochs, well sealed."""
    previous = GENESIS
    for n, epoch in enumerate(epochs, 1):
        stream, payload = f"stream-{n % 2}", f'{{"text":"№ {n} \U0001f4c8"}}'.encode()
        key = DATA_KEYS.get(epoch, DATA_KEYS[1])
        state, commitment = seal(epoch, key, stream, n, "Test.Happened", 1, payload)
        row = Envelope(
            position=n, originator_id=stream, originator_version=n, topic="Test.Happened",
            schema_version=1, state=state, commitment=commitment,
            recorded_at=1_700_000_000_000_000 + n, command_id=f"c{n}", command_index=0,
            command_digest=bytes([0xA0 + n]) * 32, actor="tester", correlation_id="",
            causation_id="", software_version="1", key_epoch=epoch, hash=b"",
        )  # fmt: skip
        row = row._replace(hash=chain_hash(previous, row))
        previous = row.hash
        yield row


def note(history: list[Envelope]) -> str:
    tree, last = MerkleTree(row.hash for row in history), history[-1]
    size = len(history)
    made = Checkpoint(ORIGIN, size, tree.root(size), last.hash, 1, bytes(32), last.recorded_at)
    return sign(made, KEY)


def file_of(history: list[Envelope], tmp_path: Path) -> bytes:
    """As it is exported."""
    store, out = tmp_path / "events.db", io.BytesIO()
    load_rows(store, iter(history), lambda _: None)
    write_history(store, [parse(note(history).encode(), "it")], KEY.verifier, out)
    return out.getvalue()


def ours(data: bytes) -> str:
    try:
        file = HistoryFile(io.BytesIO(data), "it")
        list(file)
    except TradeBotError as e:
        return str(e)
    return f"holds, {file.chain.sealed} sealed"


def theirs(data: bytes) -> str:
    try:
        found: str = verifier.check_history(io.BytesIO(data), VKEY)
    except (verifier.DoesNotHold, verifier.Unreadable) as e:
        return str(e)
    return found


def test_a_history_with_sealed_payloads_holds_for_both(tmp_path: Path) -> None:
    data = file_of(list(rows()), tmp_path)
    assert ours(data) == "holds, 3 sealed"
    assert "3 payloads are sealed: chain checked, content not disclosed." in theirs(data)
    assert "№ 5" not in theirs(data)


def test_of_a_history_in_clear_nothing_is_said_of_seals(tmp_path: Path) -> None:
    assert "sealed" not in theirs(file_of(list(rows((0, 0))), tmp_path))


@pytest.mark.parametrize(
    ("epochs", "bad"),
    [
        ((0, 1, 0), 3),
        ((1, 1, 0, 0), 3),
        ((2, 1), 2),
        ((0, 2, 1, 2), 3),
        ((-1,), 1),
        ((0, 0, -1), 3),
    ],
)
def test_epochs_that_go_back_are_refused_by_both_at_the_same_event(
    epochs: tuple[int, ...], bad: int
) -> None:
    """Well chained and signed by who has the key: the order of epochs alone is at fault."""
    data = forged_file(list(rows(epochs)))
    for said in (ours(data), theirs(data)):
        assert f"event {bad} is bad: its key epoch goes back" in said


def forged_file(history: list[Envelope]) -> bytes:
    """After format.md, with nothing of our writer."""

    def piece(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">cI", kind, len(body)) + body

    pieces = b""
    for row in history:
        fields = [
            row.originator_id.encode(), row.topic.encode(), row.state, row.commitment,
            row.command_id.encode(), row.command_digest, row.actor.encode(), b"", b"", b"1",
        ]  # fmt: skip
        numbers = (row.position, row.originator_version, row.schema_version, row.recorded_at,
                   row.command_index, row.key_epoch)  # fmt: skip
        record = struct.pack(">6q10I", *numbers, *map(len, fields)) + b"".join(fields)
        pieces += piece(b"E", row.hash + record)
    pieces += piece(b"C", note(history).encode())
    pieces += piece(b"T", struct.pack(">q", len(history)) + history[-1].hash)
    magic, vkey = b"tradebot/history/v1\n", str(KEY.verifier).encode()
    size = len(magic) + 5 + 24 + len(vkey) + len(pieces)
    header = piece(b"H", struct.pack(">3q", len(history), 1, size) + vkey)
    return lzma.compress(magic + header + pieces, preset=0)


# One event disclosed


def proof_of(history: list[Envelope], position: int) -> EntryProof:
    row = history[position - 1]
    blind = blind_of(KEYS.of(row.key_epoch).blind, row.originator_id, row.originator_version)
    previous = history[position - 2].hash if position > 1 else GENESIS
    tree = MerkleTree(row.hash for row in history)
    signed = parse(note(history).encode(), "it")
    return prove_entry(row, open_row(KEYS, row), previous, blind, tree, signed)


def holds_for(data: bytes) -> tuple[bool, bool]:
    def true(check: Callable[[], object]) -> bool:
        try:
            check()
        except (TradeBotError, verifier.DoesNotHold, verifier.Unreadable):
            return False
        return True

    return (
        true(lambda: check_entry(read_proof(data, EntryProof, "it"), KEY.verifier, "it")),
        true(lambda: verifier.check_proof(data, VKEY)),
    )


@pytest.mark.parametrize("position", range(1, len(EPOCHS) + 1))
def test_a_sealed_event_is_disclosed_alone(position: int) -> None:
    proof = proof_of(list(rows()), position)
    data = to_bytes(proof)
    assert holds_for(data) == (True, True)
    assert f"№ {position}" in verifier.check_proof(data, VKEY)
    assert all(key.hex().encode() not in data for key in DATA_KEYS[1])


@pytest.mark.parametrize("lie", ["payload", "blind", "state", "epoch", "neighbour's state"])
def test_no_other_content_can_be_disclosed_for_it(lie: str) -> None:
    history = list(rows())
    true, other = (json.loads(to_bytes(proof_of(history, n))) for n in (4, 3))
    changed = {
        "payload": {"payload": other["payload"]},
        "blind": {"blind": other["blind"]},
        "state": {"event": true["event"] | {"state": "e30="}},
        "epoch": {"event": true["event"] | {"key_epoch": 0}},
        "neighbour's state": {"event": true["event"] | {"state": other["event"]["state"]}},
    }[lie]
    data = json.dumps(true | changed, indent=2, ensure_ascii=False).encode() + b"\n"
    assert holds_for(json.dumps(true, indent=2, ensure_ascii=False).encode() + b"\n") == (
        True,
        True,
    )
    assert holds_for(data) == (False, False)
