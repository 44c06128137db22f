"""Another root key: one batch as any change, refused as a whole, and the old one goes in time."""

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from aggregates.books import OpenBooks
from aggregates.errors import DomainError
from aggregates.keys import STREAM, KeysRenewed
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime.custody import Custody, create_custody
from runtime.key_facts import key_facts
from runtime.key_renewal import renew_keys
from runtime.keys import key_ring, open_vault
from runtime.restoring import restore_keys
from security.keyfile import KeyFileError
from security.root_key import CREDENTIAL
from security.root_keys import WrongRootKey

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PERSON = pyrage.x25519.Identity.generate()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this bot's root keys lie, and no other's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "tradebot"


@pytest.fixture
def custody(config: Path, tmp_path: Path) -> Iterator[Custody]:
    assert not config.exists()
    opened = OpenBooks(
        at=NOW, effective_date=date(2026, 3, 2), identity="TEST_USA_SIM_01", entity_code="TEST",
        jurisdiction_code="USA", broker_code="SIM", bot_id="01", currency="USD",
        timezone="US/Eastern", exchange_calendar="XNYS", demo=False,
    )  # fmt: skip
    made = create_custody(
        DataFolder(tmp_path / "data"), VirtualClock(NOW), recovery=str(PERSON.to_public()),
        contents={"users": b"{}"}, commands=[opened], actor="setup", command_id="provision",
    )  # fmt: skip
    with closing(made):
        yield made


def reopened(folder: DataFolder) -> Custody:
    return Custody.open(folder, VirtualClock(NOW))


def change(custody: Custody, name: str = "c", *, root_key: bool = True) -> Any:
    return renew_keys(custody, root_key=root_key, reason="leaked", actor="ann", command_id=name)


def files(config: Path) -> list[str]:
    """Names without the vault's number."""
    return sorted(path.name[32:] for path in config.iterdir())


def all_files(custody: Custody, config: Path) -> list[Path]:
    own = (p for p in custody.folder.storage.rglob("*") if not p.name.startswith("events.db"))
    return sorted([*own, *config.rglob("*")])


def test_a_change_of_the_root_key_is_one_batch_and_reads_without_the_old_one(
    custody: Custody, config: Path
) -> None:
    before = custody.generation().root
    done = change(custody)
    with closing(Feed(custody.folder.events, custody.store.keys)) as feed:
        rows = feed.stream(STREAM)[1:]
        told = feed.event(rows[0])
    assert [(r.position, r.topic, r.key_epoch, r.command_id) for r in rows] == [
        (done.positions[0], "Keys.Renewed", 2, "c"), (done.positions[1], "Keys.Rotated", 2, "c"),
    ]  # fmt: skip
    assert isinstance(told, KeysRenewed)
    assert (told.root_key, told.reason) == (True, "leaked")
    assert custody.generation().root.wrap != before.wrap
    assert files(config) == [".000002.root-key", ".root-key"]
    assert {path.stat().st_mode & 0o777 for path in config.iterdir()} == {0o600}
    Path(before.where).unlink()
    with closing(reopened(custody.folder)) as again:
        assert again.secret("users") == b"{}"
        assert verify(custody.folder.events, key_ring(custody.folder)).intact


def test_the_old_one_goes_with_the_next_rotation_and_others_follow_it(
    custody: Custody, config: Path
) -> None:
    with closing(reopened(custody.folder)) as other:
        reader = open_vault(custody.folder)
        assert reader.in_force().number == 1
        change(custody)
        facts = key_facts(custody)
        assert facts.root_key.name.endswith(".000002.root-key")
        assert [path.name[32:] for path in facts.older_root_keys] == [".root-key"]
        change(custody, "d", root_key=False)
        assert files(config) == [".000002.root-key"]
        change(custody, "e")
        change(custody, "f")
        assert files(config) == [".000004.root-key", ".000005.root-key"]
        assert reader.in_force().secret("users") == b"{}"
        assert other.generation().number == 5
        change(other, "g", root_key=False)
    assert files(config) == [".000005.root-key"]
    assert custody.secret("users") == b"{}"


def test_asked_again_nothing_is_made(custody: Custody, config: Path) -> None:
    first = change(custody)
    again = change(custody)
    assert (again.positions, again.repeated) == (first.positions, True)
    assert files(config) == [".000002.root-key", ".root-key"]


def test_a_reason_is_needed(custody: Custody, config: Path) -> None:
    before = all_files(custody, config)
    with pytest.raises(DomainError, match="needs a reason"):
        renew_keys(custody, root_key=True, reason=" ", actor="ann", command_id="c")
    assert all_files(custody, config) == before


# Where the new key cannot be put


def refused(custody: Custody, config: Path, why: str) -> None:
    """The change is refused as a whole, and what was in force still is, here and elsewhere."""
    before = all_files(custody, config)
    with pytest.raises(KeyFileError, match=why) as told:
        change(custody)
    assert "Nothing was changed" in str(told.value)
    assert all_files(custody, config) == before
    assert custody.generation().number == 1


def test_a_folder_that_others_can_change_is_refused(custody: Custody, config: Path) -> None:
    config.chmod(0o770)
    refused(custody, config, "can be changed by others")
    config.chmod(0o700)
    change(custody)
    assert custody.generation().number == 2


def test_a_folder_that_is_a_link_is_refused(custody: Custody, config: Path) -> None:
    moved = config.rename(config.with_name("moved"))
    config.symlink_to(moved)
    refused(custody, config, "is a link")


def test_a_file_of_that_name_is_not_written_over(custody: Custody, config: Path) -> None:
    there = config / f"{custody.root_keys.vault}.000002.root-key"
    for make in (lambda: there.write_bytes(b"of another copy"), lambda: there.symlink_to("away")):
        make()
        refused(custody, config, "is there already")
        assert there.is_symlink() or there.read_bytes() == b"of another copy"
        there.unlink()


def in_a_child(work: Any) -> int:
    """For what holds for the rest of a process: limits, another user. Its exit code."""
    child = os.fork()
    if not child:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(custody: Custody, config: Path) -> None:
    config.chmod(0o500)
    refused(custody, config, "cannot be written to")
    config.chmod(0o700)


@pytest.mark.parametrize("step", ["created", "written", "synced", "renamed"])
def test_no_room_for_the_new_key_is_said_and_with_room_it_is_made(
    custody: Custody, config: Path, step: str
) -> None:
    """The system refuses at any step of writing that file: nothing is left of it."""

    def full(reached: str) -> None:
        of_the_key = step == "renamed" or list(config.glob("*.partial"))
        if reached == f"vault.file.{step}" and of_the_key:
            raise OSError(28, "No space left on device")

    failpoints.arm(full)
    try:
        refused(custody, config, r"new root key cannot be written to .*No space left")
    finally:
        failpoints.arm(None)
    change(custody)
    assert files(config) == [".000002.root-key", ".root-key"]


def test_a_disk_without_any_room_refuses_it(custody: Custody, config: Path) -> None:
    folder = custody.folder
    custody.close()

    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with closing(reopened(folder)) as own:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.RLIM_INFINITY))
            try:
                change(own)
            except KeyFileError as e:
                return 0 if "generation 1 stays in force" in str(e) else 1
            return 2

    assert in_a_child(work) == 0
    assert files(config) == [".root-key"]
    with closing(reopened(folder)) as again:
        assert again.generation().number == 1


# Copies, and what is lost


def test_a_copy_that_did_not_change_keeps_its_key_and_takes_none_away(
    custody: Custody, config: Path, tmp_path: Path
) -> None:
    """Two data folders of one vault and one user: each removes only what it made itself."""
    shutil.copytree(custody.folder.root, tmp_path / "copy", symlinks=True)
    change(custody)
    with closing(reopened(DataFolder(tmp_path / "copy"))) as copy:
        with pytest.raises(KeyFileError, match="another copy of this data folder"):
            change(copy)
        for name in "xyz":
            change(copy, name, root_key=False)
    assert files(config) == [".000002.root-key", ".root-key"]
    with closing(reopened(custody.folder)) as again:
        assert again.generation().number == 2


def test_the_new_key_lost_is_said_and_the_recovery_key_makes_another(
    custody: Custody, config: Path
) -> None:
    change(custody)
    key_facts(custody).root_key.unlink()
    with pytest.raises(WrongRootKey, match=r"is not the root key.*Nothing was started.*restore-"):
        reopened(custody.folder)
    number, place = restore_keys(custody.folder, VirtualClock(NOW), str(PERSON))
    assert (number, place.name[32:]) == (3, ".000003.root-key")
    with closing(reopened(custody.folder)) as again:
        assert again.secret("users") == b"{}"
        change(again, "d", root_key=False)
    assert files(config) == [".000003.root-key"]


# Handed over by systemd


def test_a_credential_is_not_changed_here_but_where_it_comes_from(
    custody: Custody, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (unit := tmp_path / "credentials").mkdir(mode=0o700)
    credential = unit / CREDENTIAL
    Path(custody.generation().root.where).rename(credential)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(unit))
    with closing(reopened(custody.folder)) as own:
        assert key_facts(own).credential
        refused(own, config, "handed over by systemd")
    credential.write_bytes(bytes(range(32)))  # as an admin replaces it
    with pytest.raises(WrongRootKey, match="is not the root key"):
        reopened(custody.folder)
    assert restore_keys(custody.folder, VirtualClock(NOW), str(PERSON)) == (2, credential)
    with closing(reopened(custody.folder)) as again:
        assert again.secret("users") == b"{}"
    assert files(config) == []
