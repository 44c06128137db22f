"""A form of the holdings plan on its way: what is typed, what is wrong with it, what is known.

The server says it while one types, when a field is left, and when the form is sent: the same rules
each time (runtime.holdings_typed).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from flask import request

from aggregates.holdings_plan import (
    Plan,
    PlanChange,
    PlanFault,
    plan_changes,
    plan_faults,
    weights,
)
from runtime.holdings_typed import Breach, breaches_of
from web.frame import frame
from web.holdings_ahead import Ahead, above_target, rebalance_due, when_next
from web.holdings_form import Typed
from web.holdings_shown import Line, Shown, lines_of
from web.holdings_words import percent


@dataclass
class Asked:
    """``faults`` are the texts beside each field, by its id. ``lines`` are those of the form's
    rows, ``every`` also those of what is held besides. ``saved``: by this very request;
    ``moved``: somebody else saved since; ``difference``: to what is in force, once it is shown;
    ``focus``: the row that the keyboard goes on in."""

    typed: Typed
    shown: Shown
    faults: dict[str, list[str]] = field(default_factory=dict)
    lines: list[Line | None] = field(default_factory=list)
    every: list[Line] = field(default_factory=list)
    weights: dict[str, Fraction] = field(default_factory=dict)
    saved: bool = False
    difference: tuple[PlanChange, ...] | None = None
    reason: str = ""
    focus: int | None = None

    @property
    def plan(self) -> Plan:
        return self.typed.plan

    @property
    def found(self) -> list[tuple[str, str]]:
        """Every fault with the id of the (first) field that it lies at; empty for none."""
        elsewhere = {"securities": "plan-sum"}  # the sum has no field of its own
        every = ((name, text) for name, said in self.faults.items() for text in said)
        once = {text: elsewhere.get(name, name) for name, text in reversed(list(every))}
        return [(at, text) for text, at in reversed(once.items())]

    @property
    def moved(self) -> bool:
        return self.typed.seen != self.shown.number

    @property
    def changed(self) -> bool:
        """Whether a save would make a version: the first always does."""
        now = self.shown.plan
        return now is None or bool(self.faults) or self.plan != now

    @property
    def ahead(self) -> Ahead:
        """What it will do by itself, and when."""
        due, overdue = rebalance_due(self.shown, self.plan.rebalance_months)
        over = None if self.faults else above_target(self.shown, self.plan.float_target)
        return Ahead(when_next(), due, overdue, over, None if self.faults else self._moved)

    @property
    def _moved(self) -> Decimal | None:
        """What lies above the targets or below them, the larger of both, of what is beyond."""
        value = self.shown.state.long_term_value
        if value is None:
            return None
        off = [line.deviation for line in self.every if line.beyond and line.deviation]
        more = sum((points for points in off if points > 0), Decimal(0))
        less = sum((-points for points in off if points < 0), Decimal(0))
        found: Decimal = value * max(more, less) / 100
        return found.quantize(Decimal(1).scaleb(-frame().exponent))

    def new_symbol(self, n: int) -> bool:
        """Whether the books know no security of the symbol in this row."""
        line = self.lines[n]
        return line is not None and not (line.row and line.row.instrument_id)

    @property
    def sum_words(self) -> str:
        """How the sum comes about: what is given, and what each blank gets."""
        blanks = [s.symbol for s in self.plan.securities if s.allocation is None]
        given = sum((s.allocation or Decimal(0) for s in self.plan.securities), Decimal(0))
        if not blanks:
            return ""
        each = f"{percent(self.weights[blanks[0]])} for {'each of ' if len(blanks) > 1 else ''}"
        who = f"{len(blanks)} blanks" if len(blanks) > 1 else blanks[0]
        return f"{percent(given / 100)} given, {each}{who}"


def looked_at(typed: Typed, shown: Shown) -> Asked:
    """What is wrong with the form, and the figures beside its fields."""
    plan = typed.plan
    own = plan_faults(plan)
    broken = () if own else breaches_of(plan, shown.state, shown.currency)
    asked = Asked(typed, shown, typed.faults([*own, *map(_as_fault, broken)]))
    asked.reason = request.form.get("reason", "")
    if not any(fault.field.startswith("securities") for fault in own):
        asked.weights = weights(plan)
    band = shown.band if own else plan.drift_band
    known = {line.symbol: line for line in lines_of(shown.rows, asked.weights, band)}
    asked.every = list(known.values())
    asked.lines = [None if row.blank else known.get(row.symbol) for row in typed.rows]
    return asked


def refused(asked: Asked, broken: tuple[Breach, ...]) -> Asked:
    """With what a save was refused for: the account may have moved since it was looked at."""
    asked.faults = asked.typed.faults(map(_as_fault, broken))
    return asked


def difference_to(asked: Asked) -> Asked:
    """With what differs from the plan in force shown beside it; sent again, it takes its place."""
    before = asked.shown.plan
    asked.difference = plan_changes(before, asked.plan) if before else ()
    asked.typed = replace(asked.typed, seen=asked.shown.number)
    return asked


def _as_fault(breach: Breach) -> PlanFault:
    return PlanFault(
        breach.field, f"{breach.rule.capitalize()} rule: {breach.said}. Allowed: {breach.allowed}."
    )
