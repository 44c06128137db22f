"""One security of the long-term part: everything that moved it, and what it was bought at."""

from __future__ import annotations

from flask import Blueprint, render_template

from runtime.holdings_view import HoldingsView
from runtime.queries import Queries
from web.frame import NotThere, frame
from web.holdings_shown import before_the_books, shown
from web.shared import shared

pages = Blueprint("holdings_security", __name__, url_prefix="/holdings/securities")
pages.before_request(before_the_books)


@pages.get("/<symbol>")
def one(symbol: str) -> str:
    """Transactions by date, newest first, and the lots that are still held."""
    clocks, h = frame().clocks, shown()

    def asked(queries: Queries) -> tuple[list[object], list[object]]:
        view = HoldingsView(queries)
        return [*view.transactions(symbol, clocks)], [*view.lots(symbol, clocks)]

    line = next((each for each in h.lines if each.symbol == symbol), None)
    if line is None:
        raise NotThere(f"{symbol[:40]!r} is neither planned nor held at this moment.")
    entries, lots = shared().queries.together(asked)
    return render_template(
        "holdings_security.html", h=h, line=line, entries=entries[::-1], lots=lots
    )
