"""The store: what is acknowledged is there, whole, in order, and nothing else ever is."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregates.base import TOPICS
from aggregates.capital import CapitalDeposited, CapitalEntry, RecordDeposit, capital_stream
from aggregates.configuration import AdoptSettings
from aggregates.errors import DomainError
from aggregates.order_messages import IntendOrder
from config.clock import to_micros
from eventstore.application import Store
from eventstore.envelope import COLUMNS, GENESIS, CommandContext, chain_hash
from eventstore.errors import (
    ClockBehind,
    CommandConflict,
    ConcurrentChange,
    StoreUnreadable,
    UnknownEvent,
)
from eventstore.feed import Feed, event_of
from eventstore.schema import APPLICATION_ID
from eventstore.verification import verify
from runtime.dispatch import Dispatcher
from security.data_keys import KeyRing

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))
KEYS = KeyRing.plain(KEY)


def everything(root: Path) -> dict[str, bytes]:
    """Content of every file, SQLite's own -wal and -shm aside."""
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def raw(keeper: Any) -> Iterator[Any]:
    """The store's own kind of connection, inside a transaction that is rolled back."""
    with keeper.store.chain.datastore.transaction(commit=False) as cursor:
        yield cursor


# Positions, chain, envelope


def test_positions_have_no_gap_and_every_row_follows_from_the_one_before(keeper: Any) -> None:
    for n in range(3):
        keeper.deposit(f"{n + 1}.00")
    keeper.buy("10", "100.00")
    rows = list(keeper.feed.all(batch=2))
    assert [r.position for r in rows] == list(range(1, len(rows) + 1))
    previous = GENESIS
    for row in rows:
        assert row.hash == chain_hash(previous, row)
        previous = row.hash
    assert keeper.store.head() == (len(rows), previous, rows[-1].recorded_at, 0)
    assert keeper.feed.head() == keeper.store.head()
    result = verify(keeper.path, KEYS)
    assert (result.intact, result.position, result.head_hash) == (True, len(rows), previous)


def test_the_envelope_says_who_asked_for_what_and_why(keeper: Any) -> None:
    intent, fill = keeper.fill_commands("buy", "1", "5", "2024-01-02")
    done = keeper.dispatch(
        intent, fill, command_id="fill:7", correlation="order-7", causation="decide:7"
    )
    first, second = (keeper.feed.at(p) for p in done.positions)
    assert (first.command_index, second.command_index) == (0, 1)
    for row in (first, second):
        assert row.command_id == "fill:7"
        assert (row.actor, row.correlation_id, row.causation_id) == (
            "tester", "order-7", "decide:7",
        )  # fmt: skip
        assert (row.software_version, row.key_epoch, row.schema_version) == ("test", 0, 1)
        assert row.recorded_at == to_micros(keeper.clock)
        assert len(row.commitment) == len(row.hash) == len(row.command_digest) == 32
    assert (second.originator_id, second.originator_version) == (first.originator_id, 2)
    assert first.commitment != second.commitment


def test_the_same_commands_make_the_same_store(keep: Any) -> None:
    heads = set()
    for name in ("one", "other"):
        keeper = keep(name)
        keeper.register()
        keeper.deposit("10.00")
        heads.add(keeper.store.head().hash)
    assert len(heads) == 1


def test_an_aggregate_is_what_its_stream_says(keeper: Any) -> None:
    keeper.capital(RecordDeposit, "1.00", reference="again")
    loaded = keeper.store.load(CapitalEntry, capital_stream("again"))
    assert loaded.version == 1
    assert keeper.store.load(CapitalEntry, capital_stream("never")).version == 0
    with pytest.raises(DomainError, match="again is booked already"):
        keeper.capital(RecordDeposit, "2.00", reference="again")


# Commands asked again


def test_a_command_asked_again_gives_the_first_positions(keeper: Any) -> None:
    intent, fill = keeper.fill_commands("buy", "1", "5", "2024-01-02")
    first = keeper.dispatch(intent, fill, command_id="same")
    head = keeper.store.head()
    keeper.clock += timedelta(seconds=9)
    again = keeper.dispatch(intent, fill, command_id="same")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.positions == first.positions
    assert keeper.store.head() == head


def test_asked_again_a_minute_later_it_is_still_the_same_command(keeper: Any) -> None:
    """Only the moment of asking differs after a crash; everything else must be equal."""
    command = keeper.command(RecordDeposit, reference="x", currency="USD", amount=5, reason="r")
    keeper.send(command, command_id="same")
    later = type(command)(
        **{n: getattr(command, n) for n in command.__struct_fields__}
        | {"at": command.at + timedelta(minutes=1)}
    )
    assert keeper.dispatch(later, command_id="same").repeated


def test_the_same_id_with_other_content_is_a_conflict(keeper: Any) -> None:
    keeper.send(keeper.command(AdoptSettings, values={"a": "1"}, reason=""), command_id="same")
    head, before = keeper.store.head(), everything(keeper.folder.root)
    other = keeper.command(AdoptSettings, values={"a": "2"}, reason="")
    with pytest.raises(CommandConflict, match=rf"same was carried out .* \(event {head.position}"):
        keeper.send(other, command_id="same")
    assert keeper.store.head() == head
    assert everything(keeper.folder.root) == before


def test_two_at_once_with_the_same_id_record_once(keeper: Any) -> None:
    """The second decided before the first was on disk: it finds the first in its own write."""
    command = keeper.command(AdoptSettings, values={"a": "1"}, reason="")
    record, head = keeper.store.record, keeper.store.head().position

    def meanwhile(*arguments: Any, **more: Any) -> list[int]:
        keeper.store.record = record
        keeper.send(command, command_id="same")
        found: list[int] = record(*arguments, **more)
        return found

    keeper.store.record = meanwhile
    assert keeper.dispatch(command, command_id="same").positions == [head + 1]
    assert keeper.store.head().position == head + 1


# All or none


def batch(keeper: Any, size: int = 3) -> list[Any]:
    own = {"currency": "USD", "amount": 5, "reason": "r"}
    return [keeper.command(RecordDeposit, reference=f"batch{n}", **own) for n in range(size)]


def test_a_batch_with_one_refusal_records_nothing(keeper: Any) -> None:
    head = keeper.store.head()
    with pytest.raises(DomainError, match="batch0 is booked already"):
        keeper.send(*batch(keeper), batch(keeper)[0])
    assert keeper.store.head() == head
    assert keeper.send(*batch(keeper)) == head.position + 3  # nothing of it was kept


@pytest.mark.parametrize("action", ["ABORT", "FAIL", "ROLLBACK"])
def test_a_batch_that_breaks_in_the_middle_records_nothing(keeper: Any, action: str) -> None:
    head = keeper.store.head()
    with closing(sqlite3.connect(keeper.path)) as other:
        other.execute(
            "CREATE TRIGGER broken AFTER INSERT ON stored_events WHEN NEW.command_index = 1"
            f" BEGIN SELECT RAISE({action}, 'broken in the middle'); END"
        )
        with pytest.raises(ConcurrentChange, match=r"broken in the middle.*nothing was recorded"):
            keeper.send(*batch(keeper))
        other.execute("DROP TRIGGER broken")
        other.commit()
    assert keeper.store.head() == head
    assert keeper.send(*batch(keeper)) == head.position + 3
    assert verify(keeper.path, KEYS).intact


def test_a_commit_that_fails_records_nothing_and_the_store_goes_on(keeper: Any) -> None:
    """The connection is kept for the next command: it must not be left inside a transaction."""
    head = keeper.store.head()
    with keeper.store.chain.datastore.transaction(commit=False) as c:
        connection = c.connection

    def no_commit(action: int, what: str | None, *_: Any) -> int:
        refused = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    connection.set_authorizer(no_commit)
    with pytest.raises(StoreUnreadable, match="Nothing was changed"):
        keeper.send(*batch(keeper))
    connection.set_authorizer(None)
    assert keeper.feed.head() == head
    assert keeper.send(*batch(keeper)) == head.position + 3
    assert verify(keeper.path, KEYS).intact


def test_a_full_disk_is_said_and_costs_nothing(keeper: Any) -> None:
    head = keeper.store.head()
    with keeper.store.chain.datastore.transaction(commit=False) as c:
        pages = c.execute("PRAGMA page_count").fetchone()[0]
        c.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnreadable, match=r"cannot grow.*make room on the disk"):
        keeper.send(*batch(keeper, 200))
    assert keeper.store.head() == head
    with keeper.store.chain.datastore.transaction(commit=False) as c:
        c.execute("PRAGMA max_page_count = 1000000")
    assert keeper.send(*batch(keeper, 200)) == head.position + 200
    assert verify(keeper.path, KEYS).intact


# Two writers


def second_store(keeper: Any) -> Store:
    return Store(
        keeper.path,
        keys=KEYS,
        now_us=lambda: to_micros(keeper.clock),
        software_version="test",
    )


def test_who_comes_second_to_a_stream_decides_again(keeper: Any) -> None:
    other = second_store(keeper)
    with closing(other):
        mine = keeper.store.load(CapitalEntry, capital_stream("both"))
        own = {"currency": "USD", "amount": 5, "reason": "r", "reference": "both"}
        mine.deposit(keeper.command(RecordDeposit, **own))

        Dispatcher(other, "other")(keeper.command(RecordDeposit, **own), command_id="theirs")
        head = keeper.store.head()

        with pytest.raises(ConcurrentChange, match=r"changed the stream first.*Try again"):
            keeper.store.record(CommandContext("mine", b"d" * 32, "tester"), mine)
        assert keeper.store.head() == head
        # another stream is not in the way, and its place comes from inside the write
        assert keeper.deposit("1.00") == head.position + 1


WRITER = """
import sys, time
from datetime import UTC, date, datetime
from pathlib import Path
from aggregates.capital import RecordDeposit
from aggregates.configuration import AdoptSettings
from config.clock import SystemClock, to_micros
from eventstore.application import Store
from eventstore.errors import ConcurrentChange
from runtime.dispatch import Dispatcher
from security.data_keys import KeyRing

path, name, count, go = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
clock = SystemClock()
store = Store(path, keys=KeyRing.plain(bytes(range(32))), now_us=lambda: to_micros(clock.now()),
              software_version="test")
do = Dispatcher(store, name)
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
when = {"at": datetime(2024, 1, 2, tzinfo=UTC), "effective_date": date(2024, 1, 2)}
for n in range(count):
    own = RecordDeposit(**when, reference=f"{name}{n}", currency="USD", amount=1, reason="r")
    shared = AdoptSettings(**when, values={"writer": name, "n": str(n)}, reason="both")
    while True:
        try:
            print(*do(own, shared, command_id=f"{name}:{n}").positions, flush=True)
            break
        except ConcurrentChange:
            continue
store.close()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_processes_write_one_history(keeper: Any, tmp_path: Path) -> None:
    """Each batch goes into a stream of its own and into one that both fight over."""
    count, go = 120, tmp_path / "go"
    before = keeper.store.head().position
    writers = [start(WRITER, keeper.path, name, count, go) for name in ("left", "right")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n", writer.communicate()
    go.touch()
    said = []
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert writer.returncode == 0, err
        said += [tuple(map(int, line.split())) for line in out.splitlines()]
    assert len(said) == 2 * count
    assert all(second == first + 1 for first, second in said)  # no batch was interleaved
    assert sorted(p for pair in said for p in pair) == list(
        range(before + 1, before + 1 + 4 * count)
    )
    result = verify(keeper.path, KEYS)
    assert (result.intact, result.position) == (True, before + 4 * count)
    versions = [
        r.originator_version for r in keeper.feed.all() if r.originator_id == "configuration"
    ]
    assert versions == list(range(1, 2 * count + 1))
    times = [r.recorded_at for r in keeper.feed.all()]
    assert times == sorted(times)


KILLED = (
    WRITER.partition("for n in range(count):")[0]
    + """
for n in range(count):
    own = RecordDeposit(**when, reference=f"{name}{n}", currency="USD", amount=1, reason="r")
    print(*do(own, command_id=f"{name}:{n}").positions, flush=True)
with store.chain.datastore.transaction(commit=True) as c:
    c.execute("INSERT INTO stored_events SELECT position + 1, 'half', 1, topic, schema_version,"
              " state, commitment, recorded_at, 'half', 0, command_digest, actor, '', '', '', 0,"
              " hash FROM stored_events ORDER BY position DESC LIMIT 1")
    print("half", flush=True)
    time.sleep(60)
"""
)


def test_reading_and_going_on_beside_a_killed_writer(keep: Any, tmp_path: Path) -> None:
    """Killed inside a write: what it had acknowledged is there, the half is not."""
    keeper = keep()
    go = tmp_path / "go"
    go.touch()
    writer = start(KILLED, keeper.path, "killed", 20, go)
    assert writer.stdout is not None
    lines = [writer.stdout.readline().strip() for _ in range(22)]
    assert (lines[0], lines[-1]) == ("ready", "half"), writer.communicate()
    acknowledged = list(map(int, lines[1:-1]))
    with closing(Feed(keeper.path)) as beside:  # also while it still writes
        assert beside.head().position == acknowledged[-1]
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=10)
    with closing(Feed(keeper.path)) as after:
        assert after.head().position == acknowledged[-1]
        assert {r.position for r in after.all()} >= set(acknowledged)
        assert after.page(stream="half") == []
    assert verify(keeper.path, KEYS).intact
    keeper.clock += timedelta(days=9999)  # the killed one wrote with the machine's clock
    assert keeper.deposit("1.00") == acknowledged[-1] + 1


# The clock


def test_recorded_at_never_goes_back(keeper: Any) -> None:
    first = keeper.feed.at(keeper.deposit("1.00"))
    keeper.clock -= timedelta(hours=3)
    second = keeper.feed.at(keeper.deposit("1.00"))
    assert second.recorded_at == first.recorded_at
    keeper.clock += timedelta(hours=3, microseconds=1)
    assert keeper.feed.at(keeper.deposit("1.00")).recorded_at == first.recorded_at + 1


def test_far_behind_the_head_entries_are_refused_and_exits_are_not(keeper: Any) -> None:
    keeper.buy("10", "100.00")
    intents = {}
    for side in ("buy", "sell"):
        intents[side], _ = keeper.fill_commands(side, "1", "100.00", "2024-01-02")
    waiting = keeper.fill_commands("buy", "1", "100.00", "2024-01-02")
    keeper.send(waiting[0])
    now = keeper.clock
    keeper.clock = now - timedelta(seconds=5, microseconds=1)
    head = keeper.store.head()
    with pytest.raises(ClockBehind, match=r"5\.0 s behind.*exits still work.*NTP"):
        keeper.send(intents["buy"])
    assert keeper.store.head() == head
    keeper.send(intents["sell"])  # the way out stays open
    keeper.send(waiting[1])  # a fill is a fact
    keeper.deposit("1.00")
    assert {r.recorded_at for r in keeper.feed.all(head.position)} == {head.recorded_at}
    keeper.clock = now - timedelta(seconds=5)  # exactly at the limit
    keeper.send(intents["buy"])


def test_an_entry_hidden_in_a_batch_is_still_an_entry(keeper: Any) -> None:
    keeper.deposit("1.00")
    keeper.clock -= timedelta(minutes=1)
    buy = keeper.fill_commands("buy", "1", "1", "2024-01-02")[0]
    assert isinstance(buy, IntendOrder)
    with pytest.raises(ClockBehind):
        keeper.send(*batch(keeper), buy)


# Guards of the file


def test_what_the_disk_was_asked_for_is_really_set(raw: Any) -> None:
    for pragma, value in (
        ("journal_mode", "wal"), ("synchronous", 2), ("recursive_triggers", 1),
        ("trusted_schema", 0), ("cell_size_check", 1), ("application_id", APPLICATION_ID),
        ("user_version", 1),
    ):  # fmt: skip
        assert raw.execute(f"PRAGMA {pragma}").fetchone()[0] == value


def test_every_pooled_connection_is_set_up(keeper: Any) -> None:
    pool = keeper.store.chain.datastore.pool
    held = [pool.get_connection(is_writer=False) for _ in range(3)]
    for connection in held:
        with connection.transaction(commit=False) as c:
            assert c.execute("PRAGMA synchronous").fetchone()[0] == 2
            assert c.execute("PRAGMA recursive_triggers").fetchone()[0] == 1
        pool.put_connection(connection)


COPY = ", ".join(c for c in COLUMNS if c not in ("position", "originator_version", "command_index"))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        *[(f"UPDATE stored_events SET {c} = {c} WHERE position = 2", "never changed")
          for c in COLUMNS],
        ("UPDATE OR REPLACE stored_events SET position = 3 WHERE position = 2", "never changed"),
        ("DELETE FROM stored_events WHERE position = 2", "never deleted"),
        ("DELETE FROM stored_events", "never deleted"),
        (f"INSERT INTO stored_events (position, originator_version, command_index, {COPY})"
         f" SELECT 99, 99, 99, {COPY} FROM stored_events WHERE position = 2", "no gap"),
        (f"INSERT INTO stored_events (position, originator_version, command_index, {COPY})"
         f" SELECT 0, 99, 99, {COPY} FROM stored_events WHERE position = 2", "no gap"),
        ("INSERT OR REPLACE INTO stored_events SELECT * FROM stored_events WHERE position = 2",
         "no gap"),
        # the next position, but in the place of another stream's event: REPLACE would delete it
        (f"INSERT OR REPLACE INTO stored_events (position, originator_version, command_index,"
         f" {COPY}) SELECT 6, originator_version, 99, {COPY} FROM stored_events"
         " WHERE position = 2", "never deleted"),
        (f"REPLACE INTO stored_events (position, originator_version, command_index, {COPY})"
         f" SELECT 6, 99, command_index, {COPY} FROM stored_events WHERE position = 2",
         "never deleted"),
    ],
)  # fmt: skip
def test_the_file_itself_refuses_to_change_history(raw: Any, statement: str, words: str) -> None:
    assert raw.execute("SELECT MAX(position) FROM stored_events").fetchone()[0] == 5
    with pytest.raises(sqlite3.IntegrityError, match=words):
        raw.execute(statement)
    assert raw.execute("SELECT count(*) FROM stored_events").fetchone()[0] == 5


def test_columns_hold_their_type(raw: Any) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER"):
        raw.execute(
            f"INSERT INTO stored_events (position, originator_version, command_index, {COPY})"
            f" SELECT 6, 'one', 99, {COPY} FROM stored_events WHERE position = 2"
        )


def test_a_tail_that_was_cut_off_is_not_built_upon(keeper: Any) -> None:
    """One more event would cover the traces: the chain would be whole again, but shorter."""
    keeper.deposit("1.00")
    with closing(sqlite3.connect(keeper.path)) as other:
        other.execute("DROP TRIGGER no_delete")
        other.execute("DELETE FROM stored_events WHERE position = 6")
        other.commit()
    with pytest.raises(StoreUnreadable, match=r"ends at event 5, .*event 6.*tbot verify"):
        keeper.deposit("2.00")
    assert keeper.feed.head().position == 5
    assert verify(keeper.path, KEYS).bad_position == 6


# Files that are no store of ours


def closed_store(keeper: Any) -> Path:
    """The store as it lies on disk after everything was closed."""
    keeper.close()
    assert not list(keeper.path.parent.glob("*-wal"))
    path: Path = keeper.path
    return path


def changed_to(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as c:
        c.execute("CREATE TABLE notes (text)")
        c.commit()


def of_another_program(path: Path) -> None:
    other_database(path)
    with closing(sqlite3.connect(path)) as c:
        c.execute("PRAGMA application_id = 1234")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as c:
        c.execute("PRAGMA user_version = 2")


def cut(part: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (changed_to(b"position,topic\n1,Books.Opened\n" * 400), "not an event store"),
    "noise": (changed_to(bytes(range(256)) * 64), "not an event store"),
    "other database": (other_database, "is not an event store"),
    "other program": (of_another_program, "is not an event store"),
    "newer": (newer, "store schema 2; this version reads up to 1.*Install"),
    "half": (cut(0.5), "damaged, cut off"),
    "last page": (cut(0.95), "damaged, cut off"),
    "header only": (lambda path: path.write_bytes(path.read_bytes()[:60]), "damaged, cut off"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_cannot_be_used_is_said_and_left_alone(keeper: Any, kind: str) -> None:
    path = closed_store(keeper)
    damage, words = DAMAGED[kind]
    damage(path)
    before = everything(keeper.folder.root)
    ways: list[Callable[[], object]] = [
        lambda: second_store(keeper), lambda: Feed(path), lambda: verify(path, KEYS),
    ]  # fmt: skip
    for way in ways:
        with pytest.raises(StoreUnreadable, match=words) as told:
            way()
        assert str(path) in str(told.value)
        assert "Nothing was changed" in str(told.value)
        assert everything(keeper.folder.root) == before


def test_there_is_nothing_where_a_reader_was_told_to_look(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "events.db", tmp_path):
        for way in (Feed, verify):
            with pytest.raises(StoreUnreadable, match=r"no event store at .*--data-dir.*tbot demo"):
                way(path)
    assert not list(tmp_path.iterdir())  # looking makes nothing


def test_a_writer_makes_its_folder_and_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "events.db"
    path.parent.mkdir(parents=True)
    path.touch()
    for way in (Feed, verify):
        with pytest.raises(StoreUnreadable, match="cannot be read"):
            way(path)
    assert path.read_bytes() == b""
    for target in (path, tmp_path / "absent" / "events.db"):
        with closing(Store(target, keys=KEYS, now_us=lambda: 1, software_version="t")) as s:
            assert s.head() == (0, GENESIS, 0, 0)
        assert verify(target, KEYS) == (0, GENESIS, None, "", 0)


def test_a_folder_in_the_place_of_the_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreadable, match="cannot be read"):
        Store(tmp_path, keys=KEYS, now_us=lambda: 1, software_version="t")


def test_a_store_that_was_killed_while_it_was_made_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as c:
        c.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with closing(Store(path, keys=KEYS, now_us=lambda: 1, software_version="t")) as store:
        assert store.head().position == 0
        with store.chain.datastore.transaction(commit=False) as c:
            assert c.execute(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchone() == (3,)


def test_a_locked_store_is_said_and_works_again_after(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.connection.BUSY_TIMEOUT_S", 0.05)
    other = second_store(keeper)
    with closing(other), closing(sqlite3.connect(keeper.path)) as locker:
        locker.isolation_level = None
        locker.execute("BEGIN IMMEDIATE")
        write = Dispatcher(other, "tester")
        with pytest.raises(StoreUnreadable, match=r"locked by another program.*try again"):
            write(*batch(keeper), command_id="x")
        assert keeper.feed.head().position == 5  # readers are not in the way of a writer
        assert verify(keeper.path, KEYS).intact
        locker.execute("ROLLBACK")
        assert write(*batch(keeper), command_id="x").positions == [6, 7, 8]


def test_a_store_locked_against_everybody_is_said(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = closed_store(keeper)
    monkeypatch.setattr("eventstore.connection.BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr("eventstore.schema.BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(path)) as locker:
        locker.execute("PRAGMA locking_mode = EXCLUSIVE")
        locker.execute("BEGIN EXCLUSIVE")
        for way in (lambda: second_store(keeper), lambda: Feed(path), lambda: verify(path)):
            with pytest.raises(StoreUnreadable, match="locked by another program"):
                way()


def test_a_store_that_may_not_be_written_is_said(keeper: Any) -> None:
    with keeper.store.chain.datastore.transaction(commit=False) as c:
        c.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreUnreadable, match=r"cannot be written.*check who may write"):
        keeper.deposit("1.00")


# Events that this version cannot read


def test_an_event_of_a_newer_version_stops_the_reader_by_name(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.capital(RecordDeposit, "1.00", reference="again")
    before = everything(keeper.folder.root)
    row = keeper.feed.at(6)
    monkeypatch.delitem(TOPICS, "Capital.Deposited")
    words = r"(Event 6|Event 1 of capital-again).*Capital.Deposited of schema 1.*Install"
    for read in (
        lambda: event_of(row),
        lambda: keeper.store.load(CapitalEntry, capital_stream("again")),
    ):
        with pytest.raises(UnknownEvent, match=words):
            read()
    assert verify(keeper.path, KEYS).intact  # the chain needs no knowledge of the content
    assert everything(keeper.folder.root) == before


def test_an_event_of_a_newer_schema_stops_the_reader_by_name(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CapitalDeposited, "schema_version", 2)
    row = keeper.feed.at(keeper.deposit("1.00"))
    assert row.schema_version == 2
    monkeypatch.setattr(CapitalDeposited, "schema_version", 1)
    with pytest.raises(UnknownEvent, match=r"Event 6 is a Capital.Deposited of schema 2"):
        event_of(row)


@pytest.mark.parametrize(
    "state", [b"", b"{}", b"null", b'{"reference": "\xff"}', b"\xff\xfe", b"[" * 5000]
)
def test_a_payload_that_is_none_stops_the_reader_by_name(keeper: Any, state: bytes) -> None:
    row = keeper.feed.at(5)._replace(state=state)
    with pytest.raises(UnknownEvent, match=r"Event 5 \(Capital.Deposited\).*tbot verify"):
        event_of(row)


def test_nothing_is_imported_because_a_row_names_it(keeper: Any) -> None:
    row = keeper.feed.at(5)._replace(topic="os:system")
    with pytest.raises(UnknownEvent, match="os:system"):
        event_of(row)


# The feed


def test_a_reader_finds_events_by_family_stream_and_text(keeper: Any) -> None:
    fill = keeper.buy("10", "100.00")
    found = keeper.feed.page
    assert [r.topic for r in found(topics=("Order",))] == ["Order.Intended", "Order.Filled"]
    assert [r.position for r in found(topics=("Order.Filled", "Capital"))] == [5, fill]
    assert found(topics=("Orde",)) == []
    assert [r.position for r in found(stream=capital_stream("r5"))] == [5]
    assert [r.position for r in found(text='"100000.00"')] == [5]
    assert [r.position for r in found(after=1, before=5, newest_first=True, limit=2)] == [4, 3]
    assert keeper.feed.at(0) is None
    assert keeper.feed.at(99) is None
    assert [r.position for r in keeper.feed.read(2, 10, until=4)] == [3, 4]


def test_a_time_names_the_last_event_known_then(keeper: Any) -> None:
    start = to_micros(keeper.clock)
    keeper.clock += timedelta(seconds=2)
    keeper.send(*batch(keeper))  # 6 to 8, all at one moment
    assert keeper.feed.position_at(start - 1) == 0
    assert keeper.feed.position_at(start) == 5
    assert keeper.feed.position_at(start + 1_999_999) == 5
    assert keeper.feed.position_at(start + 2_000_000) == 8
    assert keeper.feed.position_at(2**60) == 8


def test_the_library_s_own_feed_pages_by_position(keeper: Any) -> None:
    select = keeper.store.recorder.select_notifications
    assert [n.id for n in select(start=2, limit=2)] == [2, 3]
    assert [n.id for n in select(start=2, limit=9, inclusive_of_start=False)] == [3, 4, 5]
    assert [n.id for n in select(start=None, limit=9, stop=2)] == [1, 2]
    assert [n.id for n in select(start=1, limit=9, topics=["Capital.Deposited"])] == [5]
    assert keeper.store.recorder.max_notification_id() == 5
