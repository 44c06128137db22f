"""Webull's signature of a request, as https://developer.webull.com/apis/docs/authentication/signature
describes it; pure.

The guide's worked example takes HMAC-SHA1 with MD5 of the body. Webull's own client takes
HMAC-SHA256 with SHA-256 of the body since 3.0, and so does this.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

_DIGESTS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "HMAC-SHA256": (hashlib.sha256, hashlib.sha256),
    "HMAC-SHA1": (hashlib.sha1, hashlib.md5),  # of the guide's example
}
ALGORITHM = "HMAC-SHA256"


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. ``path`` without the query, ``query`` not encoded, ``body`` as it is sent,
    empty without one; ``host`` with its port where it is not the usual one."""

    host: str
    path: str
    query: Mapping[str, str]
    body: bytes
    at: datetime
    nonce: str


def headers(key: str, secret: str, request: Signed, algorithm: str = ALGORITHM) -> dict[str, str]:
    """All headers of the signature, itself among them."""
    named = {
        "x-app-key": key,
        "x-timestamp": request.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-signature-version": "1.0",
        "x-signature-algorithm": algorithm,
        "x-signature-nonce": request.nonce,
    }
    of_key, of_body = _DIGESTS[algorithm]
    terms = named | {"host": request.host} | dict(request.query)
    parts = [request.path, *(f"{name}={terms[name]}" for name in sorted(terms))]
    if request.body:
        parts.append(of_body(request.body).hexdigest().upper())
    text = quote("&".join(parts), safe="")
    digest = hmac.new(f"{secret}&".encode(), text.encode(), of_key).digest()
    return named | {"x-signature": base64.b64encode(digest).decode()}
