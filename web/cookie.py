"""The one cookie: 32 random bytes that name a browser. What they stand for is kept by the server.

``__Host-``: set by this host alone, over TLS or on this machine itself, for the whole site. A
visitor who is not signed in has one too, from the first form on: the forms' tokens hang on it.
"""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, g, request

COOKIE = "__Host-tradebot"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, base64url


def keep_cookie(app: Flask) -> None:
    @app.after_request
    def set_cookie(response: Response) -> Response:
        if token := g.get("new_token"):
            response.set_cookie(
                COOKIE, token, secure=True, httponly=True, samesite="Strict", path="/"
            )
        return response


def sent_token() -> str:
    """What the browser sent, or was just given; empty when there is none."""
    given: str = g.get("new_token") or request.cookies.get(COOKIE, "")
    return given if _TOKEN.fullmatch(given) else ""


def token() -> str:
    """The browser's token; one without is given one."""
    return sent_token() or renew()


def renew() -> str:
    """Another token: at every sign-in and sign-out, so that none from before can be ridden."""
    g.new_token = secrets.token_urlsafe(32)
    return str(g.new_token)
