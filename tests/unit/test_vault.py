"""The vault's files: what is written, what damage is named, what the recovery key gives back."""

import base64
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from cryptography.fernet import Fernet

from security.archive import archive_files, open_archive, recovered
from security.durable import not_reached
from security.generation import VaultDamaged
from security.keyfile import KeyFileError
from security.root_key import root_key_file
from security.root_keys import WrongRootKey
from security.secret_names import GUARDED, NAMES, key_file, secret_file
from security.vault import Vault
from security.vault_keys import data_keys_of, key_fingerprints

PERSON = pyrage.x25519.Identity.generate()
OWN = {
    "signing_key": b"s" * 32,
    "fingerprint_key": b"f" * 32,
    "recovery": str(PERSON.to_public()).encode(),
}


def contents(mark: str) -> dict[str, bytes]:
    return {name: f"{name} {mark}".encode() for name in GUARDED} | OWN


class Made:
    """A vault with its root key in a folder of its own."""

    def __init__(self, root: Path, name: str = "bot") -> None:
        self.storage = root / name / "storage"
        self.storage.mkdir(parents=True)
        self.config = {"XDG_CONFIG_HOME": str(root / "config")}
        self.reach: Callable[[str], None] = not_reached
        self.vault = Vault.make(self.storage, self.config, os.urandom, self.step)

    def step(self, name: str) -> None:
        self.reach(name)

    def rotate(self, number: int) -> None:
        before = self.vault.in_force() if number > 1 else None
        kept = {"data_keys": before.secret("data_keys")} if before else {}
        previous = before.manifest_hash if before else ""
        full = contents(str(number)) | kept
        self.vault.prepare(number, full, os.urandom, previous=previous)
        self.vault.recover(number)

    def anew(self) -> Vault:
        """As another process sees it."""
        return Vault.open(self.storage, self.config, not_reached)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    found = Made(tmp_path)
    found.rotate(1)
    found.rotate(2)
    return found


def test_every_secret_lies_under_a_key_of_its_own_for_its_owner_alone(made: Made) -> None:
    storage, read = made.storage, made.anew().in_force()
    assert {n: read.secret(n) for n in (*GUARDED, *OWN)} == contents("2")
    assert sorted(p.name for p in (storage / "secrets").iterdir() if p.name[0] == ".") == [
        ".env.enc", ".env_bot.enc",
    ]  # fmt: skip
    assert (storage / "secrets" / "broker_credentials.json.enc").is_file()
    assert (storage / "keys" / "env_bot.key").is_file()
    assert len({read.key(name) for name in NAMES}) == len(NAMES)
    for path in (storage / "gen").rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path


def test_no_secret_and_no_key_lies_in_clear_below_the_data_folder(made: Made) -> None:
    read = made.anew().in_force()
    hidden = [*contents("2").values(), *(read.key(n) for n in NAMES)]
    hidden += [part for key in data_keys_of(read).values() for part in key]
    for path in made.storage.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for secret in hidden:
            assert secret not in held, path
            assert base64.urlsafe_b64encode(secret).rstrip(b"=") not in held, path


def test_keys_are_new_in_every_generation_and_data_keys_are_kept(made: Made) -> None:
    vault = made.anew()
    first, second = vault.read(1), vault.read(2)
    one, two = (key_fingerprints(g, data_keys_of(g)[g.number]) for g in (first, second))
    assert set(one).isdisjoint(two)
    assert len(set(two)) == len(NAMES) + 2
    assert list(data_keys_of(second)) == [1, 2]
    assert data_keys_of(second)[1] == data_keys_of(first)[1]
    assert second.manifest.previous == first.manifest_hash


def test_the_last_generation_stays_and_older_ones_are_for_the_recovery_key(made: Made) -> None:
    for number in (3, 4):
        made.rotate(number)
    found = sorted(p.name for p in (made.storage / "gen").iterdir())
    assert found == [
        "000001.age", "000002.age", "000003", "000003.age", "000003.data_keys.age", "000004",
        "000004.age", "000004.data_keys.age",
    ]  # fmt: skip


def test_a_reader_that_two_rotations_overtook_reads_what_is_in_force_now(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, linked = made.anew(), Vault.linked
    late = iter([2])

    def resolved_long_ago(vault: Vault) -> int:
        return next(late, 0) or linked(vault)

    for number in (3, 4):
        made.rotate(number)
    monkeypatch.setattr(Vault, "linked", resolved_long_ago)
    assert reader.in_force().secret("users") == b"users 4"


def test_each_archive_is_read_with_the_recovery_key_alone(made: Made, tmp_path: Path) -> None:
    """By another program's hands: age, JSON and Fernet, without this code and the root key."""
    made.rotate(3)
    shutil.rmtree(tmp_path / "config")
    raw = pyrage.decrypt((made.storage / "gen" / "000001.age").read_bytes(), [PERSON])
    held = json.loads(raw)
    for name in GUARDED:
        key = base64.urlsafe_b64encode(base64.b64decode(held["keys"][name]))
        token = base64.b64decode(held["secrets"][name])
        assert Fernet(key).decrypt(token) == f"{name} 1".encode()
    assert [len(base64.b64decode(part)) for part in held["data_key"]] == [64, 32]


def test_the_archives_of_the_newest_generation_hold_every_secret(made: Made) -> None:
    read = made.anew().in_force()
    found = recovered(made.storage / "gen", 2, f"# mine\n{PERSON}\n")
    assert found.contents == {name: read.secret(name) for name in NAMES}
    assert (found.vault, found.manifest_hash) == (made.vault.number, read.manifest_hash)
    _, data_keys = archive_files(made.storage / "gen", 2)
    data_keys.write_bytes(archive_files(made.storage / "gen", 1)[1].read_bytes())
    with pytest.raises(VaultDamaged, match=r"000002\.data_keys\.age is not of generation 2"):
        recovered(made.storage / "gen", 2, str(PERSON))


def test_another_recovery_key_and_damaged_archives_are_told_apart_from_nothing(
    made: Made,
) -> None:
    kept, _ = archive_files(made.storage / "gen", 2)
    with pytest.raises(KeyFileError, match="not for this recovery key"):
        open_archive(kept, str(pyrage.x25519.Identity.generate()))
    with pytest.raises(KeyFileError, match="no recovery key"):
        open_archive(kept, "AGE-SECRET-KEY-1junk")
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(KeyFileError, match=r"000002\.age was changed"):
        open_archive(kept, str(PERSON))


# Damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def swap_bit(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def older(path: Path) -> None:
    """The same file of the generation before."""
    path.write_bytes(Path(str(path).replace("000002", "000001")).read_bytes())


FILES = ["MANIFEST.json", *(f(n) for n in NAMES for f in (key_file, secret_file))]
DAMAGES = [Path.unlink, cut, swap_bit, link, older, lambda path: path.write_bytes(b"")]


@pytest.mark.parametrize("damage", DAMAGES, ids=["gone", "cut", "bit", "link", "older", "empty"])
def test_whatever_happens_to_any_file_it_is_named_and_nothing_is_read(
    made: Made, damage: Callable[[Path], Any]
) -> None:
    for relative in FILES:
        path = made.storage / "gen" / "000002" / relative
        held = path.read_bytes()
        damage(path)
        with pytest.raises(KeyFileError, match="Nothing was changed") as told:
            made.anew().in_force()
        assert str(path) in str(told.value), relative
        path.unlink(missing_ok=True)
        path.write_bytes(held)
    assert made.anew().in_force().secret("env") == b"env 2"


def test_a_manifest_that_was_adapted_to_the_damage_does_not_help(made: Made) -> None:
    """Who can write there has no root key, and so no manifest for other files."""
    folder = made.storage / "gen" / "000002"
    manifest = json.loads((folder / "MANIFEST.json").read_bytes())
    for name in ("users", "env"):
        for relative in (key_file(name), secret_file(name)):
            data = (made.storage / "gen" / "000001" / relative).read_bytes()
            (folder / relative).write_bytes(data)
            manifest["files"][relative] = hashlib.sha256(data).hexdigest()
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(VaultDamaged, match=r"000002/MANIFEST\.json was changed"):
        made.anew().in_force()


@pytest.mark.parametrize("target", ["gen/2", "gen/000003", "../gen/000002", "gen/000002/keys", ""])
def test_a_link_that_leads_elsewhere_is_named(made: Made, target: str) -> None:
    current = made.storage / "CURRENT"
    current.unlink()
    if target:
        current.symlink_to(target)
    else:
        current.write_text("gen/000002")
    with pytest.raises(VaultDamaged, match=r"CURRENT is not the link|000003.* is missing"):
        made.anew().in_force()


def test_the_files_of_another_bot_are_recognised(made: Made, tmp_path: Path) -> None:
    other = Made(tmp_path, "other")
    other.rotate(1)
    other.rotate(2)
    root_key_file(made.vault.number, made.config).write_bytes(
        root_key_file(other.vault.number, made.config).read_bytes()
    )
    with pytest.raises(WrongRootKey, match=f"{made.vault.number}.root-key is not the root key"):
        made.anew().in_force()
    shutil.rmtree(made.storage / "gen" / "000002")
    shutil.copytree(other.storage / "gen" / "000002", made.storage / "gen" / "000002")
    with pytest.raises(
        VaultDamaged, match=f"not that of generation 2 of vault {made.vault.number}"
    ):
        made.anew().in_force()


@pytest.mark.parametrize("held", ["", "x" * 32, "../../etc/passwd\n", "A" * 32])
def test_a_damaged_number_of_the_vault_is_named(made: Made, held: str) -> None:
    (made.storage / "VAULT").write_text(held)
    with pytest.raises(VaultDamaged, match="VAULT does not hold"):
        made.anew()


# No room


def steps_of(made: Made) -> list[str]:
    found: list[str] = []
    made.reach = found.append
    made.vault.prepare(3, contents("3"), os.urandom, previous="")
    made.vault.recover(2)
    return found


def test_a_full_disk_in_the_middle_of_writing_leaves_the_old_generation(made: Made) -> None:
    steps = [s for s in steps_of(made) if s != "vault.generation.dropped"]
    before = sorted((made.storage / "gen").rglob("*"))
    for at in range(0, len(steps), 9):
        left = iter(range(at + 1))

        def full(_step: str, left: Any = left, at: int = at) -> None:
            if next(left, None) == at:
                raise OSError(errno.ENOSPC, "No space left on device")

        made.reach = full
        with pytest.raises(KeyFileError, match=r"No space left.*generation 2 stays in force"):
            made.vault.prepare(3, contents("3"), os.urandom, previous="")
        assert sorted((made.storage / "gen").rglob("*")) == before
    made.reach = not_reached
    made.rotate(3)
    assert made.anew().in_force().secret("env") == b"env 3"


def test_what_was_not_committed_is_dropped_and_what_was_is_put_in_force(made: Made) -> None:
    made.vault.prepare(3, contents("3"), os.urandom, previous="")
    vault = made.anew()
    assert vault.in_force().number == 2
    vault.recover(2)
    assert not list((made.storage / "gen").glob("000003*"))
    made.vault.prepare(3, contents("3"), os.urandom, previous="")
    vault.recover(3)
    assert vault.in_force().secret("env") == b"env 3"


def test_a_store_that_is_older_than_the_keys_is_said(made: Made) -> None:
    with pytest.raises(KeyFileError, match=r"Generation 2 .* older than the keys.*Nothing was"):
        made.vault.recover(1)
    assert made.anew().in_force().number == 2


def test_a_committed_generation_that_is_gone_is_said(made: Made) -> None:
    with pytest.raises(VaultDamaged, match=r"000003/MANIFEST\.json is missing"):
        made.vault.recover(3)
    assert made.anew().in_force().number == 2
