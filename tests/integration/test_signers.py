"""The key that signs checkpoints, in the vault, and how a verifier follows it when it changes."""

import importlib.util
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from click.testing import CliRunner

from aggregates.base import Command
from aggregates.books import AdoptRules, OpenBooks
from aggregates.chart_of_accounts import AdoptChart
from aggregates.errors import DomainError
from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore.checkpoint import CheckpointMismatch, SignedCheckpoint
from projections.ledger import template_chart
from projections.posting_rules import RULES_VERSION
from runtime.checkpoints import check_checkpoint, checkpoint_now
from runtime.cli import main
from runtime.custody import Custody, create_custody
from runtime.history_transfer import export_history
from runtime.proving import consistency_proof, entry_proof
from runtime.signers import introduce_signer, signers
from runtime.views import Views
from security.secret_names import SIGNING_KEY
from security.signing import VerifierKey

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
IDENTITY = "TEST_USA_SIM_01"
ORIGIN = f"tradebot/{IDENTITY}"
VERIFIER = Path(__file__).resolve().parents[2] / "docs" / "verifier" / "verify_tradebot.py"


def of(kind: type, **fields: Any) -> Command:
    made: Command = kind(at=NOW, effective_date=date(2026, 3, 2), **fields)
    return made


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    opened = of(
        OpenBooks, identity=IDENTITY, entity_code="TEST", jurisdiction_code="USA",
        broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
        exchange_calendar="XNYS", demo=False,
    )  # fmt: skip
    rules = of(AdoptRules, rules_version=RULES_VERSION)
    chart = of(AdoptChart, chart=template_chart(), reason="default chart")
    made = create_custody(
        DataFolder(tmp_path / "data"), VirtualClock(NOW), contents={},
        recovery=str(pyrage.x25519.Identity.generate().to_public()),
        commands=[opened, rules, chart], actor="setup", command_id="provision",
    )  # fmt: skip
    with closing(made):
        yield made


def checkpoint(custody: Custody) -> tuple[Path, SignedCheckpoint]:
    with closing(Views.open(custody.folder, IDENTITY)) as views:
        views.catch_up()
    signed = checkpoint_now(custody.folder, bytes(32))
    return custody.folder.checkpoint(signed.checkpoint.size), signed


def introduce(custody: Custody, name: str = "new") -> None:
    introduce_signer(custody, reason="a new machine", actor="ann", command_id=name)


def strangers(what: str, file: Path, key: Path, *line: Path) -> int:
    """The exit code of the published verifier, which shares no code with this."""
    spec = importlib.util.spec_from_file_location("verify_tradebot", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    more = ["--line", *map(str, line)] if line else []
    code: int = module.main([what, str(file), "--key", str(key), *more])
    return code


def test_the_vaults_key_signs_and_stays_the_same_over_rotations(custody: Custody) -> None:
    first, signed = checkpoint(custody)
    vkey = custody.folder.checkpoint_vkey.read_text()
    custody.change(actor="ann", command_id="c")
    checkpoint(custody)
    assert custody.folder.checkpoint_vkey.read_text() == vkey
    assert check_checkpoint(custody.folder, first, None) == (signed.checkpoint, True)
    assert not custody.folder.checkpoint_key.exists()
    assert not list(custody.folder.storage.rglob("*.key.partial"))


@pytest.fixture
def changed(custody: Custody, tmp_path: Path) -> Custody:
    """Two changes of the key: checkpoints before, at and after each; old.vkey is the first key."""
    checkpoint(custody)
    (tmp_path / "old.vkey").write_text(custody.folder.checkpoint_vkey.read_text())
    for name in ("one", "two"):
        introduce(custody, name)
        checkpoint(custody)
        custody.change(actor="ann", command_id=f"after {name}")
        checkpoint(custody)
    return custody


def test_the_old_key_is_forgotten_when_the_new_one_is_proven(custody: Custody) -> None:
    old = signers(custody.folder, ORIGIN).current.verifier
    introduce(custody)
    custody.change(actor="ann", command_id="c")
    kept = signers(custody.folder, ORIGIN)
    assert kept.leaving is not None
    assert kept.leaving.verifier == old
    with pytest.raises(DomainError, match="no checkpoint yet"):
        introduce(custody, "too soon")
    checkpoint(custody)
    custody.change(actor="ann", command_id="d")
    assert signers(custody.folder, ORIGIN).leaving is None
    assert len(custody.secret(SIGNING_KEY)) == 32


def test_a_file_that_proves_nothing_makes_no_key_forgotten(custody: Custody) -> None:
    introduce(custody)
    proof = custody.folder.signer_proof(1)
    proof.parent.mkdir(parents=True)
    for junk in (b"{}", b""):
        proof.write_bytes(junk)
        custody.change(actor="ann", command_id=f"beside {junk!r}")
        assert signers(custody.folder, ORIGIN).leaving is not None
    checkpoint(custody)  # it is still signed by both, and puts the proof in its place
    custody.change(actor="ann", command_id="after")
    assert signers(custody.folder, ORIGIN).leaving is None


def test_the_checkpoint_at_the_change_is_signed_by_both(changed: Custody) -> None:
    sizes = sorted(changed.folder.checkpoints.glob("*.checkpoint"))
    assert [path.read_text().count("\u2014") for path in sizes] == [1, 2, 1, 2, 1]
    assert [p.name for p in sorted(changed.folder.signer_proofs.iterdir())] == [
        "001.json", "002.json",
    ]  # fmt: skip


def test_tbot_follows_the_line_from_the_first_key_and_from_its_own(
    changed: Custody, tmp_path: Path
) -> None:
    old = VerifierKey.read(tmp_path / "old.vkey")
    for path in changed.folder.checkpoints.glob("*.checkpoint"):
        for key in (None, old):
            assert check_checkpoint(changed.folder, path, key)
    changed.folder.signer_proof(1).unlink()
    newest = max(changed.folder.checkpoints.glob("*.checkpoint"))
    with pytest.raises(CheckpointMismatch, match="NOT SIGNED by this key"):
        check_checkpoint(changed.folder, newest, old)


def test_a_stranger_follows_it_with_the_published_verifier(
    changed: Custody, tmp_path: Path
) -> None:
    first, *_, newest = sorted(changed.folder.checkpoints.glob("*.checkpoint"))
    old, one, two = tmp_path / "old.vkey", *sorted(changed.folder.signer_proofs.iterdir())
    assert strangers("checkpoint", first, old) == 0
    assert strangers("checkpoint", newest, old) == 1
    assert strangers("checkpoint", newest, old, one, two) == 0
    assert strangers("checkpoint", newest, old, two) == 1
    assert strangers("checkpoint", newest, old, one, two, two) == 1
    one.write_bytes(one.read_bytes().replace(b"a new machine", b"b new machine"))
    assert strangers("checkpoint", newest, old, one, two) == 1


def test_a_proof_of_another_event_introduces_no_key(changed: Custody, tmp_path: Path) -> None:
    proof, _ = entry_proof(changed.folder, 1)
    newest = max(changed.folder.checkpoints.glob("*.checkpoint"))
    changed.folder.signer_proof(1).write_bytes(proof)
    with pytest.raises(CheckpointMismatch, match=r"001\.json does not introduce a signing key"):
        check_checkpoint(changed.folder, newest, VerifierKey.read(tmp_path / "old.vkey"))
    key = changed.folder.checkpoint_vkey
    assert strangers("checkpoint", newest, key, changed.folder.signer_proof(1)) == 1


def test_proofs_and_the_exported_history_hold_after_a_change(
    changed: Custody, tmp_path: Path
) -> None:
    key = changed.folder.checkpoint_vkey
    before, at, after, at_second, newest = sorted(changed.folder.checkpoints.glob("*.checkpoint"))
    (proof := tmp_path / "proof.json").write_bytes(entry_proof(changed.folder, 2)[0])
    assert strangers("proof", proof, key) == 0
    for first, second in ((before, at), (at, after), (after, at_second), (at_second, newest)):
        assert consistency_proof(changed.folder, first, second)
    with pytest.raises(CheckpointMismatch, match="NOT SIGNED"):
        consistency_proof(changed.folder, before, newest)
    export_history(changed.folder, tmp_path / "history.xz")
    assert strangers("history", tmp_path / "history.xz", key) == 0


def test_an_imported_history_is_held_against_a_checkpoint_without_its_keys(
    custody: Custody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(custody)
    kept, vkey = tmp_path / "kept.txt", tmp_path / "kept.vkey"
    run = CliRunner().invoke(
        main, ["checkpoint", "--data-dir", str(custody.folder.root), "-o", str(kept)]
    )
    assert run.exit_code == 0, run.output
    file, there = tmp_path / "history.xz", str(tmp_path / "there")
    export = ["export", "history", "--data-dir", str(custody.folder.root), "-o", str(file)]
    assert CliRunner().invoke(main, export).exit_code == 0
    load = ["import-history", str(file), "--data-dir", there]
    assert CliRunner().invoke(main, load).exit_code == 0
    held = ["verify", "--data-dir", there, "--checkpoint", str(kept), "--key", str(vkey)]
    told = CliRunner().invoke(main, held)
    assert (told.exit_code, "The books were not replayed" in told.output) == (0, True), told.output
    # without its root key the bot's own history can still be verified and exported
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    told = CliRunner().invoke(main, ["verify", "--data-dir", str(custody.folder.root)])
    assert (told.exit_code, "not opened" in told.output) == (0, True), told.output
    assert CliRunner().invoke(main, export).exit_code == 0
