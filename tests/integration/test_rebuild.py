"""A rebuild reads history through a second process that checks the chain."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aggregates.books import AdoptRules
from aggregates.capital import RecordFee
from eventstore import verification
from eventstore.errors import HistoryBroken, StoreUnreadable
from projections import building, posting_rules, verified_batches
from projections.building import built
from projections.ledger import Ledger
from projections.posting_rules import RULES
from runtime.views import rebuild_ledger
from security.data_keys import KeyRing


@pytest.fixture
def rebuilt(keeper: Any, tmp_path: Path) -> Callable[..., str]:
    """A rebuild of the keeper's history; gives the digest of the new file."""

    def run(until: int | None = None) -> str:
        target = tmp_path / "rebuilt.db"
        target.unlink(missing_ok=True)
        digest, _ = rebuild_ledger(keeper.folder, target, until, lambda *_: None)
        return digest

    return run


def tamper(keeper: Any, statement: str) -> None:
    """As somebody with the file would: triggers dropped."""
    with closing(sqlite3.connect(keeper.path)) as c, c:
        for trigger in ("no_update", "no_delete", "no_gap"):
            c.execute(f"DROP TRIGGER {trigger}")
        c.execute(statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE stored_events SET actor = 'nobody' WHERE position = 4",
            "event 4 is bad: its hash",
        ),
        ("DELETE FROM stored_events WHERE position = 3", "event 3 is bad: the next row says"),
        ("DELETE FROM stored_events WHERE position > 5", "ends at event .*, the rows end at 5"),
        ("DELETE FROM head", "event 1 is bad: the store says that it ends at event 0"),
        ("UPDATE head SET position = 4", "event 5 is bad: the store says that it ends at event 4"),
        ("UPDATE head SET hash = zeroblob(32)", "noted another hash for its newest event"),
    ],
)
def test_nothing_is_built_from_a_history_that_does_not_hold(
    keeper: Any, rebuilt: Callable[..., str], tmp_path: Path, statement: str, said: str
) -> None:
    keeper.buy("10", "10.00")
    tamper(keeper, statement)
    with pytest.raises(HistoryBroken, match=f"{said}.*Nothing was built"):
        rebuilt()
    assert not list(tmp_path.glob("rebuilt*"))


def test_a_rebuild_up_to_a_position_does_not_look_at_what_comes_after(
    keeper: Any, rebuilt: Callable[..., str]
) -> None:
    keeper.buy("10", "10.00")
    with closing(Ledger.in_memory()) as ledger:
        ledger.catch_up(keeper.feed, 5)
        expected = ledger.digest()
    tamper(keeper, "UPDATE stored_events SET actor = 'nobody' WHERE position = 7")
    assert rebuilt(5) == expected
    assert rebuilt(6)
    with pytest.raises(HistoryBroken, match="event 7 is bad"):
        rebuilt(7)


def test_events_that_are_missing_before_the_end_of_a_bounded_rebuild_are_a_fault(
    keeper: Any, rebuilt: Callable[..., str]
) -> None:
    keeper.buy("10", "10.00")
    tamper(keeper, "DELETE FROM stored_events WHERE position IN (5, 6)")
    assert rebuilt(4)
    for until in (5, 6):
        with pytest.raises(HistoryBroken, match="event 5 is bad: it is missing"):
            rebuilt(until)


def test_a_rebuild_up_to_before_the_first_event_is_empty(
    keeper: Any, rebuilt: Callable[..., str]
) -> None:
    keeper.buy("10", "10.00")
    with closing(Ledger.in_memory()) as ledger:
        assert rebuilt(0) == ledger.digest()


def test_where_the_disk_has_no_room_nothing_is_left_and_it_is_said(
    keeper: Any, tmp_path: Path
) -> None:
    """Files may grow to a size; the smallest do not hold the tables, the others not the rows."""
    for _ in range(200):
        keeper.buy("10", "10.00")
    before = sorted(tmp_path.rglob("*"))
    for kib in (4, 60, 104):
        code = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kib * 1024}, {kib * 1024}));"
            "from runtime.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "rebuild", "--data-dir", keeper.folder.root,
             "-o", tmp_path / "rebuilt.db"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, "ake room on the disk" in done.stderr) == (3, True), done.stderr
        assert sorted(tmp_path.rglob("*")) == before


def test_modules_in_the_folder_where_it_starts_are_not_taken(
    keeper: Any, rebuilt: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.buy("10", "10.00")
    for name in ("projections", "apsw", "marshal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert rebuilt() == keeper.ledger.digest()


def test_a_reader_that_dies_is_an_error_and_not_an_end(
    keeper: Any, rebuilt: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.buy("10", "10.00")
    for said in ("", "abc", "12345678and less than that"):  # nothing, half a length, half a batch
        reader = tmp_path / "reader"
        reader.write_text(f"#!/bin/sh\nprintf '{said}'\n")
        reader.chmod(0o755)
        monkeypatch.setattr(verified_batches.sys, "executable", str(reader))
        with pytest.raises(StoreUnreadable, match="before the end of history"):
            rebuilt()
        assert not list(tmp_path.glob("rebuilt*"))


def test_late_entries_and_reversals_find_their_rows_before_the_indexes_are_made(
    keeper: Any, rebuilt: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.buy("10", "10.00", "2024-01-05")
    keeper.sell("4", "12.00", "2024-01-08")
    keeper.buy("5", "8.00", "2024-01-03")  # late: the sale is re-costed
    fee = keeper.capital(RecordFee, "2.50", "2024-01-09")
    keeper.reverse(fee)
    keeper.sell("3", "12.00", "2024-01-10")
    live = keeper.ledger.digest()
    assert rebuilt() == live
    for every in (1, 2, 3):  # batches that end anywhere
        monkeypatch.setattr(verification, "RUN", every)
        monkeypatch.setattr(verified_batches, "ROWS_A_BATCH", every)
        monkeypatch.setattr(building, "WRITTEN_EVERY", every * 2)
        here = list(verified_batches.batches(keeper.path, Ledger, KeyRing({}), 2**62))
        assert all(batch.position % every == 0 for batch in here[:-1])
        for batch in here[::2]:  # with facts that the other process had the time to find
            verified_batches.find_facts(Ledger, batch.rows)
        with closing(built(Ledger, tmp_path / f"{every}.db", here)) as ledger:
            assert ledger.digest() == live


def test_each_entry_keeps_the_posting_rules_that_were_in_force(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2, for this test only, keeps what rounding leaves in suspense."""
    second = RULES[1]._replace(residue_role=lambda _: "suspense")
    monkeypatch.setitem(posting_rules.RULES, 2, second)
    first = keeper.buy("1", "10.006", net_amount="-10.00")
    keeper.do(AdoptRules, rules_version=2)
    then = keeper.buy("1", "10.006", net_amount="-10.00")
    assert keeper.lines(first)[-1] == ("5070", "-0.01")
    assert keeper.lines(then)[-1] == ("1990", "-0.01")
    versions = {e.position: e.rules_version for e in keeper.books.journal()}
    assert (versions[first], versions[then]) == (1, 2)
    with closing(Ledger.in_memory()) as again:
        again.catch_up(keeper.feed)
        assert again.digest() == keeper.ledger.digest()
