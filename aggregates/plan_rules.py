"""What every plan of the long-term holdings must fulfil, fault by fault (M30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from aggregates.money import exact_decimal, plain, to_scaled
from aggregates.plan_values import Plan

MOST_SECURITIES = 20
INTERVALS = (3, 6, 12)  # months between two rebalances
WHOLE = 100_00  # hundredths of a percent

_PERCENTAGES = {
    "float_target": "The float target",
    "tax_reserve": "The tax reserve",
    "payroll": "Payroll",
    "drift_band": "The tolerance band",
}


class PlanFault(NamedTuple):
    """What is wrong with one field: "float_target", "securities", "securities.2.allocation" (from
    0, in the plan's order)."""

    field: str
    message: str


def plan_faults(plan: Plan) -> tuple[PlanFault, ...]:
    """Everything that is wrong with a plan, in the order of its fields; empty: it may be saved."""
    return tuple(_faults(plan))


def _faults(plan: Plan) -> Iterator[PlanFault]:
    yield from _number_faults(plan)
    yield from _symbol_faults(plan)
    yield from _allocation_faults(plan)
    yield from _percent_faults(plan)
    yield from _vehicle_faults(plan)
    if plan.rebalance_months not in INTERVALS:
        said = f"{plan.rebalance_months} months: the interval of rebalancing is 3, 6 or 12 months."
        yield PlanFault("rebalance_months", said)


def _number_faults(plan: Plan) -> Iterator[PlanFault]:
    if len(plan.securities) > MOST_SECURITIES:
        said = f"{len(plan.securities)} securities are planned; at most {MOST_SECURITIES} can be."
        yield PlanFault("securities", said)


def _symbol_faults(plan: Plan) -> Iterator[PlanFault]:
    times = Counter(s.symbol for s in plan.securities)
    for at, security in enumerate(plan.securities):
        said = symbol_fault(security.symbol)
        if not said and times[security.symbol] > 1:
            said = f"{security.symbol} stands in the plan {times[security.symbol]} times."
        if said:
            yield PlanFault(f"securities.{at}.symbol", said)


def _allocation_faults(plan: Plan) -> Iterator[PlanFault]:
    """The sum is asked for only where each percentage is one."""
    given = {at: s.allocation for at, s in enumerate(plan.securities) if s.allocation is not None}
    own = {at: percent_fault("The allocation", value) for at, value in given.items()}
    yield from (PlanFault(f"securities.{at}.allocation", said) for at, said in own.items() if said)
    if plan.securities and not any(own.values()):
        total = sum(to_scaled(value, 100, "percent") for value in given.values())
        blanks = len(plan.securities) - len(given)
        if said := _sum_fault(total, blanks):
            yield PlanFault("securities", said)


def _sum_fault(total: int, blanks: int) -> str:
    """``total`` of the allocations that are given, in hundredths of a percent."""
    percent = f"{plain(Decimal(total) / 100):f}"
    if not blanks and total != WHOLE:
        over = abs(WHOLE - total)
        more = f"{plain(Decimal(over) / 100):f} % too {'much' if total > WHOLE else 'little'}"
        return f"The allocations add up to {percent} %, not to 100 %: {more}."
    if blanks and total >= WHOLE:
        return (
            f"The allocations add up to {percent} %, which leaves nothing for the {blanks} blank; "
            "they must stay below 100 %."
        )
    return ""


def _percent_faults(plan: Plan) -> Iterator[PlanFault]:
    for name, said in _PERCENTAGES.items():
        if fault := percent_fault(said, getattr(plan, name)):
            yield PlanFault(name, fault)


def _vehicle_faults(plan: Plan) -> Iterator[PlanFault]:
    vehicle = plan.tax_vehicle
    if not vehicle:
        return  # the reserve is kept in cash
    said = symbol_fault(vehicle)
    if vehicle in (s.symbol for s in plan.securities):
        said = f"{vehicle} is one of the securities; the tax reserve needs one of its own, or cash."
    if said:
        yield PlanFault("tax_vehicle", said)


def percent_fault(what: str, value: Decimal) -> str:
    """Why ``value`` is no percentage from 0 to 100 with at most two decimals; empty: it is."""
    try:
        number = exact_decimal(value)
    except DomainError:
        return f"{what} is not a number."
    if not 0 <= number <= 100:
        return f"{what} is {number:f} %; it must be from 0 to 100 %."
    try:
        to_scaled(number, 100, what)
    except DomainError:
        return f"{what} is {number:f} %; at most two decimals can be kept."
    return ""


def symbol_fault(symbol: str) -> str:
    """Why ``symbol`` names no security; empty: it may."""
    if not symbol:
        return "A symbol is missing."
    try:
        check_symbol(symbol)
    except DomainError as e:
        return str(e)
    return "" if symbol == symbol.upper() else f"{symbol}: write symbols in capitals."
