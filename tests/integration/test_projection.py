"""Views: folded exactly once, whole or not at all, and always to be had again from the events."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.capital import RecordDeposit, RecordFee
from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordCancellation,
    RecordExpiry,
    RecordFill,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
    RequestCancel,
)
from projections import base
from projections.base import ProjectionHalted, ProjectionMismatch
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from projections.ledger_rows import FILLS, WIDTHS, LedgerRows
from projections.orders import Orders
from projections.performance import Performance
from projections.posting_rules import RULES
from runtime.views import SNAPSHOTS_KEPT, Views, rebuild_ledger, snapshot

IDENTITY = "DEMO_USA_SIM_01"
VIEWS = (Ledger, Orders, Performance)
views = pytest.mark.parametrize("view", VIEWS)


def everything(root: Path) -> dict[str, str]:
    """Every file with a digest of its content, SQLite's own -wal and -shm aside."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def busy(keeper: Any) -> Any:
    """Books with everything in them: trades, a late one, a split, a reversal, a close."""
    keeper.buy("10", "10.37", commission="0.35", fees="0.013")
    keeper.buy("5", "20.00", sleeve="holdings", context="rebalance")
    keeper.sell("4", "11.01", "2024-01-04", net_amount="44.05")
    keeper.buy("6", "9.99", "2023-12-29")  # late: its lot is the oldest, and the last recorded
    keeper.split(3, 2, "2024-01-05")
    fee = keeper.capital(RecordFee, "2.50", "2024-01-05")
    keeper.reverse(fee)
    keeper.close_period("2024-01-31")
    keeper.sell("5", "8.00", "2024-01-06")
    return keeper


@pytest.fixture
def fold(busy: Any, tmp_path: Path) -> Callable[..., str]:
    """`fold(view, *stops)`: a new file, folded in that many openings; gives its digest."""
    number = [0]

    def run(view: type[Any], *stops: int, path: Path | None = None) -> str:
        number[0] += 1
        target = path or tmp_path / f"fold{number[0]}.db"
        for stop in (*stops, None):
            with closing(view.open(target)) as opened:
                opened.catch_up(busy.feed, stop)
        with closing(view.read_only(target)) as opened:
            digest: str = opened.digest()
            return digest

    return run


# Exactly once


@views
def test_every_way_to_fold_the_same_events_gives_the_same_rows(
    busy: Any, fold: Callable[..., str], view: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, event by event, in batches of any size, stopped and opened again anywhere."""
    head = busy.store.head().position
    digests = {fold(view), fold(view, *range(1, head)), fold(view, 7, 7, 3, head)}
    for size in (1, 2, 5):
        monkeypatch.setattr(base, "BATCH", size)
        digests.add(fold(view))
    with closing(view.in_memory()) as memory:
        memory.catch_up(busy.feed)
        digests.add(memory.digest())
    assert len(digests) == 1


@views
def test_two_that_fold_into_one_file_fold_each_event_once(
    busy: Any, fold: Callable[..., str], view: type[Any], tmp_path: Path
) -> None:
    path = tmp_path / "shared.db"
    with closing(view.open(path)) as one, closing(view.open(path)) as other:
        for position in range(1, busy.store.head().position + 1):
            for each in (one, other) if position % 3 else (other, one):
                assert each.catch_up(busy.feed, position) == position
        assert one.digest() == fold(view)


@views
def test_a_file_that_is_current_is_left_as_it_is(
    fold: Callable[..., str], view: type[Any], tmp_path: Path
) -> None:
    path = tmp_path / "view.db"
    digest = fold(view, path=path)
    before = path.read_bytes()
    assert fold(view, path=path) == digest
    assert path.read_bytes() == before


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("table", ["entries", "entry_lines", FILLS, "lot_changes"])
@pytest.mark.parametrize("after", range(4))
def test_an_end_in_the_middle_of_writing_leaves_nothing_half(
    busy: Any, fold: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    table: str, after: int,
) -> None:  # fmt: skip
    """The end comes at the n-th writing of rows to a table, when some of them are written."""
    path, whole = tmp_path / "killed.db", fold(Ledger)
    flush, count = LedgerRows.flush, [0]

    def dying(rows: LedgerRows) -> None:
        count[0] += bool(rows.waiting[table])
        if count[0] > after:
            del rows.waiting[table][WIDTHS[table] :]
            flush(rows)
            raise Killed
        flush(rows)

    monkeypatch.setattr(base, "BATCH", 4)
    with closing(Ledger.open(path)) as ledger:
        monkeypatch.setattr(LedgerRows, "flush", dying)
        with pytest.raises(Killed):
            ledger.catch_up(busy.feed)
        monkeypatch.setattr(LedgerRows, "flush", flush)
        reached = ledger.tracked()[0]
        with closing(Ledger.in_memory()) as proof:
            proof.catch_up(busy.feed, reached)
            assert ledger.digest() == proof.digest()
        # the same object can go on: what it had gathered is forgotten
        ledger.catch_up(busy.feed, reached + 1)
    assert fold(Ledger, path=path) == whole


def test_rows_and_position_are_one_transaction(busy: Any, tmp_path: Path) -> None:
    """Seen from beside, the position never says more or less than the rows."""
    path = tmp_path / "view.db"
    with closing(Ledger.open(path)) as ledger, closing(sqlite3.connect(path)) as beside:
        beside.isolation_level = None
        for position in range(1, busy.store.head().position + 1):
            ledger.catch_up(busy.feed, position)
            tracked, newest = beside.execute(
                "SELECT (SELECT position FROM tracking), (SELECT MAX(position) FROM postings)"
            ).fetchone()
            assert tracked == position
            assert (newest or 0) <= position


# What cannot be folded


def test_an_event_that_cannot_be_folded_is_named_and_everything_before_it_stands(
    keeper: Any, tmp_path: Path
) -> None:
    keeper.buy("1", "10.00")
    bad = keeper.sell("2", "10.00", "2024-01-03")
    keeper.deposit("1.00")
    with closing(Ledger.open(tmp_path / "new.db")) as ledger:
        for _ in range(2):  # asked again it says the same
            with pytest.raises(ProjectionHalted) as told:
                ledger.catch_up(keeper.feed)
            assert told.value.position == bad
            for words in (
                f"ledger stops before event {bad} (Order.Filled)", "sale of 2 units on 2024-01-03",
                "more than the 1 held", "The event is kept", "nothing was half written",
            ):  # fmt: skip
                assert words in str(told.value)
            assert ledger.tracked()[0] == bad - 1
        books = LedgerQueries(ledger.connection)
        assert {b.code: str(b.amount) for b in books.balances()} == {
            "1010": "99990.00", "1110.SPY": "10.00", "3010": "-100000.00",
        }  # fmt: skip


def test_the_reason_is_said_in_words(keeper: Any) -> None:
    bad = keeper.buy("9000000000", "9000000000")
    with pytest.raises(ProjectionHalted, match=rf"before event {bad} .*more than can be kept"):
        keeper.balances()


def test_an_order_of_what_was_never_registered_is_refused_before_it_is_recorded(
    keeper: Any,
) -> None:
    """The ledger could not post its fills: it would stand still for good."""
    head = keeper.store.head().position
    with pytest.raises(DomainError, match="No instrument XNYS:NONE is registered"):
        keeper.buy("1", "1", instrument="XNYS:NONE")
    assert keeper.store.head().position == head
    keeper.balances()


@pytest.mark.parametrize(
    "make",
    [
        lambda k: k.capital(RecordDeposit, "1.00", currency="EUR"),
        lambda k: k.buy("1", "1", currency="EUR"),
    ],
)
def test_what_the_ledger_could_never_post_is_not_recorded(
    keeper: Any, make: Callable[[Any], int]
) -> None:
    with pytest.raises(DomainError, match="kept in USD; an amount in EUR"):
        make(keeper)
    assert not [row for row in keeper.feed.all() if b"EUR" in row.state]
    keeper.balances()


def test_a_missing_event_stops_the_view_and_never_makes_it_wait(
    keeper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.deposit("1.00")
    keeper.deposit("2.00")
    with closing(sqlite3.connect(keeper.path)) as c:
        c.execute("DROP TRIGGER no_delete")
        c.execute("DELETE FROM stored_events WHERE position = 6")
        c.commit()
    monkeypatch.setattr(base, "BATCH", 2)  # 6 is where a batch would end
    with closing(Ledger.open(tmp_path / "new.db")) as ledger:
        with pytest.raises(ProjectionMismatch, match=r"Event 6 is missing .*tbot verify"):
            ledger.catch_up(keeper.feed)
        assert ledger.tracked()[0] == 4


def test_newer_posting_rules_are_not_guessed(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.ledger.RULES", {0: RULES[1]})
    monkeypatch.setattr("projections.ledger.RULES_VERSION", 0)
    with pytest.raises(ProjectionHalted, match=r"event 2 .*rules 1 are not .*install .* newer"):
        keeper.balances()


# Files that are not of this version, or not of this history


def alter(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as c:
            c.execute(statement)
            c.commit()

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a column more": (alter("ALTER TABLE tracking ADD COLUMN extra TEXT"), r"\(tracking\)"),
    "a table more": (alter("CREATE TABLE notes (text TEXT)"), r"\(notes\)"),
    "a table less": (alter("DROP TABLE tracking"), r"\(tracking\)"),
    "text": (lambda p: p.write_bytes(b"no database at all\n" * 400), "Move it away"),
    "cut off": (cut, "Move it away"),
}


@views
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_does_not_fit_blocks_the_start_and_is_left_alone(
    fold: Callable[..., str], view: type[Any], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "view.db"
    fold(view, path=path)
    damage, words = DAMAGE[kind]
    damage(path)
    before = path.read_bytes()
    for use in (view.open, view.read_only, view.in_memory):
        with pytest.raises(ProjectionMismatch, match=words) as told:
            use(path)
        assert str(path) in str(told.value)
        assert "othing was changed" in str(told.value)
        assert view.name in str(told.value)
        assert path.read_bytes() == before


def test_a_missing_index_is_a_mismatch_too(fold: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    fold(Ledger, path=path)
    alter("DROP INDEX entries_about")(path)
    with pytest.raises(ProjectionMismatch, match=r"ledger .*\(entries_about\).*rebuilt"):
        Ledger.open(path)


@views
def test_a_view_of_another_history_blocks_the_start(
    busy: Any, keep: Any, fold: Callable[..., str], view: type[Any], tmp_path: Path
) -> None:
    path = tmp_path / "view.db"
    fold(view, path=path)
    before = path.read_bytes()
    other = keep("other")
    other.register()
    while other.store.head().position < busy.store.head().position:
        other.deposit("5.00")
    shorter = keep("shorter")
    for stranger in (other, shorter):
        for opened in (view.open(path), view.in_memory(path)):
            refused = pytest.raises(ProjectionMismatch, match="built from another history")
            with closing(opened), refused:
                opened.catch_up(stranger.feed)
        assert path.read_bytes() == before


def test_a_reader_is_not_shown_the_books_of_another_history(busy: Any, keep: Any) -> None:
    """Also when both happen to be equally long."""
    mine = busy.ledger.tracked()[0]
    other = keep("other")
    other.deposit("1.00")
    while other.store.head().position < mine:
        other.deposit("5.00")
    other.close()
    shutil.copy(busy.folder.ledger(IDENTITY), other.folder.root / "taken.db")
    target = other.folder.ledger(IDENTITY)
    target.parent.mkdir(parents=True)
    busy.close()
    shutil.copy(busy.folder.ledger(IDENTITY), target)
    with pytest.raises(ProjectionMismatch, match="another history"):
        Views.for_reading(other.folder)


# Readers change nothing


@pytest.mark.parametrize("state", ["missing", "behind", "current", "killed writer"])
def test_a_reader_sees_everything_and_changes_nothing(busy: Any, state: str) -> None:
    if state != "missing":
        with closing(Views.open(busy.folder, IDENTITY)) as writer:
            writer.catch_up()
    if state == "behind":
        busy.deposit("7.00")
    expected = len(list(busy.feed.all()))
    if state == "killed writer":
        # its write-ahead log is still there, and holds what the file itself does not
        held = Views.open(busy.folder, IDENTITY)
        busy.deposit("7.00")
        held.catch_up()
        expected += 1
    before = everything(busy.folder.root)
    with closing(Views.for_reading(busy.folder)) as reader:
        for view in (reader.ledger, reader.orders, reader.performance):
            assert view.tracked()[0] == expected
        cash = {"missing": 0, "current": 0}.get(state, 7)
        # 100,000 − 104.06 − 100.00 + 44.05 − 59.94 + 40.00, and the fee came back
        assert reader.books.balance_of("1010") == Decimal("99820.05") + cash
        assert len(reader.orders.orders()) == 5
    assert everything(busy.folder.root) == before


def test_a_reader_of_a_folder_without_books_says_so(keep: Any) -> None:
    keeper = keep()
    keeper.close()
    with closing(sqlite3.connect(keeper.path)) as c:
        for trigger in ("no_delete", "no_update"):
            c.execute(f"DROP TRIGGER {trigger}")
        c.execute("DELETE FROM stored_events")
        c.commit()
    with pytest.raises(DomainError, match=r"No books are open .*tbot demo"):
        Views.for_reading(keeper.folder)


# Rebuild and snapshots


def rebuild(keeper: Any, target: Path, until: int | None = None) -> tuple[str, int]:
    return rebuild_ledger(keeper.folder, target, until, lambda *_: None)


def test_two_rebuilds_are_byte_identical_and_equal_to_the_live_ledger(
    busy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    first = rebuild(busy, one)
    monkeypatch.setattr(base, "BATCH", 3)
    second = rebuild(busy, two)
    assert first == second == (busy.ledger.digest(), busy.store.head().position)
    third = rebuild(busy, tmp_path / "three.db")
    assert third == second
    assert two.read_bytes() == (tmp_path / "three.db").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "one.db", "three.db", "two.db",
    ]  # fmt: skip


def test_a_rebuild_up_to_a_position_is_the_ledger_of_then(busy: Any, tmp_path: Path) -> None:
    for until in (5, 9, 12):
        digest, reached = rebuild(busy, tmp_path / f"{until}.db", until)
        assert reached == until
        with closing(Ledger.in_memory()) as then:
            then.catch_up(busy.feed, until)
            assert digest == then.digest()
            books = LedgerQueries(then.connection)
            assert books.balances() == busy.books.balances(AsOf(position=until))


def test_a_rebuild_never_writes_over_a_file(busy: Any, tmp_path: Path) -> None:
    target = tmp_path / "mine.db"
    target.write_bytes(b"precious")
    before = everything(tmp_path)
    with pytest.raises(DomainError, match=r"mine.db exists already.*name a new file"):
        rebuild(busy, target)
    assert everything(tmp_path) == before


def test_a_rebuild_that_cannot_finish_leaves_no_file_that_looks_finished(
    keeper: Any, tmp_path: Path
) -> None:
    keeper.sell("1", "10.00")
    target = tmp_path / "books.db"
    with pytest.raises(ProjectionHalted):
        rebuild(keeper, target)
    assert not target.exists()
    digest, reached = rebuild(keeper, target, 5)  # what an interrupted one left is in no way
    assert (reached, target.is_file()) == (5, True)
    with closing(Ledger.read_only(target)) as ledger:
        assert ledger.digest() == digest


def test_a_digest_changes_with_any_value(busy: Any) -> None:
    with closing(Ledger.in_memory()) as ledger:
        ledger.catch_up(busy.feed)
        seen = {ledger.digest()}
        for statement in (
            "UPDATE entry_lines SET amount = amount + 1 WHERE posting_id = 257",
            "UPDATE entries SET reference = reference || 'x' WHERE transaction_id = 1",
            "UPDATE lot_changes SET cost = cost + 1 WHERE rowid = 1",
            "UPDATE entries SET units = units + 1 WHERE position = (SELECT MAX(position) FROM"
            " movements)",
            "UPDATE tracking SET hash = zeroblob(32)",
        ):
            ledger.connection.execute(statement)
            seen.add(ledger.digest())
        assert len(seen) == 6


def test_snapshots_are_whole_and_the_last_few_stay(busy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    digest = busy.ledger.digest()
    start = datetime(2024, 2, 1, 9, tzinfo=UTC)
    made = [
        snapshot(busy.ledger, folder, IDENTITY, start + timedelta(hours=n))
        for n in range(SNAPSHOTS_KEPT + 3)
    ]
    assert sorted(folder.iterdir()) == made[-SNAPSHOTS_KEPT:]
    assert made[0].name == f"{IDENTITY}_BOT_ledger_20240201T090000Z.db"
    for path in made[-SNAPSHOTS_KEPT:]:
        assert path.stat().st_mode & 0o777 == 0o600
        with closing(Ledger.read_only(path)) as copy:
            assert copy.digest() == digest


# The orders view says what the order says


def test_the_orders_view_agrees_with_the_order_in_every_state(keeper: Any) -> None:
    """ "Partially filled" is what a person calls an accepted order with fills."""
    lives = {
        "intended": [], "submitted": ["s"], "accepted": ["s", "a"], "unknown": ["s", "u"],
        "rejected": ["s", "r"], "expired": ["s", "a", "e"], "cancelled": ["s", "a", "q", "c"],
        "filled": ["s", "a", "f4", "f6"], "partially filled": ["s", "a", "f4"],
        "filled before acceptance": ["s", "f4", "a"], "asked to cancel": ["s", "a", "f4", "q"],
        "filled after cancel": ["s", "a", "c", "f4"], "all after cancel": ["s", "a", "c", "f10"],
        "filled after expiry": ["s", "a", "e", "f4"], "unknown, then filled": ["s", "u", "f4"],
        "all before acceptance": ["s", "f10", "a"],
    }  # fmt: skip
    kinds = {
        "s": (RecordSubmission, {}), "a": (RecordAcceptance, {"broker_order_id": "b"}),
        "u": (RecordUnknownOutcome, {"reason": "time-out"}), "e": (RecordExpiry, {}),
        "r": (RecordRejection, {"error_code": "X", "reason": "no"}),
        "q": (RequestCancel, {"reason": "stop"}), "c": (RecordCancellation, {"reason": "asked"}),
    }  # fmt: skip
    for order_id, steps in lives.items():
        keeper.do(
            IntendOrder, order_id=order_id, bot_identity=IDENTITY, instrument_id="XNYS:SPY",
            symbol="SPY", sleeve="trading", side="buy", order_type="market", strategy="OPEN",
            quantity=Decimal(10), reason="test",
        )  # fmt: skip
        for n, step in enumerate(steps):
            if step.startswith("f"):
                fields = {
                    "execution_id": f"{order_id}{n}", "quantity": Decimal(step[1:]),
                    "price": Decimal(100 + n), "currency": "USD", "commission": Decimal(0),
                    "fees": Decimal(0), "net_amount": None, "settles_on": date(2024, 1, 4),
                }  # fmt: skip
                keeper.do(RecordFill, order_id=order_id, **fields)
            else:
                kind, fields = kinds[step]
                keeper.do(kind, order_id=order_id, **fields)
    with closing(Orders.in_memory()) as view:
        view.catch_up(keeper.feed)
        found = {o.order_id: o for o in view.orders(day=date(2024, 1, 2))}
        assert view.orders(day=date(2024, 1, 3)) == []
        (first,) = [o for o in view.orders(AsOf(position=6)) if o.order_id == "intended"]
        assert first.state == "intended"
    assert list(found) == list(lives)
    for order_id, seen in found.items():
        order = keeper.store.load(Order, order_stream(order_id))
        state = "accepted" if seen.state == "partially filled" else seen.state
        assert (order_id, state) == (order_id, order.state)
        assert (seen.filled, seen.broker_order_id) == (
            order.filled.decimal, order.broker_order_id,
        )  # fmt: skip
        if seen.filled:
            assert seen.average_price == order.filled_value / order.filled.decimal
    assert found["filled"].average_price == Decimal("102.6")
