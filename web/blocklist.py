"""The symbols that are blocked by hand, and beside them those that the settings block (M18)."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.base import Command
from aggregates.blocklist import LONGEST, BlocklistMoved, BlockSymbol, UnblockSymbol
from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from runtime.screen_view import blocklist_of
from web.access import actor, may
from web.forms import command_id, notice
from web.frame import entered, frame, seen, stamped
from web.screens import values
from web.shared import shared

pages = Blueprint("blocklist", __name__, url_prefix="/screens/blocklist")
Answer = Response | str | tuple[str, int]


@pages.get("")
def show() -> str:
    """What is blocked by hand, and beside it what the settings block."""
    return _page("", {})


@pages.post("/block")
def block() -> Answer:
    """From the next entry on nothing of it is bought; what is held is sold as ever."""
    symbol = entered("symbol").upper()
    if faults := _symbol_faults(symbol) | _reason_faults("block"):
        return _page("block", faults), 422
    command = BlockSymbol(**stamped(), symbol=symbol, reason=entered("block-reason"), seen=seen())
    return _changed("block", "symbol", command, f"{symbol} is blocked from the next entry on.")


@pages.post("/unblock")
def unblock() -> Answer:
    """It may be looked at and bought again, unless the settings block it too."""
    symbol = entered("blocked").upper()
    if faults := _reason_faults("unblock"):
        return _page("unblock", faults), 422
    command = UnblockSymbol(
        **stamped(), symbol=symbol, reason=entered("unblock-reason"), seen=seen()
    )
    return _changed("unblock", "blocked", command, f"{symbol} is no longer blocked by hand.")


def _changed(form: str, field: str, command: Command, said: str) -> Answer:
    try:
        shared().custody().record(
            command,
            actor=actor(),
            command_id=command_id(f"blocklist-{form}"),
            correlation="blocklist",
        )
    except BlocklistMoved:
        return _page(form, {}, moved=True), 409
    except DomainError as e:
        return _page(form, {field: str(e)}), 422
    notice(said)
    return redirect(url_for("blocklist.show"), 303)


def _symbol_faults(symbol: str) -> dict[str, str]:
    try:
        check_symbol(symbol)
    except DomainError:
        return {"symbol": "A symbol, such as SPY: 1 to 24 characters without blanks or slashes"}
    return {}


def _reason_faults(form: str) -> dict[str, str]:
    reason = entered(f"{form}-reason")
    if not reason:
        return {f"{form}-reason": "A reason is needed; it is kept for good"}
    if len(reason) > LONGEST or not reason.isprintable():
        return {f"{form}-reason": f"At most {LONGEST} characters, on one line"}
    return {}


def _page(form: str, faults: dict[str, str], *, moved: bool = False) -> str:
    around = frame()
    return render_template(
        "blocklist.html",
        blocklist=shared().queries.of_history(blocklist_of, around.clocks),
        listed=values().get("SCREENER_UNIVERSE_BLOCKLIST", "").split(),
        form=form,
        faults=faults,
        moved=moved,
        typed=request.form if form else {},
        longest=LONGEST,
        may_change=around.present and may("blocklist.block"),
    )
