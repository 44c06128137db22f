"""The root key: where it is looked for, and everything that refuses a start."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from security.durable import not_reached
from security.keyfile import KeyFileError
from security.root_key import CREDENTIAL, make_root_key, read_root_key, root_key_file

KEY = bytes(range(32))
VAULT = "0123456789abcdef" * 2


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def path(config: dict[str, str]) -> Path:
    """Of a root key that was made."""
    make_root_key(VAULT, config, KEY, not_reached)
    return root_key_file(VAULT, config)


def said(config: dict[str, str]) -> str:
    """What is told when the root key is refused."""
    with pytest.raises(KeyFileError) as told:
        read_root_key(VAULT, config)
    assert KEY.hex() not in str(told.value)
    assert "Nothing was started" in str(told.value)
    return str(told.value)


def test_it_lies_in_the_users_config_folder_under_the_number_of_the_vault(
    path: Path, tmp_path: Path
) -> None:
    assert path == tmp_path / "config" / "tradebot" / f"{VAULT}.root-key"
    assert path.read_bytes() == KEY
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_without_xdg_config_home_or_with_a_relative_one_it_is_dot_config(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".config" / "tradebot" / f"{VAULT}.root-key"
    assert root_key_file(VAULT, {}) == root_key_file(VAULT, {"XDG_CONFIG_HOME": "here"}) == home


def test_one_that_is_there_is_never_made_anew(config: dict[str, str], path: Path) -> None:
    made = make_root_key(VAULT, config, bytes(32), not_reached)
    assert path.read_bytes() == KEY
    assert made.wrap == read_root_key(VAULT, config).wrap


def test_two_bots_of_one_user_have_two(config: dict[str, str], path: Path) -> None:
    other = VAULT[::-1]
    make_root_key(other, config, bytes(32), not_reached)
    assert read_root_key(VAULT, config).wrap != read_root_key(other, config).wrap
    assert path.read_bytes() == KEY


def test_the_credential_of_the_unit_goes_before_the_file(
    config: dict[str, str], path: Path, tmp_path: Path
) -> None:
    (folder := tmp_path / "credentials").mkdir(mode=0o700)
    with_folder = config | {"CREDENTIALS_DIRECTORY": str(folder)}
    # a unit that was given other credentials only
    assert root_key_file(VAULT, with_folder) == path
    (credential := folder / CREDENTIAL).write_bytes(bytes(32))
    credential.chmod(0o400)
    assert root_key_file(VAULT, with_folder) == credential
    assert read_root_key(VAULT, with_folder).wrap != read_root_key(VAULT, config).wrap
    credential.chmod(0o444)
    assert str(credential) in said(with_folder)


def test_a_missing_one_is_named_and_not_made(config: dict[str, str]) -> None:
    text = said(config)
    assert f"{VAULT}.root-key is missing" in text
    assert "tbot restore-keys" in text
    assert not Path(config["XDG_CONFIG_HOME"]).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_looser_permissions_are_refused(config: dict[str, str], path: Path, mode: int) -> None:
    path.chmod(mode)
    assert f"{path} can be read or changed by others" in said(config)
    path.chmod(0o400)
    assert read_root_key(VAULT, config).wrap


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_change_is_refused(
    config: dict[str, str], path: Path, mode: int
) -> None:
    path.parent.chmod(mode)
    assert f"{path.parent} can be changed by others" in said(config)


def test_links_are_refused_of_the_file_and_of_its_folder(
    config: dict[str, str], path: Path, tmp_path: Path
) -> None:
    path.rename(elsewhere := tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert f"{path} is a link" in said(config)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert f"{path} is a link" in said(config)
    with pytest.raises(KeyFileError):
        make_root_key(VAULT, config, KEY, not_reached)
    assert not (tmp_path / "nowhere").exists()
    path.unlink()
    elsewhere.rename(path)
    path.parent.rename(moved := tmp_path / "moved")
    path.parent.symlink_to(moved)
    assert f"{path.parent} is a link" in said(config)


OTHER_THINGS: list[Callable[[Path], Any]] = [Path.mkdir, lambda path: os.mkfifo(path, 0o600)]


@pytest.mark.parametrize("make", OTHER_THINGS, ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    config: dict[str, str], path: Path, make: Callable[[Path], Any]
) -> None:
    path.unlink()
    make(path)
    assert f"{path} is no plain file" in said(config)


@pytest.mark.parametrize("content", [b"", KEY[:-1], KEY + b"\n", KEY * 100])
def test_another_length_is_no_key(config: dict[str, str], path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "bytes instead of 32" in said(config)
    assert path.read_bytes() == content


def test_another_owner_is_refused(
    config: dict[str, str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert "belongs to another user" in said(config)


def test_no_room_for_it_is_said_and_leaves_nothing(config: dict[str, str], tmp_path: Path) -> None:
    Path(config["XDG_CONFIG_HOME"]).write_text("a file where the folder should be")
    with pytest.raises(KeyFileError, match=r"cannot be written to .*Nothing was started"):
        make_root_key(VAULT, config, KEY, not_reached)
    assert len(list(tmp_path.rglob("*"))) == 1
