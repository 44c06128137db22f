"""The chart of accounts as the pages and programs see it: the tree with balances, two versions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from aggregates.chart_of_accounts import Account, Chart
from web.frame import frame
from web.shared import shared


class Row(NamedTuple):
    """An account in its tree. ``own`` is what is posted to it and its securities, ``total`` that
    with all accounts under it; None where there are none."""

    account: Account
    depth: int
    roles: list[str]
    own: Decimal
    total: Decimal | None


def rows_of(chart: Chart, own: dict[str, Decimal], top: Account, depth: int = 0) -> list[Row]:
    """An account and all under it, each with its balance."""
    below = [row for a in chart.below(top.code) for row in rows_of(chart, own, a, depth + 1)]
    amount = own.get(top.code, Decimal(0))
    total = amount + sum((row.own for row in below), Decimal(0)) if below else None
    return [Row(top, depth, chart.roles_of(top.code), amount, total), *below]


def tops(chart: Chart, kind: str) -> list[Account]:
    return [a for a in chart.accounts if a.type == kind and not a.under]


def accounts_with_balances(clocks: Any) -> list[dict[str, Any]]:
    """Every account of the chart in force as plain data; none when there was no chart."""
    versions = shared().queries.chart_versions(clocks)
    if not versions:
        return []
    chart, own = versions[-1].chart, own_balances(clocks)
    return [
        {
            "code": a.code,
            "name": a.name,
            "type": a.type,
            "parent": a.under,
            "per_instrument": a.per_instrument,
            "active": a.active,
            "roles": chart.roles_of(a.code),
            "balance": own.get(a.code, Decimal(0)),
        }
        for a in chart.accounts
    ]


def own_balances(clocks: Any = None) -> dict[str, Decimal]:
    """By account, its securities' sub-accounts added."""
    found: dict[str, Decimal] = {}
    for b in shared().queries.balances(clocks or frame().clocks):
        main = b.code.partition(".")[0]
        found[main] = found.get(main, Decimal(0)) + b.amount
    return found


def sides(old: Chart, new: Chart) -> list[tuple[str, Any, Any]]:
    """Every account of either version: code, how it was, how it is."""
    codes = sorted({a.code for a in (*old.accounts, *new.accounts)})
    return [(code, _side(old, code), _side(new, code)) for code in codes]


def _side(chart: Chart, code: str) -> tuple[Account, tuple[str, ...]] | None:
    account = chart.account(code)
    return (account, tuple(chart.roles_of(code))) if account else None
