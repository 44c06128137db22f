"""Start, stop and kill: from the page or a file to events, and what the guard makes of them."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aggregates.control import (
    STREAM,
    Control,
    ControlAnswered,
    ControlRequested,
    LatchKill,
    StartKill,
)
from aggregates.errors import DomainError
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.control import Flags, ask
from runtime.custody import Custody
from runtime.dispatch import Dispatcher
from runtime.guard import KillOrder
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
TEXTS = dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME") | {
    "BOT_ID": "01", "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
}  # fmt: skip


@pytest.fixture
def custody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Custody]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder, clock = DataFolder(tmp_path / "data"), VirtualClock(NOW)
    provision_bot(
        folder, settings_from(TEXTS), new_recovery_key().recipient, clock=clock,
        deposit=Decimal(1000), progress=lambda _step: None,
    )  # fmt: skip
    with closing(Custody.open(folder, clock)) as opened:
        yield opened


@pytest.fixture
def flags(custody: Custody) -> Flags:
    return Flags(
        custody.folder, custody.store, Dispatcher(custody.store, "supervisor"), custody.clock
    )


def events(custody: Custody) -> list[object]:
    return [new.event for new in custody.store.events.get(STREAM)]  # type: ignore[attr-defined]


def by_page(custody: Custody, action: str, command_id: str = "p") -> None:
    ask(custody, action, reason="lunch", actor="anna", command_id=command_id)  # type: ignore[arg-type]


def test_a_stop_from_the_page_blocks_at_once_and_is_answered(
    custody: Custody, flags: Flags
) -> None:
    by_page(custody, "stop")
    assert flags.control.entries_blocked
    assert custody.folder.flag("stop").read_text() == "lunch\n"
    assert custody.folder.flag("stop").stat().st_mode & 0o777 == 0o600
    assert flags.look() is None
    assert not custody.folder.flag("stop").exists()
    asked, answered = events(custody)
    assert isinstance(asked, ControlRequested)
    assert (asked.source, asked.reason) == ("page", "lunch")
    assert isinstance(answered, ControlAnswered)
    assert flags.control.stopped
    by_page(custody, "start", "q")
    flags.look()
    assert flags.control.entries_blocked == ""


def test_a_file_laid_by_hand_is_a_request_in_the_words_that_it_holds(
    custody: Custody, flags: Flags
) -> None:
    custody.folder.flag("stop").write_text("going on holiday\n")
    flags.look()
    custody.folder.flag("start").write_bytes(b"\xff\x00")
    flags.look()
    asked = [e for e in events(custody) if isinstance(e, ControlRequested)]
    assert [(e.action, e.source, e.reason) for e in asked] == [
        ("stop", "flag", "going on holiday"),
        ("start", "flag", "the file control_start.flag was laid"),
    ]


def test_a_request_whose_flag_got_lost_is_taken_up_all_the_same(
    custody: Custody, flags: Flags
) -> None:
    by_page(custody, "kill")
    custody.folder.flag("kill").unlink()
    assert flags.look() == KillOrder("page", "lunch")


def test_an_interrupted_kill_goes_on_and_a_latched_one_is_left_alone(
    custody: Custody, flags: Flags
) -> None:
    by_page(custody, "kill")
    do, at = Dispatcher(custody.store, "supervisor"), {"at": NOW, "effective_date": NOW.date()}
    do(StartKill(**at, source="page", reason="lunch"), command_id="1")
    assert flags.look() is not None
    do(LatchKill(**at, flat=True, left=()), command_id="2")
    assert flags.look() is None
    custody.folder.flag("kill").touch()
    assert flags.look() is None
    assert not custody.folder.flag("kill").exists()


def test_a_start_does_not_lift_a_kill(custody: Custody, flags: Flags) -> None:
    do, at = Dispatcher(custody.store, "supervisor"), {"at": NOW, "effective_date": NOW.date()}
    do(StartKill(**at, source="loss", reason="limit"), command_id="1")
    do(LatchKill(**at, flat=True, left=()), command_id="2")
    with pytest.raises(DomainError, match="does not lift a kill"):
        by_page(custody, "start")
    assert not custody.folder.flag("start").exists()
    custody.folder.flag("start").touch()
    assert flags.look() is None
    assert not custody.folder.flag("start").exists()
    log = (custody.folder.global_logs / "main_bot.log").read_text().splitlines()
    assert "does not lift a kill" in json.loads(log[-1])["message"]
    assert custody.store.load(Control, STREAM).killed


def test_the_date_of_a_request_is_that_of_the_entity(custody: Custody, flags: Flags) -> None:
    clock = custody.clock
    clock.wait_until(NOW + timedelta(hours=12))  # 03:00 UTC, 22:00 in New York
    by_page(custody, "stop")
    flags.look()
    assert {e.effective_date for e in events(custody)} == {NOW.date()}  # type: ignore[attr-defined]
