"""What every form carries: its guard against forgery, and the id that makes it count once.

And what the next page says: after a change the browser is sent on to a page, which tells it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple, cast

from flask import Flask, current_app, request
from markupsafe import Markup

from web.cookie import browser_token, token, visitor_token
from web.door import door
from web.frame import BadInput
from web.permissions import PERMISSIONS, PUBLIC

NAME = "tradebot.forms"
KEPT = 1000  # browsers for which something waits to be shown
_ID = re.compile(r"[0-9a-f]{32}")


class Notice(NamedTuple):
    """``tone``: good, warn or bad."""

    text: str
    tone: str


class Forms:
    """The key of the tokens, and what waits to be shown once; in memory, never on disk."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._waiting: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def first(self, command_id: str) -> bool:
        """Whether this form is here for the first time: for what no command would say."""
        with self._lock:
            known = command_id in self._sent
            self._sent[command_id] = None
            while len(self._sent) > KEPT:
                self._sent.popitem(last=False)
            return not known

    def put(self, browser: str, name: str, what: object) -> None:
        with self._lock:
            self._waiting[browser, name] = what
            while len(self._waiting) > KEPT:
                self._waiting.popitem(last=False)

    def take(self, browser: str, name: str) -> object | None:
        with self._lock:
            return self._waiting.pop((browser, name), None)


def add_forms(app: Flask) -> None:
    """Tokens and notices for the templates. The key is the process's own until there is another."""
    app.extensions[NAME] = Forms(secrets.token_bytes(32))
    app.jinja_env.globals |= {"form_guard": form_guard, "taken_notice": taken_notice}


def forms() -> Forms:
    return cast(Forms, current_app.extensions[NAME])


def form_guard() -> Markup:
    """Hidden fields for the inside of every POST form: the CSRF token and a fresh command id."""
    fields = {"csrf": csrf_token(), "command_id": secrets.token_hex(16)}
    return Markup("").join(
        Markup('<input type="hidden" name="{}" value="{}">').format(name, value)
        for name, value in fields.items()
    )


def csrf_token() -> str:
    """The token of this browser: a stranger's page can neither read it nor make it."""
    return _token_for(token())


def csrf_holds() -> bool:
    """Whether the form that was sent is one that this browser was given."""
    browsers, sent = [browser_token()], request.form.get("csrf", "")
    # who came from another site was taken for a visitor, and sends both cookies with this form
    if PERMISSIONS.get(request.endpoint or "") == PUBLIC:
        browsers.append(visitor_token())
    # bytes: what is compared may hold any character
    return any(
        hmac.compare_digest(_token_for(browser).encode(), sent.encode())
        for browser in browsers
        if browser
    )


def _token_for(browser: str) -> str:
    # FLASK_SECRET_KEY empty: a key of this process; forms that are open when it ends must be opened
    # again.
    key = door().trusted().form_key or forms().key
    return hmac.new(key, f"csrf:{browser}".encode(), hashlib.sha256).hexdigest()


def command_id(what: str) -> str:
    """The id of the command that a form sends: sent twice, it is carried out once.

    ``what`` names the form. Raises BadInput when the form carried none.
    """
    sent = request.form.get("command_id", "")
    if not _ID.fullmatch(sent):
        raise BadInput("The form came without its number; load the page again and send it anew.")
    return f"web:{what}:{sent}"


def notice(text: str, tone: str = "good") -> None:
    """Say this on the next page that this browser loads."""
    show_once("notice", Notice(text, tone))


def taken_notice() -> Notice | None:
    """What was to be said, for the template; gone afterwards."""
    return cast(Notice | None, taken("notice"))


def show_once(name: str, what: object) -> None:
    """Keep something for the next page of this browser: a link, recovery codes."""
    forms().put(token(), name, what)


def taken(name: str) -> object | None:
    """What ``show_once`` kept; a second look finds nothing."""
    browser = browser_token()
    return forms().take(browser, name) if browser else None
