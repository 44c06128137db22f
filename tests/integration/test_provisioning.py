"""From an empty folder to a bot: what is on the disk then, and after an error; its state."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.errors import DomainError, TradeBotError
from aggregates.keys import KeysRotated
from aggregates.money import Money
from brokers.simulated_store import SimulatedStore
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from eventstore.errors import HistoryBroken, StoreUnreadable
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime import bot_state
from runtime.build_check import StartBlocked
from runtime.custody import Custody
from runtime.main import run
from runtime.people import People
from runtime.provisioning import STEPS, provision_bot, resume
from runtime.queries import Queries
from runtime.recovery_key import kept_file, new_recovery_key, recipient_of
from runtime.settings_change import change_settings, current_settings
from security.keyfile import KeyFileError
from security.locking import locked

CLOCK = VirtualClock(datetime(2026, 3, 2, 15, 0, tzinfo=UTC))
SECRET = "canary-4d1f0c-password"  # noqa: S105 - looked for in every file
SETTINGS = settings_from(
    {
        "ENTITY_CODE": "ACME", "JURISDICTION_CODE": "USA", "BROKER_CODE": "SIM", "BOT_ID": "01",
        "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
        "SMTP_HOST": "mail.example.org", "SMTP_USERNAME": "bot", "SMTP_PASSWORD": SECRET,
    }
)  # fmt: skip
RECOVERY = new_recovery_key()


@pytest.fixture(autouse=True)
def own_root_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Root keys of tests lie with the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    failpoints.arm(None)


def provision(folder: DataFolder, deposit: str | None = "2500.50") -> list[str]:
    """The steps that were told."""
    told: list[str] = []
    provision_bot(
        folder, SETTINGS, RECOVERY.recipient, clock=CLOCK,
        deposit=Decimal(deposit) if deposit else None, progress=told.append,
    )  # fmt: skip
    return told


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def test_all_is_there_and_of_one_batch(folder: DataFolder) -> None:
    assert list(dict.fromkeys(provision(folder))) == list(STEPS)
    with closing(Feed(folder.events)) as feed:
        rows = list(feed.all())
    assert {row.command_id for row in rows} == {"provision"}
    assert [row.topic for row in rows] == [
        "Books.Opened", "Books.RulesAdopted", "ChartOfAccounts.Adopted", "Configuration.Adopted",
        "Capital.Deposited", KeysRotated.topic,
    ]  # fmt: skip
    assert verify(folder.events).intact
    queries = Queries(folder)
    assert [(b.code, b.amount) for b in queries.balances()] == [
        ("1010", Decimal("2500.50")), ("3010", Decimal("-2500.50")),
    ]  # fmt: skip
    assert not queries.status().demo
    queries.close()


def test_the_settings_come_back_from_the_vault(folder: DataFolder) -> None:
    provision(folder)
    with closing(Custody.open(folder, CLOCK)) as custody:
        assert current_settings(custody) == SETTINGS


def test_the_simulated_account_holds_what_the_books_say(folder: DataFolder) -> None:
    provision(folder)
    one_cent = Money(1, "USD")  # a file that exists keeps its own
    with closing(SimulatedStore(folder.simulated_broker, one_cent)) as store:
        assert store.cash().decimal == Decimal("2500.50")


def test_a_real_broker_gets_no_simulated_account(folder: DataFolder) -> None:
    provision(folder, deposit=None)
    assert not folder.simulated_broker.exists()
    assert not folder.provisioning.exists()


def test_nothing_can_be_read_by_others_and_no_secret_lies_in_clear(folder: DataFolder) -> None:
    before = os.umask(0o077)  # as `tbot run` does
    provision(folder)
    os.umask(before)
    for path in (path for path in folder.root.rglob("*") if not path.is_symlink()):
        assert not path.stat().st_mode & 0o077, path
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert RECOVERY.identity.encode() not in content, path


def test_a_folder_with_a_bot_is_refused(folder: DataFolder) -> None:
    provision(folder)
    before = (folder.root / "storage" / "events.db").read_bytes()
    with pytest.raises(DomainError, match=r"holds a bot already\. Nothing was changed"):
        provision(folder)
    assert (folder.root / "storage" / "events.db").read_bytes() == before


# The state


def test_the_state_goes_through_its_four_words(folder: DataFolder) -> None:
    assert bot_state.state_of(folder) == "bootstrapping"
    seen = []
    failpoints.arm(lambda _step: seen.append(bot_state.state_of(folder)))
    provision(folder)
    failpoints.arm(None)
    assert seen[-1] == "provisioning"
    assert bot_state.state_of(folder) == "registration"
    with closing(Custody.open(folder, CLOCK)) as custody:
        People(custody, cost=4).register(
            "anna", "correct horse battery", "admin", actor="setup", command_id="first"
        )
    assert bot_state.state_of(folder) == "idle"


def test_a_store_without_events_or_tables_is_no_bot(folder: DataFolder) -> None:
    folder.events.parent.mkdir(parents=True)
    folder.events.touch()
    assert bot_state.state_of(folder) == "bootstrapping"
    with closing(sqlite3.connect(folder.events)) as file:
        file.execute("PRAGMA user_version = 0")
        file.execute("VACUUM")
    assert bot_state.state_of(folder) == "bootstrapping"


def test_a_damaged_store_is_never_taken_for_an_empty_folder(folder: DataFolder) -> None:
    folder.events.parent.mkdir(parents=True)
    folder.events.write_bytes(b"no store" * 1000)
    with pytest.raises(StoreUnreadable):
        bot_state.state_of(folder)


def test_the_state_file_has_one_word(folder: DataFolder) -> None:
    bot_state.write_state(folder, "idle")
    assert folder.bot_state.read_text() == "idle\n"


# Errors


def fail_at(step: str, error: Exception) -> None:
    def act(reached: str) -> None:
        if reached == step:
            raise error

    failpoints.arm(act)


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["provisioning.begun", "custody.prepared", "store.append.begun"])
def test_what_fails_before_the_first_batch_leaves_nothing_that_counts(
    folder: DataFolder, step: str
) -> None:
    fail_at(step, FULL)
    with pytest.raises((OSError, TradeBotError, KeyFileError)):
        provision(folder)
    failpoints.arm(None)
    assert not bot_state.is_open(folder)
    assert "counts for nothing" in resume(folder, CLOCK)
    assert bot_state.state_of(folder) == "bootstrapping"
    provision(folder)
    assert bot_state.state_of(folder) == "registration"


@pytest.mark.parametrize(
    "step",
    ["provisioning.committed", "provisioning.ledger", "provisioning.logs", "broker.lay.written"],
)
def test_what_fails_after_it_is_finished_by_the_next_start(folder: DataFolder, step: str) -> None:
    fail_at(step, FULL)
    with pytest.raises((OSError, TradeBotError)):
        provision(folder)
    failpoints.arm(None)
    assert bot_state.state_of(folder) == "provisioning"
    assert "is finished: the bot is whole" in resume(folder, CLOCK)
    assert bot_state.state_of(folder) == "registration"
    assert folder.ledger(SETTINGS.identity).exists()
    assert folder.simulated_broker.exists()
    assert resume(folder, CLOCK) == ""


def test_a_ledger_that_does_not_fit_the_events_blocks_the_start(folder: DataFolder) -> None:
    provision(folder)
    with closing(sqlite3.connect(folder.ledger(SETTINGS.identity))) as ledger, ledger:
        ledger.execute("PRAGMA ignore_check_constraints = on")
        for (name,) in ledger.execute("SELECT name FROM sqlite_schema WHERE type='trigger'"):
            ledger.execute(f"DROP TRIGGER {name}")
        ledger.execute("UPDATE coa_accounts SET name = 'Cash at hand' WHERE account_code = '1010'")
    before = os.umask(0o077)
    with pytest.raises(StartBlocked, match="the events are safe"):
        run(folder.root, None, CLOCK)
    os.umask(before)
    last = (folder.global_logs / "main_bot.log").read_text().splitlines()[-1]
    assert '"FATAL"' in last
    assert "StartBlocked" in last


# The recovery key


def test_the_recovery_key_is_known_again_from_what_is_kept() -> None:
    key = new_recovery_key()
    assert recipient_of(key.identity) == key.recipient
    assert recipient_of(kept_file(key, "ACME_USA_SIM_01")) == key.recipient
    assert recipient_of(f"  my key: {key.identity}\r\n") == key.recipient


@pytest.mark.parametrize(
    "text", ["", "nonsense", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1" + "Q" * 58]
)
def test_what_is_no_recovery_key_has_no_recipient(text: str) -> None:
    assert recipient_of(text) == ""


def test_a_recovery_key_does_not_show_itself() -> None:
    key: Any = new_recovery_key()
    assert key.identity not in repr(key)


def test_a_provisioning_that_is_still_going_on_is_not_declared_dead(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.storage.mkdir(parents=True)
    folder.provisioning.parent.mkdir(parents=True)
    folder.provisioning.write_bytes(b"begun\n")
    monkeypatch.setattr("security.locking.LONGEST_WAIT_S", 0.05)
    with locked(folder.storage), pytest.raises(KeyFileError, match="Another process"):
        resume(folder, CLOCK)
    assert folder.provisioning.exists()
    assert "starts anew" in resume(folder, CLOCK)


def test_a_history_that_does_not_hold_is_not_started(folder: DataFolder) -> None:
    provision(folder)
    with closing(sqlite3.connect(folder.events)) as store:
        store.execute("DROP TRIGGER no_update")
        store.execute("UPDATE stored_events SET actor = 'nobody' WHERE position = 2")
        store.commit()
    with pytest.raises(HistoryBroken, match=r"event 2 is bad.*Nothing was started"):
        run(folder.root, None, CLOCK)
    log = (folder.global_logs / "main_bot.log").read_text()
    assert '"FATAL"' in log
    assert "event 2 is bad" in log


def test_displays_follow_the_time_zone_in_force(folder: DataFolder) -> None:
    provision(folder)
    with closing(Custody.open(folder, CLOCK)) as custody:
        texts = {"TIMEZONE": "Europe/Berlin"}
        change_settings(custody, texts, seen=1, actor="ann", reason="", command_id="berlin")
    with closing(Queries(folder)) as queries:
        assert queries.status().timezone == "Europe/Berlin"
