"""A history goes out of one data folder and into another: the same to the byte, or not at all."""

import hashlib
import lzma
import shutil
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aggregates.capital import RecordFee
from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore import history_load
from eventstore.envelope import COLUMN_LIST, GENESIS, Envelope, chain_hash
from eventstore.history_file import HistoryFile
from eventstore.history_format import (
    FRAME,
    MAGIC,
    NUMBERS,
    TRAILER,
    HistoryUnreadable,
    frame,
    record_of,
)
from runtime.bootstrap import open_store
from runtime.checkpoints import checkpoint_now
from runtime.cli import main
from runtime.history_transfer import import_history
from security.keyfile import KeyFileError

SEED = b"s" * 32
EVENTS = 8


@dataclass
class Told:
    code: int
    said: str


def tbot(*arguments: Any) -> Told:
    done = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    return Told(done.exit_code, done.output)


@pytest.fixture
def exported(keeper: Any, tmp_path: Path) -> Path:
    """The history of 8 events with checkpoints of 5 and 8."""
    _ = keeper.ledger
    checkpoint_now(keeper.folder, SEED)
    keeper.capital(RecordFee, "1.50")
    keeper.buy("10", "100.00")
    _ = keeper.ledger
    checkpoint_now(keeper.folder, SEED)
    file = tmp_path / "away" / "history.xz"
    told = tbot("export", "history", "--data-dir", keeper.folder.root, "-o", file)
    assert told.code == 0
    assert f"{EVENTS} events and 2 checkpoints" in told.said
    assert hashlib.sha256(file.read_bytes()).hexdigest() in told.said
    return file


@pytest.fixture
def imported(exported: Path, tmp_path: Path) -> DataFolder:
    told = tbot("import-history", exported, "--data-dir", tmp_path / "new")
    assert told.code == 0
    return DataFolder(tmp_path / "new")


def content(store: Path) -> list[Any]:
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as c:
        rows = c.execute(f"SELECT {COLUMN_LIST} FROM stored_events ORDER BY position").fetchall()
        tables = c.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        pragmas = [c.execute(f"PRAGMA {p}").fetchone() for p in ("application_id", "user_version")]
        return [rows, c.execute("SELECT * FROM head").fetchall(), tables, pragmas]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in sorted(folder.rglob("*"))
        if not p.name.endswith(("-wal", "-shm"))
    }


# -- there and back --------------------------------------------------------------------------


def test_the_new_store_is_the_old_one(keeper: Any, imported: DataFolder, exported: Path) -> None:
    assert content(imported.events) == content(keeper.path)
    assert files(imported.checkpoints) == files(keeper.folder.checkpoints)
    again = exported.with_name("again.xz")
    assert tbot("export", "history", "--data-dir", imported.root, "-o", again).code == 0
    assert again.read_bytes() == exported.read_bytes()
    for path in (exported, imported.events, imported.checkpoint(5), imported.checkpoint_vkey):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(imported.root.stat().st_mode) == 0o700


def test_reading_commands_say_the_same_of_both(keeper: Any, imported: DataFolder) -> None:
    for command in (["verify"], ["status"], ["balances"], ["journal"], ["events"]):
        old, new = (
            tbot(*command, "--data-dir", folder.root) for folder in (keeper.folder, imported)
        )
        assert (old.code, new.code) == (0, 0)
        assert old.said == new.said
    for size in (5, EVENTS):
        signed = keeper.folder.checkpoint(size)
        told = tbot("verify", "--data-dir", imported.root, "--checkpoint", signed,
                    "--key", keeper.folder.checkpoint_vkey)  # fmt: skip
        assert told.code == 0
        assert "The checkpoint holds" in told.said


def test_no_key_travels_and_nothing_is_recorded_without_it(
    keeper: Any, imported: DataFolder, exported: Path
) -> None:
    unpacked = lzma.decompress(exported.read_bytes())
    for key in (keeper.folder.blind_key, keeper.folder.checkpoint_key):
        assert key.read_bytes() not in unpacked
        assert not (imported.root / key.relative_to(keeper.folder.root)).exists()
    before = files(imported.root)
    with pytest.raises(KeyFileError, match=r"blind\.key is missing"):
        open_store(imported, VirtualClock(keeper.clock), b"n" * 32)
    assert tbot("checkpoint", "--data-dir", imported.root, "-o", exported).code == 3
    assert files(imported.root) == before
    shutil.copy(keeper.folder.blind_key, imported.blind_key)
    assert tbot("verify", "--data-dir", imported.root).code == 0
    store = open_store(imported, VirtualClock(keeper.clock), b"n" * 32)
    assert store.head() == keeper.store.head()
    store.close()


def test_an_export_without_checkpoints_and_one_in_several_batches(
    keeper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_load, "BATCH", 2)
    file, new = tmp_path / "history.xz", DataFolder(tmp_path / "new")
    new.root.mkdir()  # empty is as good as new
    assert tbot("export", "history", "--data-dir", keeper.folder.root, "-o", file).code == 0
    told = tbot("import-history", file, "--data-dir", new.root)
    assert (told.code, "5 events and no checkpoints" in told.said) == (0, True)
    assert content(new.events) == content(keeper.path)
    assert not new.checkpoints.exists()


# -- what is not exported --------------------------------------------------------------------


def altered(keeper: Any, *statements: str) -> None:
    keeper.store.close()
    with closing(sqlite3.connect(keeper.path, isolation_level=None)) as c:
        for trigger in ("no_update", "no_delete", "no_gap"):
            c.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            c.execute(statement)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE stored_events SET actor = 'x' WHERE position = 3"], "event 3 is bad"),
        (["DELETE FROM stored_events WHERE position > 6"], "ends at event 8"),
        (["DELETE FROM stored_events WHERE position > 6",
          "UPDATE head SET position = 6,"
          " hash = (SELECT hash FROM stored_events WHERE position = 6)"], "it was cut short, or"),
    ],
)  # fmt: skip
def test_a_history_that_does_not_hold_is_not_written(
    keeper: Any, exported: Path, statements: list[str], said: str
) -> None:
    before = files(exported.parent)
    altered(keeper, *statements)
    told = tbot("export", "history", "--data-dir", keeper.folder.root, "-o", exported)
    assert (told.code, said in told.said) == (1, True), told.said
    assert files(exported.parent) == before


def test_checkpoints_of_another_history_are_not_written(
    keeper: Any, keep: Callable[..., Any], exported: Path
) -> None:
    other = keep("other", currency="EUR")
    other.deposit("5.00")
    other.deposit("6.00")
    shutil.copytree(keeper.folder.checkpoints, other.folder.checkpoints)
    other.folder.checkpoint(EVENTS).unlink()
    before = files(exported.parent)
    told = tbot("export", "history", "--data-dir", other.folder.root, "-o", exported)
    assert (told.code, "checkpoint of event 5 was signed for another" in told.said) == (1, True)
    assert files(exported.parent) == before


def test_a_history_is_exported_whole_or_not_at_all(exported: Path, keeper: Any) -> None:
    told = tbot("export", "history", "--data-dir", keeper.folder.root, "-o", exported,
                "--known-at", "3")  # fmt: skip
    assert (told.code, "exported whole" in told.said) == (2, True)


# -- what is not imported --------------------------------------------------------------------


def rows_of(store: Path) -> list[Envelope]:
    return [Envelope(*row) for row in content(store)[0]]


def file_of(rows: list[Envelope], size: int | None = None) -> bytes:
    """A file of these rows without checkpoints, whatever they are."""
    pieces = b"".join(frame(b"E", row.hash + record_of(row)) for row in rows)
    end = frame(b"T", TRAILER.pack(len(rows), rows[-1].hash))
    total = len(MAGIC) + FRAME.size + NUMBERS.size + len(pieces) + len(end)
    start = frame(b"H", NUMBERS.pack(len(rows), 0, size or total))
    return lzma.compress(MAGIC + start + pieces + end, preset=0)


def chained(rows: list[Envelope]) -> list[Envelope]:
    """The chain computed anew, as a forger would."""
    found, previous = [], GENESIS
    for n, row in enumerate(rows, 1):
        row = row._replace(position=n)  # noqa: PLW2901
        found.append(row._replace(hash=chain_hash(previous, row)))
        previous = found[-1].hash
    return found


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def bomb(content: bytes, megabytes: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    zeros = bytes(1024 * 1024)
    return b"".join([packer.compress(content), *(packer.compress(zeros) for _ in range(megabytes)),
                     packer.flush()])  # fmt: skip


def forgeries(rows: list[Envelope], true: bytes) -> dict[str, tuple[bytes, int, str]]:
    """Content, exit code and what must be said."""
    changed = [*rows[:4], rows[4]._replace(actor="x"), *rows[5:]]
    other = [row._replace(actor="somebody") for row in rows]
    same_stream = chained([*rows[:6], rows[6]._replace(originator_id=rows[0].originator_id,
                           originator_version=rows[0].originator_version), *rows[7:]])  # fmt: skip
    unpacked = lzma.decompress(true)
    newer = lzma.compress(unpacked.replace(b"history/v1\n", b"history/v2\n", 1))
    huge = FRAME.pack(b"E", 16 * 1024 * 1024)
    return {
        "a field changed": (file_of(changed), 1, "event 5 is bad: its hash"),
        "a byte of the file changed": (flipped(true, len(true) // 2), 3, "is bad"),
        "its last byte changed": (flipped(true, len(true) - 1), 3, "8 events hold, but"),
        "cut": (true[: len(true) // 2], 3, "is bad: it is cut off"),
        "a row doubled": (file_of([*rows[:3], rows[2], *rows[3:]]), 1, "event 4 is bad"),
        "rows swapped": (file_of([*rows[:3], rows[4], rows[3], *rows[5:]]), 1, "event 4 is bad"),
        "a row missing": (file_of([*rows[:3], *rows[4:]]), 1, "event 4 is bad"),
        "two bots joined": (file_of([*rows, *chained(other)]), 1, "event 9 is bad"),
        "two bots mixed": (file_of([*rows[:4], *chained(other)[4:]]), 1, "event 5 is bad"),
        "two files joined": (true + file_of(chained(other)), 3, "follows after its end"),
        "a newer version": (newer, 3, "newer version of TradeBot"),
        "a stream's version twice": (file_of(same_stream), 1, "event 7 is bad: the store refuses"),
        "no history": (lzma.compress(b"x" * 1000), 3, "something else"),
        "not packed": (unpacked, 3, "not a history file"),
        "bomb at once": (bomb(b"", 64), 3, "something else"),
        "bomb as an event": (bomb(unpacked[: unpacked.index(b"E\0")] + huge, 64), 3,
                             "unpacks to more than it says"),
        "bomb as a large disk": (file_of(rows, size=2**60), 3, "needs about 1,7"),
        "bomb behind the end": (true + bomb(b"", 64), 3, "follows after its end"),
    }  # fmt: skip


def test_what_is_not_a_whole_sound_history_is_refused_and_leaves_nothing(
    keeper: Any, exported: Path, tmp_path: Path
) -> None:
    rows = rows_of(keeper.path)
    for name, (data, code, said) in forgeries(rows, exported.read_bytes()).items():
        (tmp_path / "forged").write_bytes(data)
        before = files(tmp_path)
        told = tbot("import-history", tmp_path / "forged", "--data-dir", tmp_path / "new")
        assert (told.code, said in told.said) == (code, True), f"{name}: {told.said}"
        assert "Nothing was changed" in told.said
        assert files(tmp_path) == before, name


def test_memory_does_not_grow_with_what_a_file_unpacks_to(tmp_path: Path) -> None:
    start = MAGIC + frame(b"H", NUMBERS.pack(9, 0, 2**40))
    (tmp_path / "bomb").write_bytes(bomb(start + FRAME.pack(b"E", 200_000_000), 200))
    tracemalloc.start()
    try:
        with (
            (tmp_path / "bomb").open("rb") as file,
            pytest.raises(HistoryUnreadable, match="event 1 is bad"),
        ):
            list(HistoryFile(file, "it"))
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_a_folder_that_holds_anything_is_left_alone(exported: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "notes.txt").write_text("mine")
    before = files(tmp_path)
    for target in (new, new / "notes.txt", new / "none" / "deeper"):
        told = tbot("import-history", exported, "--data-dir", target)
        assert told.code == 2
        assert files(tmp_path) == before


def test_an_import_that_is_stopped_leaves_nothing(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_load, "BATCH", 2)
    before = files(tmp_path)

    def stop(done: int, _total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_history(exported, DataFolder(tmp_path / "new"), stop)
    assert files(tmp_path) == before


def test_an_import_onto_a_full_disk_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    code = (  # a file may grow to 50,000 bytes and not further
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "from runtime.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "import-history", exported, "--data-dir", tmp_path / "new"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "make room on the disk" in done.stderr) == (3, True), done.stderr
    assert files(tmp_path) == before
