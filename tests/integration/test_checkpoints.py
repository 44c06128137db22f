"""Checkpoints on a data folder: what was signed and is no longer so is found, and told apart."""

import hashlib
import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aggregates.capital import RecordFee
from config.paths import DataFolder
from eventstore.checkpoint import CheckpointMismatch, parse, read_checkpoint, sign
from eventstore.envelope import (
    COLUMN_LIST,
    COLUMNS,
    GENESIS,
    Envelope,
    blind_of,
    chain_hash,
    commitment_of,
)
from eventstore.feed import Feed
from eventstore.merkle import MerkleTree
from eventstore.verification import verify
from projections.ledger import Ledger
from runtime.checkpoints import checkpoint_now, demo_seed, state_root
from runtime.cli import main
from runtime.demo import plan_of, play
from security.data_keys import KeyRing
from security.signing import SigningKey

KEY = bytes(range(32))
SEED = b"s" * 32
ORIGIN = "tradebot/DEMO_USA_SIM_01"


@dataclass
class Told:
    code: int
    said: str


@pytest.fixture
def tbot(keeper: Any) -> Callable[..., Told]:
    """`tbot("verify", …)` on the keeper's folder: exit code, and all that was printed."""

    def run(*arguments: Any) -> Told:
        texts = [*map(str, arguments), "--data-dir", str(keeper.folder.root)]
        done = CliRunner().invoke(main, texts, catch_exceptions=False)
        return Told(done.exit_code, done.output)

    return run


@pytest.fixture
def signed(keeper: Any, tbot: Callable[..., Told], tmp_path: Path) -> Path:
    """A checkpoint of 8 events, kept away from the data folder; an earlier one, of 5, is kept."""
    _ = keeper.ledger
    checkpoint_now(keeper.folder, SEED)
    keeper.capital(RecordFee, "1.50")
    keeper.buy("10", "100.00")
    _ = keeper.ledger
    file = tmp_path / "away" / "signed.txt"
    assert tbot("checkpoint", "-o", file).code == 0
    return file


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def events(path: Path) -> list[Envelope]:
    with closing(Feed(path)) as feed:
        return list(feed.all())


def tamper(keeper: Any, rows: list[Envelope]) -> None:
    """Put these rows in the place of the store's, as somebody with the file and the keys would."""
    keeper.store.close()
    with closing(sqlite3.connect(keeper.path, isolation_level=None)) as c:
        for trigger in ("no_update", "no_delete", "no_gap"):
            c.execute(f"DROP TRIGGER {trigger}")
        c.execute("DELETE FROM stored_events")
        marks = ", ".join("?" * len(COLUMNS))
        c.executemany(f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({marks})", rows)
        c.execute("UPDATE head SET position = ?, hash = ?", (len(rows), rows[-1].hash))
    assert verify(keeper.path, KeyRing.plain(KEY)).intact  # the chain alone does not tell


# -- making ----------------------------------------------------------------------------------


def test_a_checkpoint_states_the_history_and_changes_none_of_it(keeper: Any, signed: Path) -> None:
    made, rows = read_checkpoint(signed).checkpoint, events(keeper.path)
    assert (made.origin, made.size, made.head) == (ORIGIN, 8, rows[-1].hash)
    assert made.root == MerkleTree(row.hash for row in rows).root(8)
    assert (made.rules_version, made.state) == state_root(keeper.ledger.connection, 8)
    assert made.recorded_at == rows[-1].recorded_at
    assert keeper.feed.head().position == 8  # a checkpoint is not an event
    vkey = signed.with_suffix(".vkey").read_text()
    assert vkey == keeper.folder.checkpoint_vkey.read_text() == f"{own_key(keeper).verifier}\n"
    for path in (keeper.folder.checkpoint_key, keeper.folder.checkpoint(8), signed):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SEED not in b"".join(p.read_bytes() for p in signed.parent.iterdir())


def own_key(keeper: Any) -> SigningKey:
    return SigningKey(ORIGIN, keeper.folder.checkpoint_key.read_bytes())


def test_asked_again_it_is_the_same_to_the_byte(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    before = files(keeper.folder.root)
    again = signed.with_name("again.txt")
    assert tbot("checkpoint", "-o", again).code == 0
    assert again.read_bytes() == signed.read_bytes()
    assert files(keeper.folder.root) == before


def test_the_state_root_runs_on_and_sees_every_field(keeper: Any, signed: Path) -> None:
    early = read_checkpoint(keeper.folder.checkpoint(5)).checkpoint
    assert signed.is_file()
    assert state_root(keeper.ledger.connection, 5) == (early.rules_version, early.state)
    for change in (
        "UPDATE entry_lines SET amount = amount + 1 WHERE posting_id = 256",
        "UPDATE entry_lines SET quantity = quantity + 1 WHERE posting_id = 512",
        "UPDATE entries SET effective_date = '2024-01-01' WHERE transaction_id = 2",
        "UPDATE entry_lines SET account_code = '1011' WHERE posting_id = 257",
        "UPDATE entries SET about = about + 1 WHERE transaction_id = 2",
        "UPDATE terms SET rules_version = 9 WHERE terms_id = 1",
        "DELETE FROM entry_lines WHERE posting_id = 256",
    ):
        with closing(Ledger.in_memory(keeper.folder.ledger("DEMO_USA_SIM_01"))) as copy:
            whole = state_root(copy.connection, 8)
            copy.connection.execute(change)
            assert state_root(copy.connection, 8) != whole, change


def test_nothing_is_signed_when_the_key_is_lost(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    keeper.folder.checkpoint_key.unlink()
    before = files(keeper.folder.root)
    told = tbot("checkpoint", "-o", signed.with_name("new.txt"))
    assert told.code == 3
    assert "checkpoint.key is missing" in told.said
    assert files(keeper.folder.root) == before
    assert not signed.with_name("new.txt").exists()


def test_nothing_is_signed_that_contradicts_what_was_signed(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    rows = events(keeper.path)
    tamper(keeper, rows[:7])
    told = tbot("checkpoint", "-o", signed.with_name("new.txt"))
    assert (told.code, "cut short" in told.said, "the ledger" in told.said) == (1, True, True)
    keeper.ledger.close()
    keeper.folder.ledger("DEMO_USA_SIM_01").unlink()
    told = tbot("checkpoint", "-o", signed.with_name("new.txt"))
    assert (told.code, "000000000008.checkpoint knows event 8" in told.said) == (1, True)
    assert not signed.with_name("new.txt").exists()
    assert not keeper.folder.checkpoint(7).exists()


# -- verifying -------------------------------------------------------------------------------


def test_a_sound_history_holds_also_when_it_went_on(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    told = tbot("verify", "--checkpoint", signed)
    assert told.code == 0
    assert "The checkpoint holds: tradebot/DEMO_USA_SIM_01, 8 events" in told.said
    keeper.sell("4", "101.00")
    before = files(keeper.folder.root)
    assert tbot("verify", "--checkpoint", signed).code == 0
    assert tbot("verify", "--checkpoint", keeper.folder.checkpoint(5)).code == 0
    assert files(keeper.folder.root) == before


def test_a_cut_tail_is_found(keeper: Any, tbot: Callable[..., Told], signed: Path) -> None:
    tamper(keeper, events(keeper.path)[:7])
    told = tbot("verify", "--checkpoint", signed)
    assert told.code == 1
    assert "event 8 is bad: it was cut short, or an older copy was put back: the " in told.said
    for path in (keeper.folder.checkpoints, keeper.folder.output("DEMO_USA_SIM_01")):
        shutil.rmtree(path)  # what lies beside the store says nothing any more: the copy does
    assert tbot("verify").code == 0
    told = tbot("verify", "--checkpoint", signed, "--key", signed.with_suffix(".vkey"))
    assert told.code == 1
    assert "CUT SHORT: event 8 was signed, but the store ends at event 7" in told.said


def test_an_older_copy_put_back_is_found(
    keeper: Any, tbot: Callable[..., Told], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    back_up(keeper.path, copy)
    keeper.deposit("5.00")
    _ = keeper.ledger
    file = tmp_path / "signed.txt"
    assert tbot("checkpoint", "-o", file).code == 0
    put_back(keeper, copy)
    told = tbot("verify", "--checkpoint", file)
    assert told.code == 1
    assert "or an older copy was put back" in told.said


def back_up(store: Path, copy: Path) -> None:
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target, pages=-1)


def put_back(keeper: Any, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(keeper.path)) as target:
        source.backup(target, pages=-1)


def test_a_fork_is_found(keeper: Any, tbot: Callable[..., Told], tmp_path: Path) -> None:
    """An older copy was put back and written on, until it is as long as what was signed."""
    _ = keeper.ledger
    checkpoint_now(keeper.folder, SEED)
    copy, file = tmp_path / "copy.db", tmp_path / "signed.txt"
    back_up(keeper.path, copy)
    keeper.deposit("5.00")
    _ = keeper.ledger
    assert tbot("checkpoint", "-o", file).code == 0
    put_back(keeper, copy)
    keeper.clock += timedelta(hours=1)
    keeper.deposit("6.00")
    keeper.deposit("7.00")
    assert verify(keeper.path, KeyRing.plain(KEY)).intact
    told = tbot("verify", "--checkpoint", file)
    assert told.code == 1
    assert "FORKED: event 6 of this store was recorded at 2024-01-02 15:30:00" in told.said
    assert "Events 1 to 5 are as they were signed" in told.said


@pytest.mark.parametrize("position", [5, 7])
def test_a_rewritten_event_is_found_though_the_chain_was_computed_anew(
    keeper: Any, tbot: Callable[..., Told], signed: Path, position: int
) -> None:
    rows, previous = [], GENESIS
    for row in events(keeper.path):
        if row.position == position:
            payload = row.state.replace(b"2024-01-02", b"2024-01-01")
            blind = blind_of(KEY, row.originator_id, row.originator_version)
            row = row._replace(state=payload, commitment=commitment_of(blind, payload))  # noqa: PLW2901
        previous = chain_hash(previous, row)
        rows.append(row._replace(hash=previous))
    tamper(keeper, rows)
    told = tbot("verify", "--checkpoint", signed)
    assert told.code == 1
    assert "REWRITTEN: the chain up to event 8 holds in itself" in told.said
    known = "Events 1 to 5 are as they were signed" in told.said
    assert known == (position > 5)
    assert tbot("verify", "--checkpoint", keeper.folder.checkpoint(5)).code == (position == 5)


def test_changed_books_are_found(keeper: Any, tbot: Callable[..., Told], signed: Path) -> None:
    """The events are whole, but somebody moved money in the ledger file."""
    with closing(sqlite3.connect(keeper.folder.ledger("DEMO_USA_SIM_01"))) as ledger, ledger:
        ledger.execute("UPDATE entry_lines SET amount = amount * 2")
    assert tbot("verify").code == 0
    told = tbot("verify", "--checkpoint", signed)
    assert (told.code, "BOOKS CHANGED" in told.said) == (1, True)


def test_books_that_do_not_follow_from_the_events_are_found(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    made = read_checkpoint(signed).checkpoint
    for changed in (made._replace(state=bytes(32)), made._replace(rules_version=2)):
        signed.write_text(sign(changed, own_key(keeper)))
        told = tbot("verify", "--checkpoint", signed)
        assert (told.code, "OTHER BOOKS" in told.said) == (1, True)


def test_a_broken_chain_is_said_before_any_checkpoint(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    keeper.store.close()
    with closing(sqlite3.connect(keeper.path)) as c, c:
        c.execute("DROP TRIGGER no_update")
        c.execute("UPDATE stored_events SET actor = 'x' WHERE position = 3")
    told = tbot("verify", "--checkpoint", signed)
    assert (told.code, "event 3 is bad" in told.said) == (1, True)
    assert tbot("checkpoint", "-o", signed.with_name("new.txt")).code == 1
    assert not signed.with_name("new.txt").exists()


# -- bad checkpoints -------------------------------------------------------------------------


def test_foreign_forged_and_re_signed_checkpoints_do_not_match(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    made, key = read_checkpoint(signed).checkpoint, own_key(keeper)
    foreign = made._replace(origin="tradebot/ANOTHER")
    note = signed.read_text()
    cases = {
        "FOREIGN": sign(foreign, SigningKey("tradebot/ANOTHER", SEED)),
        "NOT SIGNED": sign(made, SigningKey(ORIGIN, b"x" * 32)),
        "FORGED": note.replace("\n8\n", "\n7\n"),
        "CONTRADICTORY": sign(made._replace(root=bytes(32)), key),
        "CUT SHORT": sign(made._replace(size=9), key),
        "REWRITTEN": sign(made._replace(head=bytes(32)), key),
    }
    before = files(keeper.folder.root)
    for said, text in cases.items():
        signed.write_text(text)
        told = tbot("verify", "--checkpoint", signed)
        assert (told.code, said in told.said) == (1, True), told.said
    signed.write_text(cases["FOREIGN"])
    vkey = signed.with_name("another.vkey")
    vkey.write_text(str(SigningKey("tradebot/ANOTHER", SEED).verifier))
    told = tbot("verify", "--checkpoint", signed, "--key", vkey)
    assert (told.code, "FOREIGN" in told.said) == (1, True), told.said
    assert files(keeper.folder.root) == before


def test_malformed_cut_and_doubled_checkpoints_cannot_be_read(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    note = signed.read_bytes()
    cases = {
        b"": "cut off",
        note[:-1]: "cut off",
        note[:40]: "cut off",
        note + note: "more than one checkpoint",
        note + b"\n" + note: "more than one checkpoint",
        note.replace(b"\n", b"\r\n"): "Windows line ends",
        note.replace(b"\n8\n", b"\n08\n"): "tree size",
        note.replace(b"\nstate ", b"\nbooks "): "another version",
        b"\xff" + note: "not UTF-8",
        b"x" * 70_000: "larger than",
    }
    before = files(keeper.folder.root)
    for content, said in cases.items():
        signed.write_bytes(content)
        told = tbot("verify", "--checkpoint", signed)
        assert (told.code, said in told.said) == (3, True), told.said
    assert files(keeper.folder.root) == before


def test_no_cut_or_flipped_byte_of_a_checkpoint_passes(keeper: Any, signed: Path) -> None:
    from aggregates.errors import TradeBotError
    from eventstore.checkpoint import check_signature

    note, key = signed.read_bytes(), own_key(keeper).verifier
    check_signature(parse(note, "whole"), key, "whole")
    for at in range(len(note)):
        for wrong in (note[:at], note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]):
            with pytest.raises(TradeBotError):
                check_signature(parse(wrong, "forged"), key, "forged")


def test_a_key_file_says_who_must_have_signed(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    vkey = signed.with_suffix(".vkey")
    keeper.folder.checkpoint_key.unlink()
    assert tbot("verify", "--checkpoint", signed).code == 3
    assert tbot("verify", "--checkpoint", signed, "--key", vkey).code == 0
    other = signed.with_name("other.vkey")
    other.write_text(f"{SigningKey(ORIGIN, b'x' * 32).verifier}\n")
    assert tbot("verify", "--checkpoint", signed, "--key", other).code == 1
    other.write_text(vkey.read_text().replace("+", "+0", 1))
    assert tbot("verify", "--checkpoint", signed, "--key", other).code == 3
    assert tbot("verify", "--key", vkey).code == 2


# -- proofs ----------------------------------------------------------------------------------


def test_proofs_are_written_for_what_was_signed(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    out = signed.with_name("proof.json")
    assert tbot("prove", "entry", 7, "-o", out).code == 0
    proof = json.loads(out.read_bytes())
    row = events(keeper.path)[6]
    assert (proof["payload"].encode(), proof["event"]["hash"]) == (row.state, row.hash.hex())
    assert proof["checkpoint"] == signed.read_text()
    assert len(out.read_bytes()) < 4000
    early = keeper.folder.checkpoint(5)
    for one, other in ((early, signed), (signed, early)):
        assert tbot("prove", "consistency", one, other, "-o", out).code == 0
        proof = json.loads(out.read_bytes())
        assert (proof["first"], proof["second"]) == (early.read_text(), signed.read_text())


def test_what_cannot_be_proven_is_said_and_nothing_is_written(
    keeper: Any, tbot: Callable[..., Told], signed: Path
) -> None:
    keeper.deposit("1.00")
    out = signed.with_name("proof.json")
    told = tbot("prove", "entry", 9, "-o", out)
    assert (told.code, "covers event 9 yet" in told.said) == (2, True)
    told = tbot("prove", "entry", 10, "-o", out)
    assert (told.code, "There is no event 10" in told.said) == (2, True)
    forged = signed.with_name("forged.txt")
    forged.write_text(signed.read_text().replace("\n8\n", "\n7\n"))
    told = tbot("prove", "consistency", signed, forged, "-o", out)
    assert (told.code, "FORGED" in told.said) == (1, True)
    keeper.store.close()
    with closing(sqlite3.connect(keeper.path)) as c, c:
        c.execute("DROP TRIGGER no_update")
        c.execute("UPDATE stored_events SET state = x'7b7d' WHERE position = 7")
    told = tbot("prove", "entry", 7, "-o", out)
    assert (told.code, "does not hold" in told.said) == (1, True)
    assert not out.exists()


# -- a demo ----------------------------------------------------------------------------------


def test_a_demo_keeps_one_checkpoint_a_session_the_same_every_time(tmp_path: Path) -> None:
    plan = plan_of(None, date(2026, 3, 2), date(2026, 3, 3), ("SPY",), seed=3)
    folder, again = DataFolder(tmp_path / "a"), DataFolder(tmp_path / "b")
    play(folder, plan, lambda *_: None)
    kept = files(folder.checkpoints)
    assert len(kept) == 3  # two sessions and the verifier key
    assert folder.checkpoint_key.read_bytes() == demo_seed(3)
    rows = events(folder.events)
    for path in folder.checkpoints.glob("*.checkpoint"):
        made = read_checkpoint(path).checkpoint
        assert rows[made.size - 1].topic == "Session.Closed"
    newest = max(folder.checkpoints.glob("*.checkpoint"))
    newest.unlink()
    play(folder, plan, lambda *_: None)  # killed before its checkpoint was written
    assert files(folder.checkpoints) == kept
    play(again, plan, lambda *_: None)
    assert files(again.checkpoints) == kept
    max(again.checkpoints.glob("*.checkpoint")).unlink()
    tampered = sqlite3.connect(again.events)
    with closing(tampered), tampered:
        tampered.execute("DROP TRIGGER no_update")
        tampered.execute("UPDATE stored_events SET hash = zeroblob(32) WHERE position = 3")
    with pytest.raises(CheckpointMismatch):
        play(again, plan, lambda *_: None)
