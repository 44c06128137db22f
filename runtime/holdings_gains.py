"""Realized gains measured and set aside, all in one batch of events (M32 to M34)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from aggregates.base import Command
from aggregates.capital import Earmark, Purse
from aggregates.holdings import AllocateGains, RecordStep, day_stream
from aggregates.holdings_plan import STREAM as PLAN
from aggregates.holdings_plan import HoldingsPlan
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.holdings_cash import balances_of
from runtime.holdings_measured import DAY, Measured, measure
from runtime.purses import Reserves, purses_of
from strategies.holdings_allocation import (
    Allocation,
    allocate,
    float_target,
    percent_of,
)
from strategies.holdings_rules import RulesBroken, check_allocation, refuse

_ZERO = Decimal(0)


class GainsStep:
    """The steps gains, tax and payroll of one session. Views must be caught up."""

    def __init__(self, bot: Bot, hours: SessionHours) -> None:
        self._bot, self._hours = bot, hours
        self._plan = bot.store.load(HoldingsPlan, PLAN)
        self._currency = bot.settings.CURRENCY_CODE

    def needed(self) -> Decimal:
        """What tax and payroll will take from the float."""
        plan = self._plan.plan
        measured = self._measure() if plan else None
        if plan is None or measured is None:
            return _ZERO
        found = allocate(plan, measured.due, cash_float=_ZERO, target=None, currency=self._currency)
        return found.tax + found.payroll

    def run(self, account: Decimal) -> None:
        """``account`` is the account's value, of which the plan keeps a part as the least float.

        Nothing is set aside when a rule would be broken: the steps say so, and the next run
        allocates these dates too.
        """
        held, plan = purses_of(self._bot.views.books), self._plan.plan
        target = float_target(plan, account, self._currency) if plan else _ZERO
        measured = self._measure() if plan else None
        if plan is None or measured is None:
            said = "no date is over since the last allocation, or since the plan"
            self._record(self._nothing(said, {}, held))
            return
        found = allocate(
            plan, measured.due, cash_float=held.float, target=target, currency=self._currency
        )
        breaches = check_allocation(
            tax=found.tax, payroll=found.payroll, reinvested=found.reinvested,
            held=held, target=target, currency=self._currency,
        )  # fmt: skip
        reach("holdings.measured")
        try:
            refuse(breaches)
        except RulesBroken as e:
            self._record(self._nothing(f"refused: {e}", _figures(measured), held))
            return
        self._record(self._set_aside(measured, found, held))

    def _measure(self) -> Measured | None:
        return measure(self._bot, self._hours.day - DAY)

    # -- recording -------------------------------------------------------------------------

    def _set_aside(
        self, measured: Measured, found: Allocation, held: Reserves
    ) -> list[AllocateGains | Earmark | RecordStep]:
        """All of it in order, each step with the purses as they are after it."""
        commands: list[AllocateGains | Earmark | RecordStep] = [
            self._gains(measured, found),
            self._step("gains", _words(measured), _figures(measured), held),
        ]
        moves: tuple[tuple[str, Purse, str, str, Decimal], ...] = (
            ("tax", "tax_reserve", "tax_cash", "tax-reserve", found.tax),
            ("payroll", "payroll_reserve", "payroll", "payroll", found.payroll),
            ("", "reinvestment_pool", "pool", "reinvestment", found.reinvested),
        )
        for step, purse, name, context, amount in moves:
            if amount:
                commands.append(self._earmark(measured, purse, context, amount))
                raised = {"float": held.float - amount, name: getattr(held, name) + amount}
                held = msgspec.structs.replace(held, **raised)
            if step:
                commands.append(self._step(step, found.line(step), {step: f"{amount:f}"}, held))
        return commands

    def _gains(self, measured: Measured, found: Allocation) -> AllocateGains:
        plan = self._plan.plan
        percent = plan.tax_reserve if plan else _ZERO
        over = percent_of(percent, measured.due.over_reserved, self._currency)
        return AllocateGains(
            at=self._bot.clock.now(),
            effective_date=self._hours.day,
            plan_version=self._plan.number,
            first=measured.first,
            through=measured.through,
            known_at=measured.known_at,
            trading=measured.current.trading,
            holdings=measured.current.holdings,
            late_trading=measured.late.trading,
            late_holdings=measured.late.holdings,
            tax=found.tax,
            payroll=found.payroll,
            reinvested=found.reinvested,
            over_reserved=over,
            reserved=measured.due.reserved,
            arithmetic=found.arithmetic,
        )

    def _earmark(self, measured: Measured, purse: Purse, context: str, amount: Decimal) -> Earmark:
        return Earmark(
            at=self._bot.clock.now(),
            effective_date=self._hours.day,
            reference=f"{day_stream(self._hours.day)}-{context}",
            currency=self._currency,
            amount=amount,
            reason=f"{context} of the gains of {measured.first} to {measured.through}",
            purse_from="float",
            purse_to=purse,
            context=context,
        )

    def _step(self, step: str, outcome: str, figures: dict[str, str], held: Reserves) -> RecordStep:
        return RecordStep(
            at=self._bot.clock.now(),
            effective_date=self._hours.day,
            step=step,
            outcome=outcome,
            figures=figures | {"plan_version": str(self._plan.number)},
            balances=balances_of(held),
        )

    def _nothing(self, said: str, figures: dict[str, str], held: Reserves) -> list[RecordStep]:
        return [
            self._step("gains", said, figures, held),
            self._step("tax", "nothing was set aside", {}, held),
            self._step("payroll", "nothing was set aside", {}, held),
        ]

    def _record(self, commands: Sequence[Command]) -> None:
        stream = day_stream(self._hours.day)
        self._bot.dispatch(*commands, command_id=f"{stream}:allocation", correlation=stream)
        reach("holdings.allocated")
        self._bot.views.catch_up()


def _words(measured: Measured) -> str:
    now, late = measured.current, measured.late
    said = (
        f"{measured.first} to {measured.through}: trading {now.trading:,f}, holdings "
        f"{now.holdings:,f}"
    )
    if late.trading or late.holdings:
        said += f"; late about earlier dates: {late.trading:,f} and {late.holdings:,f}"
    return said


def _figures(measured: Measured) -> dict[str, str]:
    return {
        "first": str(measured.first),
        "through": str(measured.through),
        "trading": f"{measured.current.trading:f}",
        "holdings": f"{measured.current.holdings:f}",
        "late_trading": f"{measured.late.trading:f}",
        "late_holdings": f"{measured.late.holdings:f}",
    }
