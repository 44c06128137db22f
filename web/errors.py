"""Errors as pages: what happened, what is safe, what to do next."""

from __future__ import annotations

import logging

import msgspec
from flask import Flask, render_template
from werkzeug.exceptions import HTTPException, InternalServerError

from aggregates.errors import TradeBotError
from web.frame import BadInput, NoBooks, NotThere, frame
from web.shared import shared

Answer = tuple[str, int]
log = logging.getLogger("web")
SAFE = "These pages only read: the books and the bot's history are as they were."


def handle_errors(app: Flask) -> None:
    """Map every error to its page, by type."""
    app.register_error_handler(NoBooks, _no_books)
    app.register_error_handler(BadInput, _bad_input)
    app.register_error_handler(NotThere, _not_there)
    app.register_error_handler(TradeBotError, _cannot_read)
    app.register_error_handler(msgspec.MsgspecError, _cannot_decode)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _page(code: int, title: str, happened: str, todo: str, reference: str = "") -> Answer:
    page = render_template(
        "error.html", code=code, title=title, happened=happened, safe=SAFE, todo=todo,
        reference=reference,
    )  # fmt: skip
    return page, code


def _no_books(e: Exception) -> Answer:
    """No fault: an empty folder gets a helpful page."""
    return render_template("empty.html", reason=str(e), folder=shared().queries.data_dir), 200


def _bad_input(e: Exception) -> Answer:
    todo = "Correct it above or in the address, or go back to the present."
    return _page(400, "That cannot be shown", str(e), todo)


def _not_there(e: Exception) -> Answer:
    return _page(404, "Nothing is there", str(e), "Choose a page above, or check the address.")


def _cannot_read(e: Exception) -> Answer:
    log.error("The books cannot be read: %s", e)
    return _page(503, "The books cannot be read", str(e), "Put that right, then load this again.")


def _cannot_decode(e: Exception) -> Answer:
    log.error("An event cannot be decoded: %s", e)
    return _page(
        503,
        "An event cannot be read",
        f"The content of an event is not what was once recorded ({e}).",
        "Verify the history (in the header, or `tbot verify`): it names the first bad event.",
    )


def _http(e: Exception) -> Answer:
    assert isinstance(e, HTTPException)  # noqa: S101 - registered for nothing else
    code = e.code or 500
    if isinstance(e, InternalServerError):
        return _unexpected(e.original_exception or e)
    if code == 404:
        return _page(404, "No such page", "The address leads nowhere.", "Choose a page above.")
    if code == 405:
        happened = "These pages only show; nothing can be sent to them."
        return _page(405, "Read only", happened, "Open the address as a page instead.")
    return _page(code, e.name, str(e.description), "Check the address and try again.")


def _unexpected(e: BaseException) -> Answer:
    reference = shared().reference()
    log.error("Reference %s", reference, exc_info=e)
    frame().status = None  # what went wrong may be in what the header would ask again
    happened = "The page failed for a reason that was not foreseen."
    todo = "Load it again. If it stays, report the reference: the log has the cause under it."
    return _page(500, "This page failed", happened, todo, reference)
