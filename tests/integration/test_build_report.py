"""The checks before a start: what is found, said in one report, and that nothing is changed."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import Settings, settings_from
from eventstore.checkpoint import CheckpointMismatch, sign
from eventstore.errors import HistoryBroken
from runtime.build_report import BuildReport
from runtime.checkpoints import checkpoint_now
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key
from runtime.run_lock import CannotStart
from runtime.signers import signers
from security.keyfile import KeyFileError

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SETTINGS = settings_from(
    dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME")
    | {
        "BOT_ID": "01",
        "CURRENCY_CODE": "USD",
        "TIMEZONE": "US/Eastern",
        "EXCHANGE_CALENDAR": "XNYS",
    }
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = DataFolder(tmp_path / "data")
    provision_bot(
        made, SETTINGS, new_recovery_key().recipient, clock=VirtualClock(NOW),
        deposit=Decimal(1000), progress=lambda _step: None,
    )  # fmt: skip
    made.control.chmod(0o700)
    return made


def report(folder: DataFolder, now: datetime = NOW) -> Settings | None:
    return BuildReport(folder, VirtualClock(now), lambda _position: None).settings()


def test_a_bot_that_is_whole_gives_its_settings(folder: DataFolder) -> None:
    checkpoint_now(folder, b"")
    found = report(folder)
    assert found is not None
    assert found.identity == SETTINGS.identity


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert report(DataFolder(tmp_path)) is None


def test_every_fault_is_said_at_once(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.root / ".env").write_text("SMTP_PASSWORD=canary\n")
    folder.storage.chmod(0o755)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 2**30 - 2**20, 2**20))
    with pytest.raises(CannotStart) as refused:
        report(folder, NOW - timedelta(hours=2))
    said = str(refused.value)
    for words in (
        "4 faults", "1 MiB are free", ".env appeared after set-up", "permissions 0755",
        "7,200 s behind the newest event",
    ):  # fmt: skip
        assert words in said
    assert "canary" not in said
    assert len(said.splitlines()) == 5


def test_one_fault_is_itself(folder: DataFolder) -> None:
    with pytest.raises(CannotStart, match=r"6 s behind the newest event .*Nothing was started"):
        report(folder, NOW - timedelta(seconds=6))
    assert report(folder, NOW - timedelta(seconds=5)) is not None


def test_keys_that_are_gone_are_said(folder: DataFolder, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "config")
    with pytest.raises((KeyFileError, CannotStart), match="root key"):
        report(folder)


def test_a_history_that_does_not_hold_is_not_opened(folder: DataFolder) -> None:
    with closing(sqlite3.connect(folder.events)) as store:
        store.execute("DROP TRIGGER no_update")
        store.execute("UPDATE stored_events SET actor = 'nobody' WHERE position = 2")
        store.commit()
    with pytest.raises(HistoryBroken, match="event 2 is bad"):
        report(folder)


def test_a_checkpoint_of_another_history_is_noticed(folder: DataFolder) -> None:
    """Chained anew, a history holds in itself; the last signature is of another one."""
    kept = checkpoint_now(folder, b"").checkpoint
    path, own = folder.checkpoint(kept.size), signers(folder, kept.origin).current
    path.write_text(sign(kept._replace(head=bytes(32)), own))
    with pytest.raises(CheckpointMismatch, match="the history was written anew"):
        report(folder)
    *text, signed = path.read_text().splitlines(keepends=True)
    middle = len(signed) - 40  # within the signature, away from an end that base64 pads
    other = "B" if signed[middle] == "A" else "A"
    path.write_text("".join(text) + signed[:middle] + other + signed[middle + 1 :])
    with pytest.raises(CheckpointMismatch):
        report(folder)
