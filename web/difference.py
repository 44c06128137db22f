"""What changed in a period since a moment of knowing: a filed month against what is known now."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from aggregates.errors import DomainError
from web.formatting import count
from web.frame import LONGEST, BadInput, NotThere, frame, number
from web.shared import shared

pages = Blueprint("difference", __name__, url_prefix="/ledger/difference")
ENTRIES = 40  # on one page


@pages.get("")
def report() -> str:
    """The form; with both fields the report. "Known at" in the header is the later moment."""
    around, queries = frame(), shared().queries
    period, since = (request.args.get(name, "").strip() for name in ("period", "since"))
    page, found = number("page", 1, 1), None
    if period and since:
        try:
            if max(len(period), len(since)) > LONGEST:
                raise DomainError("A period or a moment is not that long.")
            found = queries.difference(
                period, since, str(around.position), limit=ENTRIES, offset=(page - 1) * ENTRIES
            )
        except (DomainError, OverflowError) as e:
            raise BadInput(str(e)) from e
    if page > 1 and not (found and found.entries):
        raise NotThere(f"There is no page {count(page)}; the list ends before it.")
    return render_template(
        "difference.html",
        found=found,
        period=period,
        since=since,
        page=page,
        pages=-(-found.entry_count // ENTRIES) if found else 0,
        more=bool(found and found.entry_count > page * ENTRIES),
    )
