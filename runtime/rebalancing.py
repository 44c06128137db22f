"""Rebalances and cash top-ups, carried out by whoever trades (M36, decision 0032).

A request carries the preview that was confirmed. Its orders leave when plan, holdings and prices
are still what they were; else it is refused with the difference. Every step is an event before the
next one, so an interrupted rebalance goes on where it stood and sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable

from aggregates.base import Command
from aggregates.control import STREAM as CONTROL
from aggregates.control import Control
from aggregates.errors import DomainError
from aggregates.holdings_plan import STREAM as PLAN
from aggregates.holdings_plan import HoldingsPlan, Plan
from aggregates.holdings_requests import (
    STREAM,
    Answer,
    AnswerHoldings,
    HoldingsRequested,
    HoldingsRequests,
    RecordRebalance,
    RequestHoldings,
    StartRequest,
    is_finished,
)
from aggregates.rebalance_values import Preview
from aggregates.reconciliation import STREAM as DIFFERENCES
from aggregates.reconciliation import Reconciliation
from brokers.port import BrokerError, KeysRefused
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.holdings_cash import CashCheck, HoldingsStopped
from runtime.holdings_orders import Wait
from runtime.holdings_ready import plan_to_work_by
from runtime.rebalance_now import situation_now
from runtime.rebalance_orders import carry_out
from runtime.reconciliation import Reconciled, reconcile
from runtime.top_up import top_up_now
from runtime.why_waiting import LAST_START
from strategies.rebalance import preview
from strategies.rebalance_checks import breaches, moved, summary
from strategies.rebalance_dates import is_due

UNFINISHED = "It is unfinished: a rebalance is due again in the next session."


def serve_requests(
    bot: Bot, hours: SessionHours, wait: Wait, compare: Callable[[], Reconciled] | None = None
) -> None:
    """Take up what is asked of the long-term holdings, and a rebalance that is due.

    Called in the holdings phase and each minute until the close. What cannot be done now waits.
    ``wait`` is the session's, ``compare`` its comparison of books and broker; without it, one is
    made. Raises KeysRefused, and what ``wait`` raises.
    """
    Requests(bot, hours, wait, compare or (lambda: reconcile(bot, None, "schedule"))).serve()


class Requests:
    """One look at what waits."""

    def __init__(
        self, bot: Bot, hours: SessionHours, wait: Wait, compare: Callable[[], Reconciled]
    ) -> None:
        self._bot, self._hours, self._wait, self._compare = bot, hours, wait, compare
        self._cash = CashCheck(bot, compare)
        self._due_id = f"rebalance-due-{hours.day}"

    def serve(self) -> None:
        for request in self._waiting():
            self._finish_older(request)
        waiting = self._waiting()
        if self._must_wait() or not (waiting or self._is_due()):
            return
        plan, why, _ = plan_to_work_by(self._bot)
        if plan is None:
            said = f"Nothing was bought or sold. {why[:1].upper()}{why[1:].rstrip('.')}."
            for request in waiting:
                if request.request_id not in self._state().started:
                    self._answer(request, "refused", said)
            return
        self._serve(plan)

    def _serve(self, plan: Plan) -> None:
        """What is begun goes on first: a comparison would end orders that have not left yet."""
        for request in self._waiting():
            if request.request_id in self._state().started:
                self._take_up(request, plan)
        if not self._may_begin("before what is asked of the holdings"):
            return
        if self._is_due():
            self._ask_when_due()
        for request in self._waiting():
            self._take_up(request, plan)
            if not self._may_begin(f"after {request.request_id}"):
                return

    def _may_begin(self, moment: str) -> bool:
        """Whether the next request may be taken up: nothing is half done, there is time, and books
        and broker agree."""
        return not self._state().started and not self._must_wait() and self._agrees(moment)

    def _take_up(self, request: HoldingsRequested, plan: Plan) -> None:
        """To its end; while the broker cannot be asked it stays open, for the next look."""
        try:
            if request.kind == "rebalance":
                self._rebalance(request)
            elif self._start(request):
                done = top_up_now(self._bot, self._hours, self._wait, plan, request)
                self._answer(request, *done)
        except KeysRefused:
            raise
        except BrokerError:
            return

    def _agrees(self, moment: str) -> bool:
        """Whether books and broker agree; if not, that is recorded by now. What differed before
        may have been settled since, so it is compared again."""
        try:
            self._cash.look(moment)
        except HoldingsStopped:
            return False
        differs = self._bot.store.load(Reconciliation, DIFFERENCES).entries_blocked
        return not differs or not self._compare().why

    def _state(self) -> HoldingsRequests:
        return self._bot.store.load(HoldingsRequests, STREAM)

    def _waiting(self) -> list[HoldingsRequested]:
        return list(self._state().waiting.values())

    def _must_wait(self) -> bool:
        """The market is closed or about to close, or a kill holds: requests stay open."""
        control = self._bot.store.load(Control, CONTROL)
        in_time = self._hours.open <= self._bot.clock.now() < self._hours.close - LAST_START
        return not in_time or control.kill_asked

    # -- the interval ----------------------------------------------------------------------

    def _is_due(self) -> bool:
        """Whether the interval is over, or the last one was left unfinished on an earlier day, and
        nobody has asked for a rebalance today."""
        state, saved = self._state(), self._bot.store.load(HoldingsPlan, PLAN)
        plan = saved.plan
        # auto_rebalance off: the due date is shown, and a person asks
        if plan is None or not plan.auto_rebalance or not plan.securities:
            return False
        if self._due_id in state.ids or any(r.kind == "rebalance" for r in state.waiting.values()):
            return False
        if state.unfinished_on is not None and state.unfinished_on < self._hours.day:
            return True
        last = state.rebalanced_on or saved.versions[1].effective_date
        return is_due(last, plan.rebalance_months, self._hours.day)

    def _ask_when_due(self) -> None:
        """The supervisor asks for itself, once a day."""
        now = situation_now(self._bot, self._hours, None)
        if now is None:
            return
        if all(s.price is None for s in now.securities):
            return  # nothing can be weighed today: tomorrow
        every = f"due every {now.plan.rebalance_months} months"
        self._do(
            self._due_id,
            RequestHoldings(
                at=self._bot.clock.now(),
                effective_date=self._hours.day,
                request_id=self._due_id,
                kind="rebalance",
                preview=preview(now),
                reason="the one before is unfinished" if self._state().unfinished else every,
            ),
            "ask",
        )

    # -- one rebalance ---------------------------------------------------------------------

    def _rebalance(self, request: HoldingsRequested) -> None:
        confirmed = request.preview
        if confirmed is None:
            return
        if request.request_id not in self._state().started:
            priced = {s.symbol for s in confirmed.securities if s.price is not None}
            if (now := situation_now(self._bot, self._hours, priced)) is None:
                return  # looked at again a minute later
            if differences := moved(confirmed, now) or tuple(map(str, breaches(confirmed, now))):
                said = f"Nothing was bought or sold: {'; '.join(differences).rstrip('.')}."
                self._answer(request, "refused", f"{said} Look at a new preview and ask again.")
                return
            if not self._start(request):
                return
            reach("rebalance.started")
        self._carry_out(request.request_id, confirmed, self._hours)

    def _finish_older(self, request: HoldingsRequested) -> None:
        """Begun on an earlier day and interrupted: nothing more is sent, the result is recorded."""
        begun = self._state().started.get(request.request_id)
        if begun is None or begun == self._hours.day or request.preview is None:
            return
        hours = self._bot.calendar.session(begun)
        if hours is not None:
            self._carry_out(request.request_id, request.preview, hours)

    def _carry_out(self, request_id: str, confirmed: Preview, hours: SessionHours) -> None:
        done = carry_out(self._bot, hours, self._wait, request_id, confirmed)
        said = summary(confirmed, done)
        command = RecordRebalance(
            at=self._bot.clock.now(),
            effective_date=self._hours.day,
            request_id=request_id,
            result=done,
            said=said if is_finished(done) else f"{said} {UNFINISHED}",
        )
        self._do(request_id, command, "done")
        self._bot.views.catch_up()

    # -- answers ---------------------------------------------------------------------------

    def _answer(self, request: HoldingsRequested, outcome: Answer, said: str) -> None:
        command = AnswerHoldings(
            at=self._bot.clock.now(),
            effective_date=self._hours.day,
            request_id=request.request_id,
            outcome=outcome,
            said=said,
        )
        self._do(request.request_id, command, "answer")

    def _start(self, request: HoldingsRequested) -> bool:
        """Whether it is to be carried out; it may be withdrawn until this moment."""
        if request.request_id in self._state().started:
            return True
        at, day = self._bot.clock.now(), self._hours.day
        start = StartRequest(at=at, effective_date=day, request_id=request.request_id)
        return self._do(request.request_id, start, "start")

    def _do(self, request_id: str, command: Command, step: str) -> bool:
        """False when somebody withdrew the request meanwhile, or made one of the same kind."""
        try:
            command_id = f"{STREAM}:{request_id}:{step}"
            self._bot.dispatch(command, command_id=command_id, correlation=STREAM)
        except DomainError:
            if request_id in self._state().waiting:
                raise
            return False
        return True
