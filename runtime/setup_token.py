"""The one-time token that opens the set-up pages: whoever can read the owner's files may set up.

A new one with every start of the pages; exchanged once for a set-up session; gone when it is used
and when the first admin is registered.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from config.paths import DataFolder
from exporters.files import write_atomically

LONGEST = 128  # characters of a token that somebody sends


def new_token(folder: DataFolder, fresh: Callable[[], str] = secrets.token_urlsafe) -> str:
    """Write a new token, 0600; an older one is worth nothing from now on. Raises ExportError."""
    token = fresh()
    write_atomically(folder.setup_token, f"{token}\n".encode())
    return token


def use_token(folder: DataFolder, offered: str) -> bool:
    """Whether ``offered`` is the token. It holds once: the right one is removed."""
    try:
        kept = folder.setup_token.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return False
    if not kept or not hmac.compare_digest(_digest(kept), _digest(offered[:LONGEST])):
        return False
    try:
        folder.setup_token.unlink()
    except FileNotFoundError:
        return False  # another request was first with it
    return True


def drop_token(folder: DataFolder) -> None:
    folder.setup_token.unlink(missing_ok=True)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
