"""The books: trial balance, journal, register. Every number opens its postings, then its event."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from web.formatting import count
from web.frame import BadInput, NotThere, day_of, frame, number, step_days
from web.shared import shared

pages = Blueprint("ledger", __name__, url_prefix="/ledger")
ENTRIES, LINES = 40, 100  # on one page
TYPES = {
    "asset": "Assets",
    "liability": "Liabilities",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expenses",
    "memo": "Memo, outside the trial balance",
}
ORDERS = ("newest", "oldest")


class Group(NamedTuple):
    """Accounts of one type and their sum, debit positive."""

    type: str
    name: str
    balances: list[Any]
    total: Decimal


def groups_of(balances: Sequence[Any]) -> dict[str, Group]:
    """Every type in the order of a statement, also one without a balance."""
    found = {}
    for kind, name in TYPES.items():
        rows = [b for b in balances if b.type == kind]
        found[kind] = Group(kind, name, rows, sum((b.amount for b in rows), Decimal(0)))
    return found


def mark_of(entry: Any) -> str:
    """What kind of correction an entry is: "", "re-cost" or "reversal"."""
    if entry.position == entry.about:
        return ""
    # a re-cost row says what it changes in the result; a reversal has no result of its own
    return "re-cost" if entry.pnl is not None else "reversal"


def is_reversed(entries: Sequence[Any], position: int) -> bool:
    """Whether one of these entries reverses that of the event at ``position``."""
    said = f"Reversal of event {position} "
    return any(e.about == position and e.description.startswith(said) for e in entries)


@pages.get("")
def trial_balance() -> str:
    around, queries = frame(), shared().queries
    trial = queries.trial_balance(around.clocks)
    groups = groups_of(trial.balances)
    step_days(queries.session_days(), "ledger.trial_balance")
    return render_template(
        "trial_balance.html",
        trial=trial,
        groups=[g for g in groups.values() if g.balances],
        assets=groups["asset"].total,
        liabilities=-groups["liability"].total,
        equity=-groups["equity"].total,
        result=-(groups["income"].total + groups["expense"].total),
    )


@pages.get("/journal")
def journal() -> str:
    around, queries = frame(), shared().queries
    page = number("page", 1, 1)
    account = request.args.get("account", "").strip()
    since_text = request.args.get("since", "").strip()
    since = day_of(since_text, "Since") if since_text else None
    order = request.args.get("order") or ORDERS[0]
    if order not in ORDERS:
        raise BadInput(f"order={order[:40]!r} is not one of {', '.join(ORDERS)}.")
    found = queries.journal(
        around.clocks,
        since=since,
        account=account or None,
        newest_first=order == "newest",
        limit=ENTRIES + 1,
        offset=(page - 1) * ENTRIES,
    )
    _check_page(page, bool(found))
    step_days(queries.session_days(), "ledger.journal")
    filters = {"account": account, "since": since_text, "order": request.args.get("order")}
    return render_template(
        "journal.html",
        entries=[(entry, mark_of(entry)) for entry in found[:ENTRIES]],
        total=None if account or since else queries.count_entries(around.clocks),
        page=page,
        more=len(found) > ENTRIES,
        filters={name: text for name, text in filters.items() if text},
        order=order,
        account=account,
        since=since_text,
    )


@pages.get("/account/<code>")
def account(code: str) -> str:
    around, queries = frame(), shared().queries
    page = number("page", 1, 1)
    listed = queries.account(code, around.clocks)
    if listed is None:
        raise NotThere(f"There is no account {code[:40]} in the chart of accounts.")
    below = [b for b in queries.balances(around.clocks) if b.code.startswith(f"{code}.")]
    found = queries.register(code, around.clocks, limit=LINES + 1, offset=(page - 1) * LINES)
    _check_page(page, bool(found))
    if "." in code and not found and not queries.register(code, limit=1):
        raise NotThere(f"Nothing was ever posted to an account {code[:40]}.")
    step_days(queries.session_days(), "ledger.account", code=code)
    own = next((b for b in queries.balances(around.clocks) if b.code == code), None)
    return render_template(
        "account.html",
        code=code,
        name=listed[1],
        type=TYPES[listed[0].type],
        lines=found[:LINES],
        more=len(found) > LINES,
        page=page,
        own=own,
        below=below,
        below_total=sum((b.amount for b in below), Decimal(0)),
    )


def _check_page(page: int, anything: bool) -> None:
    if page > 1 and not anything:
        raise NotThere(f"There is no page {count(page)}; the list ends before it.")
