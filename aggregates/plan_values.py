"""What a plan of the long-term holdings says, the shares that follow, and how two plans differ.

Percentages have at most two decimals; weights are exact fractions.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from aggregates.money import plain


class PlannedSecurity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``allocation``: percent of the long-term part; None: an equal share of what is left.

    0: none of it is bought, and the next rebalance sells it.
    """

    symbol: str
    allocation: Decimal | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Percentages: ``float_target`` of the account's value, ``tax_reserve`` of realized gains,
    ``payroll`` of trading's gains after tax. ``drift_band`` is in percentage points: a security
    within it is left alone by a rebalance.

    ``tax_vehicle``: the security that the tax reserve is held in; empty: cash. ``sweep``: cash
    above the float target goes into the securities.
    """

    securities: tuple[PlannedSecurity, ...]
    float_target: Decimal = Decimal(10)
    tax_reserve: Decimal = Decimal(20)
    tax_vehicle: str = ""
    payroll: Decimal = Decimal(10)
    rebalance_months: int = 6
    auto_rebalance: bool = True
    sweep: bool = False
    drift_band: Decimal = Decimal(1)

    @property
    def symbols(self) -> set[str]:
        """Of everything that it buys, the tax reserve's vehicle included."""
        return {s.symbol for s in self.securities} | ({self.tax_vehicle} - {""})


# The specification's "Default Example".
DEFAULT_PLAN = Plan(securities=(PlannedSecurity("SCHD"), PlannedSecurity("SCHY")))


class PlanChange(NamedTuple):
    """One field before and after, as text; empty where there is none. ``field`` is that of the
    plan, "SCHD" for a security's allocation ("blank" when it has none)."""

    field: str
    before: str
    after: str


def weights(plan: Plan) -> dict[str, Fraction]:
    """Each security's exact share of the long-term part, in the plan's order.

    They add up to 1, blanks sharing equally what the others leave; empty without securities.
    """
    left = Fraction(1) - sum((_share(s) for s in plan.securities), Fraction(0))
    blanks = sum(s.allocation is None for s in plan.securities)
    each = left / blanks if blanks else Fraction(0)
    return {s.symbol: each if s.allocation is None else _share(s) for s in plan.securities}


def _share(security: PlannedSecurity) -> Fraction:
    return Fraction(security.allocation or 0) / 100


def plan_changes(before: Plan | None, after: Plan) -> tuple[PlanChange, ...]:
    """What differs, in the order of the fields, securities first. Order alone is no difference."""
    then, now = _texts(before) if before else {}, _texts(after)
    return tuple(
        PlanChange(name, then.get(name, ""), now.get(name, ""))
        for name in dict.fromkeys([*now, *then])
        if then.get(name) != now.get(name)
    )


def _texts(plan: Plan) -> dict[str, str]:
    found = {
        s.symbol: "blank" if s.allocation is None else _percent(s.allocation)
        for s in plan.securities
    }
    return found | {name: _text(getattr(plan, name)) for name in plan.__struct_fields__[1:]}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return _percent(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _percent(value: Decimal) -> str:
    return f"{plain(value):f} %"


def in_words(change: PlanChange) -> str:
    return f"{change.field}: {change.before or 'none'} → {change.after or 'none'}"
