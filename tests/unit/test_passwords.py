"""Passwords and second factors, against bcrypt itself and the RFC's own figures."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import bcrypt
import pytest

from security import passwords, totp

PEPPER = bytes(range(32))
COST = 4


def test_the_kept_text_is_bcrypt_over_a_keyed_hash() -> None:
    kept = passwords.hash_password(PEPPER, "lantern orchid", COST)
    keyed = base64.b64encode(hmac.digest(PEPPER, b"lantern orchid", hashlib.sha256))
    assert bcrypt.checkpw(keyed, kept.encode())
    assert kept.startswith("$2b$04$")
    assert passwords.COST == 12


def test_every_character_counts_and_another_key_opens_nothing() -> None:
    long = "x" * 100
    kept = passwords.hash_password(PEPPER, long, COST)
    assert passwords.matches(PEPPER, long, kept)
    assert not passwords.matches(PEPPER, long[:-1], kept)  # bcrypt alone would stop at 72
    assert not passwords.matches(bytes(32), long, kept)
    with_null = passwords.hash_password(PEPPER, "a\0b", COST)
    assert not passwords.matches(PEPPER, "a\0c", with_null)
    assert not passwords.matches(
        PEPPER, "x" * 300, passwords.hash_password(PEPPER, "x" * 256, COST)
    )


def test_a_letter_typed_in_another_form_is_the_same_letter() -> None:
    kept = passwords.hash_password(PEPPER, "caf\u00e9 lantern", COST)
    assert passwords.matches(PEPPER, "cafe\u0301 lantern", kept)


def test_where_nothing_is_kept_nothing_matches_and_bcrypt_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []
    real = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda p, k: (asked.append(k), real(p, k))[1])
    assert not passwords.matches(PEPPER, "lantern", "", COST)
    assert asked[0].startswith(b"$2b$04$")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "P@ssw0rd2024!", "qwertyuiop12", "123456789012", "aaaaaaaaaaaa",
        "abcabcabcabc", "iloveyou!!!!!!", "letmeinletmein", "1qaz2wsx3edc", "dragonmonkey12",
        "ADMIN-admin-2026", "ｐａｓｓｗｏｒｄ1234", "poiuytrewq00",
    ],
)  # fmt: skip
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert "first passwords" in passwords.password_fault(password, name="ann", least=8)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery staple", "zq7 harbour lantern", "kzvq8wmx2pl4", "öäü ßßñ łøđ æœ"],
)
def test_what_is_hard_to_guess_is_taken_whatever_its_characters(password: str) -> None:
    assert passwords.password_fault(password, name="ann", least=12) == ""


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "at least 12"), ("", "at least 12"), ("lantern " * 40, "at most 256"),
        ("lantern\0orchid walnut", "control"), ("lantern\norchid walnut", "control"),
        ("orchid ANN-lee walnut", "user name"), ("orchid Ａnn-lee walnut", "user name"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_password_is_said(password: str, said: str) -> None:
    assert said in passwords.password_fault(password, name="ann-lee", least=12)


# RFC 6238, appendix B: SHA-1, the secret "12345678901234567890"; eight digits, of which six here
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC = [
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"),
    (1234567890, "89005924"), (2000000000, "69279037"), (20000000000, "65353130"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "code"), RFC)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp.step_of(RFC_SECRET, code[2:], now) == seconds // 30


@pytest.mark.parametrize(("drift", "holds"), [(-30, True), (59, True), (-31, False), (60, False)])
def test_one_step_of_drift_is_taken_and_no_more(drift: int, holds: bool) -> None:
    now = datetime.fromtimestamp(1111111110 + drift, UTC)  # 1111111110 begins a step
    assert (totp.step_of(RFC_SECRET, "050471", now) is not None) == holds


@pytest.mark.parametrize("code", ["", "05047", "0504711", "05047a", "٠٥٠٤٧١", "050 71", "\0"])
def test_what_is_no_code_never_holds(code: str) -> None:
    assert totp.step_of(RFC_SECRET, code, datetime.fromtimestamp(1111111111, UTC)) is None


def test_the_picture_is_plain_svg_without_style_or_script() -> None:
    address = totp.address(RFC_SECRET, "ann", "TradeBot ACME")
    assert address.startswith("otpauth://totp/TradeBot%20ACME:ann?secret=")
    svg = totp.picture(address)
    found = {element.tag for element in ElementTree.fromstring(svg).iter()}  # noqa: S314
    assert found == {"svg", "title", "g", "path"}
    assert not re.search(r"style|script|on\w+=", svg)


def test_recovery_codes_differ_and_are_kept_as_keyed_hashes_however_typed() -> None:
    fed = iter(range(100))
    codes = totp.recovery_codes(lambda n: bytes([next(fed)]) * n)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", code) for code in codes)
    typed = codes[3].upper().replace("-", " ")
    assert totp.recovery_hash(PEPPER, typed) == totp.recovery_hash(PEPPER, codes[3])
    assert totp.recovery_hash(bytes(32), codes[3]) != totp.recovery_hash(PEPPER, codes[3])
