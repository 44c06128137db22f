"""The pages as a factory: everything is handed in, nothing is made at import."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, request

from aggregates.errors import TradeBotError
from config.clock import Clock, SystemClock
from runtime.queries import Queries
from runtime.version import VERSION
from web import (
    accounts,
    activity,
    api,
    bearish,
    blocklist,
    capital,
    control,
    day,
    difference,
    history,
    holdings,
    holdings_files,
    holdings_security,
    job_pages,
    keys,
    ledger,
    logs,
    mails,
    navigation,
    proof,
    rebalancing,
    screens,
    settings,
    setup,
    sign_in,
    users,
)
from web.access import add_access, may, shows_books, still_in, user
from web.cookie import keep_cookie
from web.errors import handle_errors
from web.formatting import add_filters
from web.forms import add_forms
from web.frame import (
    BadInput,
    NoBooks,
    frame,
    link,
    read_frame,
    refuse_in_the_past,
    without_books,
)
from web.guard import guard
from web.live import add_live
from web.names import add_names
from web.setup_gate import add_setup
from web.shared import NAME, share

HERE = Path(__file__).parent


def new_reference() -> str:
    """Eight hexadecimal digits under which an error is found in the log."""
    return secrets.token_hex(4)


def create_app(
    queries: Queries,
    *,
    host: str = "127.0.0.1",
    clock: Clock | None = None,
    reference: Callable[[], str] = new_reference,
) -> Flask:
    """The site over one bot's books. ``host`` is what the server is bound to."""
    app = Flask("web", root_path=str(HERE))
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[NAME] = share(queries, clock or SystemClock(), reference, still_in)
    add_forms(app)
    keep_cookie(app)
    guard(app, host)
    add_setup(app, clock or SystemClock())
    add_access(app)
    app.before_request(refuse_in_the_past)
    app.before_request(_read_frame)
    app.context_processor(_around)
    add_filters(app)
    add_names(app)
    handle_errors(app)
    add_live(app)
    for module in (
        day,
        control,
        ledger,
        capital,
        difference,
        history,
        holdings,
        holdings_files,
        holdings_security,
        rebalancing,
        screens,
        blocklist,
        proof,
        job_pages,
        settings,
        mails,
        bearish,
        keys,
        setup,
        sign_in,
        users,
        activity,
        logs,
        accounts,
        api,
    ):
        app.register_blueprint(module.pages)
    return app


def _read_frame() -> None:
    # verifying does it in its own way; during the set-up there is nothing to read yet
    if request.endpoint in ("static", "proof.verify") or request.blueprint == setup.pages.name:
        return
    if not shows_books():  # the door: nothing of the bot is shown before it
        return
    try:
        read_frame()
    except (NoBooks, BadInput, TradeBotError) as e:
        if isinstance(e, TradeBotError) and request.blueprint == history.pages.name:
            without_books(e)  # an event that no view can fold can still be shown
        # help, and an address that leads nowhere (None), say the same without books
        elif request.endpoint not in ("proof.show_help", None):
            raise


def _around() -> dict[str, Any]:
    """What every template has: the frame, links that keep both clocks, who asks and may what."""
    return {
        "frame": frame(),
        "link": link,
        "navigation": navigation,
        "user": user,
        "may": may,
        "version": VERSION,
    }
