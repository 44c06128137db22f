"""The holdings and allocation report: securities with their ten fields, purses, totals (M38).

As CSV one line a figure's owner (``kind``: security, purse or total), as JSON whole, as text for
print. What was not known at that time is empty, null, or "no price at this time": never a guess.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import msgspec

from aggregates.holdings_plan import Plan
from aggregates.money import divide_half_even, from_scaled
from exporters.tables import aligned, csv_file, json_file
from projections.holdings_records import HoldingsState, SecurityRow

Kind = Literal["csv", "json", "txt"]
KINDS: tuple[Kind, ...] = ("csv", "json", "txt")
Figures = dict[str, tuple[str, Decimal | None]]  # by key: what a person calls it, and its amount
NO_PRICE = "no price at this time"
COLUMNS = (
    "kind", "symbol", "name", "instrument_id", "allocation_percent", "target_percent",
    "actual_percent", "deviation_points", "units", "average_price", "cost", "price", "price_at_utc",
    "market_value", "realized", "dividends", "unrealized", "total_gain", "currency", "as_of",
    "known_at",
)  # fmt: skip


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Whose figures they are, and of when: ``as_of`` is None without a limit on dates, ``known_at``
    the last position that counts, ``head_hash`` its hash."""

    identity: str
    currency: str
    as_of: date | None
    known_at: int
    head_hash: str

    def heading(self, title: str) -> str:
        """What a printed page begins with."""
        until = f"dates up to {self.as_of}" if self.as_of else "all dates"
        return (
            f"{title} of {self.identity}, in {self.currency}\n"
            f"{until}, as known at event {self.known_at:,}\nHead hash {self.head_hash}"
        )


class HoldingsSheet(Source, frozen=True, kw_only=True):
    """The state of one moment. ``plan_version`` is 0, ``plan`` None, where no plan was saved."""

    plan_version: int
    plan: Plan | None
    next_rebalance: date | None
    state: HoldingsState


def report_file(sheet: HoldingsSheet, kind: Kind) -> bytes:
    """The sheet as one file, UTF-8."""
    made = {"csv": _csv, "json": _json, "txt": _text}
    return made[kind](sheet)


def percent(share: Fraction | None) -> str:
    """With four decimals, half to even; empty when it is not known."""
    if share is None:
        return ""
    return f"{from_scaled(divide_half_even(share.numerator * 10**6, share.denominator), 10**4):f}"


def _record(row: SecurityRow) -> dict[str, str]:
    return {
        "symbol": row.symbol,
        "name": row.name,
        "instrument_id": row.instrument_id,
        "allocation_percent": text(row.allocation),
        "target_percent": percent(row.target),
        "actual_percent": percent(row.actual),
        "deviation_points": text(row.deviation),
        "units": text(row.units),
        "average_price": text(row.average_price),
        "cost": text(row.cost),
        "price": text(row.price),
        "price_at_utc": utc(row.price_at),
        "market_value": text(row.value),
        "realized": text(row.realized),
        "dividends": text(row.dividends),
        "unrealized": text(row.unrealized),
        "total_gain": text(row.total),
    }


def _purses(state: HoldingsState) -> Figures:
    kept = state.reserves
    return {
        "float": ("Cash float", kept.float),
        "tax_cash": ("Tax reserve in cash", kept.tax_cash),
        "tax_vehicle": ("Tax reserve in its vehicle, at cost", kept.tax_vehicle),
        "payroll": ("Payroll reserve", kept.payroll),
        "pool": ("Reinvestment pool", kept.pool),
    }


def _totals(state: HoldingsState) -> Figures:
    return {
        "long_term_value": ("Long-term holdings", state.long_term_value),
        "trading_value": ("Trading positions", state.trading_value),
        "tax_vehicle_value": ("Tax reserve vehicle", state.tax_vehicle_value),
        "account_value": ("Account value", state.account_value),
        "float_target": ("Float target", state.float_target),
    }


def _csv(sheet: HoldingsSheet) -> bytes:
    moment = {
        "currency": sheet.currency,
        "as_of": sheet.as_of.isoformat() if sheet.as_of else "",
        "known_at": str(sheet.known_at),
    }
    records = [{"kind": "security"} | _record(row) | moment for row in sheet.state.rows]
    for kind, found in (("purse", _purses(sheet.state)), ("total", _totals(sheet.state))):
        records += [
            {"kind": kind, "symbol": key, "name": words, "market_value": text(amount)} | moment
            for key, (words, amount) in found.items()
        ]
    return csv_file(COLUMNS, records)


def _json(sheet: HoldingsSheet) -> bytes:
    state = sheet.state
    content: dict[str, Any] = {
        "identity": sheet.identity,
        "currency": sheet.currency,
        "as_of": sheet.as_of.isoformat() if sheet.as_of else None,
        "known_at": sheet.known_at,
        "head_hash": sheet.head_hash,
        "plan_version": sheet.plan_version,
        "plan": sheet.plan,
        "next_rebalance": sheet.next_rebalance.isoformat() if sheet.next_rebalance else None,
        "securities": [
            {key: value or None for key, value in _record(row).items()} for row in state.rows
        ],
        "purses": {key: text(amount) for key, (_, amount) in _purses(state).items()},
        "totals": {key: text(amount) or None for key, (_, amount) in _totals(state).items()},
        "unpriced": list(state.unpriced),
    }
    return json_file(content)


def _text(sheet: HoldingsSheet) -> bytes:
    return "\n\n".join(
        [_heading(sheet), _securities(sheet.state), _money(sheet.state), ""]
    ).encode()


def _heading(sheet: HoldingsSheet) -> str:
    plan = f"version {sheet.plan_version}" if sheet.plan else "none saved"
    due = sheet.next_rebalance.isoformat() if sheet.next_rebalance else "none"
    heading = sheet.heading("Holdings and allocation report")
    return f"{heading}\nHoldings plan: {plan}. Next rebalance: {due}"


def _securities(state: HoldingsState) -> str:
    """Two tables, so that each fits on a printed page."""
    if not state.rows:
        return "No security is planned or held."
    shares = [
        (
            r.symbol, r.name, _shown(r.allocation) or "blank", _two(r.target), _two(r.actual),
            _shown(r.deviation) or "-", _shown(r.units), _priced(r),
        )
        for r in state.rows
    ]  # fmt: skip
    money = [
        (r.symbol, *(_shown(amount) or "-" for amount in (
            r.average_price, r.cost, r.value, r.realized, r.dividends, r.unrealized, r.total,
        )))
        for r in state.rows
    ]  # fmt: skip
    heads = (
        ("Symbol", "Name", "Alloc. %", "Target %", "Actual %", "Off by", "Units", "Price"),
        ("Symbol", "Avg. price", "Cost", "Value", "Realized", "Dividends", "Unrealized", "Total"),
    )
    numbers = ({2, 3, 4, 5, 6, 7}, set(range(1, 8)))
    return "\n\n".join(
        (aligned(heads[0], shares, numbers[0]), aligned(heads[1], money, numbers[1]))
    )


def _money(state: HoldingsState) -> str:
    lines = [(words, _shown(amount)) for words, amount in _purses(state).values()]
    lines += [
        (words, _shown(a) if a is not None else "not known") for words, a in _totals(state).values()
    ]
    missing = f"\n\nNo price at this time: {', '.join(state.unpriced)}" if state.unpriced else ""
    return aligned(("Purses and values", "Amount"), lines, {1}) + missing


def _priced(row: SecurityRow) -> str:
    return NO_PRICE if row.price is None else _shown(row.price)


def _two(share: Fraction | None) -> str:
    if share is None:
        return "-"
    return f"{from_scaled(divide_half_even(share.numerator * 10**4, share.denominator), 100):f}"


def _shown(number: Decimal | None) -> str:
    """For people: with a comma at each thousand."""
    return "" if number is None else format(number, ",f")


def text(number: Decimal | None) -> str:
    """In fixed point; empty when it is not known."""
    return "" if number is None else format(number, "f")


def utc(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")
