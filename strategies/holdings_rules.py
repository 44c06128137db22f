"""What the long-term holdings may do: float, reserve and allocation rules (M30, M31, M34).

Pure, and the one place that a save, a rebalance, an allocation and the page while one types ask. A
rule that would be broken comes back as a breach with the figures and with what would be allowed; no
breach: it may be done. Amounts are in the books' currency, a ``target`` is the least float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, Protocol

from aggregates.capital import Purse
from aggregates.errors import DomainError
from aggregates.money import Money, plain
from aggregates.plan_rules import plan_faults
from aggregates.plan_values import Plan, weights

FLOAT, RESERVE, ALLOCATION, INTERVAL = "FLOAT", "RESERVE", "ALLOCATION", "INTERVAL"
ZERO = Decimal(0)
_PERCENT = "from 0 to 100 %, with at most two decimals"
# By the head of a fault's field: the rule that it breaks, and what would be allowed.
_FIELDS = {
    "securities": (
        ALLOCATION,
        "up to 20 securities, each once and in capitals, whose allocations add up to 100 %, or to "
        "less where some are blank",
    ),
    "float_target": (FLOAT, _PERCENT),
    "tax_reserve": (RESERVE, _PERCENT),
    "payroll": (RESERVE, _PERCENT),
    "tax_vehicle": (RESERVE, "cash (blank), or one security that is not among the planned ones"),
    "rebalance_months": (INTERVAL, "3, 6 or 12 months"),
    "drift_band": (INTERVAL, _PERCENT),
}


class Breach(NamedTuple):
    """``said`` has the figures, ``allowed`` what would be allowed; ``field`` is that of the plan
    that it lies at, empty for none."""

    rule: str
    said: str
    allowed: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.said}; allowed: {self.allowed}."


class RulesBroken(DomainError):
    """What was asked for would break the rules; ``breaches`` has every one."""

    def __init__(self, breaches: tuple[Breach, ...]) -> None:
        self.breaches = breaches
        super().__init__(f"{' '.join(map(str, breaches))} Nothing was done.")


class Purses(Protocol):
    """The cash of the account by what it is kept for; ``tax_vehicle`` is at cost."""

    @property
    def float(self) -> Decimal: ...
    @property
    def tax_cash(self) -> Decimal: ...
    @property
    def tax_vehicle(self) -> Decimal: ...
    @property
    def payroll(self) -> Decimal: ...
    @property
    def pool(self) -> Decimal: ...


class MoneyState(Protocol):
    """``account_value`` is None while a price is missing."""

    @property
    def reserves(self) -> Purses: ...
    @property
    def account_value(self) -> Decimal | None: ...


def refuse(breaches: tuple[Breach, ...]) -> None:
    """Raise RulesBroken when there is any."""
    if breaches:
        raise RulesBroken(breaches)


def least_float(plan: Plan, account_value: Decimal) -> Decimal:
    """The float target as an amount, exact."""
    return account_value * plan.float_target / 100


def check_plan(plan: Plan, state: MoneyState | None, currency: str) -> tuple[Breach, ...]:
    """Whether a plan may be saved: its own figures, then what they would ask of the account.

    Without ``state``, or while a price is missing, only the plan's own figures can be looked at;
    the rest is asked before anything is bought.
    """
    if faults := plan_faults(plan):
        return tuple(_breach_of(field, message) for field, message in faults)
    if state is None or state.account_value is None:
        return ()
    return tuple(_float_covered(plan, state.account_value, state.reserves, currency))


def _breach_of(field: str, message: str) -> Breach:
    rule, allowed = _FIELDS[field.partition(".")[0]]
    return Breach(rule, message.removesuffix("."), allowed, field)


def _float_covered(plan: Plan, value: Decimal, held: Purses, currency: str) -> Iterator[Breach]:
    """What is reserved already can be no float, so a target above the rest could never be met."""
    reserved = held.tax_cash + held.tax_vehicle + held.payroll
    target, room = least_float(plan, value), max(ZERO, value - reserved)
    if target > room:
        said = (
            f"a float target of {plain(plan.float_target):f} % is {_money(target, currency)}; of "
            f"the account's {_money(value, currency)} there are {_money(reserved, currency)} "
            "reserved"
        )
        hundredths = Fraction(room) * 10_000 // Fraction(value) if value > 0 else 0
        most = plain(Decimal(hundredths) / 100)
        yield Breach(FLOAT, said, f"a float target of at most {most:f} %", "float_target")


def check_purchases(
    plan: Plan,
    costs: Mapping[str, Decimal],
    *,
    purse: Purse,
    held: Purses,
    target: Decimal,
    currency: str,
    proceeds: Decimal = ZERO,
) -> tuple[Breach, ...]:
    """Whether securities may be bought. ``costs`` by symbol, fees included, from one purse.

    ``proceeds`` are those of sales that come before and go to the float.
    """
    return (
        *_planned(plan, costs, purse),
        *_affordable(sum(costs.values(), ZERO), purse, held, target, currency, proceeds),
    )


def _planned(plan: Plan, costs: Mapping[str, Decimal], purse: Purse) -> Iterator[Breach]:
    if purse == "tax_reserve":
        wanted = {plan.tax_vehicle} - {""}
        allowed = plan.tax_vehicle or "nothing: the tax reserve is kept in cash"
    else:
        wanted = {symbol for symbol, weight in weights(plan).items() if weight > 0}
        allowed = ", ".join(sorted(wanted)) or "nothing: no security is planned"
    rule = RESERVE if purse == "tax_reserve" else ALLOCATION
    for symbol in sorted(costs.keys() - wanted):
        yield Breach(rule, f"{symbol} would be bought, which the plan does not ask for", allowed)


def _affordable(
    total: Decimal, purse: Purse, held: Purses, target: Decimal, currency: str, proceeds: Decimal
) -> Iterator[Breach]:
    if purse == "float":
        after = held.float + proceeds - total
        if total > 0 and after < target:
            room = max(ZERO, total - (target - after))
            yield _below_target(after, target, room, currency)
        return
    room = ZERO if purse == "payroll_reserve" else _in_purse(purse, held)
    if total > room:
        name = purse.replace("_", " ")
        said = f"{_money(total, currency)} would be spent from the {name}"
        yield Breach(RESERVE, said, f"at most {_money(room, currency)} from there")


def check_allocation(
    *,
    tax: Decimal,
    payroll: Decimal,
    reinvested: Decimal,
    held: Purses,
    target: Decimal,
    currency: str,
) -> tuple[Breach, ...]:
    """Whether gains may be set aside from the float: the two reserves first, then what is
    reinvested, which leaves the float at or above its target."""
    parts = {"the tax reserve": tax, "payroll": payroll, "the reinvestment": reinvested}
    falling = tuple(
        Breach(RESERVE, f"{name} would change by {_money(part, currency)}", "nothing below 0")
        for name, part in parts.items()
        if part < 0
    )
    if falling:
        return falling
    left = held.float - tax - payroll
    if tax + payroll > 0 and left < 0:
        said = (
            f"{_money(tax + payroll, currency)} would be set aside, the float holds "
            f"{_money(held.float, currency)}"
        )
        return (Breach(RESERVE, said, f"at most {_money(max(ZERO, held.float), currency)}"),)
    if reinvested > 0 and left - reinvested < target:
        return (_below_target(left - reinvested, target, max(ZERO, left - target), currency),)
    return ()


def _below_target(after: Decimal, target: Decimal, room: Decimal, currency: str) -> Breach:
    said = f"the float would be {_money(after, currency)}, the target is {_money(target, currency)}"
    return Breach(FLOAT, said, f"purchases of at most {_money(room, currency)}")


def check_reserve_release(
    purse: Purse, amount: Decimal, held: Purses, currency: str
) -> tuple[Breach, ...]:
    """Whether so much of a reserve's cash may be let go of by the audited override."""
    if purse not in ("tax_reserve", "payroll_reserve"):
        said = f"the {purse.replace('_', ' ')} is no reserve"
        return (Breach(RESERVE, said, "the tax reserve or the payroll reserve"),)
    room = _in_purse(purse, held)
    if 0 < amount <= room:
        return ()
    said = f"{_money(amount, currency)} would leave the {purse.replace('_', ' ')}"
    return (Breach(RESERVE, said, f"above 0 and at most {_money(room, currency)}, its cash"),)


def _in_purse(purse: Purse, held: Purses) -> Decimal:
    found = {
        "float": held.float,
        "tax_reserve": held.tax_cash,
        "payroll_reserve": held.payroll,
        "reinvestment_pool": held.pool,
    }
    return max(ZERO, found[purse])


def _money(amount: Decimal, currency: str) -> str:
    return str(Money.rounded(amount, currency))
