"""The recovery key: an age identity (age-encryption.org/v1, X25519) that a person keeps.

The vault keeps only its recipient, to which it encrypts what must outlive this machine.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pyrage import IdentityError, x25519

_IDENTITY = re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{20,100}")


class RecoveryKey(NamedTuple):
    """``identity`` is the secret (AGE-SECRET-KEY-1…), ``recipient`` is public (age1…)."""

    identity: str
    recipient: str

    def __repr__(self) -> str:
        return f"RecoveryKey({self.recipient})"


def new_recovery_key() -> RecoveryKey:
    made = x25519.Identity.generate()
    return RecoveryKey(str(made), str(made.to_public()))


def recipient_of(text: str) -> str:
    """The recipient of the first identity in a text, such as a kept file; empty without one."""
    found = _IDENTITY.search(text)
    if found is None:
        return ""
    try:
        return str(x25519.Identity.from_str(found.group()).to_public())
    except IdentityError:
        return ""


def kept_file(key: RecoveryKey, bot: str) -> str:
    """The file that a person keeps; `age-keygen -y` and `age -d -i` read it as it is."""
    return (
        f"# TradeBot, bot {bot}: the recovery key. Keep it off this machine and secret.\n"
        "# It opens the bot's older generations and backups. Nobody can make it again.\n"
        f"# public key: {key.recipient}\n"
        f"{key.identity}\n"
    )
