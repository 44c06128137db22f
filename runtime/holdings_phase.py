"""The holdings phase: the specification's eight steps, once a day, resumable at any moment (M37).

Each step that is done is an event with the purses after it, and is never done again: a process that
was killed goes on with the next one, and with the orders that it had begun.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from aggregates.holdings import STREAM, Holdings, HoldingsDay, RecordStep, day_stream
from aggregates.holdings_plan import Plan
from brokers.port import BrokerUnavailable, OutcomeUnknown
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.holdings_cash import CashCheck, HoldingsStopped, balances_of
from runtime.holdings_float import FloatCheck, Valued, value_account
from runtime.holdings_gains import GainsStep
from runtime.holdings_orders import HoldingsOrders, Wait
from runtime.holdings_purchases import HoldingsPurchases
from runtime.holdings_ready import plan_to_work_by
from runtime.instruments import register
from runtime.reconciliation import Reconciled


class HoldingsPhase:
    """Of one session. ``wait`` returns when the moment has come; a kill may end it by KillAsked.

    ``compare`` is the session's comparison of books and broker; without it, one is made.
    """

    def __init__(
        self,
        bot: Bot,
        hours: SessionHours,
        wait: Wait,
        compare: Callable[[], Reconciled] | None = None,
    ) -> None:
        self._bot, self._hours, self._wait = bot, hours, wait
        self._cash = CashCheck(bot, compare)
        self._orders = HoldingsOrders(bot, hours, wait)

    def run(self) -> str:
        """All steps that are not done yet; the outcome in words. Raises KeysRefused."""
        plan, said = plan_to_work_by(self._bot)
        if plan is None:
            return said
        if not self._day().steps:
            # HOLDINGS_DELAY_MINUTES=0: the workflow begins as soon as the open phase has ended
            delay = timedelta(minutes=self._bot.settings.HOLDINGS_DELAY_MINUTES)
            self._wait(self._bot.clock.now() + delay)
        try:
            self._steps(plan)
        except HoldingsStopped as e:
            return f"stopped: {e}"
        except (BrokerUnavailable, OutcomeUnknown) as e:
            return f"stopped: the broker does not answer. {e} The next session goes on."
        return "; ".join(f"{s.step}: {s.outcome}" for s in self._day().steps.values())

    def after_session(self, strategy: str) -> str:
        """The float checked once more, after a strategy's session; empty where it is not wanted."""
        step = f"float after {strategy}"
        # HOLDINGS_FLOAT_CHECK=after_open: once a day, within the workflow
        if self._bot.settings.HOLDINGS_FLOAT_CHECK != "after_session" or step in self._day().steps:
            return ""
        plan, _ = plan_to_work_by(self._bot)
        if plan is None:
            return ""
        try:
            self._cash.look("before the float check")
            valued = value_account(self._bot, self._hours, plan, f"holdings-{strategy}")
            outcome, figures = self._float(valued, f"top-up-{strategy}")
            self._record(step, outcome, figures)
        except HoldingsStopped as e:
            return f"float not checked: {e}"
        except (BrokerUnavailable, OutcomeUnknown) as e:
            return f"float not checked: the broker does not answer. {e}"
        return f"float {outcome}"

    # -- the steps -------------------------------------------------------------------------

    def _steps(self, plan: Plan) -> None:
        register(self._bot, sorted(plan.symbols))
        self._cash.look("before the first step")
        if "value" not in self._day().steps:
            self._value(plan)
        valued = self._valued()
        if "float" not in self._day().steps:
            self._record("float", *self._float(valued, "top-up"))
        if "gains" not in self._day().steps:
            self._bot.views.catch_up()
            GainsStep(self._bot, self._hours).run(valued.target)
            self._cash.look("after setting gains aside")
        if "reinvest" not in self._day().steps:
            self._record("reinvest", self._reinvest(plan, valued), {})
        if "log" not in self._day().steps:
            done = self._day().steps.values()
            self._record("log", f"{len(done)} steps", {s.step: s.outcome for s in done})
        if "ledger" not in self._day().steps:
            self._ledger()

    def _value(self, plan: Plan) -> None:
        found = value_account(self._bot, self._hours, plan, "holdings")
        reach("holdings.marked")
        if found.account is None or found.target is None:
            said = f"not known: no price today for {', '.join(found.unpriced)}"
            self._record("value", said, {"unpriced": " ".join(found.unpriced)})
            return
        said = f"{found.account:,f}; the float is to be {found.target:,f}"
        figures = {"account_value": f"{found.account:f}", "float_target": f"{found.target:f}"}
        self._record("value", said, figures)

    def _valued(self) -> Valued:
        """As it was recorded: a restart at another price changes nothing of the day."""
        figures = self._day().steps["value"].figures
        if "float_target" not in figures:
            return Valued(None, None, tuple(figures["unpriced"].split()))
        return Valued(Decimal(figures["account_value"]), Decimal(figures["float_target"]), ())

    def _float(self, valued: Valued, batch: str) -> tuple[str, dict[str, str]]:
        if valued.target is None:
            said = f"not checked: no price today for {', '.join(valued.unpriced)}"
            return said, {}
        return FloatCheck(self._bot, self._hours, self._orders).restore(valued.target, batch)

    def _reinvest(self, plan: Plan, valued: Valued) -> str:
        """The tax reserve's vehicle, the pool, the sweep: each with its own money."""
        buying = HoldingsPurchases(self._bot, self._hours, self._orders, plan)
        last = self._bot.store.load(Holdings, STREAM).last
        said = []
        if last is not None and last.effective_date == self._hours.day:
            said.append(f"set aside {last.reinvested:,f}")
        for name, bought in (
            ("tax reserve", buying.tax_vehicle()),
            ("pool", buying.pool()),
            ("sweep", buying.sweep(valued.target)),
        ):
            said += [f"{name}: {bought}"] if bought else []
        return "; ".join(said) or "nothing to buy"

    def _ledger(self) -> None:
        """Everything is posted: debits equal credits, and the purses are the broker's cash."""
        self._bot.views.catch_up()
        books = self._bot.views.books
        balance = books.trial_balance()
        if balance.debits != balance.credits:
            raise HoldingsStopped(
                f"the ledger does not balance: debits {balance.debits:f}, credits "
                f"{balance.credits:f}. Nothing was changed; run `tbot verify` and `tbot rebuild`."
            )
        cash = books.broker_cash()
        figures = {"debits": f"{balance.debits:f}", "broker_cash": f"{cash:f}"}
        self._record("ledger", f"in balance; cash is the broker's, {cash:,f}", figures)

    # -- recording -------------------------------------------------------------------------

    def _day(self) -> HoldingsDay:
        return self._bot.store.load(HoldingsDay, day_stream(self._hours.day))

    def _record(self, step: str, outcome: str, figures: dict[str, str]) -> None:
        """The step with the purses after it, which must be the broker's cash."""
        held = self._cash.look(f"after the step {step}")
        stream = day_stream(self._hours.day)
        self._bot.dispatch(
            RecordStep(
                at=self._bot.clock.now(),
                effective_date=self._hours.day,
                step=step,
                outcome=outcome,
                figures=figures,
                balances=balances_of(held),
            ),
            command_id=f"{stream}:{step}",
            correlation=stream,
        )
        reach("holdings.step_done")
