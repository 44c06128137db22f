"""Files of the long-term holdings: report, log and transactions, as of both clocks (M38)."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from runtime.holdings_view import FORMS, WHATS, HoldingsView
from web.frame import NotThere, frame
from web.holdings_shown import before_the_books
from web.shared import shared

pages = Blueprint("holdings_files", __name__, url_prefix="/holdings/files")
pages.before_request(before_the_books)
ABOUT = {
    "report": (
        "Holdings and allocation",
        "Every security with its ten fields, target against actual; reserves, float, plan and next "
        "rebalance.",
    ),
    "log": (
        "Log",
        "Every event: plan, orders, daily steps, requests, money in and out of reserves; with "
        "user, time, amount, before and after.",
    ),
    "transactions": (
        "Transactions",
        "Every posting that moved the long-term part or a reserve, tagged with its action, with "
        "the balances before and after.",
    ),
}


@pages.get("")
def every() -> str:
    whats = [(what, *ABOUT[what]) for what in WHATS]
    return render_template("holdings_files.html", whats=whats, forms=FORMS)


@pages.get("/<what>.<form>")
def file(what: str, form: str) -> Response:
    """Made anew each time: the same moment gives the same bytes."""
    if what not in WHATS or form not in FORMS:
        raise NotThere("There is no such file of the holdings; the page Files lists them.")
    clocks = frame().clocks
    name, data, kind = shared().queries.together(
        lambda q: HoldingsView(q).export(what, form, clocks)
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, content_type=kind, headers=headers)
