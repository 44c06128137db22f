"""The history of each reserve, to be drawn: what is reserved, whatever it is held in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from config.clock import local_date
from web.chart import Curve, balance_curve
from web.frame import frame
from web.shared import shared

# By its name: the roles of its accounts; the account of the first has every movement of its cash.
DRAWN: dict[str, tuple[str, ...]] = {
    "Tax reserve, cash and securities at cost": ("tax_reserve", "tax_reserve_vehicle"),
    "Payroll reserve": ("payroll_reserve",),
    "Set aside to reinvest": ("reinvestment_pool",),
}


class Reserve(NamedTuple):
    """``code``: the account of its cash; ``moves``: how many movements that had."""

    name: str
    code: str
    moves: int
    curve: Curve


class Move(NamedTuple):
    """What one posting changes of a reserve."""

    day: date
    amount: Decimal
    code: str


def reserves() -> list[Reserve]:
    """Those that moved, at the moment of the page; a line needs two days."""
    around, queries = frame(), shared().queries
    mapping = queries.chart(around.clocks).mapping
    codes = {name: [mapping[role] for role in roles] for name, roles in DRAWN.items()}
    moved = {name: _moves(found) for name, found in codes.items()}
    until = _until([line.day for lines in moved.values() for line in lines])
    return [
        Reserve(name, codes[name][0], sum(line.code == codes[name][0] for line in lines), curve)
        for name, lines in moved.items()
        if (curve := balance_curve(_ends(lines), until, name, around.exponent))
    ]


def _moves(codes: Sequence[str]) -> list[Move]:
    """Every movement of accounts, their securities' included, by date: what it changes."""
    queries, clocks = shared().queries, frame().clocks
    held = {balance.code for balance in queries.trial_balance(clocks).balances}
    # what was sold out has no balance any more: once a plan named it
    named = {v.plan.tax_vehicle for v in queries.plan_versions(clocks)} - {""}
    of_codes = {code for code in held if code.partition(".")[0] in codes}
    every = {*codes, *of_codes, *(f"{code}.{symbol}" for code in codes for symbol in named)}
    lines = [
        Move(line.effective_date, line.amount, code)
        for code in sorted(every)
        for line in queries.register(code, clocks)
    ]
    return sorted(lines, key=attrgetter("day"))


def _until(moved: list[date]) -> date:
    """The page's day; the books of a demo stand still after their last session."""
    around = frame()
    today = around.effective or local_date(shared().clock.now(), around.zone)
    if around.status is None or not around.status.demo:
        return today
    return min(today, max([*moved, *shared().queries.session_days(around.clocks)], default=today))


def _ends(lines: Sequence[Move]) -> list[tuple[date, Decimal]]:
    """The balance at the end of each day."""
    total, found = Decimal(0), dict[date, Decimal]()
    for line in lines:
        total += line.amount
        found[line.day] = total
    return list(found.items())
