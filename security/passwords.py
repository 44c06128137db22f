"""Passwords: bcrypt over a keyed hash, and the rules a new one must follow (M28).

bcrypt reads 72 bytes and stops at a null byte, so it is given the HMAC-SHA256 of the password under
a key of the vault, as base64 (44 characters): every character counts, and a stolen hash cannot be
tried without the vault's key. A password is compared in its NFKC form (NIST SP 800-63B, 5.1.1.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata

import bcrypt

from security.common_passwords import WORDS

COST = 12
LONGEST = 256  # characters; more is no password but a load
PEPPER_BYTES = 32
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop",
    "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)  # fmt: skip
_RUNS = _ROWS + tuple(row[::-1] for row in _ROWS)
_LEET = str.maketrans("@40135$7!", "aaoiessti")


def hash_password(pepper: bytes, password: str, cost: int = COST) -> str:
    """The text to keep. Takes one bcrypt, about a quarter of a second at cost 12."""
    return bcrypt.hashpw(_keyed(pepper, password), bcrypt.gensalt(cost)).decode()


def matches(pepper: bytes, password: str, kept: str, cost: int = COST) -> bool:
    """Whether it is the password of ``kept``. Takes one bcrypt, also when nothing is kept.

    Who has no account, or no password yet, is answered no sooner than who has.
    """
    dummy = f"$2b${cost:02}${'.' * 53}"
    found = bcrypt.checkpw(_keyed(pepper, password), (kept or dummy).encode())
    return found and bool(kept)


def _keyed(pepper: bytes, password: str) -> bytes:
    text = unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode()
    return base64.b64encode(hmac.new(pepper, text, hashlib.sha256).digest())


def password_fault(password: str, *, name: str, least: int) -> str:
    """What is wrong with a new password, or nothing. Length counts, not kinds of characters."""
    if len(password) < least:
        return f"A password has at least {least} characters; four unrelated words are a good one"
    if len(password) > LONGEST:
        return f"A password has at most {LONGEST} characters"
    if any(unicodedata.category(c).startswith("C") for c in password):
        return "A password has no control characters"
    if name and name.casefold() in unicodedata.normalize("NFKC", password).casefold():
        return "A password must not hold the user name"
    if too_common(password):
        return "That is one of the first passwords that are tried; choose unrelated words"
    return ""


def too_common(password: str) -> bool:
    """Whether little is left of it but a common word or two, rows of keys, digits, repetition."""
    text = unicodedata.normalize("NFKC", password).casefold()
    return any(_unguessed(form) < 4 for form in (text, text.translate(_LEET)))


def _unguessed(text: str) -> int:
    """How many letters are in no common part; each common word from the third on counts two."""
    place, letters, met, more = 0, "", set(), 0
    while place < len(text):
        part = _common_part(text, place)
        if part and part not in met:
            met.add(part)
            more += 2 * (len(met) > 2)
        if not part and text[place].isalpha():
            letters += text[place]
        place += len(part) or 1
    return len(set(letters)) + more


def _common_part(text: str, place: int) -> str:
    """The longest common word or row of keys (four or more) that begins there, or nothing."""
    for length in range(min(len(text) - place, 36), 2, -1):
        part = text[place : place + length]
        if part in WORDS or (length >= 4 and any(part in run for run in _RUNS)):
            return part
    return ""
