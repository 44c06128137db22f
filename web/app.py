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
from web import day, difference, history, ledger, proof
from web.errors import handle_errors
from web.formatting import add_filters
from web.frame import BadInput, NoBooks, frame, link, read_frame, without_books
from web.guard import guard
from web.shared import NAME, share

HERE = Path(__file__).parent


def new_reference() -> str:
    """Eight hexadecimal digits under which an error is found in the log."""
    return secrets.token_hex(4)


def create_app(
    queries: Queries,
    dispatch: Callable[..., Any] | None = None,
    *,
    host: str = "127.0.0.1",
    clock: Clock | None = None,
    reference: Callable[[], str] = new_reference,
) -> Flask:
    """The site over one bot's books. ``host`` is what the server is bound to."""
    app = Flask("web", root_path=str(HERE))
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[NAME] = share(queries, dispatch, clock or SystemClock(), reference)
    guard(app, host)
    app.before_request(_read_frame)
    app.context_processor(_around)
    add_filters(app)
    handle_errors(app)
    for module in (day, ledger, difference, history, proof):
        app.register_blueprint(module.pages)
    return app


def _read_frame() -> None:
    if request.endpoint in ("static", "proof.verify"):  # verifying does it in its own way
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
    """What every template has: the frame, and links that keep both clocks."""
    return {"frame": frame(), "link": link}
