"""A second factor: one-time codes by time (TOTP, RFC 6238), and codes for a lost phone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from collections.abc import Callable
from datetime import datetime

import pyotp
import segno

STEP_S = 30
SECRET_BYTES = 20  # as long as the SHA-1 of the RFC
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits: not to be guessed, so a plain keyed hash keeps them


def new_secret(random: Callable[[int], bytes]) -> str:
    """A secret as base32 text, which is how apps take it."""
    return base64.b32encode(random(SECRET_BYTES)).decode()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is: the present one, the one before or after; else None.

    A step that was accepted must not be accepted again: that is for the caller to keep.
    """
    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return None
    present = int(now.timestamp()) // STEP_S
    codes = pyotp.TOTP(secret)
    steps = (present, present - 1, present + 1)
    # all three are compared: how long it takes tells nothing
    found = [s for s in steps if hmac.compare_digest(codes.at(s * STEP_S), code)]
    return found[0] if found else None


def latest_step(now: datetime) -> int:
    """The newest step whose code is taken: an app's clock may be one ahead."""
    return int(now.timestamp()) // STEP_S + 1


def address(secret: str, name: str, issuer: str) -> str:
    """The otpauth:// address that an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def picture(text: str) -> str:
    """A QR code as SVG that stands in the page: attributes only, no style, black on white."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=5, border=3, dark="#000", light="#fff", xmldecl=False, svgns=False,
        svgclass="qr", lineclass=None, omitsize=False, title="QR code of the second factor",
    )  # fmt: skip
    return out.getvalue().decode()


def recovery_codes(random: Callable[[int], bytes]) -> list[str]:
    """Fresh codes to print: 16 letters and digits each, in groups of four."""
    texts = (base64.b32encode(random(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES))
    return ["-".join(t[i : i + 4] for i in range(0, 16, 4)).lower() for t in texts]


def recovery_hash(pepper: bytes, code: str) -> str:
    """What is kept of a recovery code, however it is typed."""
    plain = "".join(c for c in code.casefold() if c.isalnum())
    return hmac.new(pepper, f"recovery:{plain}".encode(), hashlib.sha256).hexdigest()
