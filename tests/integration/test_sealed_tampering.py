"""Whoever changes a sealed store without its keys is found, also when the chain is made anew."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from config.paths import DataFolder
from eventstore import verification
from eventstore.envelope import COLUMN_LIST, COLUMNS, GENESIS, Envelope, chain_hash
from eventstore.errors import HistoryBroken, SealBroken
from eventstore.feed import Feed
from eventstore.history_file import HistoryFile, write_history
from eventstore.history_format import HistoryMismatch
from eventstore.history_load import load_rows
from eventstore.sealing import seal
from eventstore.verification import BrokenChain, verify
from projections.base import ProjectionHalted
from projections.building import built
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.verified_batches import all_opened, batches, taker, verified_batches
from runtime.cli import main
from runtime.event_view import event_view
from runtime.history_transfer import import_history
from security.data_keys import DataKey, KeyRing

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "sealed_history.jsonl"
HEAD = (13, "6682e1c4e54fbf811961eb738416811d1d1242cb75376c17a9c1cabdae8a8f64")
BYTES = ("state", "commitment", "command_digest", "hash")


@pytest.fixture
def rows(sealed: Any) -> list[Envelope]:
    return list(sealed.feed.all())


@pytest.fixture
def forged(sealed: Any) -> Callable[[list[Envelope]], Feed]:
    """A store of these rows, chained anew by somebody who knows how, read with the true keys."""

    def write(changed: list[Envelope]) -> Feed:
        sealed.store.close()
        previous, chained = GENESIS, []
        for row in changed:
            previous = chain_hash(previous, row)
            chained.append(row._replace(hash=previous))
        with closing(sqlite3.connect(sealed.path)) as c, c:
            for trigger in ("no_update", "no_delete", "no_gap"):
                c.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            c.execute("DELETE FROM stored_events")
            marks = ", ".join("?" * len(COLUMNS))
            c.executemany(f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({marks})", chained)
            c.execute("UPDATE head SET position = ?, hash = ?", (len(chained), previous))
        return Feed(sealed.path, sealed.vault.ring())

    return write


def at(rows: list[Envelope], position: int, **fields: Any) -> list[Envelope]:
    return [row._replace(**fields) if row.position == position else row for row in rows]


FORGERIES: dict[str, tuple[int, Callable[[list[Envelope]], list[Envelope]]]] = {
    "swapped with the next": (
        5,
        lambda rows: at(at(rows, 5, state=rows[5].state), 6, state=rows[4].state),
    ),
    "swapped with its commitment": (
        7,
        lambda rows: at(
            at(rows, 7, state=rows[7].state, commitment=rows[7].commitment),
            8, state=rows[6].state, commitment=rows[6].commitment,
        ),
    ),
    "that of an earlier event": (11, lambda rows: at(rows, 11, state=rows[4].state)),
    "a byte changed": (8, lambda rows: at(rows, 8, state=b"x" + rows[7].state[1:])),
    "cut": (8, lambda rows: at(rows, 8, state=rows[7].state[:-1])),
    "cut to nothing": (8, lambda rows: at(rows, 8, state=b"")),
    "longer": (8, lambda rows: at(rows, 8, state=rows[7].state + b"x")),
    "in clear": (8, lambda rows: at(rows, 8, state=b'{"amount":"1.00"}')),
    "another topic": (4, lambda rows: at(rows, 4, topic="Capital.FeeCharged")),
    "another stream": (5, lambda rows: at(rows, 5, originator_id="capital-other")),
    "another version": (5, lambda rows: at(rows, 5, originator_version=9)),
    "another form": (5, lambda rows: at(rows, 5, schema_version=2)),
    "another commitment": (5, lambda rows: at(rows, 5, commitment=bytes(32))),
    "a later epoch": (13, lambda rows: at(rows, 13, key_epoch=4)),
    "the epoch after": (8, lambda rows: at(rows, 8, key_epoch=3)),
}  # fmt: skip


def rebuilt(sealed: Any) -> None:
    batches = verified_batches(sealed.path, Ledger, sealed.vault.ring())
    built(Ledger, sealed.path.with_name("rebuilt.db"), batches).close()


@pytest.mark.parametrize("name", FORGERIES)
def test_a_ciphertext_that_is_not_in_its_place_is_named_by_position(
    forged: Callable[..., Feed], rows: list[Envelope], sealed: Any, name: str
) -> None:
    position, change = FORGERIES[name]
    sealed.vault.keys.update([sealed.vault.fresh()])  # an epoch that no event is under yet
    with closing(forged(change(rows))) as feed:
        found = verify(sealed.path, sealed.vault.ring())
        assert found.bad_position == position
        assert "does not open under epoch" in found.reason
        assert verify(sealed.path).intact  # to see that takes the keys
        with pytest.raises(HistoryBroken, match=f"event {position} is bad.*does not open.*Nothing"):
            rebuilt(sealed)
        with pytest.raises(BrokenChain, match=f"event {position} is bad.*does not open"):
            list(batches(sealed.path, Ledger, sealed.vault.ring(), 2**62))  # the other process
        row = feed.at(position)
        assert row is not None
        with pytest.raises(SealBroken, match=f"Event {position} "):
            feed.event(row)
        shown = event_view(feed, row)
        assert shown.payload == {}
        assert f"Event {position} " in shown.unreadable
        if row.topic in Ledger.passed_over:
            return
        with closing(Ledger.in_memory()) as ledger:
            with pytest.raises(ProjectionHalted, match=f"before event {position} .*does not open"):
                ledger.catch_up(feed)
            assert ledger.tracked()[0] == position - 1


@pytest.mark.parametrize("left", [0, 1, 2, 9])
def test_the_first_fault_is_named_whoever_opens_the_payloads(
    forged: Callable[..., Feed], rows: list[Envelope], sealed: Any, left: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Seals that do not open at 3 and 7, a chain that breaks at 8, all in one batch; the first
    ``left`` runs of two rows are left to the process that folds."""
    bad = [
        row._replace(state=bytes(len(row.state))) if row.position in (3, 7) else row for row in rows
    ]
    forged(bad).close()
    with closing(sqlite3.connect(sealed.path)) as c, c:
        c.execute("UPDATE stored_events SET actor = 'nobody' WHERE position = 8")
    monkeypatch.setattr(verification, "RUN", 2)
    runs, taken = iter(range(20)), taker(Ledger, sealed.vault.ring())
    found = batches(sealed.path, Ledger, sealed.vault.ring(), 2**62, lambda: next(runs) < left)
    with pytest.raises(BrokenChain, match=r"event 3 is bad.*does not open"):
        list(map(all_opened, found, repeat(taken)))


def test_the_keys_of_another_bot_open_nothing(sealed: Any) -> None:
    other = KeyRing({n: DataKey(bytes(63) + bytes([n]), bytes(32)) for n in (1, 2, 3)})
    found = verify(sealed.path, other)
    assert (found.bad_position, "or the key here is another bot's" in found.reason) == (1, True)
    # with the right cipher key and another blind key, the commitments are what does not fit
    wrong = {n: key._replace(blind=bytes(32)) for n, key in sealed.vault.keys.items()}
    found = verify(sealed.path, KeyRing(wrong))
    assert (found.bad_position, "commitment does not belong" in found.reason) == (1, True)


def test_an_event_in_clear_after_sealed_ones_is_a_fault_for_everybody(
    forged: Callable[..., Feed], rows: list[Envelope], sealed: Any, tmp_path: Path
) -> None:
    """All that somebody without any key can write, a commitment under a key of his own included."""
    added = rows[-1]._replace(
        position=14, originator_id="capital-x", originator_version=1, topic="Capital.Deposited",
        state=b'{"amount":"1.00"}', command_id="x", key_epoch=0,
    )  # fmt: skip
    forged([*rows, added]).close()
    for keys in (None, sealed.vault.ring()):
        found = verify(sealed.path, keys)
        assert (found.bad_position, found.reason) == (14, "its key epoch goes back from 3 to 0")
    with pytest.raises(HistoryBroken, match="goes back"):
        rebuilt(sealed)
    with (
        pytest.raises(HistoryMismatch, match="up to event 13 only: its key epoch goes back"),
        (tmp_path / "out.xz").open("wb") as out,
    ):
        write_history(sealed.path, [], None, out)


# What is stored stays as it is


def test_a_history_that_was_sealed_once_stays_readable(
    sealed: Any, golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    """The file is kept as it was first written, also by --update-golden."""
    lines = GOLDEN.read_text() if GOLDEN.is_file() else "".join(map(line_of, sealed.feed.all()))
    golden(GOLDEN.name, lines)
    kept = [row_of(line) for line in lines.splitlines()]
    store = tmp_path / "kept.db"
    load_rows(store, iter(kept), lambda _: None)
    assert verify(store, sealed.vault.ring())[2:] == (None, "", 0)
    assert (kept[-1].position, kept[-1].hash.hex()) == HEAD  # no file alone can change it
    with closing(Feed(store, sealed.vault.ring())) as feed, closing(Ledger.in_memory()) as ledger:
        ledger.catch_up(feed)
        books = LedgerQueries(ledger.connection).balances()
        now = sealed.books.balances()
        assert {b.code: b.amount for b in books} == {b.code: b.amount for b in now}
        for row in kept:  # and the same payload would be sealed to the same bytes today
            place = row[1:5]
            assert seal(
                row.key_epoch, sealed.vault.keys[row.key_epoch], *place, feed.payload(row)
            ) == (row.state, row.commitment)


def line_of(row: Envelope) -> str:
    fields = row._asdict() | {name: getattr(row, name).hex() for name in BYTES}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def row_of(line: str) -> Envelope:
    fields = json.loads(line)
    return Envelope(**fields | {name: bytes.fromhex(fields[name]) for name in BYTES})


def test_an_exported_history_is_taken_over_sealed(sealed: Any, tmp_path: Path) -> None:
    rows = list(sealed.feed.all())
    file = tmp_path / "history.xz"
    with file.open("wb") as out:
        assert write_history(sealed.path, [], None, out).sealed == len(rows)
    made = DataFolder(tmp_path / "elsewhere")
    history: HistoryFile = import_history(file, made)
    assert history.chain.sealed == len(rows)
    assert verify(made.events)[2:] == (None, "", len(rows))
    assert verify(made.events, sealed.vault.ring()).intact
    with (
        closing(Feed(made.events, sealed.vault.ring())) as feed,
        closing(Ledger.in_memory()) as ledger,
    ):
        assert list(feed.all()) == rows
        ledger.catch_up(feed)
        assert ledger.digest() == sealed.ledger.digest()


def test_a_copy_of_the_store_says_what_it_lacks(sealed: Any, tmp_path: Path) -> None:
    """The file alone, as a thief or an imported history has it."""
    sealed.close()
    copy = DataFolder(tmp_path / "copy")
    copy.events.parent.mkdir(parents=True)
    shutil.copy(sealed.path, copy.events)

    def tbot(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, "--data-dir", str(copy.root)])

    verified = tbot("verify")
    assert verified.exit_code == 0
    assert "13 payloads are sealed under keys that are not here" in verified.output
    events = tbot("events", "--format", "json")
    assert events.exit_code == 0
    said = {row["unreadable"] for row in json.loads(events.output)}
    assert said == {f"It is sealed under epoch {n}, and the key is not here." for n in (1, 2, 3)}
    balances = tbot("balances")
    assert (balances.exit_code, "key of epoch 1 is not here" in balances.output) == (3, True)
