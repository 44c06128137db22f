"""The vault: generations of secrets, and the one link that says which of them is in force.

    VAULT               the vault's number, random, not secret: names its root key
    gen/NNNNNN/         a generation; the one in force and the one before stay
    gen/NNNNNN.age      every generation, for the recovery key
    CURRENT             link to the generation in force
    keys, secrets       fixed links through CURRENT

A change of the link is one rename. Which generation is committed is not decided here but by the
store: it is the key epoch of its newest event. ``recover`` makes the link follow. The root keys lie
elsewhere (security.root_keys).
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from security.archive import DATA_KEYS_END, archive_files, check_recipient, write_archives
from security.data_keys import DataKey
from security.durable import Reach, put_whole, sync_folder
from security.generation import Generation, VaultDamaged, read_generation, write_generation
from security.keyfile import KeyFileError
from security.locking import LONGEST_WAIT_S, POLL_S, try_lock
from security.root_key import RootKey, RootKeyFault, make_root_key
from security.root_keys import NewRootKey, RootKeys
from security.secret_names import DATA_KEYS, RECOVERY
from security.vault_keys import read_history, write_history

READS = 1000  # times that a reader may find its generation gone: two rotations during each read
_LINK = re.compile(r"gen/(\d{6,})", re.ASCII)
_GENERATION = re.compile(r"(\d{6,})(?:\.|\Z)", re.ASCII)
_NUMBER = re.compile(r"[0-9a-f]{32}", re.ASCII)
FIXED_LINKS = ("keys", "secrets")


class Vault:
    """The vault of one data folder's ``storage``. Every call reads what is on disk now."""

    def __init__(self, storage: Path, number: str, roots: RootKeys, reach: Reach) -> None:
        self.storage, self.number, self.roots = storage, number, roots
        self.gen, self.current = storage / "gen", storage / "CURRENT"
        self._reach = reach
        self._read: Generation | None = None

    @classmethod
    def open(cls, storage: Path, environment: Mapping[str, str], reach: Reach) -> Vault:
        """Raises KeyFileError: no vault is here. Its root key is looked up when it is read."""
        path = storage / "VAULT"
        try:
            number = path.read_bytes().decode("ascii", "replace").strip()
        except FileNotFoundError:
            raise KeyFileError(f"{path} is missing: nothing is provisioned here.") from None
        if not _NUMBER.fullmatch(number):
            raise VaultDamaged(path, "does not hold the number of a vault")
        return cls(storage, number, RootKeys(number, environment), reach)

    @classmethod
    def make(
        cls, storage: Path, environment: Mapping[str, str], fresh: Callable[[int], bytes],
        reach: Reach,
    ) -> Vault:  # fmt: skip
        """The vault without a generation yet: its number and its root key, those that are there."""
        path = storage / "VAULT"
        if not path.exists():
            put_whole(path, f"{fresh(16).hex()}\n".encode(), reach)
        number = path.read_text("ascii").strip()
        make_root_key(number, environment, fresh(32), reach)
        vault = cls.open(storage, environment, reach)
        vault.gen.mkdir(mode=0o700, exist_ok=True)
        sync_folder(storage, reach)
        return vault

    # -- reading ---------------------------------------------------------------------------------

    def in_force(self) -> Generation:
        """The generation that the link names, whole. Needs no lock.

        A reader that was overtaken by two rotations finds its folder gone, and follows the link
        again; so does one whose root key was retired with it. Raises VaultDamaged, RootKeyFault.
        """
        for _ in range(READS):
            number = self.linked()
            found = self._read  # the one for this call: other threads share the field
            if found is not None and found.number == number:
                return found
            try:
                found = self._read = self.read(number)
            except FileNotFoundError as e:
                if self.linked() == number:
                    raise VaultDamaged(Path(e.filename), "is missing") from None
                continue
            except RootKeyFault:
                if self.linked() == number:
                    raise
                continue
            return found
        raise KeyFileError("The keys change faster than they can be read; try again.")

    def read(self, number: int) -> Generation:
        return read_generation(self._folder(number), self.number, number, self.roots.of)

    def linked(self) -> int:
        """The number of the generation in force; 0 before the first. Raises VaultDamaged."""
        try:
            found = _LINK.fullmatch(str(self.current.readlink()))
        except FileNotFoundError:
            return 0
        except OSError:
            found = None
        if found is None:
            raise VaultDamaged(self.current, "is not the link to a generation")
        return int(found[1])

    def _folder(self, number: int) -> Path:
        return self.gen / f"{number:06d}"

    # -- changing: only under the lock -----------------------------------------------------------

    def follow(self, committed: Callable[[], int]) -> None:
        """Wait until the committed generation is in force, or put it in force.

        The link is looked at between tries for the lock: who holds it may wait for the caller.
        """
        end = time.monotonic() + LONGEST_WAIT_S
        while self.linked() < committed():
            if (handle := try_lock(self.storage)) is not None:
                try:
                    self.recover(committed())
                finally:
                    os.close(handle)
            elif time.monotonic() > end:
                raise KeyFileError("The keys of the newest events are not in force yet; try again.")
            else:
                time.sleep(POLL_S)

    def recover(self, committed: int) -> None:
        """Drop what was not committed, put in force what was, and tidy up behind it."""
        in_force = self.linked()
        if in_force > committed:
            raise KeyFileError(
                f"Generation {in_force} of the keys is in force, but the newest event in "
                f"{self.storage / 'events.db'} was written under generation {committed}: the "
                "store is older than the keys. Nothing was changed; restore storage/ as a whole "
                "from one backup."
            )
        try:
            there = self._there()
            for number in {number for number, _ in there if number > committed}:
                self.drop(number)
            if in_force < committed:
                self.read(committed)
                self._flip(committed)
            if committed:
                self._fix_links()
        except FileNotFoundError as e:
            raise VaultDamaged(Path(e.filename), "is missing") from None
        except OSError as e:
            raise KeyFileError(
                f"Generation {committed} of the keys is recorded, but {self.storage} could not be "
                f"put in order after it ({e.strerror}). Nothing is lost: make room on the disk, "
                "and it is done at the next start."
            ) from None
        # what cannot be tidied up now is so after the next rotation
        with suppress(OSError, KeyFileError):
            self._retire(committed, there)
            if len(self.roots.files()) > 1:  # which is seldom so
                whole = [self._folder(n) for n, name in self._there() if "." not in name]
                self.roots.retire(self._folder(committed), whole, self._reach)

    def prepare(
        self,
        number: int,
        contents: Mapping[str, bytes],
        fresh: Callable[[int], bytes],
        *,
        previous: str,
        root: RootKey | None = None,
    ) -> Generation:
        """A new generation beside the one in force, on disk, read back and archived.

        A data key of its own is added to ``contents``; ``previous`` is the hash of the manifest
        before; ``root`` wraps it, else what wraps the one in force. A new root key goes to disk
        last: one that lies there uncommitted is named by the manifest of its generation. Raises
        KeyFileError (no room on the disk): then nothing is left of it and nothing was changed.
        """
        root = root or (self.in_force().root if self.linked() else self.roots.newest())
        own = DataKey(fresh(64), fresh(32))
        history = read_history(contents.get(DATA_KEYS, b"")) | {number: own}
        recipient = check_recipient(contents[RECOVERY].decode())
        try:
            made = write_generation(
                self._folder(number),
                {**contents, DATA_KEYS: write_history(history)},
                vault=self.number,
                number=number,
                previous=previous,
                root=root,
                fresh=fresh,
                reach=self._reach,
            )
            write_archives(made, recipient, own, self._reach)
            if isinstance(root, NewRootKey):
                root.put(self._reach)
        except KeyFileError:
            self._give_up(number)
            raise
        except OSError as e:
            self._give_up(number)
            raise KeyFileError(
                f"The new keys could not be written to {self.gen} ({e.strerror}). Nothing was "
                f"changed; generation {number - 1} stays in force. Make room on the disk, then "
                "ask again."
            ) from None
        return made

    def _give_up(self, number: int) -> None:
        with suppress(OSError, KeyFileError):
            self.drop(number)

    def _flip(self, number: int) -> None:
        """Put a generation in force: one rename, so that a reader sees the old one or the new."""
        reach = self._reach
        self._link(self.current, f"gen/{number:06d}")
        reach("vault.flip.replaced")
        sync_folder(self.storage, reach)

    def _link(self, path: Path, target: str) -> None:
        reach = self._reach
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        reach("vault.link.made")
        new.replace(path)

    def _fix_links(self) -> None:
        for name in FIXED_LINKS:
            path, target = self.storage / name, f"CURRENT/{name}"
            if path.is_symlink() and str(path.readlink()) == target:
                continue
            if path.exists() and not path.is_symlink():
                raise VaultDamaged(path, f"is not the link to {target}")
            self._link(path, target)

    def drop(self, number: int) -> None:
        """Remove a generation that was not committed. Its keys are never used again."""
        reach = self._reach
        for archive in archive_files(self.gen, number):
            archive.unlink(missing_ok=True)
        if self._folder(number).exists():
            # first: without its manifest nobody could tell the root key that was made for it
            self.roots.drop(number, self._folder(number), reach)
            shutil.rmtree(self._folder(number))
        reach("vault.generation.dropped")

    def _retire(self, committed: int, there: list[tuple[int, str]]) -> None:
        """Of older generations only what the recovery key opens stays; the last one stays whole."""
        reach = self._reach
        for number, name in there:
            older = number < committed - 1
            if older and name.endswith(DATA_KEYS_END):
                (self.gen / name).unlink()
            elif older and "." not in name and archive_files(self.gen, number)[0].exists():
                shutil.rmtree(self.gen / name)
                reach("vault.generation.retired")

    def _there(self) -> list[tuple[int, str]]:
        """What is on disk of every generation: (number, name in the folder)."""
        with os.scandir(self.gen) as found:  # thousands: a Path for each would take long
            named = [(int(m[1]), e.name) for e in found if (m := _GENERATION.match(e.name))]
        return sorted(named)
