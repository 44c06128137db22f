"""What an entry by hand may do to float and reserves (M31 to M33). Pure.

What the broker did (a fee, a tax, a fill) is booked whatever it leaves; what a person decides is
refused where it would break a rule. Amounts are in the books' currency.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import NamedTuple

from aggregates.base import Command
from aggregates.books import ReverseEntry
from aggregates.capital import RecordWithdrawal, ReleaseReserve
from aggregates.money import Money, exponent, plain
from aggregates.plan_values import Plan
from strategies.holdings_rules import (
    FLOAT,
    RESERVE,
    ZERO,
    Breach,
    MoneyState,
    Purses,
    check_reserve_release,
    least_float,
)


def check_entry(
    command: Command,
    before: Purses,
    after: Purses,
    *,
    plan: Plan | None,
    state: MoneyState | None,
    currency: str,
    promised: Decimal = ZERO,
) -> tuple[Breach, ...]:
    """Why the entry must not be made; empty: it may.

    ``before`` and ``after`` are the purses without it and with it. ``state`` is the account before;
    without it, without a plan, or while a price is missing, the float's target is not known: then
    a withdrawal leaves the float at 0 or above. ``promised`` is what purchases under way may still
    take of it: that is spent already.
    """
    match command:
        case ReleaseReserve():
            return check_reserve_release(command.purse_from, command.amount, before, currency)
        case RecordWithdrawal() if command.purse in ("tax_reserve", "payroll_reserve"):
            return check_reserve_release(command.purse, command.amount, before, currency)
        case RecordWithdrawal():
            value = state.account_value if state and plan else None
            free = _Float(before.float - promised, after.float - promised, promised, currency)
            if plan is None or value is None:
                return tuple(_not_below_zero(free))
            return tuple(_at_target(command.amount, free, plan, value))
        case ReverseEntry():
            return (*_kept(before, after, currency), *_reversible(before, after, currency))
    return ()


def warnings(after: Purses, currency: str) -> tuple[str, ...]:
    """What is not refused, but is not as it should be."""
    if after.float >= 0:
        return ()
    return (
        f"The float would be {_said(after.float, currency)}: the broker took what was set aside. "
        "Deposit as much, or release it from a reserve.",
    )


class _Float(NamedTuple):
    """Without the entry and with it, less what is promised to purchases."""

    before: Decimal
    after: Decimal
    promised: Decimal
    currency: str

    def in_words(self) -> str:
        kept = ""
        if self.promised:
            kept = f", beside {_said(self.promised, self.currency)} for purchases under way"
        return f"the float would be {_said(self.after, self.currency)}{kept}"


def _not_below_zero(free: _Float) -> Iterator[Breach]:
    if free.after < 0:
        most = _said(max(free.before, ZERO), free.currency)
        yield Breach(FLOAT, free.in_words(), f"at most {most}")


def _at_target(amount: Decimal, free: _Float, plan: Plan, value: Decimal) -> Iterator[Breach]:
    """The float stays at its target, which is a share of an account that is smaller afterwards."""
    least, currency = least_float(plan, value - amount), free.currency
    if free.after >= least:
        return
    share = Fraction(plan.float_target) / 100
    # x with float - x = share of (account - x); all of the account is float: nothing leaves it
    most = (Fraction(free.before) - share * Fraction(value)) / (1 - share) if share < 1 else 0
    yield Breach(
        FLOAT,
        f"{free.in_words()}, the target is {_said(least, currency)} "
        f"({plain(plan.float_target):f} % of the account)",
        f"at most {_said(_down(max(Fraction(most), Fraction(0)), currency), currency)}",
    )


def _kept(before: Purses, after: Purses, currency: str) -> Iterator[Breach]:
    """A reserve never falls by a correction. The tax reserve is its cash and its vehicle."""
    for name, was, left in (
        ("tax reserve", before.tax_cash + before.tax_vehicle, after.tax_cash + after.tax_vehicle),
        ("payroll reserve", before.payroll, after.payroll),
    ):
        if left < was:
            said = f"the {name} would fall from {_said(was, currency)} to {_said(left, currency)}"
            yield Breach(RESERVE, said, "a release of it, with a reason and its confirmation")


def _reversible(before: Purses, after: Purses, currency: str) -> Iterator[Breach]:
    if after.float < 0 and after.float < before.float:
        said = f"the float would be {_said(after.float, currency)}"
        yield Breach(FLOAT, said, "the right entry first, then this reversal")


def _said(amount: Decimal, currency: str) -> str:
    return str(Money.rounded(amount, currency))


def _down(value: Fraction, currency: str) -> Decimal:
    """To the minor unit below: what is allowed is never said too high."""
    unit = Decimal(1).scaleb(-exponent(currency))
    return (Decimal(value.numerator) / value.denominator).quantize(unit, ROUND_DOWN)
