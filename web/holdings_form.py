"""The form of the holdings plan: what was typed, the plan that it means, and what is wrong with it.

Rows are told by their place in the form. A row without symbol and percentage is room for one more
security, and no part of the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from flask import request

from aggregates.holdings_plan import MOST_SECURITIES, Plan, PlanFault, PlannedSecurity
from web.frame import BadInput, whole
from web.holdings_words import bare_percent

PERCENTS = ("float_target", "tax_reserve", "payroll", "drift_band")
SWITCHES = ("auto_rebalance", "sweep")
LONGEST = 100  # characters of one field; a symbol and a percentage are far shorter
NUMBER = re.compile(r"-?(\d{1,6}(\.\d{0,6})?|\.\d{1,6})")
NOT_A_NUMBER = Decimal("NaN")  # the plan's own rules say it beside the field


class Row(NamedTuple):
    """One security as typed."""

    symbol: str = ""
    allocation: str = ""

    @property
    def blank(self) -> bool:
        return not (self.symbol or self.allocation)


@dataclass(frozen=True)
class Typed:
    """``seen`` is the version that was looked at, 0 for none. ``texts`` has the other fields."""

    seen: int
    rows: tuple[Row, ...]
    texts: dict[str, str]

    @property
    def plan(self) -> Plan:
        """What it means, faulty or not: ``plan_faults`` tells."""
        return Plan(
            securities=tuple(
                PlannedSecurity(row.symbol, _percent(row.allocation) if row.allocation else None)
                for row in self.rows
                if not row.blank
            ),
            tax_vehicle=self.texts["tax_vehicle"],
            rebalance_months=int(self.texts["rebalance_months"]),
            **{name: _percent(self.texts[name]) for name in PERCENTS},  # type: ignore[arg-type]
            **{name: bool(self.texts[name]) for name in SWITCHES},  # type: ignore[arg-type]
        )

    def field(self, name: str) -> str:
        """The id in the form of a field of the plan: its securities lack the blank rows."""
        parts = name.split(".")
        if len(parts) != 3:
            return name
        places = [at for at, row in enumerate(self.rows) if not row.blank]
        return f"{parts[2]}-{places[int(parts[1])]}"

    def faults(self, found: Iterable[PlanFault]) -> dict[str, list[str]]:
        """What is wrong, by the id of the field."""
        said: dict[str, list[str]] = {}
        for fault in found:
            at = self.field(fault.field)
            said.setdefault(at, []).append(fault.message + self._how(at, fault.message))
        return said

    def _how(self, at: str, message: str) -> str:
        """How a number is written, after one that could not be read."""
        name, _, row = at.rpartition("-")
        text = self.rows[int(row)].allocation if name == "allocation" else self.texts.get(at, "")
        if not message.endswith("is not a number."):
            return ""
        if not text:
            return " Write one, or 0."
        point = text.replace(",", ".")
        return f" Write {point}." if NUMBER.fullmatch(point) else " Write it like 10.5."

    def with_room(self) -> Typed:
        """One more row to type into, where the plan has room and there is none yet."""
        free = any(row.blank for row in self.rows)
        rows = self.rows if free or len(self.rows) >= MOST_SECURITIES else (*self.rows, Row())
        return replace(self, rows=rows)

    def with_row(self) -> Typed:
        """A row more. Raises BadInput where the plan has no room."""
        if len(self.rows) >= MOST_SECURITIES:
            raise BadInput(f"{MOST_SECURITIES} securities are the most. Nothing was changed.")
        return replace(self, rows=(*self.rows, Row()))

    def without(self, at: int) -> Typed:
        """A row less. Raises BadInput where there is none."""
        if not 0 <= at < len(self.rows):
            raise BadInput(f"There is no row {at + 1} to delete. Nothing was changed.")
        return replace(self, rows=(*self.rows[:at], *self.rows[at + 1 :]))


def typed_of(plan: Plan, seen: int) -> Typed:
    """The form as it is opened on a plan."""
    rows = (
        Row(s.symbol, "" if s.allocation is None else bare_percent(s.allocation))
        for s in plan.securities
    )
    texts = {name: bare_percent(getattr(plan, name)) for name in PERCENTS}
    texts |= {name: "yes" if getattr(plan, name) else "" for name in SWITCHES}
    texts |= {"tax_vehicle": plan.tax_vehicle, "rebalance_months": str(plan.rebalance_months)}
    return Typed(seen, tuple(rows), texts)


def read_typed() -> Typed:
    """The form of this request. Raises BadInput for one that no page of ours sends."""
    sent = request.form
    symbols, allocations = sent.getlist("symbol"), sent.getlist("allocation")
    if len(symbols) != len(allocations) or len(symbols) > MOST_SECURITIES:
        raise BadInput(
            f"The form must hold a percentage for each of at most {MOST_SECURITIES} securities. "
            "Nothing was changed; load the page again."
        )
    rows = (Row(_text(s).upper(), _text(a)) for s, a in zip(symbols, allocations, strict=True))
    texts = {name: _text(sent.get(name, "")) for name in (*PERCENTS, *SWITCHES)}
    texts["tax_vehicle"] = _text(sent.get("tax_vehicle", "")).upper()
    texts["rebalance_months"] = str(_whole("rebalance_months"))
    return Typed(_whole("seen"), tuple(rows), texts)


def _text(value: str) -> str:
    if len(value) > LONGEST:
        raise BadInput(f"A field holds more than {LONGEST} characters. Nothing was changed.")
    return value.strip()


def _percent(text: str) -> Decimal:
    """A percentage as typed, the sign for it left out or not."""
    bare = text.removesuffix("%").strip()
    return Decimal(bare) if NUMBER.fullmatch(bare) else NOT_A_NUMBER


def _whole(name: str) -> int:
    if (found := whole(request.form.get(name, "").strip(), digits=9)) is None:
        raise BadInput(
            f"The form does not say {name.replace('_', ' ')} as a whole number. Nothing was "
            "changed; load the page again."
        )
    return found
