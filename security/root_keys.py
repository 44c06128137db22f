"""All root keys of one vault: the one in use, and after a change of it the one before.

    NUMBER.root-key              the first
    NUMBER.NNNNNN.root-key       the one that was made for generation NNNNNN

Which of them wraps a generation its manifest tells, by a check value. So no file is ever renamed or
written anew, and which key is in use changes with the generation that is in force. Where systemd
hands one over as a credential, there is that one alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from security.durable import Reach, put_whole, sync_folder
from security.generation import root_key_of
from security.keyfile import KEY_BYTES, KeyFileError
from security.root_key import (
    END,
    RootKey,
    RootKeyFault,
    check_folder,
    config_folder,
    credential_of,
    read_key_file,
    root_key_file,
)


class WrongRootKey(RootKeyFault):
    """There are root keys, but not the one that a generation was made under."""


class NewRootKey(RootKey):
    """One that is not on disk before ``put``, which is called when its generation is."""

    def __init__(self, key: bytes, path: Path, vault: str) -> None:
        super().__init__(key, str(path))
        self._key, self._path, self._vault = key, path, vault

    def put(self, reach: Reach) -> None:
        """To disk, and read back. Raises KeyFileError."""
        try:
            put_whole(self._path, self._key, reach)
        except OSError as e:
            raise KeyFileError(
                f"The new root key cannot be written to {self._path} ({e.strerror}). Nothing was "
                "changed; the old one stays in use. Make the folder writable, with room, then ask "
                "again."
            ) from None
        found = read_key_file(self._path, credential=False)
        if found.check_value(self._vault) != self.check_value(self._vault):
            raise KeyFileError(
                f"{self._path} does not read as it was written. Nothing was changed; the old root "
                "key stays in use. Check the disk, then ask again."
            )
        self._key = b""
        reach("vault.root_key.written")


class RootKeys:
    """Looked up on disk when a generation is met whose key is not known yet."""

    def __init__(self, vault: str, environment: Mapping[str, str]) -> None:
        self.vault = vault
        self.credential = credential_of(environment)
        self._folder = config_folder(environment)
        self._first = root_key_file(vault, environment)
        self._known: dict[str, RootKey] = {}

    def of(self, check_value: str, manifest: Path) -> RootKey:
        """The key that a manifest names. Raises RootKeyFault: it is not here, or cannot be used."""
        if (found := self._known.get(check_value)) is not None:
            return found
        self._known, faults = self._read()
        if check_value in self._known:
            return self._known[check_value]
        if faults:
            raise faults[0]
        raise WrongRootKey(
            Path(self.newest().where),
            f"is not the root key that {manifest} was made under (vault {self.vault})",
            "put the right one there, under the name that it had: the file bears the vault's "
            "number. Without it, run `tbot restore-keys --recovery-key FILE`",
        )

    def newest(self) -> RootKey:
        """The key that was made last. Raises RootKeyFault."""
        return read_key_file(self._paths()[0], credential=self.credential is not None)

    def instead_of(self, check_value: str, number: int, fresh: Callable[[int], bytes]) -> RootKey:
        """What the keys are made anew under when they are restored: the right key, if it is here,
        else what the unit hands over, else a new one. Raises KeyFileError."""
        known, _ = self._read()
        if check_value in known:
            return known[check_value]
        return self.newest() if self.credential else self.new(number, fresh)

    def new(self, number: int, fresh: Callable[[int], bytes]) -> NewRootKey:
        """A key for generation ``number`` and those after it, not on disk yet.

        Raises KeyFileError: it could not be put there, or not be found there.
        """
        if self.credential is not None:
            raise KeyFileError(
                f"The root key is handed over by systemd ({self.credential}). Nothing was changed; "
                "replace it where the unit takes it from."
            )
        path = self.file(number)
        try:
            check_folder(path.parent, credential=False)
        except RootKeyFault as e:
            raise RootKeyFault(*e.parts, nothing="changed") from None
        if path.exists() or path.is_symlink():
            raise KeyFileError(
                f"{path} is there already: it may be the root key of another copy of this data "
                "folder. Nothing was changed; if no copy needs it, move it away, then ask again."
            )
        return NewRootKey(fresh(KEY_BYTES), path, self.vault)

    def drop(self, number: int, generation: Path, reach: Reach) -> None:
        """Remove the key that was made for a generation that was not committed, and no other."""
        path = self.file(number)
        path.with_name(f"{path.name}.partial").unlink(missing_ok=True)
        if path.is_file() and self._check_value(path) == root_key_of(generation):
            path.unlink()
            sync_folder(path.parent, reach)
            reach("vault.root_key.dropped")

    def retire(self, in_force: Path, generations: list[Path], reach: Reach) -> None:
        """Remove keys from before the one in use that none of the generations is wrapped under."""
        needed = {root_key_of(each) for each in generations}
        in_use = root_key_of(in_force)
        checks = {n: self._check_value(path) for n, path in self.files().items()}
        since = next((n for n, check in checks.items() if check == in_use), 0)
        for number, check in checks.items():
            if number < since and check and check not in needed and "" not in needed:
                self.file(number).unlink()
                reach("vault.root_key.retired")
                sync_folder(self._folder, reach)

    def file(self, number: int) -> Path:
        """Where the key lies that was made for a generation; 0 for the first."""
        return self._folder / f"{self.vault}{f'.{number:06d}' if number else ''}{END}"

    def files(self) -> dict[int, Path]:
        """Every key's file in the user's folder, the newest first; none beside a credential."""
        if self.credential is not None or not self._folder.is_dir():
            return {}
        name = re.compile(rf"{self.vault}(?:\.(\d{{6}}))?{re.escape(END)}", re.ASCII)
        found = {int(m[1] or 0): p for p in self._folder.iterdir() if (m := name.fullmatch(p.name))}
        return dict(sorted(found.items(), reverse=True))

    def _paths(self) -> list[Path]:
        return list(self.files().values()) or [self._first]

    def _check_value(self, path: Path) -> str | None:
        """None: the file cannot be read as a key, so whose it is nobody can say, and it stays."""
        try:
            return read_key_file(path, credential=False).check_value(self.vault)
        except RootKeyFault:
            return None

    def _read(self) -> tuple[dict[str, RootKey], list[RootKeyFault]]:
        """All that can be used, by check value, and what is wrong with the others."""
        found, faults = dict[str, RootKey](), list[RootKeyFault]()
        for path in self._paths():
            try:
                key = read_key_file(path, credential=self.credential is not None)
                found[key.check_value(self.vault)] = key
            except RootKeyFault as e:
                faults.append(e)
        return found, faults
