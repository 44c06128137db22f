"""Errors as pages: what happened, what is safe, what to do next."""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec
from flask import Flask, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError

from aggregates.errors import DomainError, TradeBotError
from runtime.errors import OVERTAKEN, RecordedAlready
from security.keyfile import KeyFileError
from web.access import NotAllowed
from web.frame import BadInput, NoBooks, NotThere, ThePast, frame
from web.shared import shared

Answer = tuple[str, int]
log = logging.getLogger("web")


class Words(NamedTuple):
    """What a page says of one kind of error. ``happened`` stands where nobody said more."""

    title: str
    happened: str
    todo: str


HTTP = {
    400: Words(
        "That was not understood",
        "The request is not one that these pages know.",
        "Check the address and try again.",
    ),
    401: Words("Sign in first", "Nobody is signed in here.", "Sign in, then open this again."),
    403: Words(
        "Not allowed",
        "This is not open to whoever asked.",
        "Choose a page above, or ask an administrator.",
    ),
    404: Words("No such page", "The address leads nowhere.", "Choose a page above."),
    405: Words(
        "Read only",
        "This address shows something; nothing can be sent to it.",
        "Open the address as a page instead.",
    ),
    409: Words(
        "Something else came first",
        "What the form was made from has changed meanwhile.",
        "Load the page again, look at what changed, and decide anew.",
    ),
    413: Words(
        "Too large",
        "More was sent than these pages take.",
        "Send less: shorten the text, or leave the file out.",
    ),
    429: Words("Too many tries", "It was tried too often.", "Wait a while, then try again."),
    503: Words("Not now", "This cannot be answered at the moment.", "Try again in a minute."),
}
PAST = Words(
    "The past is read only",
    "The page that the change was sent from shows an earlier moment; changes act now.",
    "Go back to now, look at how things stand there, and make the change on that page.",
)


def handle_errors(app: Flask) -> None:
    """Map every error to its page, by type."""
    app.register_error_handler(NoBooks, _no_books)
    app.register_error_handler(BadInput, _bad_input)
    app.register_error_handler(NotThere, _not_there)
    app.register_error_handler(NotAllowed, _not_allowed)
    app.register_error_handler(ThePast, lambda _: _page(409, *PAST))
    for kind in OVERTAKEN:
        app.register_error_handler(kind, _overtaken)
    app.register_error_handler(DomainError, _refused)
    app.register_error_handler(TradeBotError, _cannot_serve)
    app.register_error_handler(KeyFileError, _cannot_serve)
    app.register_error_handler(RecordedAlready, _recorded)
    app.register_error_handler(msgspec.MsgspecError, _cannot_decode)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _page(code: int, title: str, happened: str, todo: str, reference: str = "") -> Answer:
    page = render_template(
        "error.html", code=code, title=title, happened=happened, safe=_safe(code), todo=todo,
        reference=reference,
    )  # fmt: skip
    return page, code


def _safe(code: int) -> str:
    if request.method == "GET":
        return "Nothing was changed: showing a page changes nothing."
    if code < 500:
        return "Nothing was changed."
    return (
        "A change is made whole or not at all; the history says whether this one was. The same "
        "form sent again makes it at most once."
    )


def _no_books(e: Exception) -> Answer:
    """No fault: an empty folder gets a helpful page."""
    return render_template("empty.html", reason=str(e), folder=shared().queries.data_dir), 200


def _bad_input(e: Exception) -> Answer:
    todo = "Correct it above or in the address, or go back to the present."
    return _page(400, "That cannot be shown", str(e), todo)


def _not_there(e: Exception) -> Answer:
    return _page(404, "Nothing is there", str(e), "Choose a page above, or check the address.")


def _not_allowed(e: Exception) -> Answer:
    assert isinstance(e, NotAllowed)  # noqa: S101 - registered for nothing else
    happened = f"{e} It is open to: {', '.join(sorted(e.allowed))}." if e.allowed else str(e)
    return _page(403, HTTP[403].title, happened, HTTP[403].todo)


def _overtaken(e: Exception) -> Answer:
    words = HTTP[409]
    return _page(409, words.title, str(e), words.todo)


def _refused(e: Exception) -> Answer:
    """A rule said no. Views put that beside the field; here is what no view foresaw."""
    if request.method == "GET":
        return _not_there(e)
    return _page(422, "That was refused", str(e), "Go back, correct it and send the form again.")


def _cannot_serve(e: Exception) -> Answer:
    # the page's name, never its address: a one-time link is in one
    log.error("%s %s cannot be answered: %s", request.method, request.endpoint, e)
    frame().status = None  # the header would ask for the same again
    if request.method == "GET":
        todo = "Put that right, then load this again."
        return _page(503, "The books cannot be read", str(e), todo)
    todo = "Put that right, then send the form again."
    return _page(503, "The change cannot be recorded", str(e), todo)


def _recorded(e: Exception) -> Answer:
    log.error("%s is recorded, but: %s", request.endpoint, e)
    frame().status = None  # the new keys are needed for it
    todo = "Put that right and start the bot again. Do not make the change again: it is made."
    return _page(503, "The change is recorded; its keys are not in force yet", str(e), todo)


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
    words = HTTP.get(code, HTTP[400])
    said = e.description or ""
    # the library's own sentence says less than ours does
    happened = words.happened if said == type(e).description else said
    return _page(code, words.title, happened, words.todo)


def _unexpected(e: BaseException) -> Answer:
    reference = shared().reference()
    log.error("Reference %s", reference, exc_info=e)
    frame().status = None  # what went wrong may be in what the header would ask again
    happened = "The page failed for a reason that was not foreseen."
    todo = "Load it again. If it stays, report the reference: the log has the cause under it."
    return _page(500, "This page failed", happened, todo, reference)
