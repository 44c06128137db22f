"""The published verifier and our own reader judge the same history files alike."""

import importlib.util
import io
import lzma
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore.checkpoint import parse
from eventstore.envelope import Envelope
from eventstore.history_file import HistoryFile, write_history
from eventstore.history_format import HistoryMismatch, HistoryUnreadable
from eventstore.history_load import load_rows
from security.signing import SigningKey

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "verifier" / "verify_tradebot.py"
GOLDEN = ROOT / "tests" / "golden" / "history_sample.xz"


def load(path: Path) -> Any:
    """A module that is in no package, by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = load(SCRIPT)
forgeries = load(Path(__file__).with_name("history_forgeries.py"))
KEY, VKEY, ORIGIN = forgeries.KEY, forgeries.VKEY, forgeries.ORIGIN
ROWS, PIECES, TRUE = forgeries.ROWS, forgeries.PIECES, forgeries.TRUE
Piece, whole, packed = forgeries.Piece, forgeries.whole, forgeries.packed
note, pieces_of, fault_in = forgeries.note, forgeries.pieces_of, forgeries.fault_in


# -- the two judges --------------------------------------------------------------------------


class Verdict(NamedTuple):
    holds: bool
    bad: int | None = None  # the first bad event, where the message names one


class Drips(io.BytesIO):
    """Gives the true file in one go and what follows it in another, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(len(TRUE) if size is None else min(size, len(TRUE)))


def ours(data: bytes, opened: type[io.BytesIO] = io.BytesIO) -> Verdict:
    try:
        list(HistoryFile(opened(data), "it"))
    except (HistoryMismatch, HistoryUnreadable) as e:
        return named(str(e))
    return Verdict(holds=True)


def theirs(data: bytes, opened: type[io.BytesIO] = io.BytesIO) -> Verdict:
    try:
        verifier.check_history(opened(data), verifier.read_key(VKEY.decode()))
    except (verifier.DoesNotHold, verifier.Unreadable) as e:
        return named(str(e))
    return Verdict(holds=True)


def named(message: str) -> Verdict:
    found = re.search(r"event ([0-9]+)", message)
    return Verdict(holds=False, bad=int(found[1]) if found else None)


def judged(data: bytes, opened: type[io.BytesIO] = io.BytesIO) -> Verdict:
    """What both say; they must say the same, the first bad event included."""
    verdicts = ours(data, opened), theirs(data, opened)
    assert verdicts[0] == verdicts[1]
    return verdicts[0]


# -- true ones -------------------------------------------------------------------------------


def test_the_golden_file_holds_for_both(
    golden: Callable[[str, str | bytes], None], tmp_path: Path
) -> None:
    store, written = tmp_path / "events.db", io.BytesIO()
    load_rows(store, iter(ROWS), lambda _: None)
    signed = [parse(note(ROWS, size), "test") for size in forgeries.SIGNED]
    write_history(store, signed, KEY.verifier, written)
    made = written.getvalue()
    assert lzma.decompress(made) == whole(PIECES)  # as format.md has it, byte for byte
    if GOLDEN.is_file() and lzma.decompress(GOLDEN.read_bytes()) == whole(PIECES):
        made = GOLDEN.read_bytes()  # another liblzma may pack the same in another way
    golden(GOLDEN.name, made)
    assert judged(made) == Verdict(holds=True)
    file = HistoryFile(io.BytesIO(made), "it")
    assert [piece for piece in file if isinstance(piece, Envelope)] == ROWS
    assert str(file.header.key).encode() == VKEY


def test_any_packing_of_the_same_bytes_holds_for_both() -> None:
    for preset in (1, 6):
        assert judged(lzma.compress(whole(PIECES), preset=preset)) == Verdict(holds=True)
    assert judged(packed(whole(pieces_of(ROWS, tuple(range(1, 8)))))) == Verdict(holds=True)


def test_a_file_in_which_nothing_is_signed_is_not_enough_for_a_stranger() -> None:
    data = packed(whole(pieces_of(ROWS, ())))
    assert ours(data) == Verdict(holds=True)
    with pytest.raises(verifier.DoesNotHold, match=r"7 events holds, but nothing .* signed"):
        verifier.check_history(io.BytesIO(data), verifier.read_key(VKEY.decode()))


def test_who_signs_everything_anew_is_told_by_the_key() -> None:
    other = SigningKey(ORIGIN, bytes(32))
    pieces = [
        Piece(b"C", note(ROWS, forgeries.ROWS_BEFORE[i], other)) if piece.kind == b"C" else piece
        for i, piece in enumerate(PIECES)
    ]
    data = packed(whole(pieces, vkey=str(other.verifier).encode()))
    assert HistoryFile(io.BytesIO(data), "it").header.key == other.verifier
    assert ours(data) == Verdict(holds=True)
    assert theirs(data) == Verdict(holds=False)


# -- forged ones -----------------------------------------------------------------------------


@pytest.mark.parametrize("forgery", forgeries.FORGERIES, ids=lambda f: f.name)
def test_a_forged_history_is_refused_by_both_at_the_same_event(forgery: Any) -> None:
    assert judged(forgery.data) == Verdict(holds=False, bad=forgery.bad)


def test_no_byte_of_the_packed_file_can_change_unseen() -> None:
    for i in range(len(TRUE)):
        wrong = TRUE[:i] + bytes([TRUE[i] ^ (1 << i % 8)]) + TRUE[i + 1 :]
        assert not judged(wrong).holds


def test_no_byte_of_a_row_or_checkpoint_can_change_unseen() -> None:
    unpacked, i = whole(PIECES), 0
    ends = [len(unpacked) - len(b"".join(map(bytes, PIECES[n + 1 :]))) for n in range(len(PIECES))]
    for at in range(ends[0] - len(bytes(PIECES[0])), len(unpacked), 3):
        while at >= ends[i]:
            i += 1
        wrong = packed(unpacked[:at] + bytes([unpacked[at] ^ 4]) + unpacked[at + 1 :])
        verdict = judged(wrong)
        assert not verdict.holds
        if at - ends[i] + len(bytes(PIECES[i])) >= 5:  # kind and length may point elsewhere
            assert verdict.bad == fault_in(i)


def test_what_follows_a_file_is_seen_wherever_reading_stops() -> None:
    assert judged(TRUE, Drips) == Verdict(holds=True)
    assert judged(TRUE + b"x", Drips) == Verdict(holds=False)


def test_a_file_cut_anywhere_is_refused_by_both() -> None:
    assert judged(TRUE[:-1]) == Verdict(holds=False)  # everything is there but the end
    last = 0
    for end in range(0, len(TRUE), 5):
        verdict = judged(TRUE[:end])
        assert not verdict.holds
        last, before = verdict.bad or last, last
        assert last >= before  # the more there is, the more holds
    unpacked = whole(PIECES)
    for end in range(0, len(unpacked), 37):
        assert not judged(packed(unpacked[:end])).holds


# -- the script as a stranger runs it --------------------------------------------------------


def test_the_script_alone_says_what_holds(tmp_path: Path) -> None:
    files = {
        "true": TRUE,
        "forged": packed(whole([*PIECES[:3], *pieces_of(forgeries.other_history())[3:]])),
        "cut": TRUE[:500],
        "key": VKEY + b"\n",
        "other": f"{SigningKey(ORIGIN, bytes(32)).verifier}\n".encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cases = [
        ("true", "key", 0, f"last covers events 1 to 6.\nHead hash {ROWS[-1].hash.hex()}"),
        ("true", "other", 1, "another key"),
        ("forged", "key", 1, "event 3 is bad: its hash does not follow"),
        ("cut", "key", 3, "UNREADABLE: cut: "),
        ("missing", "key", 3, "No such file"),
    ]
    for name, key, code, said in cases:
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), "history", name, "--key", key],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
