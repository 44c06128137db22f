"""Known secrets are taken out of whatever is logged, in every way that they may be written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, quote_plus

from aggregates.errors import TradeBotError
from config.errors import ConfigError
from config.paths import DataFolder
from config.setting_model import KEYS
from runtime.credentials import SECRET, read_credentials
from runtime.keys import open_vault
from runtime.settings_files import texts_of_secrets
from security.generation import Generation
from security.keyfile import KeyFileError
from security.secret_names import FINGERPRINT_KEY, SIGNING_KEY
from security.vault import Vault
from security.vault_keys import data_keys_of

PLACE = "(secret)"
# Shorter ones hide nothing: to take every "7" out of a log would tell the secret, not keep it.
LEAST = 4


class KnownValues:
    """Given texts and keys. Looking for them costs the same however many they are."""

    def __init__(self, values: Iterable[str | bytes] = ()) -> None:
        self._by_head: dict[str, list[str]] = {}
        forms = {form for value in values for form in _forms(value) if len(form) >= LEAST}
        # the longest first: one secret may begin with another
        for form in sorted(forms, key=lambda form: (-len(form), form)):
            self._by_head.setdefault(form[:LEAST], []).append(form)

    def hide(self, text: str) -> str:
        """The text with every known secret replaced."""
        if not self._by_head:
            return text
        kept, start, at = [], 0, 0
        while at <= len(text) - LEAST:
            candidates = self._by_head.get(text[at : at + LEAST], ())
            found = next((form for form in candidates if text.startswith(form, at)), "")
            if found:
                kept += [text[start:at], PLACE]
                start = at + len(found)
            at += len(found) or 1
        return "".join((*kept, text[start:]))


class Known(Protocol):
    """What knows secrets."""

    def now(self) -> KnownValues:
        """Those known at this moment. Never raises."""


class NothingKnown:
    """Before there is a vault, and in demos, which have none."""

    def now(self) -> KnownValues:
        return _NONE


_NONE = KnownValues()


class VaultValues:
    """Everything that the vault of a folder holds, also after it was changed by other processes.

    What was secret before a change stays hidden as long as this process runs.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._vault: Vault | None = None
        self._seen = 0
        self._values: set[str | bytes] = set()
        self._known = _NONE

    def now(self) -> KnownValues:
        # damaged, or being changed: who needs it says so; here the last known ones hold
        with suppress(KeyFileError, TradeBotError, ConfigError, OSError):
            self._follow()
        return self._known

    def _follow(self) -> None:
        if self._vault is None:
            if not self._folder.vault.exists():
                return
            self._vault = open_vault(self._folder)
        if self._vault.linked() == self._seen:
            return
        generation = self._vault.in_force()
        self._values |= set(values_of(generation))
        self._seen, self._known = generation.number, KnownValues(self._values)


def values_of(generation: Generation) -> Iterator[str | bytes]:
    """The secrets of one generation: settings, what proves people, and keys."""
    texts = texts_of_secrets(generation.secret)
    yield from (text for name, text in texts.items() if KEYS[name].secret)
    people = read_credentials(generation.secret(SECRET))
    if people is not None:
        yield people.pepper
        for proofs in people.people.values():
            yield from (proofs.password, proofs.totp, *proofs.recovery)
    yield from (generation.secret(name) for name in (SIGNING_KEY, FINGERPRINT_KEY))
    yield generation.root.wrap
    with suppress(OSError):
        yield Path(generation.root.where).read_bytes()
    yield from (generation.key(name) for name in generation.names)
    for key in data_keys_of(generation).values():
        yield from (key.siv, key.blind)


def _forms(value: str | bytes) -> Iterator[str]:
    """A secret as it is, and as it would be written by programs that escape or encode it."""
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not raw:
        return
    if isinstance(value, str):
        yield value
        yield from (quote(raw), quote(raw, safe=""), quote_plus(raw))
        yield from (json.dumps(value)[1:-1], repr(value)[1:-1])
    else:
        yield repr(value)[2:-1]
    yield raw.hex()
    yield raw.hex().upper()
    plain = base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b32encode(raw)
    yield from (text.decode().rstrip("=") for text in plain)
