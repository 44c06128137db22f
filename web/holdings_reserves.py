"""The history of each reserve, to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from config.clock import local_date
from runtime.holdings_view import HoldingsView
from web.chart import Curve, balance_curve
from web.frame import frame
from web.shared import shared

Purse = Literal["tax_cash", "payroll", "pool"]
# By purse: its name, and the role of its account.
DRAWN: dict[Purse, tuple[str, str]] = {
    "tax_cash": ("Tax reserve in cash", "tax_reserve"),
    "payroll": ("Payroll reserve", "payroll_reserve"),
    "pool": ("Set aside to reinvest", "reinvestment_pool"),
}


class Reserve(NamedTuple):
    """``moves``: how many movements there were; ``code``: the account that has them all."""

    name: str
    code: str
    moves: int
    curve: Curve


def reserves() -> list[Reserve]:
    """Those that moved, at the moment of the page; a line needs two days."""
    around, queries = frame(), shared().queries
    until = around.effective or local_date(shared().clock.now(), around.zone)
    mapping = queries.chart(around.clocks).mapping
    found = []
    for purse, (name, role) in DRAWN.items():
        lines = _history(purse)
        if curve := balance_curve(_ends(lines), until, name, around.exponent):
            found.append(Reserve(name, mapping[role], len(lines), curve))
    return found


def _history(purse: Purse) -> Sequence[Any]:
    clocks = frame().clocks
    return shared().queries.together(lambda q: HoldingsView(q).reserve_history(purse, clocks))


def _ends(lines: Sequence[Any]) -> list[tuple[date, Decimal]]:
    """The last balance of each day."""
    return list({line.effective_date: line.balance for line in lines}.items())
