"""The keys made anew with the recovery key: the root key is lost, or a file of the vault damaged.

What the archives of the committed generation hold is put under new keys, as a rotation like any
other: with an event, and under the root key that it had, if that is here, or else a new one.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from aggregates.keys import STREAM, KeysRotated
from config.clock import Clock
from config.failpoints import reach
from config.paths import DataFolder
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from runtime.custody import Custody, Fresh
from runtime.keys import committed_generation
from security.archive import recovered
from security.data_keys import KeyRing, MissingKey
from security.durable import put_whole
from security.keyfile import KeyFileError
from security.locking import locked
from security.secret_names import DATA_KEYS
from security.vault import Vault
from security.vault_keys import read_history


def restore_keys(
    folder: DataFolder, clock: Clock, identity: str, fresh: Fresh = os.urandom
) -> tuple[int, Path]:
    """Rotate out of the archives; the new generation, and where its root key lies.

    ``identity`` is the recovery key ("AGE-SECRET-KEY-1…"). Raises KeyFileError (another recovery
    key, an archive that is missing or damaged), StoreUnreadable: then nothing was changed.
    """
    if not (number := committed_generation(folder)):
        raise KeyFileError(f"{folder.root}: nothing is provisioned here, so nothing to restore.")
    with locked(folder.storage):
        number = committed_generation(folder)
        found = recovered(folder.storage / "gen", number, identity)
        keys = KeyRing(read_history(found.contents[DATA_KEYS]))
        _check_told(folder, keys, number, found.manifest_hash)
        if not folder.vault.exists():
            put_whole(folder.vault, f"{found.vault}\n".encode(), reach)
        vault = Vault.open(folder.storage, os.environ, reach)
        if vault.number != found.vault:
            raise KeyFileError(
                f"The archives in {folder.storage / 'gen'} are of vault {found.vault}, and "
                f"{folder.vault} names {vault.number}. Nothing was changed; restore storage/ as a "
                "whole from one backup."
            )
        if not vault.current.is_symlink():
            vault.current.unlink(missing_ok=True)
        vault.drop(number + 1)
        root = vault.roots.instead_of(found.root_key, number + 1, fresh)
        with closing(Custody(folder, clock, vault, fresh, keys)) as custody:
            made = vault.prepare(
                number + 1, found.contents, fresh, previous=found.manifest_hash, root=root
            )
            dispatch = custody.dispatcher("recovery")
            custody.put_in_force(made, dispatch, (), f"restore-keys:{number + 1}")
    return number + 1, Path(root.where)


def _check_told(folder: DataFolder, keys: KeyRing, number: int, manifest_hash: str) -> None:
    """The archives must be those of the history: anybody can encrypt to a recovery recipient.

    Whoever has no data key can neither write the event that names a manifest nor open it.
    """
    told = ""
    try:
        with closing(Feed(folder.events, keys)) as feed:
            for row in reversed(feed.stream(STREAM)):
                event = feed.event(row)
                if isinstance(event, KeysRotated):
                    told = event.manifest_hash if event.generation == number else ""
                    break
    except (UnknownEvent, MissingKey):
        told = ""
    if told != manifest_hash:
        raise KeyFileError(
            f"The archives of generation {number} in {folder.storage / 'gen'} are not those that "
            "the history tells of. Nothing was changed; get them from a backup."
        )
