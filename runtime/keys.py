"""Which keys a data folder's payloads are read with, and which generation of them is committed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing

from config.failpoints import reach
from config.paths import DataFolder
from eventstore.feed import Feed
from runtime.bot_state import is_open
from security.data_keys import DataKey, KeyRing
from security.keyfile import KeyFileError, read_key
from security.vault import Vault
from security.vault_keys import data_keys_of


def key_ring(folder: DataFolder) -> KeyRing:
    """The keys that are here: those of the vault, else the blind key's file, else none.

    Raises KeyFileError: the root key or a file of the vault cannot be used.
    """
    if folder.vault.exists():
        vault = open_vault(folder)
        return vault_ring(folder, vault)
    # No vault: a demo, or a store from before there was one. Its payloads lie in clear.
    if folder.blind_key.exists():
        return KeyRing.plain(read_key(folder.blind_key))
    return KeyRing({})


def keys_at_hand(folder: DataFolder) -> KeyRing:
    """The same, and none where they cannot be used: a chain is verified without any."""
    try:
        return key_ring(folder)
    except KeyFileError:
        return KeyRing({})


def open_vault(folder: DataFolder) -> Vault:
    """Raises KeyFileError: no vault, or its root key cannot be used."""
    return Vault.open(folder.storage, os.environ, reach)


def vault_ring(folder: DataFolder, vault: Vault) -> KeyRing:
    """The data keys of a vault; they are read anew when an event names an epoch not known yet."""
    seen = 0

    def load() -> Mapping[int, DataKey]:
        nonlocal seen
        vault.follow(lambda: committed_generation(folder))
        if vault.linked() in (0, seen):
            return {}
        generation = vault.in_force()
        seen = generation.number
        return data_keys_of(generation)

    return KeyRing(load(), load)


def committed_generation(folder: DataFolder) -> int:
    """The generation that the history is in: the key epoch of its newest event, 0 without one."""
    if not is_open(folder):
        return 0
    with closing(Feed(folder.events)) as feed:
        return feed.head().key_epoch
