"""What lies beside a store and knows how far its history went: a tail cut off is missed there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

from aggregates.errors import TradeBotError
from config.paths import DataFolder
from eventstore.checkpoint import read_checkpoint
from eventstore.feed import Feed
from projections.ledger import Ledger
from runtime.keys import committed_generation, open_vault
from security.keyfile import KeyFileError

CUT = "it was cut short, or an older copy was put back"


def cut_short(folder: DataFolder) -> str:
    """Why there must have been later events than the newest one; empty if nothing says so.

    Who can change the store can change these, too: only a checkpoint kept elsewhere is proof.
    """
    known = max(_known_ends(folder), default=(0, ""))
    with closing(Feed(folder.events)) as feed:  # looked at last: a running bot goes on meanwhile
        newest = feed.head().position
    if known[0] > newest:
        return f"{CUT}: {known[1]} knows event {known[0]:,}"
    return _keys_ahead(folder)


def _known_ends(folder: DataFolder) -> Iterator[tuple[int, str]]:
    for path in folder.ledger_files():
        with suppress(TradeBotError, OSError), closing(Ledger.read_only(path)) as books:
            yield books.tracked()[0], f"the ledger {path.name}"
    for path in folder.checkpoints.glob("*.checkpoint"):
        with suppress(TradeBotError, OSError):
            yield read_checkpoint(path).checkpoint.size, f"the checkpoint {path.name}"


def _keys_ahead(folder: DataFolder) -> str:
    with suppress(TradeBotError, KeyFileError, OSError):
        if folder.vault.exists():
            in_force = open_vault(folder).linked()
            committed = committed_generation(folder)
            if in_force > committed:
                return (
                    f"{CUT}: generation {in_force} of the keys is in force, and the newest event "
                    f"is of generation {committed}"
                )
    return ""
