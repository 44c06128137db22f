"""The chain is checked a run of rows at a time: what is found, and where, does not depend on it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from aggregates.capital import RecordFee
from eventstore import verification
from eventstore.envelope import COLUMNS, GENESIS, chain_hash
from eventstore.verification import BrokenChain, Reader, chained, verify
from security.data_keys import KeyRing

KEY = bytes(range(32))
WRONG = "a field has the wrong type"
UNTYPED = ", ".join(COLUMNS[1:])
MARKS = ", ".join("?" * len(COLUMNS))
OTHER_TYPES = {int: (str, float), str: (str.encode,), bytes: (bytes.hex,)}
DRIVERS = ("apsw", "sqlite3")


@pytest.fixture
def loose(keeper: Any, tmp_path: Path) -> Path:
    """The keeper's rows in a table that takes any type in any column, as a changed schema would."""
    for amount in ("1.00", "2.00", "3.00", "4.00"):
        keeper.capital(RecordFee, amount)
    rows = [*keeper.feed.all()]
    path = tmp_path / "loose.db"
    with closing(sqlite3.connect(path)) as c, c:
        c.execute(f"CREATE TABLE stored_events (position INTEGER PRIMARY KEY, {UNTYPED})")
        c.executemany(f"INSERT INTO stored_events VALUES ({MARKS})", rows)
    return path


def change(path: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as c, c:
        c.execute(sql, values)


def reader(path: Path, driver: str) -> Reader:
    if driver == "apsw":
        return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    return sqlite3.connect(path)


def followed(path: Path, driver: str) -> tuple[int, str]:
    """How many rows hold, and why the next one does not."""
    held, fault = 0, None
    with closing(reader(path, driver)) as connection:
        try:
            for run in chained(connection):
                held += len(run)
        except BrokenChain as e:
            fault = e
    if fault is None:
        return held, ""
    assert fault.position == held + 1
    return held, fault.reason


@pytest.fixture(autouse=True, params=[1, 3, 100])
def _run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "RUN", request.param)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("column", COLUMNS[1:-1])
def test_the_same_characters_as_another_type_are_refused(
    loose: Path, column: str, driver: str
) -> None:
    """Whoever reads every text as bytes to save time must still tell '7', 7 and x'37' apart."""
    with closing(sqlite3.connect(loose)) as c:
        (value,) = c.execute(f"SELECT {column} FROM stored_events WHERE position = 4").fetchone()
    for other in OTHER_TYPES[type(value)]:
        change(loose, f"UPDATE stored_events SET {column} = ? WHERE position = 4", other(value))
        held, reason = followed(loose, driver)
        assert (held, reason.startswith(WRONG)) == (3, True), reason


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_number_in_a_text_that_was_chained_as_text_is_refused(loose: Path, driver: str) -> None:
    """Here the hash fits the bytes: only the type tells."""
    with closing(sqlite3.connect(loose)) as c, c:
        rows = c.execute("SELECT * FROM stored_events ORDER BY position").fetchall()
        previous = GENESIS
        for row in rows:
            changed = [*row]
            changed[COLUMNS.index("actor")] = "12"
            previous = chain_hash(previous, changed)
            c.execute("UPDATE stored_events SET actor = '12', hash = ? WHERE position = ?",
                      (previous, row[0]))  # fmt: skip
    assert followed(loose, driver) == (len(rows), "")
    for stored in (12, b"12"):
        change(loose, "UPDATE stored_events SET actor = ? WHERE position = 5", stored)
        held, reason = followed(loose, driver)
        assert (held, reason.startswith(WRONG)) == (4, True), reason


@pytest.mark.parametrize("driver", DRIVERS)
def test_text_that_is_no_text_is_found_in_its_row(loose: Path, driver: str) -> None:
    change(loose, "UPDATE stored_events SET actor = CAST(x'61ff' AS TEXT) WHERE position = 5")
    held, reason = followed(loose, driver)
    assert (held, "utf-8" in reason.lower()) == (4, True), reason


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("statement", "held", "said"),
    [
        ("DELETE FROM stored_events WHERE position = 4", 3, "says that it is event 5"),
        ("UPDATE stored_events SET topic = '' WHERE position = 1", 0, "its hash does not follow"),
        ("UPDATE stored_events SET position = 0 WHERE position = 6", 0, "says that it is event 0"),
    ],
)
def test_the_rows_before_a_fault_are_given_first(
    loose: Path, driver: str, statement: str, held: int, said: str
) -> None:
    change(loose, statement)
    found, reason = followed(loose, driver)
    assert (found, said in reason) == (held, True), reason


def test_a_commitment_is_judged_before_the_chain_of_later_rows_of_the_run(keeper: Any) -> None:
    keeper.capital(RecordFee, "1.50")
    keeper.close()
    with closing(sqlite3.connect(keeper.path)) as c, c:
        c.execute("DROP TRIGGER no_update")
        c.execute("UPDATE stored_events SET actor = 'nobody' WHERE position = 5")
    assert verify(keeper.path, KeyRing.plain(KEY)).bad_position == 5
    assert verify(keeper.path, KeyRing.plain(bytes(32))).bad_position == 1
