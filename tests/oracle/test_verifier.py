"""The published verifier and our own check judge the same proofs, true and forged, alike."""

import base64
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from aggregates.errors import TradeBotError
from eventstore.checkpoint import Checkpoint, parse, sign
from eventstore.envelope import GENESIS, Envelope, blind_of, chain_hash, commitment_of
from eventstore.merkle import MerkleTree
from eventstore.proofs import (
    ConsistencyProof,
    EntryProof,
    check_consistency,
    check_entry,
    prove_consistency,
    prove_entry,
    read_proof,
    to_bytes,
)
from security.signing import SigningKey, VerifierKey

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "verifier" / "verify_tradebot.py"
ORIGIN = "tradebot/DEMO_USA_SIM_01"
KEY = SigningKey(ORIGIN, bytes(range(32)))
OTHER_KEY = SigningKey(ORIGIN, bytes(32))
BLIND_KEY = b"k" * 32
EVENTS = 13
OLD = 10  # the smaller checkpoint
MIDDLE = 6  # the event that is proven, in the left half of the tree


def load_verifier() -> Any:
    spec = importlib.util.spec_from_file_location("verify_tradebot", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = load_verifier()


# -- a small history -------------------------------------------------------------------------


def envelope(position: int, previous: bytes) -> Envelope:
    payload = f'{{"number":{position},"text":"Zürich \\"№\\" \U0001f4c8"}}'.encode()
    stream = f"stream-{position % 3}"
    row = Envelope(
        position=position, originator_id=stream, originator_version=position,
        topic="Test.Happened", schema_version=1, state=payload,
        commitment=commitment_of(blind_of(BLIND_KEY, stream, position), payload),
        recorded_at=1_700_000_000_000_000 + position, command_id=f"c{position}", command_index=0,
        command_digest=bytes([0xA0 + position]) * 32, actor="tester", correlation_id="café",
        causation_id="", software_version="1", key_epoch=0, hash=b"",
    )  # fmt: skip
    return row._replace(hash=chain_hash(previous, row))


def history() -> Iterator[Envelope]:
    previous = GENESIS
    for position in range(1, EVENTS + 1):
        row = envelope(position, previous)
        previous = row.hash
        yield row


ROWS = list(history())
TREE = MerkleTree(row.hash for row in ROWS)


def checkpoint(size: int, **changed: Any) -> Checkpoint:
    last = ROWS[size - 1]
    true = Checkpoint(ORIGIN, size, TREE.root(size), last.hash, 1, bytes(32), last.recorded_at)
    return true._replace(**changed)


def entry(position: int = MIDDLE) -> dict[str, Any]:
    row = ROWS[position - 1]
    previous = ROWS[position - 2].hash if position > 1 else GENESIS
    blind = blind_of(BLIND_KEY, row.originator_id, row.originator_version)
    signed = parse(sign(checkpoint(EVENTS), KEY).encode(), "test")
    return decoded(prove_entry(row, row.state, previous, blind, TREE, signed))


def consistency(first: int = OLD, second: int = EVENTS) -> dict[str, Any]:
    notes = [sign(checkpoint(size), KEY).encode() for size in (first, second)]
    return decoded(prove_consistency(TREE, *(parse(note, "test") for note in notes)))


def decoded(proof: EntryProof | ConsistencyProof) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_bytes(proof))
    return found


def encoded(proof: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


# -- the two judges --------------------------------------------------------------------------


def ours(data: bytes, key: VerifierKey = KEY.verifier) -> bool:
    kind: Any = EntryProof if b'"tradebot/proof/entry/v1"' in data else ConsistencyProof
    check: Callable[..., None] = check_entry if kind is EntryProof else check_consistency
    try:
        check(read_proof(data, kind, "test"), key, "test")
    except TradeBotError:
        return False
    return True


def theirs(data: bytes, key: VerifierKey = KEY.verifier) -> bool:
    try:
        verifier.check_proof(data, verifier.read_key(str(key)))
    except (verifier.DoesNotHold, verifier.Unreadable):
        return False
    return True


def hold(proof: dict[str, Any], key: VerifierKey = KEY.verifier) -> bool:
    """Whether it holds; both must say the same."""
    data = encoded(proof)
    verdicts = ours(data, key), theirs(data, key)
    assert verdicts[0] == verdicts[1], f"ours, theirs: {verdicts}\n{data.decode()}"
    return verdicts[0]


# -- true ones -------------------------------------------------------------------------------


def test_the_golden_files_hold_for_both(golden: Callable[[str, str | bytes], None]) -> None:
    files = {
        "proof_entry.json": encoded(entry()),
        "proof_consistency.json": encoded(consistency()),
        "checkpoint_sample.txt": sign(checkpoint(EVENTS), KEY).encode(),
        "checkpoint_sample.vkey": f"{KEY.verifier}\n".encode(),
    }
    for name, content in files.items():
        golden(name, content)
    assert hold(json.loads(files["proof_entry.json"]))
    assert hold(json.loads(files["proof_consistency.json"]))


def test_every_event_and_every_pair_of_sizes_can_be_proven() -> None:
    assert all(hold(entry(position)) for position in range(1, EVENTS + 1))
    for second in range(1, EVENTS + 1):
        assert all(hold(consistency(first, second)) for first in range(1, second + 1))


def test_the_vector_of_signed_note() -> None:
    """The example of golang.org/x/mod/sumdb/note: vkey, text and signature made by other code."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        b"If you think cryptography is the answer to your problem,\n"
        b"then you don't know what your problem is.\n"
    )
    line = (
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf"
        "qdngotpRZb6KE6RyyBwJnAM="
    )
    raw = base64.b64decode(line)
    key = VerifierKey.parse(vkey, "vector")
    assert str(key) == vkey
    assert raw[:4] == key.id == verifier.read_key(vkey).id
    assert key.signed(text, raw[4:])
    assert not key.signed(text + b"\n", raw[4:])
    verifier.check_signatures(text.decode(), [f"— PeterNeumann {line}"], verifier.read_key(vkey))
    with pytest.raises(verifier.DoesNotHold, match="false"):
        verifier.check_signatures("other", [f"— PeterNeumann {line}"], verifier.read_key(vkey))


# -- forged ones -----------------------------------------------------------------------------


class Forgery(NamedTuple):
    name: str
    proof: dict[str, Any]


def flip(text: str, at: int = 0) -> str:
    """Another hexadecimal digit in that place."""
    return text[:at] + format(int(text[at], 16) ^ 1, "x") + text[at + 1 :]


def forged_paths(proof: dict[str, Any]) -> Iterator[Forgery]:
    path = proof["path"]
    for i, node in enumerate(path):
        yield Forgery(
            f"node {i} altered", proof | {"path": [*path[:i], flip(node), *path[i + 1 :]]}
        )
        yield Forgery(f"node {i} altered at its end",
                      proof | {"path": [*path[:i], flip(node, 63), *path[i + 1 :]]})  # fmt: skip
        yield Forgery(f"node {i} missing", proof | {"path": path[:i] + path[i + 1 :]})
        yield Forgery(f"node {i} twice", proof | {"path": [*path[:i], node, *path[i:]]})
        yield Forgery(f"node {i} cut", proof | {"path": [*path[:i], node[:-2], *path[i + 1 :]]})
    for i in range(len(path) - 1):
        swapped = [*path[:i], path[i + 1], path[i], *path[i + 2 :]]
        yield Forgery(f"nodes {i} and {i + 1} swapped", proof | {"path": swapped})
    yield Forgery("path turned round", proof | {"path": path[::-1]})
    yield Forgery("no path", proof | {"path": []})


def forged_notes(proof: dict[str, Any], member: str, size: int) -> Iterator[Forgery]:
    """Checkpoints that are changed, signed by somebody else, or cut; and lies well signed."""
    note = proof[member]
    text, _, line = note.partition("\n\n")
    lines = text.split("\n")
    for i, changed in enumerate(lines):
        other = changed[:-2] + ("1" if changed[-2] != "1" else "2") + changed[-1]
        forged = "\n".join([*lines[:i], other, *lines[i + 1 :]])
        yield Forgery(f"{member}: line {i} altered", proof | {member: f"{forged}\n\n{line}"})
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    for at in (0, 4, 35, 36, 67):
        raw[at] ^= 1
        wrong = base64.b64encode(bytes(raw)).decode()
        raw[at] ^= 1
        forged = f"{text}\n\n— {ORIGIN} {wrong}\n"
        yield Forgery(f"{member}: signature altered at {at}", proof | {member: forged})
    true = checkpoint(size)
    spare = chr(ord(line[-3]) + 1)  # the last two bits of that character say nothing
    named = {
        "signature written in a second way": f"{note[:-3]}{spare}{note[-2:]}",
        "a false signature after the true one": f"{note}— {ORIGIN} {wrong}\n",
        "a false signature before the true one": f"{text}\n\n— {ORIGIN} {wrong}\n{line}",
        "signed by another key": sign(true, OTHER_KEY),
        "of another bot": sign(
            true._replace(origin="tradebot/OTHER"), SigningKey("tradebot/OTHER", bytes(range(32)))
        ),
        "another bot's, signed with this key": sign(true._replace(origin="tradebot/OTHER"), KEY),
        "another root, well signed": sign(true._replace(root=bytes(32)), KEY),
        "cut": note[:-1],
        "without signature": f"{text}\n",
        "doubled": note + note,
        "doubled after an empty line": f"{note}\n{note}",
        "an extension line more": note.replace("\n\n", "\nnew thing\n\n"),
        "Windows line ends": note.replace("\n", "\r\n"),
        "leading zero": note.replace(f"\n{size}\n", f"\n0{size}\n"),
        "empty": "",
    }
    for name, forged in named.items():
        yield Forgery(f"{member}: {name}", proof | {member: forged})


def forged_entries() -> Iterator[Forgery]:
    proof = entry()
    yield from forged_paths(proof)
    yield from forged_notes(proof, "checkpoint", EVENTS)
    event = proof["event"]
    for name, value in event.items():
        if isinstance(value, int):
            wrongs: list[Any] = [value + 1, value - 1, -value - 1, 2**63, 2**70, str(value), None]
        elif name in ("commitment", "command_digest", "hash", "previous_hash"):
            wrongs = [flip(value), value[:-2], value.upper(), "", 1]
        elif name == "state":
            wrongs = [base64.b64encode(b"{}").decode(), value[:-1], f" {value}", ""]
        else:
            wrongs = [f"{value}x", 1, None]
        for wrong in wrongs:
            changed = proof | {"event": event | {name: wrong}}
            yield Forgery(f"event: {name} is {wrong!r:.30}", changed)
    yield Forgery("wrong blind", proof | {"blind": flip(proof["blind"])})
    yield Forgery("no blind", proof | {"blind": ""})
    other = entry(MIDDLE + 1)
    for name in ("event", "payload", "blind", "path"):
        yield Forgery(f"{name} of another event", proof | {name: other[name]})
    yield Forgery("wrong payload", proof | {"payload": proof["payload"].replace("6", "7")})
    yield Forgery("unknown member", proof | {"more": 1})
    yield Forgery("newer format", proof | {"format": "tradebot/proof/entry/v2"})
    yield Forgery("another format", proof | {"format": "tradebot/proof/consistency/v1"})
    yield Forgery("a member is missing", {k: v for k, v in proof.items() if k != "blind"})
    yield from resized(entry(EVENTS), "checkpoint", EVENTS, (1, 8, 12, 14, 16, 26, 10**17))


def forged_consistency() -> Iterator[Forgery]:
    proof = consistency()
    yield from forged_paths(proof)
    yield from forged_notes(proof, "first", OLD)
    yield from forged_notes(proof, "second", EVENTS)
    yield Forgery("exchanged", proof | {"first": proof["second"], "second": proof["first"]})
    same = consistency(EVENTS, EVENTS)
    yield Forgery("equal sizes with a path", same | {"path": proof["path"][:1]})
    lie = sign(checkpoint(EVENTS, state=bytes([1]) * 32), KEY)
    yield Forgery("equal sizes, two states", same | {"second": lie})
    early = sign(checkpoint(EVENTS, recorded_at=1_600_000_000_000_000), KEY)
    yield Forgery("the longer one is older", proof | {"second": early})
    # a size that leaves the shape of the path as it is, such as 14 for 13, only the signature binds
    yield from resized(proof, "first", OLD, (1, 8, 9, 11, 12, 13, 14))
    yield from resized(proof, "second", EVENTS, (10, 11, 12, 17, 26, 10**17))


def resized(
    proof: dict[str, Any], member: str, true: int, sizes: tuple[int, ...]
) -> Iterator[Forgery]:
    for size in sizes:
        lie = sign(checkpoint(true)._replace(size=size), KEY)
        yield Forgery(f"{member}: signed size {size} for {true}", proof | {member: lie})


FORGERIES = [*forged_entries(), *forged_consistency()]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.name)
def test_a_forged_proof_is_refused_by_both(forgery: Forgery) -> None:
    assert not hold(forgery.proof)


def test_left_and_right_exchanged_is_refused_by_both() -> None:
    """The sibling's place: the path of event 5 led from event 6, each well chained."""
    for position in (5, 6):
        proof = entry(position)
        sibling = entry(11 - position)
        assert not hold(sibling | {"path": proof["path"]})


def test_a_payload_that_the_store_does_not_hold_is_refused_by_both() -> None:
    """The writer itself lied: the commitment opens to another payload than the stored one."""
    row = ROWS[-1]
    blind, payload = bytes(32), b'{"another":"story"}'
    row = row._replace(commitment=commitment_of(blind, payload))
    row = row._replace(hash=chain_hash(ROWS[-2].hash, row))
    tree = MerkleTree([*(r.hash for r in ROWS[:-1]), row.hash])
    lie = checkpoint(EVENTS)._replace(root=tree.root(EVENTS), head=row.hash)
    signed = parse(sign(lie, KEY).encode(), "test")
    proof = decoded(prove_entry(row, row.state, ROWS[-2].hash, blind, tree, signed))
    assert not hold(proof | {"payload": payload.decode()})


def test_signatures_of_unknown_keys_are_passed_over_by_both() -> None:
    """A witness may sign below (C2SP signed-note): that changes nothing for our key."""
    witness = sign(checkpoint(EVENTS), OTHER_KEY).partition("\n\n")[2]
    proof = entry()
    assert hold(proof | {"checkpoint": proof["checkpoint"] + witness})


def test_another_key_is_refused_by_both() -> None:
    for proof in (entry(), consistency()):
        assert not hold(proof, OTHER_KEY.verifier)
        assert not hold(proof, SigningKey("tradebot/OTHER", bytes(range(32))).verifier)


@pytest.mark.parametrize("make", [entry, consistency])
def test_a_cut_doubled_or_foreign_file_is_refused_by_both(make: Callable[[], Any]) -> None:
    data = encoded(make())
    cuts = [data[:n] for n in range(0, len(data) - 2, 97)]
    twice = data.replace(b'"path"', b'"path": [],\n  "path"', 1)
    for wrong in [*cuts, data + data, twice, b"[]", b"null", b"\xff", b"[" * 100_000]:
        assert not ours(wrong)
        assert not theirs(wrong)


# -- the script as a stranger runs it --------------------------------------------------------


def test_the_script_alone_says_what_holds(tmp_path: Path) -> None:
    files = {
        "entry.json": encoded(entry()),
        "forged.json": encoded(entry() | {"blind": "00" * 32}),
        "cut.json": encoded(entry())[:300],
        "checkpoint": sign(checkpoint(EVENTS), KEY).encode(),
        "resigned": sign(checkpoint(EVENTS), OTHER_KEY).encode(),
        "key": f"{KEY.verifier}\n".encode(),
        "nokey": b"tradebot/X+00000000+AAAA\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cases = [
        ("proof", "entry.json", "key", 0, "Event 6 of tradebot/DEMO_USA_SIM_01"),
        ("proof", "forged.json", "key", 1, "do not open the event's commitment"),
        ("proof", "cut.json", "key", 3, "not JSON"),
        ("proof", "missing.json", "key", 3, "No such file"),
        ("proof", "entry.json", "nokey", 3, "no vkey"),
        ("checkpoint", "checkpoint", "key", 0, "\n13\n"),
        ("checkpoint", "resigned", "key", 1, "no signature of this key"),
        ("checkpoint", "entry.json", "key", 3, "UNREADABLE"),
    ]
    for what, name, key, code, said in cases:
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), what, name, "--key", key],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done


def test_the_script_imports_nothing_of_ours() -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='v');"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & set(sys.argv[2:])))"
    )
    packages = [p.parent.name for p in SCRIPT.parents[2].glob("*/__init__.py")]
    assert "eventstore" in packages
    done = subprocess.run(
        [sys.executable, "-c", code, str(SCRIPT), *packages, "msgspec"],
        cwd=SCRIPT.parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done
