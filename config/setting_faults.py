"""The words for a setting that cannot be used: one line each, and never a secret in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from config.setting_forms import did_you_mean
from config.setting_keys import Key

SHOWN = 60  # characters of a value that a message quotes
# Looks like a name that somebody chose; a run of letters and digits may be part of a secret.
_NAME = re.compile(r"[A-Z][A-Z0-9]{0,11}|(?=\w{,64}$)[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", re.ASCII)


def unusable(name: str, key: Key, text: str, why: str) -> str:
    shown = "***" if key.secret else _quoted(text)
    return f"{name} = {shown}: {why}; allowed: {key.form.allowed} ({key.help})"


def beside(key: Key, text: str, why: str) -> str:
    """As ``unusable``, for the place beside the field that shows the text already."""
    # non-ASCII is told as its code: a look-alike shows in no other way
    shown = "" if key.secret or text.isascii() else f"{_quoted(text)}: "
    return f"{shown}{why}; allowed: {key.form.allowed}"


def missing(name: str, key: Key) -> str:
    return f"{name}: missing; allowed: {key.form.allowed} ({key.help})"


def unknown(name: str, known: Collection[str]) -> str:
    """A key that does not exist. Its value is not quoted: it may be a secret under a wrong name."""
    if name.startswith("HOLDINGS_"):
        hint = "; securities and percentages are in the holdings plan, not among the settings"
    else:
        hint = did_you_mean(name, known)
    if _NAME.fullmatch(name):
        return f"{name}: no such setting{hint}"
    if hint:
        return f"{_quoted(name)}: no such setting{_odd_character(name)}{hint}"
    # such as the second line of a secret that was pasted with its line breaks
    return "what stands there is not the name of a setting, and not shown: it may be a secret"


def _odd_character(name: str) -> str:
    odd = next((c for c in name if not c.isascii()), None)
    if odd is None:
        return ""
    return f", it holds U+{ord(odd):04X} {unicodedata.name(odd, 'a character without a name')}"


def _quoted(text: str) -> str:
    """ASCII only, so that a look-alike shows as what it is."""
    return ascii(text) if len(text) <= SHOWN else f"{text[:SHOWN]!a}… ({len(text)} characters)"
