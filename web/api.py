"""What programs may ask, as JSON: read-only, with both clocks, under the permissions of the pages.

``static/openapi.json`` describes it (M07). Amounts are decimal strings, times are UTC. An error is
a problem of RFC 9457, with what is safe and what to do beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from aggregates.errors import TradeBotError
from security.keyfile import KeyFileError
from web.access import NotAllowed
from web.chart_views import accounts_with_balances
from web.event_access import check_topic, hidden
from web.frame import BadInput, NoBooks, NotThere, day_of, frame, whole
from web.ledger import ORDERS
from web.shared import shared

pages = Blueprint("api", __name__, url_prefix="/api")
log = logging.getLogger("web")
MOST, USUAL = 1000, 100  # records in one answer
CLOCKS = ("as_of", "known_at")
LARGEST = 2**53 - 1  # what every program can read as a number
LONGEST = 200  # characters of a text that is searched for
SAFE = "The interface only reads: the books and the bot's history are as they were."
DESCRIPTION = Path(__file__).parent / "static" / "openapi.json"


@pages.get("/openapi.json")
def openapi() -> Response:
    _take()
    return Response(DESCRIPTION.read_bytes(), mimetype="application/json")


@pages.get("/status")
def status() -> Response:
    """Whose books these are, and where the history stands at the moment asked for."""
    _take(*CLOCKS)
    return _answer({"status": shared().queries.status(frame().clocks)})


@pages.get("/balances")
def balances() -> Response:
    """The trial balance: every account with an amount or units."""
    _take(*CLOCKS)
    trial = shared().queries.trial_balance(frame().clocks)
    return _answer({"balances": trial.balances, "debits": trial.debits, "credits": trial.credits})


@pages.get("/accounts")
def accounts() -> Response:
    """Every account of the chart with its balance, its securities' sub-accounts added."""
    _take(*CLOCKS)
    return _answer({"accounts": accounts_with_balances(frame().clocks)})


@pages.get("/accounts/<code>/register")
def register(code: str) -> Response:
    """Postings of one account in date order, each with the balance after it."""
    _take(*CLOCKS, "limit", "offset")
    limit, offset = _limit(), _whole("offset", 0)
    queries, clocks = shared().queries, frame().clocks
    if queries.account(code, clocks) is None:
        raise NotThere(f"There is no account {code[:40]!r} in the chart of accounts.")
    found = queries.register(code, clocks, limit=limit + 1, offset=offset)
    return _answer({"code": code, "lines": found[:limit], "more": len(found) > limit})


@pages.get("/chart")
def chart() -> Response:
    """The chart of accounts in force, with the fields of its table."""
    _take(*CLOCKS)
    if not shared().queries.chart_versions(frame().clocks):
        raise NotThere("No chart of accounts was in force at that time.")
    return _answer(msgspec.to_builtins(shared().queries.chart_sheet(frame().clocks)))


@pages.get("/journal")
def journal() -> Response:
    """Entries with their postings, by effective date."""
    _take(*CLOCKS, "limit", "offset", "account", "since", "order")
    order = _text("order") or ORDERS[0]
    if order not in ORDERS:
        raise BadInput(f"order={order[:40]!r} is not one of {', '.join(ORDERS)}.")
    limit, since = _limit(), _text("since")
    found = shared().queries.journal(
        frame().clocks,
        since=day_of(since, "since") if since else None,
        account=_text("account") or None,
        newest_first=order == "newest",
        limit=limit + 1,
        offset=_whole("offset", 0),
    )
    return _answer({"entries": found[:limit], "more": len(found) > limit})


@pages.get("/events")
def events() -> Response:
    """Events in the order of recording; the effective date does not narrow them.

    Who may not see the page of activity gets none of the family "User"; their numbers are missing.
    """
    _take(*CLOCKS, "limit", "after", "before", "type", "stream", "text")
    limit, before = _limit(), _whole("before", LARGEST, 1)
    check_topic(_text("type"))
    found = shared().queries.events(
        after=_whole("after", 0),
        before=before,
        limit=limit + 1,
        topics=(_text("type"),) if _text("type") else (),
        stream=_text("stream"),
        text=_text("text"),
        known_at=frame().position,
        without=hidden(),
    )
    return _answer({"events": found[:limit], "more": len(found) > limit})


@pages.get("/<path:_rest>")
def nothing(_rest: str) -> Response:
    raise NotThere("The interface has no such address; /api/openapi.json lists them.")


# -- parameters ----------------------------------------------------------------------------


def _take(*names: str) -> None:
    """Refuse what is not asked for here: a misspelt clock must not give the present silently."""
    for name in request.args:
        if name not in names:
            raise BadInput(f"There is no parameter {name[:40]!r} here; there are: {_listed(names)}")
        if len(request.args.getlist(name)) > 1:
            raise BadInput(f"The parameter {name} is given twice.")
        if not request.args[name].strip():
            raise BadInput(f"The parameter {name} is empty; leave it out instead.")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _text(name: str) -> str:
    text = request.args.get(name, "").strip()
    if len(text) > LONGEST or "\x00" in text:
        raise BadInput(f"{name} has at most {LONGEST} characters, and no null character.")
    return text


def _limit() -> int:
    return _whole("limit", USUAL, 1, MOST)


def _whole(name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    text = request.args.get(name, "")
    if not text:
        return default
    number = whole(text, digits=16)
    if number is None or not least <= number <= most:
        raise BadInput(f"{name}={text[:40]!r} is not a whole number from {least} to {most}.")
    return number


# -- answers -------------------------------------------------------------------------------


def _answer(content: dict[str, Any]) -> Response:
    """The content with the moment that it is true of."""
    around = frame()
    moment = {
        "as_of": around.effective,
        "known_at": around.position,
        "recorded_at": around.recorded_at,
    }
    currency = around.status.currency if around.status else None
    return _json({"moment": moment, "currency": currency} | content, 200, "application/json")


def _json(content: Any, code: int, mimetype: str) -> Response:
    return Response(msgspec.json.encode(content, enc_hook=str), code, mimetype=mimetype)


def _problem(code: int, title: str, detail: str, todo: str, **more: str) -> Response:
    content = {
        "type": "about:blank", "title": title, "status": code, "detail": detail, "safe": SAFE,
        "todo": todo, **more,
    }  # fmt: skip
    return _json(content, code, "application/problem+json")


def _handles(code: int, title: str, todo: str) -> Callable[[Exception], Response]:
    return lambda e: _problem(code, title, str(e), todo)


ASK_AGAIN = "Correct the address and ask again; /api/openapi.json says what is allowed."
for kind, handler in (
    (BadInput, _handles(400, "That cannot be answered", ASK_AGAIN)),
    (NotThere, _handles(404, "Nothing is there", ASK_AGAIN)),
    (NoBooks, _handles(404, "No books are open here", "Set the bot up first, then ask again.")),
    (NotAllowed, _handles(403, "Not allowed", "Ask as somebody who may, or ask an administrator.")),
    (KeyFileError, _handles(503, "The keys cannot be used", "Put that right, then ask again.")),
    (TradeBotError, _handles(503, "The books cannot be read", "Put that right, then ask again.")),
):
    pages.register_error_handler(kind, handler)


@pages.errorhandler(HTTPException)
def _http(e: HTTPException) -> Response:
    return _problem(e.code or 500, e.name, str(e.description), ASK_AGAIN)


@pages.errorhandler(Exception)
def _unexpected(e: Exception) -> Response:
    reference = shared().reference()
    log.error("Reference %s", reference, exc_info=e)
    detail = "The answer failed for a reason that was not foreseen."
    todo = "Ask again. If it stays, report the reference: the log has the cause under it."
    return _problem(500, "This failed", detail, todo, reference=reference)


@pages.after_request
def _no_door(answer: Response) -> Response:
    """A program is told that it is not signed in; it has no use for the page where people do."""
    if answer.status_code != 303:
        return answer
    return _problem(401, "Sign in first", "Nobody is signed in.", "Send the session's cookie.")
