"""The pages of the site, once: the header's links, the keys after ``g`` and the help about both."""

from __future__ import annotations

from typing import NamedTuple

from flask import current_app, g, request

from web.access import guarded, may
from web.permissions import EVERYBODY, PERMISSIONS


class Page(NamedTuple):
    """``key`` is pressed after ``g``; ``also`` names the blueprints and endpoints that belong to
    the page too, so that the header says where one is."""

    key: str
    endpoint: str
    name: str
    about: str
    also: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        return bool({request.endpoint, request.blueprint} & {self.endpoint, *self.also})


class Key(NamedTuple):
    """A key of its own, beside those of the pages."""

    keys: tuple[str, ...]
    about: str


PAGES = (
    Page("t", "day.today", "Today", "the newest trading day", ("day.one",)),
    Page("d", "day.every", "Days", "all trading days"),
    Page(
        "l", "ledger.trial_balance", "Ledger", "trial balance, journal, difference",
        ("ledger", "difference"),
    ),
    Page("p", "capital.show", "Capital", "purses, deposits, payouts, corrections", ("capital",)),
    Page(
        "h", "holdings.grid", "Holdings", "what is held in the long run",
        ("holdings", "holdings_files", "holdings_security", "rebalancing"),
    ),
    Page(
        "n", "screens.show", "Screens", "what was looked at, what is blocked",
        ("screens", "blocklist"),
    ),
    Page("c", "accounts.tree", "Accounts", "the chart of accounts", ("accounts",)),
    Page("e", "history.events", "History", "every event", ("history", "proof.verify")),
    Page("x", "exports.every", "Exports", "files for other programs", ("exports",)),
    Page("s", "settings.show", "Settings", "how the bot works", ("settings", "keys", "mails")),
    Page("b", "bearish.show", "Bearish", "what is bought on weakness", ("bearish",)),
    Page("u", "users.every", "Users", "who may what", ("users.one",)),
    Page("a", "activity.show", "Activity", "who did what", ("activity",)),
    Page("o", "logs.show", "Logs", "what the machine said", ("logs",)),
    Page("m", "users.me", "My account", "password and second factor"),
)  # fmt: skip
KEYS = (
    Key(("t",), "the as-of control"),
    Key(("[", "]"), "a day back and on; on an event, the event before and after"),
    Key(("?",), "this help"),
)
BESIDE = ("users.me",)  # stands with the user's name, not among the pages


def listed() -> list[Page]:
    """The pages that the present user may ask, as far as this version has them."""
    if g.get("setup_phase"):  # while the bot is set up, all of them lead to the set-up
        return []
    return [page for page in PAGES if has(page.endpoint) and _reads(page.endpoint)]


def in_header() -> list[Page]:
    return [page for page in listed() if page.endpoint not in BESIDE]


def has(endpoint: str) -> bool:
    """Whether this version has the page."""
    return endpoint in current_app.view_functions


def _reads(endpoint: str) -> bool:
    # a demo has no users, so no accounts: whoever sits at the machine reads what every role may
    demo = not guarded() and endpoint not in BESIDE
    return may(endpoint) or (demo and PERMISSIONS.get(endpoint) == EVERYBODY)
