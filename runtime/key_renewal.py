"""All keys renewed because somebody wants it, with or without the root key that wraps them."""

from __future__ import annotations

from aggregates.keys import RenewKeys
from runtime.custody import Custody
from runtime.dispatch import Recorded


def renew_keys(
    custody: Custody, *, root_key: bool, reason: str, actor: str, command_id: str
) -> Recorded:
    """One batch: why, and the rotation. ``root_key``: the new generation is under another one.

    The old root key stays until no generation on disk needs it: the next rotation removes it.
    Raises DomainError (no reason), KeyFileError (the new root key cannot be put in its place, or is
    handed over by systemd): then nothing was changed.
    """
    now = custody.clock.now()
    command = RenewKeys(at=now, effective_date=now.date(), root_key=root_key, reason=reason)
    return custody.change(command, actor=actor, command_id=command_id, new_root_key=root_key)
