"""The key file: made once, durably, for its owner alone, and never shown."""

import os
import stat
from pathlib import Path

import pytest

from security.keyfile import KEY_BYTES, KeyFileError, random_key, read_key, read_or_create_key

KEY = bytes(range(32))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "storage" / "keys" / "blind.key"
    assert read_or_create_key(path, KEY) == KEY
    assert read_or_create_key(path, b"z" * 32) == KEY  # the first key stays
    assert read_key(path) == KEY
    assert mode(path) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["blind.key"]


def test_it_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_create_key(tmp_path / "blind.key", KEY)
    finally:
        os.umask(before)
    assert mode(tmp_path / "blind.key") == 0o600


def test_what_an_interrupted_start_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "blind.partial").write_bytes(b"half")
    assert read_or_create_key(tmp_path / "blind.key", KEY) == KEY
    assert not (tmp_path / "blind.partial").exists()


@pytest.mark.parametrize("loose", [0o604, 0o640, 0o660, 0o666, 0o700 | 0o001])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, loose: int) -> None:
    path = tmp_path / "blind.key"
    path.write_bytes(KEY)
    path.chmod(loose)
    for read in (lambda: read_key(path), lambda: read_or_create_key(path, KEY)):
        with pytest.raises(KeyFileError, match="chmod 600"):
            read()
    assert path.read_bytes() == KEY


def test_a_link_is_refused_also_one_that_leads_nowhere(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    path = tmp_path / "blind.key"
    path.symlink_to(target)
    with pytest.raises(KeyFileError, match="is a link"):
        read_or_create_key(path, KEY)
    assert not target.exists()
    target.write_bytes(KEY)
    target.chmod(0o600)
    with pytest.raises(KeyFileError, match="is a link"):
        read_key(path)


@pytest.mark.parametrize("content", [b"", KEY[:-1], KEY + b"\n"])
def test_a_key_of_another_length_is_not_a_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "blind.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=f"holds {len(content)} bytes instead of 32") as told:
        read_or_create_key(path, KEY)
    assert path.read_bytes() == content  # a damaged key is never replaced by a new one
    assert repr(content)[2:-1] not in str(told.value) or not content


def test_a_missing_key_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"is missing.*restore it"):
        read_key(tmp_path / "blind.key")
    assert not list(tmp_path.iterdir())


def test_random_keys_differ_and_have_the_right_length() -> None:
    keys = {random_key() for _ in range(4)}
    assert len(keys) == 4
    assert {len(k) for k in keys} == {KEY_BYTES}
