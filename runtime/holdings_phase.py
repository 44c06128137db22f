"""The holdings phase: the specification's eight steps, once a day, resumable at any moment (M37).

Each step that is done is an event with the purses after it, and is never done again: a process that
was killed goes on with the next one, and with the orders that it had begun. A day that had to stop
goes on as soon as it can. A step goes by the plan that is in force when it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from aggregates.control import STREAM as CONTROL
from aggregates.control import Control
from aggregates.holdings import STEPS, STREAM, Holdings, HoldingsDay, RecordStep, day_stream
from aggregates.holdings_plan import Plan
from brokers.port import BrokerUnavailable, OutcomeUnknown
from config.calendar import SessionHours
from config.failpoints import reach
from projections.reserve_losses import reserve_short
from runtime.bootstrap import Bot
from runtime.holdings_cash import CashCheck, HoldingsStopped, balances_of
from runtime.holdings_float import FloatCheck, value_account
from runtime.holdings_gains import GainsStep
from runtime.holdings_orders import HoldingsOrders, Wait
from runtime.holdings_purchases import HoldingsPurchases
from runtime.holdings_ready import plan_to_work_by
from runtime.holdings_reserve import make_whole
from runtime.holdings_unpriced import NO_PRICE
from runtime.instruments import register
from runtime.purses import Reserves, purses_of
from runtime.reconciliation import Reconciled
from strategies.holdings_allocation import float_target

AGAIN = "It is tried again every minute until the close."


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
        ready = plan_to_work_by(self._bot)
        if ready.plan is None:
            return ready.why
        if not self._day().steps:
            # HOLDINGS_DELAY_MINUTES=0: the workflow begins as soon as the open phase has ended
            delay = timedelta(minutes=self._bot.settings.HOLDINGS_DELAY_MINUTES)
            self._wait(self._bot.clock.now() + delay)
        if why := self._to_the_end():
            return f"stopped: {why} {AGAIN}"
        return "; ".join(f"{s.step}: {s.outcome}" for s in self._day().steps.values())

    def go_on(self) -> None:
        """After a stop: what is not done yet, where that can be done by now."""
        steps = self._day().steps
        if "stopped" not in steps or "ledger" in steps:
            return
        # a kill lets nothing of the holdings begin: what is not done is done in the next session
        if not self._bot.store.load(Control, CONTROL).kill_asked:
            self._to_the_end()

    def _to_the_end(self) -> str:
        """Why it stopped, which is recorded the first time; empty when all steps are done."""
        try:
            self._steps()
        except HoldingsStopped as e:
            why = str(e)
        except (BrokerUnavailable, OutcomeUnknown) as e:
            why = f"the broker does not answer: {e}"
        else:
            return ""
        if "stopped" not in self._day().steps:
            self._bot.views.catch_up_ledger()
            self._put("stopped", why, {}, purses_of(self._bot.views.books))
        return why

    def after_session(self, strategy: str) -> str:
        """The float checked once more, after a strategy's session; empty where it is not wanted."""
        step = f"float after {strategy}"
        # HOLDINGS_FLOAT_CHECK=after_open: once a day, within the workflow
        if self._bot.settings.HOLDINGS_FLOAT_CHECK != "after_session" or step in self._day().steps:
            return ""
        if plan_to_work_by(self._bot).plan is None:
            return ""
        try:
            self._cash.look("before the float check")
            number, plan = self._plan()
            valued = value_account(self._bot, self._hours, plan, f"holdings-{strategy}")
            outcome, figures = self._restore(valued.target, f"top-up-{strategy}")
            said = "; ".join(filter(None, (outcome, valued.in_words())))
            self._record(step, said, figures | {"plan_version": str(number)})
        except HoldingsStopped as e:
            return f"float not checked: {e}"
        except (BrokerUnavailable, OutcomeUnknown) as e:
            return f"float not checked: the broker does not answer. {e}"
        return f"float {said}"

    # -- the steps -------------------------------------------------------------------------

    def _steps(self) -> None:
        self._cash.look("before the first step")
        if "value" not in self._day().steps:
            self._value()
        account = self._account()
        if "float" not in self._day().steps:
            self._float(account)
        if "gains" not in self._day().steps:
            self._bot.views.catch_up()
            GainsStep(self._bot, self._hours).run(account)
            self._cash.look("after setting gains aside")
        if "reinvest" not in self._day().steps:
            self._reinvest(account)
        if "log" not in self._day().steps:
            done = [s for s in self._day().steps.values() if s.step in STEPS]
            self._record("log", f"{len(done)} steps", {s.step: s.outcome for s in done})
        if "ledger" not in self._day().steps:
            self._ledger()

    def _plan(self) -> tuple[int, Plan]:
        """The version in force now and its plan, by the names of today; its securities are known
        by then."""
        ready = plan_to_work_by(self._bot)
        if ready.plan is None:
            raise HoldingsStopped(ready.why)
        register(self._bot, sorted(ready.plan.symbols))
        return ready.version, ready.plan

    def _value(self) -> None:
        number, plan = self._plan()
        found = value_account(self._bot, self._hours, plan, "holdings")
        reach("holdings.marked")
        said = f"{found.account:,f}; the float is to be {found.target:,f}"
        figures = {
            "account_value": f"{found.account:f}",
            "float_target": f"{found.target:f}",
            "plan_version": str(number),
        }
        if unpriced := found.in_words():
            said, figures = f"{said}; {unpriced}", figures | {NO_PRICE: unpriced}
        self._record("value", said, figures)

    def _account(self) -> Decimal:
        """Its value as it was recorded: a restart at another price changes nothing of the day."""
        figures = self._day().steps["value"].figures
        if "account_value" in figures:
            return Decimal(figures["account_value"])
        # begun by a version that knew no value without a price of today of everything
        return value_account(self._bot, self._hours, self._plan()[1], "holdings-again").account

    def _float(self, account: Decimal) -> None:
        """At its target; at what the reserves will take from it, where that is more."""
        number, plan = self._plan()
        whole = make_whole(self._bot, self._hours)
        target = self._target(plan, account)
        self._bot.views.catch_up()
        short = reserve_short(self._bot.views.books).amount
        needed = GainsStep(self._bot, self._hours).needed() + short
        outcome, figures = self._restore(max(target, needed), "top-up")
        if needed > target:
            takers = "tax, payroll and the tax reserve's losses" if short else "tax and payroll"
            outcome += f"; it is to be {needed:,f}, which {takers} take"
        outcome += f"; {whole}" if whole else ""
        self._record("float", outcome, figures | {"plan_version": str(number)})

    def _restore(self, target: Decimal, batch: str) -> tuple[str, dict[str, str]]:
        return FloatCheck(self._bot, self._hours, self._orders).restore(target, batch)

    def _target(self, plan: Plan, account: Decimal) -> Decimal:
        return float_target(plan, account, self._bot.settings.CURRENCY_CODE)

    def _reinvest(self, account: Decimal) -> None:
        """The tax reserve's vehicle, the pool, the sweep: each with its own money, and each by the
        plan that is in force when it begins."""
        said, figures = [], {}
        last = self._bot.store.load(Holdings, STREAM).last
        if last is not None and last.effective_date == self._hours.day:
            said.append(f"set aside {last.reinvested:,f}")
        for name in ("tax reserve", "pool", "sweep"):
            number, plan = self._plan()
            buying = HoldingsPurchases(self._bot, self._hours, self._orders, plan)
            match name:
                case "tax reserve":
                    bought = buying.tax_vehicle()
                case "pool":
                    bought = buying.pool()
                case _:
                    bought = buying.sweep(self._target(plan, account))
            said += [f"{name}: {bought}"] if bought else []
            figures[f"plan_version {name}"] = str(number)
        self._record("reinvest", "; ".join(said) or "nothing to buy", figures)

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
        self._put(step, outcome, figures, self._cash.look(f"after the step {step}"))
        reach("holdings.step_done")

    def _put(self, step: str, outcome: str, figures: dict[str, str], held: Reserves) -> None:
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
