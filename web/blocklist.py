"""The symbols that are blocked by hand, and beside them those that the settings block (M18)."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from aggregates.blocklist import LONGEST, BlocklistMoved, BlockSymbol, UnblockSymbol
from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from runtime.screen_view import blocklist_of
from web.access import may
from web.frame import entered, frame, seen, stamped
from web.recorded import Answer, reason_fault, recorded
from web.screens import values
from web.shared import shared

pages = Blueprint("blocklist", __name__, url_prefix="/screens/blocklist")


@pages.get("")
def show() -> str:
    """What is blocked by hand, and beside it what the settings block."""
    return _page("", {})


@pages.post("/block")
def block() -> Answer:
    """From the next entry on nothing of it is bought; what is held is sold as ever."""
    symbol = entered("symbol").upper()
    if faults := _symbol_faults(symbol) | _reason_fault("block"):
        return _page("block", faults), 422
    command = BlockSymbol(**stamped(), symbol=symbol, reason=entered("block-reason"), seen=seen())
    said = f"{symbol} is blocked from the next entry on."
    return recorded(
        command,
        _page,
        of="blocklist",
        form="block",
        field="symbol",
        moved=BlocklistMoved,
        said=said,
    )


@pages.post("/unblock")
def unblock() -> Answer:
    """It may be looked at and bought again, unless the settings block it too."""
    symbol = entered("blocked").upper()
    if faults := _reason_fault("unblock"):
        return _page("unblock", faults), 422
    command = UnblockSymbol(
        **stamped(), symbol=symbol, reason=entered("unblock-reason"), seen=seen()
    )
    said = f"{symbol} is no longer blocked by hand."
    return recorded(
        command, _page, of="blocklist", form="unblock", field="blocked", moved=BlocklistMoved,
        said=said,
    )  # fmt: skip


def _symbol_faults(symbol: str) -> dict[str, str]:
    try:
        check_symbol(symbol)
    except DomainError:
        return {"symbol": "A symbol, such as SPY: 1 to 24 characters without blanks or slashes"}
    return {}


def _reason_fault(form: str) -> dict[str, str]:
    field = f"{form}-reason"
    return reason_fault(field, entered(field), LONGEST)


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
