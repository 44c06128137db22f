"""Two cookies of 32 random bytes. What they stand for is kept by the server.

One names a session, of who signed in or sets the bot up. The other names a visitor without one,
from the first form on, whose tokens hang on it. They are two because ``SameSite=Strict`` keeps the
session's from a request that another site led to: the form which such a visitor is shown must not
put another one in its place, as that would sign him out.

``__Host-``: set by this host alone, over TLS or on this machine itself, for the whole site.
"""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, g, request

COOKIE = "__Host-tradebot"
VISITOR = "__Host-tradebot-form"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, base64url


def keep_cookie(app: Flask) -> None:
    @app.after_request
    def set_cookie(response: Response) -> Response:
        for name, token in g.get("new_tokens", {}).items():
            response.set_cookie(
                name, token, secure=True, httponly=True, samesite="Strict", path="/"
            )
        return response


def sent_token() -> str:
    """The session's, as the browser sent it or was just given it; empty when there is none."""
    return _sent(COOKIE)


def visitor_token() -> str:
    """The visitor's; empty when there is none."""
    return _sent(VISITOR)


def browser_token() -> str:
    """What names this browser: the session's, or else the visitor's; empty when it has neither."""
    return sent_token() or visitor_token()


def token() -> str:
    """What names this browser; one without is a visitor from now on."""
    return browser_token() or _give(VISITOR)


def renew() -> str:
    """Another session: at every sign-in and sign-out, so that none from before can be ridden."""
    return _give(COOKIE)


def _sent(name: str) -> str:
    given: str = g.get("new_tokens", {}).get(name) or request.cookies.get(name, "")
    return given if _TOKEN.fullmatch(given) else ""


def _give(name: str) -> str:
    given = secrets.token_urlsafe(32)
    g.setdefault("new_tokens", {})[name] = given
    return given
