"""Whoever changes history is found: verify names the position of the first event that was touched.

Everything is done to the file itself, with the triggers dropped, as somebody with the file would.
"""

import hashlib
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aggregates.capital import RecordDividend, RecordFee
from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, Envelope, chain_hash
from eventstore.errors import StoreUnreadable
from eventstore.verification import verify
from security.data_keys import KeyRing

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))
EVENTS = 12
FLIPS = (0x01, 0x80, 0x20, 0x42)  # the second makes text invalid, the third changes its case
PUT_BACK = f"UPDATE stored_events SET ({COLUMN_LIST}) = ({', '.join('?' * len(COLUMNS))})"


class Tampered:
    """A closed store without triggers, and a connection that may do anything to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.c = sqlite3.connect(path, isolation_level=None)
        for trigger in ("no_update", "no_delete", "no_gap"):
            self.c.execute(f"DROP TRIGGER {trigger}")
        self.c.execute("PRAGMA journal_mode = delete")
        self.c.execute("PRAGMA synchronous = OFF")
        self.rows = [Envelope(*row) for row in self.c.execute(f"SELECT {COLUMN_LIST} FROM"
                     " stored_events ORDER BY position")]  # fmt: skip
        assert len(self.rows) == EVENTS

    def row(self, position: int) -> Envelope:
        return self.rows[position - 1]

    def found(self, key: bytes | None = KEY) -> int | None:
        keys = None if key is None else KeyRing.plain(key)
        return verify(self.path, keys).bad_position

    def write(self, position: int, column: str, value: object) -> bool:
        """Change one field; False when the file's own constraints refuse it."""
        sql = f"UPDATE stored_events SET {column} = {'CAST(? AS TEXT)' if column in TEXTS else '?'}"
        try:
            self.c.execute(f"{sql} WHERE position = ?", (value, position))
        except (sqlite3.IntegrityError, OverflowError):
            return False
        return True

    def restore(self) -> None:
        self.c.execute("BEGIN")
        self.c.execute("DELETE FROM stored_events")
        marks = ", ".join("?" * len(COLUMNS))
        self.c.executemany(f"INSERT INTO stored_events VALUES ({marks})", self.rows)
        self.c.execute("COMMIT")


TEXTS = {
    "originator_id", "topic", "command_id", "actor", "correlation_id", "causation_id",
    "software_version",
}  # fmt: skip


@pytest.fixture
def store(keeper: Any) -> Iterator[Tampered]:
    keeper.capital(RecordFee, "1.50")
    keeper.buy("10", "100.00")  # 7 and 8, one batch
    intent, fill = keeper.fill_commands("sell", "4", "101.00", "2024-01-03")
    keeper.dispatch(intent, command_id="i", correlation="thread", causation="decide")
    keeper.dispatch(fill, command_id="f", correlation="thread", causation="decide")
    keeper.capital(RecordDividend, "2.00", symbol="SPY")
    keeper.split(2, 1, "2024-01-04")
    keeper.close()
    found = Tampered(keeper.path)
    assert found.found() is None
    yield found
    found.c.close()


def changed_values(value: Any, offset: int) -> Iterator[object]:
    """The value with one byte flipped in different ways; a byte more where there is none."""
    if isinstance(value, int):
        for mask in FLIPS:
            flipped = bytearray(value.to_bytes(8, "big", signed=True))
            flipped[7 - offset] ^= mask
            yield int.from_bytes(flipped, "big", signed=True)
        return
    plain = value.encode() if isinstance(value, str) else value
    if not plain:
        yield b"x"
    for mask in FLIPS if plain else ():
        changed = bytearray(plain)
        changed[offset] ^= mask
        yield bytes(changed)


def expected_position(column: str, row: Envelope, value: object) -> int:
    if column == "position" and isinstance(value, int) and value < row.position:
        return 1  # a row that says that it comes before the first is met first
    return row.position


@pytest.mark.parametrize("column", COLUMNS)
def test_a_flipped_byte_in_any_column_of_any_row_is_found(store: Tampered, column: str) -> None:
    tried = 0
    for row in store.rows:
        value = getattr(row, column)
        length = 8 if isinstance(value, int) else len(value)
        offsets = {0, length // 2, length - 1} if length else {0}
        if row.position in (1, 8, EVENTS) and length < 3000:
            offsets = set(range(length)) or {0}  # every byte of these
        for offset in sorted(offsets):
            done = 0
            for new in list(changed_values(value, offset))[: 1 if len(offsets) > 9 else 4]:
                if not store.write(row.position, column, new):
                    continue  # taken by another row: the file's own UNIQUE refused it
                found = store.found()
                assert found == expected_position(column, row, new), (row.position, offset, new)
                done += 1
                if column == "position":
                    store.restore()
                else:
                    old = value.encode() if isinstance(value, str) else value
                    assert store.write(row.position, column, old)
            tried += done
            assert done or len(offsets) > 9 or column in ("position", "command_index")
    assert tried >= EVENTS
    store.restore()
    assert store.found() is None


@pytest.mark.parametrize("column", [c for c in COLUMNS if c not in ("position", "hash")])
def test_bytes_that_move_between_neighbouring_fields_are_found(
    store: Tampered, column: str
) -> None:
    """Lengths are hashed too: the same bytes cut at another place are other fields."""
    following = COLUMNS[COLUMNS.index(column) + 1]
    if {column, following} - TEXTS:
        value = getattr(store.row(10), column)
        longer = value * 2 if isinstance(value, bytes) else value + (1 if value == 0 else value)
        if isinstance(value, str):
            longer = longer.encode()
        assert store.write(10, column, longer)
    else:
        both = (getattr(store.row(10), column) + getattr(store.row(10), following)).encode()
        store.c.execute(
            f"UPDATE stored_events SET {column} = CAST(? AS TEXT), {following} = CAST(? AS TEXT)"
            " WHERE position = 10",
            (both[:-1], both[-1:]),
        )
    assert store.found() == 10


@pytest.mark.parametrize("position", range(1, EVENTS + 1))
def test_a_deleted_row_is_found(store: Tampered, position: int) -> None:
    """Also the last one: the store notes where it ends."""
    store.c.execute("DELETE FROM stored_events WHERE position = ?", (position,))
    assert store.found() == position
    store.c.execute(
        "UPDATE stored_events SET position = position - 1 WHERE position > ?", (position,)
    )
    assert store.found() == position  # the gap closed does not help


def test_a_tail_of_any_length_that_is_cut_off_is_found(store: Tampered) -> None:
    for left in range(EVENTS - 1, -1, -1):
        store.c.execute("DELETE FROM stored_events WHERE position > ?", (left,))
        assert store.found() == left + 1


@pytest.mark.parametrize(("first", "second"), [(1, 2), (7, 8), (8, 9), (11, 12), (1, 12), (3, 10)])
def test_two_rows_that_changed_places_are_found(store: Tampered, first: int, second: int) -> None:
    for old, new in ((first, -1), (second, first), (-1, second)):
        store.c.execute("UPDATE stored_events SET position = ? WHERE position = ?", (new, old))
    assert store.found() == first


@pytest.mark.parametrize(("first", "second"), [(5, 6), (8, 10), (1, 12)])
@pytest.mark.parametrize(
    "columns", [("state",), ("state", "commitment"), ("hash",), ("topic", "state", "commitment")]
)
def test_contents_that_changed_places_are_found(
    store: Tampered, first: int, second: int, columns: tuple[str, ...]
) -> None:
    for position, other in ((first, second), (second, first)):
        for column in columns:
            value = getattr(store.row(other), column)
            store.write(position, column, value.encode() if column in TEXTS else value)
    assert store.found() == first


def forged(store: Tampered, position: int) -> Envelope:
    """A row that fits in: everything right that can be had without the blind key."""
    model = store.row(5)
    row = model._replace(
        position=position,
        originator_id="capital-forged",
        command_id="forged",
        state=model.state.replace(b"100000.00", b"900000.00"),
        hash=b"",
    )
    previous = store.row(position - 1).hash if position > 1 else GENESIS
    return row._replace(hash=chain_hash(previous, row))


def insert(store: Tampered, row: Envelope) -> None:
    store.c.execute(
        "UPDATE stored_events SET position = -(position + 1) WHERE position >= ?", (row.position,)
    )
    store.c.execute("UPDATE stored_events SET position = -position WHERE position < 0")
    store.c.execute(f"INSERT INTO stored_events VALUES ({', '.join('?' * len(COLUMNS))})", row)


@pytest.mark.parametrize("place", range(1, EVENTS + 2))
def test_an_inserted_row_is_found_at_every_place(store: Tampered, place: int) -> None:
    """The last place is an appended row. With the blind key the row itself is named; without it,
    a row chained by somebody who knows how is found at the next one."""
    insert(store, forged(store, place)._replace(hash=hashlib.sha256(b"guess").digest()))
    assert store.found() == place
    assert store.found(None) == place
    store.restore()
    insert(store, forged(store, place))
    assert store.found() == place
    assert store.found(None) == (place + 1 if place <= EVENTS else place)


@pytest.mark.parametrize("position", [0, -1, -(2**63)])
def test_a_row_before_the_first_is_found(store: Tampered, position: int) -> None:
    row = forged(store, 1)._replace(position=position)
    store.c.execute(f"INSERT INTO stored_events VALUES ({', '.join('?' * len(COLUMNS))})", row)
    assert store.found() == 1


def test_a_history_chained_anew_after_a_change_is_found_with_the_blind_key(
    store: Tampered,
) -> None:
    """The chain alone is no proof against who rewrites all of it; the commitment is."""
    previous = store.row(4).hash
    for row in store.rows[4:]:
        if row.position == 5:
            row = row._replace(state=row.state.replace(b"100000.00", b"900000.00"))  # noqa: PLW2901
            assert store.write(5, "state", row.state)
        previous = chain_hash(previous, row)
        assert store.write(row.position, "hash", previous)
    store.c.execute("UPDATE head SET hash = ?", (previous,))
    assert store.found(None) is None
    assert store.found(KEY) == 5


def test_another_blind_key_is_found_at_once(store: Tampered) -> None:
    assert store.found(bytes(32)) == 1


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE head SET hash = zeroblob(32)", EVENTS),
        ("UPDATE head SET position = 7", 8),
        ("UPDATE head SET position = 99", EVENTS + 1),
        ("DELETE FROM head", 1),
        ("DELETE FROM stored_events; UPDATE head SET position = 0", 1),
    ],
)
def test_the_note_of_where_it_ends_cannot_be_changed_alone(
    store: Tampered, statement: str, position: int
) -> None:
    store.c.executescript(statement)
    assert store.found() == position


# The bytes of the file


def read(path: Path) -> list[tuple[Any, ...]] | None:
    """What SQLite reads from the two tables; None when it cannot."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as c:
        c.text_factory = bytes
        try:
            rows = c.execute(f"SELECT {COLUMN_LIST} FROM stored_events ORDER BY position")
            return [*rows.fetchall(), *c.execute("SELECT position, hash FROM head").fetchall()]
        except sqlite3.Error:
            return None


def judged(path: Path, original: list[tuple[Any, ...]]) -> str | int:
    """The position that verify names, or what it says of a file that was changed instead.

    Fails when changed content passes for intact.
    """
    try:
        result = verify(path, KeyRing.plain(KEY))
    except StoreUnreadable:
        return "unreadable"
    if result.intact:
        assert read(path) == original, "changed content passed for intact"
        return "same content"
    assert result.bad_position is not None
    assert result.reason
    return result.bad_position


def cell_of(data: bytes, row: Envelope) -> range:
    """Where the row lies in the file: a little header, then its fields in order."""
    start = data.rfind(row.originator_id.encode(), 0, data.index(row.state))
    end = data.index(row.hash, start) + len(row.hash)
    assert 0 < end - start < 2500
    return range(start - 30, end)


@pytest.mark.parametrize("position", [5, 8, 12])
def test_every_flipped_byte_in_the_file_of_a_row_is_found(
    store: Tampered, tmp_path: Path, position: int
) -> None:
    store.c.close()
    original, data = read(store.path), store.path.read_bytes()
    assert original is not None
    copy = tmp_path / "copy.db"
    cell = cell_of(data, store.row(position))
    payload = data.index(store.row(position).state)
    said = {}
    for offset in cell:
        changed = bytearray(data)
        changed[offset] ^= 1 << (offset % 8)
        copy.write_bytes(changed)
        said[offset] = judged(copy, original)
    inside = {said[o] for o in range(payload, payload + len(store.row(position).state))}
    assert inside == {position}
    # before the fields lies the row's header, and before that what the neighbour ends with
    assert {said[o] for o in cell[30:]} <= {position, "same content"}
    assert set(said.values()) <= {position, position + 1, "unreadable", "same content"}


def test_random_flips_anywhere_in_the_file_never_pass_for_intact(
    store: Tampered, tmp_path: Path
) -> None:
    store.c.close()
    original, data = read(store.path), store.path.read_bytes()
    assert original is not None
    dice, copy = random.Random(7), tmp_path / "copy.db"
    said = []
    for _ in range(800):
        changed = bytearray(data)
        changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        copy.write_bytes(changed)
        said.append(judged(copy, original))
    assert sum(isinstance(s, int) for s in said) > 100
    assert said.count("same content") < 700  # free space and indexes
    assert {s for s in said if isinstance(s, int)} <= set(range(1, EVENTS + 2))


# The command line


def tbot_verify(data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime.cli", "verify", "--data-dir", str(data_dir)],
        cwd=ROOT, text=True, capture_output=True, timeout=60,
    )  # fmt: skip


def test_the_command_exits_1_and_names_the_position(store: Tampered) -> None:
    data_dir = store.path.parents[1]
    fine = tbot_verify(data_dir)
    assert (fine.returncode, f"{EVENTS} events" in fine.stdout) == (0, True), fine
    assert store.write(8, "state", store.row(8).state.replace(b"100.00", b"100.01"))
    found = tbot_verify(data_dir)
    assert found.returncode == 1
    assert "8" in found.stdout + found.stderr
    assert "hash does not follow" in found.stdout + found.stderr


def test_the_command_exits_3_when_the_store_cannot_be_read(store: Tampered) -> None:
    store.c.close()
    store.path.write_bytes(store.path.read_bytes()[:9000])
    found = tbot_verify(store.path.parents[1])
    assert (found.returncode, found.stdout) == (3, "")
    assert "Nothing was changed" in found.stderr
    assert "Traceback" not in found.stderr
