"""A provisioned bot in custody: changes with their rotation, refusals, full disks, many threads."""

import base64
import hashlib
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

from aggregates.base import Command
from aggregates.books import OpenBooks
from aggregates.capital import RecordDeposit
from aggregates.configuration import STREAM, AdoptSettings, Configuration
from aggregates.errors import DomainError, TradeBotError
from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore.errors import CommandConflict, SealBroken
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime.cli import main
from runtime.custody import Custody, create_custody
from runtime.keys import key_ring
from runtime.restoring import restore_keys
from security.archive import archive_files, open_archive
from security.data_keys import MissingKey
from security.generation import VaultDamaged
from security.keyfile import KeyFileError
from security.root_key import root_key_file
from security.root_keys import WrongRootKey

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PERSON = pyrage.x25519.Identity.generate()


def of(kind: type, **fields: Any) -> Command:
    made: Command = kind(at=NOW, effective_date=date(2026, 3, 2), **fields)
    return made


def settings(value: str) -> Command:
    return of(AdoptSettings, values={"A": value}, reason="test")


def deposit(number: int) -> Command:
    money = {"currency": "USD", "amount": Decimal(1), "reason": "test"}
    return of(RecordDeposit, reference=f"d{number}", **money)


OPENED = of(
    OpenBooks, identity="TEST_USA_SIM_01", entity_code="TEST", jurisdiction_code="USA",
    broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
    exchange_calendar="XNYS", demo=False,
)  # fmt: skip


def create(root: Path) -> Custody:
    return create_custody(
        DataFolder(root), VirtualClock(NOW), recovery=str(PERSON.to_public()),
        contents={"users": b"{}", "env": b"SMTP_PASSWORD=hunter2"},
        commands=[OPENED, settings("1")], actor="setup", command_id="provision",
    )  # fmt: skip


def reopened(folder: DataFolder) -> Custody:
    return Custody.open(folder, VirtualClock(NOW))


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    with closing(create(tmp_path / "data")) as made:
        yield made


def state(custody: Custody) -> tuple[int, int, str]:
    """Position, generation and setting in force."""
    values = custody.store.load(Configuration, STREAM).values
    return custody.store.head().position, custody.generation().number, values["A"]


def test_a_new_bot_has_one_batch_under_its_first_generation(custody: Custody) -> None:
    with closing(Feed(custody.folder.events)) as feed:
        rows = list(feed.all())
    assert [(r.topic, r.command_id, r.key_epoch) for r in rows] == [
        ("Books.Opened", "provision", 1),
        ("Configuration.Adopted", "provision", 1),
        ("Keys.Rotated", "provision", 1),
    ]
    assert all(b"USD" not in r.state and b"TEST" not in r.state for r in rows)
    assert custody.secret("env") == b"SMTP_PASSWORD=hunter2"
    assert custody.secret("smtp_credentials") == b""
    assert verify(custody.folder.events, key_ring(custody.folder)).intact


def test_a_change_and_its_rotation_are_one(custody: Custody) -> None:
    done = custody.change(
        settings("2"), actor="ann", command_id="c", secrets={"env": lambda held: held + b"!"}
    )
    assert (done.repeated, len(done.positions)) == (False, 2)
    with closing(reopened(custody.folder)) as again:
        assert state(again) == (5, 2, "2")
        assert again.secret("env") == b"SMTP_PASSWORD=hunter2!"
        assert again.secret("users") == b"{}"


def test_asked_again_the_first_result_is_given_and_nothing_rotates(custody: Custody) -> None:
    first = custody.change(settings("2"), actor="ann", command_id="c")
    before = sorted(custody.folder.storage.rglob("*"))
    with closing(reopened(custody.folder)) as another:
        again = another.change(settings("2"), actor="ann", command_id="c")
    assert (again.positions, again.repeated) == (first.positions, True)
    assert sorted(custody.folder.storage.rglob("*")) == before
    with pytest.raises(CommandConflict):
        custody.change(settings("3"), actor="ann", command_id="c")
    assert state(custody) == (5, 2, "2")


def test_a_refused_change_leaves_no_trace(custody: Custody) -> None:
    before = sorted(custody.folder.storage.rglob("*"))

    def refuse(_held: bytes) -> bytes:
        raise DomainError("no such user")

    with pytest.raises(DomainError, match="in force already"):
        custody.change(settings("1"), actor="ann", command_id="c")
    with pytest.raises(DomainError, match="no such user"):
        custody.change(settings("2"), actor="ann", command_id="d", secrets={"users": refuse})
    with pytest.raises(DomainError, match="no secret called data_keys"):
        custody.change(settings("2"), actor="ann", command_id="e", secrets={"data_keys": refuse})
    assert sorted(custody.folder.storage.rglob("*")) == before
    assert state(custody) == (3, 1, "1")


def test_what_the_vault_guards_is_not_changed_without_a_rotation(custody: Custody) -> None:
    with pytest.raises(DomainError, match=r"AdoptSettings changes what the keys guard.*Nothing"):
        custody.record(settings("2"), actor="ann", command_id="c")
    assert custody.record(deposit(1), actor="ann", command_id="d").positions == [4]
    assert state(custody) == (4, 1, "1")


def test_others_that_write_and_read_follow_a_rotation(custody: Custody) -> None:
    with closing(reopened(custody.folder)) as other:
        ring = key_ring(custody.folder)
        for number in range(1, 4):
            custody.change(settings(f"{number + 1}"), actor="ann", command_id=f"c{number}")
            other.record(deposit(number), actor="bob", command_id=f"d{number}")
            assert state(other)[1:] == state(custody)[1:] == (number + 1, f"{number + 1}")
            assert ring.of(number + 1)
        with pytest.raises(MissingKey):
            ring.of(5)


def test_pages_change_and_read_from_many_threads_at_one_time(custody: Custody) -> None:
    def page(number: int) -> bool:
        if number % 3:
            custody.record(deposit(number), actor="ann", command_id=f"d{number}")
            return custody.secret("env").startswith(b"SMTP")
        edit = {"users": lambda held: held + b"x"}
        custody.change(settings(f"n{number}"), actor="ann", command_id=f"c{number}", secrets=edit)
        return custody.fingerprint("x") == fingerprint

    fingerprint = custody.fingerprint("x")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(page, range(24)))
    assert custody.secret("users") == b"{}" + b"x" * 8
    assert state(custody)[:2] == (3 + 16 + 2 * 8, 9)


def test_a_fingerprint_names_a_text_for_ever_and_tells_nothing_elsewhere(
    custody: Custody, tmp_path: Path
) -> None:
    before = custody.fingerprint("hunter2")
    custody.change(settings("2"), actor="ann", command_id="c")
    assert custody.fingerprint("hunter2") == before != custody.fingerprint("hunter3")
    with closing(create(tmp_path / "other")) as other:
        assert other.fingerprint("hunter2") != before


# Bad input


def test_a_folder_with_a_history_is_not_given_a_vault(custody: Custody, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=r"holds a history already\. Nothing was changed"):
        create(custody.folder.root)
    plain = DataFolder(tmp_path / "plain")
    plain.blind_key.parent.mkdir(parents=True)
    with pytest.raises(DomainError, match="holds a history already"):
        create(plain.root)
    assert state(custody) == (3, 1, "1")


def test_a_recipient_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for recipient in ("", "age1junk", str(PERSON)):
        with pytest.raises(KeyFileError, match="recovery recipient") as told:
            create_custody(
                DataFolder(tmp_path), VirtualClock(NOW), recovery=recipient, contents={},
                commands=[OPENED], actor="setup", command_id="p",
            )  # fmt: skip
        assert str(PERSON) not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_nothing_provisioned_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="nothing is provisioned here"):
        reopened(DataFolder(tmp_path))
    assert not list(tmp_path.iterdir())


def root_key(custody: Custody) -> Path:
    return root_key_file(custody.folder.vault.read_text().strip(), os.environ)


def test_a_missing_and_a_wrong_root_key_stop_the_start(custody: Custody) -> None:
    path = root_key(custody)
    right = path.read_bytes()
    path.write_bytes(bytes(32))
    with pytest.raises(WrongRootKey, match=f"{path.name} is not the root key.*Nothing was started"):
        reopened(custody.folder)
    path.unlink()
    with pytest.raises(KeyFileError, match=f"{path.name} is missing"):
        key_ring(custody.folder)
    path.touch(mode=0o600)
    path.write_bytes(right)
    with closing(reopened(custody.folder)) as again:
        assert again.secret("users") == b"{}"


def test_a_generation_of_another_history_is_recognised(custody: Custody, tmp_path: Path) -> None:
    """Vault and store of two copies of one bot that both went on: not the files of this history."""
    shutil.copytree(custody.folder.root, tmp_path / "copy", symlinks=True)
    custody.change(settings("2"), actor="ann", command_id="c")
    with closing(reopened(DataFolder(tmp_path / "copy"))) as copy:
        copy.change(settings("2"), actor="ann", command_id="c")
    storage = custody.folder.storage
    shutil.rmtree(storage / "gen" / "000002")
    shutil.copytree(tmp_path / "copy/storage/gen/000002", storage / "gen" / "000002")
    with pytest.raises((VaultDamaged, SealBroken), match="Nothing was changed"):
        reopened(custody.folder)


@pytest.mark.parametrize("lost", ["events.db", "gen", "CURRENT", "VAULT"])
def test_a_part_of_storage_that_is_gone_is_said_and_not_made_anew(
    custody: Custody, lost: str
) -> None:
    custody.change(settings("2"), actor="ann", command_id="c")
    custody.close()
    storage = custody.folder.storage
    for path in storage.glob(f"{lost}*"):
        if path.name != "VAULT.lock":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if lost == "CURRENT":  # which follows from the history
        with closing(reopened(custody.folder)) as again:
            assert state(again)[1:] == (2, "2")
        return
    with pytest.raises((KeyFileError, TradeBotError)) as told:
        reopened(custody.folder)
    assert "Nothing was" in str(told.value) or "nothing is" in str(told.value)


# A full disk


def test_a_disk_without_room_refuses_the_change_and_with_room_it_is_carried_out(
    tmp_path: Path,
) -> None:
    """In a child: a limit on the size of files is the process's for good."""
    folder = create(tmp_path / "data").folder
    child = os.fork()
    if not child:
        try:
            os._exit(0 if refused_then_carried_out(folder) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with closing(reopened(folder)) as again:
        assert state(again)[1:] == (3, "3")
        assert verify(folder.events, key_ring(folder)).intact


def refused_then_carried_out(folder: DataFolder) -> bool:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with closing(reopened(folder)) as custody:
        before, refused = state(custody), 0
        for size in (0, 40, 60, 500, 4_000):  # in keys, in secrets, in the manifest, an archive
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                custody.change(settings("2"), actor="ann", command_id="c")
            except KeyFileError as e:
                refused += "generation 1 stays in force" in str(e)
            custody.generation()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            assert state(custody) == before
        custody.change(settings("2"), actor="ann", command_id="c")
        custody.change(settings("3"), actor="ann", command_id="d")
        return refused == 5


# The recovery key


def lose_the_root_key(custody: Custody) -> None:
    root_key(custody).unlink()


def damage_a_secret(custody: Custody) -> None:
    (custody.folder.storage / "secrets" / "users.json.enc").write_bytes(b"damaged")


def lose_the_generations(custody: Custody) -> None:
    for path in custody.folder.storage.glob("gen/??????"):
        shutil.rmtree(path)


def lose_the_link_and_the_number(custody: Custody) -> None:
    custody.folder.vault.unlink()
    (custody.folder.storage / "CURRENT").unlink()
    (custody.folder.storage / "CURRENT").write_text("junk")


@pytest.mark.parametrize(
    "harm",
    [lose_the_root_key, damage_a_secret, lose_the_generations, lose_the_link_and_the_number],
)
def test_the_recovery_key_makes_the_keys_anew_and_everything_is_there(
    custody: Custody, tmp_path: Path, harm: Any
) -> None:
    custody.change(settings("2"), actor="ann", command_id="c")
    before = custody.fingerprint("x")
    harm(custody)
    with pytest.raises(KeyFileError, match=r"tbot restore-keys|nothing is provisioned"):
        reopened(custody.folder)
    (kept := tmp_path / "kept.txt").write_text(f"# recovery key of my bot\n{PERSON}\n")
    command = ["restore-keys", "--data-dir", str(custody.folder.root), "--recovery-key", str(kept)]
    ran = CliRunner().invoke(main, command)
    assert ran.exit_code == 0, ran.output
    assert "Generation 3 of the keys is in force" in ran.output
    with closing(reopened(custody.folder)) as again:
        assert state(again) == (6, 3, "2")
        assert again.secret("env") == b"SMTP_PASSWORD=hunter2"
        assert again.fingerprint("x") == before
        again.change(settings("3"), actor="ann", command_id="d")
        assert verify(custody.folder.events, key_ring(custody.folder)).intact


def test_another_recovery_key_changes_nothing(custody: Custody) -> None:
    before = sorted(custody.folder.storage.rglob("*"))
    for identity in (str(pyrage.x25519.Identity.generate()), "junk", ""):
        with pytest.raises(KeyFileError, match="Nothing was changed"):
            restore_keys(custody.folder, VirtualClock(NOW), identity)
    assert sorted(custody.folder.storage.rglob("*")) == before
    assert state(custody) == (3, 1, "1")


@pytest.mark.parametrize("whole", [False, True])
def test_archives_that_somebody_else_encrypted_are_refused(custody: Custody, whole: bool) -> None:
    """age says for whom a file is, never from whom; the recovery recipient is no secret."""
    now, identity = custody.generation(), str(PERSON)
    kept, data_keys = archive_files(now.folder.parent, now.number)
    recipient = [pyrage.x25519.Identity.from_str(identity).to_public()]
    forged = open_archive(kept, identity)
    own = Fernet.generate_key()
    token = Fernet(own).encrypt(b"SMTP_PASSWORD=mine")
    manifest = forged.manifest
    if whole:  # with a manifest that fits, in both files
        listed = msgspec.json.decode(manifest)
        listed["files"]["secrets/.env.enc"] = hashlib.sha256(token).hexdigest()
        manifest = msgspec.json.encode(listed)
    keys = forged.keys | {"env": base64.urlsafe_b64decode(own)}
    made = msgspec.structs.replace(
        forged, keys=keys, secrets=forged.secrets | {"env": token}, manifest=manifest
    )
    other = msgspec.structs.replace(open_archive(data_keys, identity), manifest=manifest)
    for path, content in ((kept, made), (data_keys, other)):
        path.write_bytes(pyrage.encrypt(msgspec.json.encode(content), recipient))
    told = "the history tells of" if whole else "holds another env than its manifest lists"
    with pytest.raises(KeyFileError, match=told):
        restore_keys(custody.folder, VirtualClock(NOW), identity)
    assert state(custody) == (3, 1, "1")
