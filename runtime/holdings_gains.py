"""Realized gains measured and set aside, all in one batch of events (M32 to M34)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from aggregates.base import Command
from aggregates.capital import Earmark, Purse
from aggregates.holdings import STREAM, AllocateGains, Holdings, RecordStep, day_stream
from aggregates.holdings_plan import STREAM as PLAN
from aggregates.holdings_plan import HoldingsPlan
from config.calendar import SessionHours
from config.failpoints import reach
from projections.holdings_queries import HoldingsQueries
from projections.holdings_records import Realized
from projections.late_results import dates_changed_since
from runtime.bootstrap import Bot
from runtime.holdings_cash import balances_of
from runtime.purses import Reserves, purses_of
from strategies.holdings_allocation import (
    Allocation,
    Due,
    Result,
    allocate,
    due_gains,
    percent_of,
)
from strategies.holdings_rules import RulesBroken, check_allocation, refuse

DAY = timedelta(days=1)
_ZERO = Decimal(0)
_NO_RESULT = Realized(trading=_ZERO, holdings=_ZERO)


class Measured(NamedTuple):
    """Results of ``first`` to ``through`` as known at the event ``known_at``, and what became known
    since the last allocation about the dates before."""

    first: date
    through: date
    known_at: int
    current: Realized
    late: Realized
    due: Due


class GainsStep:
    """The steps gains, tax and payroll of one session. Views must be caught up."""

    def __init__(self, bot: Bot, hours: SessionHours) -> None:
        self._bot, self._hours = bot, hours
        self._holdings = bot.store.load(Holdings, STREAM)
        self._plan = bot.store.load(HoldingsPlan, PLAN)
        self._currency = bot.settings.CURRENCY_CODE

    def run(self, target: Decimal | None) -> None:
        """``target`` is the least float; None: not known, and nothing is reinvested.

        Nothing is set aside when a rule would be broken: the steps say so, and the next run
        allocates these dates too.
        """
        held, plan = purses_of(self._bot.views.books), self._plan.plan
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
            held=held, target=target or _ZERO, currency=self._currency,
        )  # fmt: skip
        reach("holdings.measured")
        try:
            refuse(breaches)
        except RulesBroken as e:
            self._record(self._nothing(f"refused: {e}", _figures(measured), held))
            return
        self._record(self._set_aside(measured, found, held))

    # -- measuring -------------------------------------------------------------------------

    def _measure(self) -> Measured | None:
        """None: there is no completed date to allocate. Before the first allocation the plan's
        first day is the beginning: what was earned before was nobody's to set aside."""
        bot, done = self._bot, self._holdings
        known_at = bot.views.catch_up()
        through = self._hours.day - DAY
        first = done.through + DAY if done.through else self._plan.versions[1].effective_date
        if first > through:
            return None
        ask = HoldingsQueries(bot.views.books, bot.views.trading)
        current = ask.realized(first, through, until_position=known_at)
        results = [Result(first, through, current.trading, current.holdings)]
        late = _NO_RESULT
        if done.through:
            begun = min(done.reserved)
            late = ask.realized(
                begun, done.through, since_position=done.known_at, until_position=known_at
            )
            for stretch in self._changed(begun, done.through):
                now = ask.realized(*stretch, until_position=known_at)
                results.append(Result(*stretch, now.trading, now.holdings))
        due = due_gains(done.reserved, results)
        return Measured(first, through, known_at, current, late, due)

    def _changed(self, begun: date, through: date) -> list[tuple[date, date]]:
        """Stretches of dates, allocated before, that something was recorded about since."""
        books, known_at = self._bot.views.books, self._holdings.known_at
        days = [d for d in dates_changed_since(books, known_at, through) if d >= begun]
        return [
            (stretch.first, stretch.last)
            for stretch in self._holdings.reserved.values()
            if any(stretch.first <= day <= stretch.last for day in days)
        ]

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
            figures=figures,
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
