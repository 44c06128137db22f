"""A store with sealed payloads: everything works with the keys, the chain alone without them."""

import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aggregates.capital import RecordDividend, RecordFee
from aggregates.instrument import RegisterInstrument
from config.clock import to_micros
from eventstore import verification
from eventstore.application import Store
from eventstore.errors import CommandConflict, ConcurrentChange, KeysAhead
from eventstore.feed import Feed
from eventstore.proofs import EntryProof, read_proof
from eventstore.verification import verify
from projections import verified_batches as reading
from projections.building import built
from projections.ledger import Ledger
from projections.verified_batches import verified_batches
from runtime.checkpoints import keep_checkpoint
from runtime.dispatch import Dispatcher
from runtime.event_view import event_view
from runtime.proving import prove_event
from security.data_keys import KeyRing, MissingKey

KEY = bytes(range(32))


def second(keeper: Any, keys: KeyRing) -> Store:
    """Another process's view of the same file."""
    return Store(
        keeper.path, keys=keys, now_us=lambda: to_micros(keeper.clock), software_version="test"
    )


def rebuilt(keeper: Any, keys: KeyRing) -> str:
    target = keeper.path.with_name("rebuilt.db")
    target.unlink(missing_ok=True)
    with closing(built(Ledger, target, verified_batches(keeper.path, Ledger, keys))) as ledger:
        return ledger.digest()


# Reading


@pytest.mark.parametrize("kind", ["sealed", "older"])
def test_books_of_sealed_events_are_those_of_the_same_events_in_clear(
    keep: Callable[..., Any], kind: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(kind)
    plain = keep("plain")
    plain.trade(rotating=False)
    assert found.balances() == plain.balances()
    assert [e.postings for e in found.books.journal()] == [
        e.postings for e in plain.books.journal()
    ]
    assert rebuilt(found, found.vault.ring()) == found.ledger.digest()
    with_keys = verify(found.path, found.vault.ring())
    assert (with_keys.intact, with_keys.sealed) == (True, 0)


@pytest.mark.parametrize("left", ["none", "every other run", "all"])
def test_either_process_may_open_the_payloads(
    older: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.setattr(verification, "RUN", 2)
    monkeypatch.setattr(reading, "ROWS_A_BATCH", 4)
    keys, turns = older.vault.ring(), count()
    leave = {"none": lambda: False, "every other run": lambda: next(turns) % 2 == 0}
    taken = reading.taker(Ledger, keys)
    batches = [
        reading.all_opened(batch, taken)
        for batch in reading.batches(older.path, Ledger, keys, 2**62, leave.get(left, lambda: True))
    ]
    with closing(built(Ledger, tmp_path / "built.db", batches)) as ledger:
        assert ledger.digest() == older.ledger.digest()


def test_epochs_are_those_of_the_rotations(sealed: Any, older: Any) -> None:
    assert [row.key_epoch for row in sealed.feed.all()] == [1] * 5 + [2] * 3 + [3] * 5
    assert [row.key_epoch for row in older.feed.all()] == [0] * 5 + [1] * 3 + [2] * 5


def test_no_plain_text_of_a_payload_is_in_the_file(sealed: Any) -> None:
    """The log of the database is looked at too: the store is still open."""
    canaries = [
        b"as stated",
        b"100000.00",
        b"default chart",
        b"US/Eastern",
        b"occurred_at",
        b"1990",
    ]
    plain = b"".join(sealed.feed.payload(row) for row in sealed.feed.all())
    assert all(canary in plain for canary in canaries)
    for file in sealed.path.parent.glob(f"{sealed.path.name}*"):
        content = file.read_bytes()
        assert [canary for canary in canaries if canary in content] == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_payloads_are_searched_sealed_or_not(
    sealed: Any, older: Any, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    for size in (1, 2, 500):
        monkeypatch.setattr("eventstore.feed.SEARCHED", size)
        for keeper in (sealed, older):
            for text in ("100000.00", '"side":"buy"', "as stated", "nowhere"):
                expected = [
                    row.position
                    for row in keeper.feed.all()
                    if text.encode() in keeper.feed.payload(row)
                ]
                if newest_first:
                    expected.reverse()
                for limit in (1, 2, 100):
                    rows = keeper.feed.page(text=text, limit=limit, newest_first=newest_first)
                    assert [row.position for row in rows] == expected[:limit]
            page = keeper.feed.page(text="as stated", topics=("Capital",), after=5, before=9)
            assert [row.position for row in page] == [6]


def test_without_keys_the_chain_holds_and_what_is_sealed_is_said(sealed: Any, older: Any) -> None:
    events = sealed.store.head().position
    assert verify(sealed.path)[2:] == (None, "", events)
    only_third = KeyRing({3: sealed.store.keys.of(3)})
    assert verify(sealed.path, only_third)[2:] == (None, "", 8)
    assert verify(older.path)[2:] == (None, "", events - 5)


def test_without_keys_an_event_is_shown_by_its_envelope(sealed: Any) -> None:
    with closing(Feed(sealed.path)) as feed:
        row = feed.at(8)
        assert row is not None
        view = event_view(feed, row)
        assert (view.topic, view.payload, view.effective_date) == ("Order.Filled", {}, "")
        assert view.unreadable == "It is sealed under epoch 2, and the key is not here."
        with pytest.raises(MissingKey, match="epoch 1"):
            feed.page(text="100000.00")
    shown = event_view(sealed.feed, row)
    assert (shown.payload["price"], shown.unreadable) == ("100.00", "")


def test_without_keys_no_view_is_built_and_none_is_half_built(sealed: Any) -> None:
    first = KeyRing({1: sealed.store.keys.of(1)})
    with closing(Feed(sealed.path, first)) as feed, closing(Ledger.in_memory()) as ledger:
        with pytest.raises(MissingKey, match="epoch 2 is not here"):
            ledger.catch_up(feed)
        assert ledger.tracked()[0] == 0
    for keys in (KeyRing({}), first):
        with pytest.raises(MissingKey, match="is not here"):
            rebuilt(sealed, keys)


def test_keys_reach_the_reading_process_through_its_pipe_alone(
    sealed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    reader = tmp_path / "reader"
    reader.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} > {seen}\ncat > {seen}.in\n')
    reader.chmod(0o755)
    monkeypatch.setattr("projections.verified_batches.sys.executable", str(reader))
    with pytest.raises(Exception, match="before the end of history"):
        rebuilt(sealed, sealed.store.keys)
    outside, inside = seen.read_bytes(), (tmp_path / "seen.in").read_bytes()
    assert b"projections.verified_batches" in outside
    for _, key in sealed.store.keys.items():
        for secret in key:
            assert secret in inside
            assert all(form not in outside for form in (secret, secret.hex().encode()))


# Writing


def test_a_rotation_between_deciding_and_recording_is_noticed(
    sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch was sealed under the old epoch: it is decided and sealed again under the new."""
    other = second(sealed, sealed.vault.ring())
    record, said = other.record, []

    def rotated_before(*given: Any, **named: Any) -> list[int]:
        if not said:
            said.append(sealed.rotate())
        return record(*given, **named)

    monkeypatch.setattr(other, "record", rotated_before)
    command = sealed.command(RecordFee, reference="x", currency="USD", amount="2.00", reason="r")
    done = Dispatcher(other, "second")(command, command_id="x")
    other.close()
    assert done.positions == [said[0] + 1]
    row = sealed.feed.at(done.positions[0])
    assert row.key_epoch == 4
    assert b'"2.00"' in sealed.feed.payload(row)
    assert verify(sealed.path, sealed.vault.ring()).intact


def test_a_batch_under_keys_of_yesterday_is_not_recorded(sealed: Any) -> None:
    stale = KeyRing({epoch: key for epoch, key in sealed.vault.keys.items() if epoch < 3})
    with closing(second(sealed, stale)) as other:
        command = sealed.command(RecordFee, reference="x", currency="USD", amount="2", reason="r")
        before = other.head()
        with pytest.raises(ConcurrentChange, match=r"epoch 3; nothing was recorded"):
            Dispatcher(other, "second")(command, command_id="x")
        assert other.head() == before


def test_nothing_in_clear_is_recorded_after_what_is_sealed(sealed: Any) -> None:
    with closing(second(sealed, KeyRing.plain(KEY))) as other:
        command = sealed.command(
            RegisterInstrument, symbol="IBM", name="IBM", kind="stock", currency="USD",
            exchange="XNYS",
        )  # fmt: skip
        with pytest.raises(ConcurrentChange, match="epoch 3"):
            Dispatcher(other, "second")(command, command_id="x")


def test_keys_that_are_ahead_of_the_history_record_nothing(sealed: Any) -> None:
    ahead = KeyRing({**sealed.vault.keys, **dict([sealed.vault.fresh()])})
    with closing(second(sealed, ahead)) as other:
        command = sealed.command(RecordFee, reference="x", currency="USD", amount="2", reason="r")
        with pytest.raises(KeysAhead, match=r"epoch 3, but the newest keys here are of epoch 4"):
            Dispatcher(other, "second")(command, command_id="x")


def test_of_two_rotations_at_one_moment_one_is_refused(sealed: Any) -> None:
    mine, theirs = sealed.vault.fresh("mine"), sealed.vault.fresh("theirs")
    sealed.under = mine
    sealed.capital(RecordFee, "1.00")
    with closing(second(sealed, sealed.vault.ring())) as other:
        command = sealed.command(RecordFee, reference="x", currency="USD", amount="2", reason="r")
        with pytest.raises(ConcurrentChange, match="epoch 4"):
            Dispatcher(other, "second")(command, command_id="x", under=theirs)
        sealed.vault.keys.update([mine])
        with pytest.raises(KeysAhead):  # nor one that leaves an epoch out
            Dispatcher(other, "second")(command, command_id="x", under=(6, mine[1]))
    assert verify(sealed.path, sealed.vault.ring()).intact


def test_a_command_asked_again_after_a_rotation_is_the_same_command(sealed: Any) -> None:
    """Its digest is stored under the key of its epoch, and compared under that one."""
    fields = {"reference": "again", "currency": "USD", "reason": "r", "symbol": "SPY"}
    command = sealed.command(RecordDividend, amount="2.00", **fields)
    first = sealed.dispatch(command, command_id="again")
    sealed.rotate()
    assert sealed.dispatch(command, command_id="again") == first._replace(repeated=True)
    other = sealed.command(RecordDividend, amount="3.00", **fields)
    with pytest.raises(CommandConflict, match="other content"):
        sealed.dispatch(other, command_id="again")


def test_without_any_key_nothing_is_recorded(sealed: Any) -> None:
    command = sealed.command(RecordFee, reference="x", currency="USD", amount="2", reason="r")
    with closing(second(sealed, KeyRing({}))) as other, pytest.raises(MissingKey):
        Dispatcher(other, "second")(command, command_id="x")


# Proofs


def test_one_sealed_event_is_proven_from_the_store(sealed: Any) -> None:
    keep_checkpoint(sealed.folder, sealed.feed, sealed.ledger, 13, b"s" * 32)
    made, checkpoint = prove_event(sealed.folder, sealed.feed, 8)
    proof = read_proof(made, EntryProof, "it")
    assert (checkpoint.size, json.loads(proof.payload)["price"]) == (13, "100.00")
    row = sealed.feed.at(8)
    assert b64decode(proof.event.state) == row.state != proof.payload.encode()
    with closing(Feed(sealed.path)) as feed, pytest.raises(MissingKey):
        prove_event(sealed.folder, feed, 8)
