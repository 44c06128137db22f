"""One trading day in the specification's phases, under an injected clock (M20).

A simulated day runs this code; only clock and broker differ. Every step is a command with an id of
its own, so a day that was interrupted is run again and goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aggregates.control import LATCHED, Control
from aggregates.control import STREAM as CONTROL
from aggregates.errors import DomainError
from aggregates.market import MINUTE
from aggregates.session import EndPhase, Session, StartPhase, session_stream
from brokers.port import BrokerUnavailable
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.build_check import check_books
from runtime.desk import Desk
from runtime.guard import Guard, KillAsked, KillOrder, Unwatched
from runtime.holdings_phase import HoldingsPhase
from runtime.kill_switch import KillSwitch
from runtime.open_phase import OpenPhase
from runtime.outbox import Outbox
from runtime.rebalancing import serve_requests
from runtime.reconciliation import Reconciled, Reconciler
from runtime.trading_day import close_day, open_day, settle_day
from strategies.opening_range import OpeningRangeBreakout

PHASES = ("open", "holdings", "mid", "close", "universe")
SETTLE_MINUTES = 30  # after the close: day orders end, late reports come in


class StartRefused(DomainError):
    """A self check failed: nothing was traded (M10)."""


class Supervisor:
    """Runs sessions of one bot. ``symbols`` are the candidates of the day.

    Raises StartBlocked when the ledger does not fit the events and settings.
    """

    def __init__(self, bot: Bot, symbols: tuple[str, ...], guard: Guard | None = None) -> None:
        self._bot, self._symbols = bot, tuple(sorted(symbols))
        self._guard = guard or Unwatched(bot.clock)
        self._reconciler = Reconciler(bot)
        bot.views.catch_up()
        check_books(bot)

    def run_session(self, hours: SessionHours) -> str:
        """The whole day: open, phases, close, reconciliation. Done already: returns at once.

        Returns why it was not traded to its end; empty when it was. Raises StartRefused.
        """
        session = self._bot.store.load(Session, session_stream(hours.day.isoformat()))
        if session.closed:
            return ""
        if self._control().killed and not session.label:
            return LATCHED
        kill = self._guard.wait_until(hours.open)
        open_day(self._bot, hours, self._symbols)
        Day(self._bot, self._guard, hours, self._reconciler).run(kill or self._interrupted_kill())
        return LATCHED if self._control().killed else ""

    def _interrupted_kill(self) -> KillOrder | None:
        if self._control().killing:
            return KillOrder("flag", "a kill that was interrupted goes on")
        return None

    def _control(self) -> Control:
        return self._bot.store.load(Control, CONTROL)


class Day:
    """One open session: its desk, its way to the broker, and the work of its phases."""

    def __init__(self, bot: Bot, guard: Guard, hours: SessionHours, reconciler: Reconciler) -> None:
        self._bot, self._guard, self._hours = bot, guard, hours
        self._reconciler = reconciler
        self._stream = session_stream(hours.day.isoformat())
        session = bot.store.load(Session, self._stream)
        self._desk = Desk(bot.store, bot.views.books, hours)
        self._desk.load(session)
        self._outbox = Outbox(bot.dispatch, bot.broker, bot.clock, self._desk, hours.day)
        self._strategy = OpeningRangeBreakout(bot.settings, hours, session.symbols)
        self._open_phase = OpenPhase(
            bot, self._desk, self._outbox, self._strategy, session.symbols, guard, reconciler
        )
        self._holdings = HoldingsPhase(bot, hours, self._wait_until, self._compare)
        self._work: dict[str, Callable[[], str]] = {
            "open": self._open_phase.run,
            "holdings": self._holdings.run,
            "mid": lambda: self._then_float("mid", "nothing to do: no MID strategy is installed"),
            "close": lambda: self._then_float(
                "close", "nothing to do: no CLOSE strategy is installed"
            ),
            "universe": lambda: "nothing to do: the symbols are given at the start",
        }

    def run(self, kill: KillOrder | None) -> None:
        """All phases, a kill in their place as soon as one is asked for, then the close."""
        killed = self._bot.store.load(Control, CONTROL).killed
        try:
            if kill is not None:
                raise KillAsked(kill)
            if not killed:
                self._check(self._strategy.self_check(), "strategy OPEN")
                self._check(self._ask_broker(), f"broker {self._bot.broker.capabilities.name}")
            for phase in PHASES:
                if phase == "universe":
                    self._settle()
                self._phase(phase, self._latched if killed else self._work[phase])
        except KillAsked as asked:
            self._kill(asked.order)
            self.run(None)
            return
        close_day(self._bot, self._hours.day)

    def _kill(self, order: KillOrder) -> None:
        self._guard.tell("kill", self._desk)
        kill = KillSwitch(self._bot, self._desk, self._outbox, self._guard.wait_until)
        kill.run(order.source, order.reason)

    def _ask_broker(self) -> list[str]:
        """Its self check. One that is silent is asked again each minute, to the session's close."""
        while True:
            try:
                return list(self._bot.broker.self_check())
            except BrokerUnavailable as e:
                now = self._bot.clock.now()
                if now >= self._hours.close:
                    return [f"it has not answered since the open: {e}"]
                self._guard.tell("broker silent", self._desk)
                self._wait_until(now + MINUTE)

    def _check(self, faults: list[str], who: str) -> None:
        if faults and self._desk.symbols:
            # what is held is watched and sold all the same; nothing more is bought
            self._open_phase.block_entries(f"the self check of {who} failed: {'; '.join(faults)}")
        elif faults:
            raise StartRefused(
                f"The self check of {who} failed at {self._bot.clock.now():%Y-%m-%d %H:%M:%S} UTC: "
                f"{'; '.join(faults)} Nothing was traded; mend this and start again."
            )

    def _phase(self, phase: str, work: Callable[[], str]) -> None:
        """Start, run, end; a phase that has ended is never run again."""
        bot, day = self._bot, self._hours.day
        session = bot.store.load(Session, self._stream)
        if phase in session.ended:
            return
        if session.phase != phase:
            bot.dispatch(
                StartPhase(at=bot.clock.now(), effective_date=day, phase=phase),
                command_id=f"phase:{day}:{phase}:start",
                correlation=self._stream,
            )
        self._guard.tell(phase, self._desk)
        outcome = work()
        bot.dispatch(
            EndPhase(at=bot.clock.now(), effective_date=day, phase=phase, outcome=outcome),
            command_id=f"phase:{day}:{phase}:end",
            correlation=self._stream,
        )

    def _latched(self) -> str:
        return "nothing was done: the kill switch is latched"

    def _compare(self) -> Reconciled:
        """Books against broker, for the holdings: what it repairs may be trading's, too."""
        found = self._reconciler.run(self._desk, "schedule")
        if found.repaired:
            self._desk.take_over()
        return found

    def _then_float(self, strategy: str, said: str) -> str:
        """What a strategy's phase came to, and the float where it is checked after each of them."""
        checked = self._holdings.after_session(strategy)
        return f"{said}; {checked}" if checked else said

    def _settle(self) -> None:
        """Until every order has ended and the broker has given its statement, but not for ever.

        A kill that is asked for meanwhile still latches, and finds the market closed.
        """
        if "universe" in self._bot.store.load(Session, self._stream).ended:
            return
        self._serve_holdings()
        moment = self._hours.close + MINUTE
        for _ in range(SETTLE_MINUTES):
            moment = max(moment, self._bot.clock.now())
            self._wait_until(moment)
            self._open_phase.last_reports(self._hours.close)
            if not self._desk.open_orders() and settle_day(self._bot, self._desk, self._reconciler):
                return
            moment += MINUTE
        settle_day(self._bot, self._desk, self._reconciler)  # what is still open stays a difference

    def _serve_holdings(self) -> None:
        """To the close, once a minute: what the day's workflow had to leave undone, and what is
        asked of the long-term holdings."""
        # HOLDINGS_ENABLED=false: nothing can be asked, and nothing is looked for
        while self._bot.settings.HOLDINGS_ENABLED and self._bot.clock.now() < self._hours.close:
            self._holdings.go_on()
            serve_requests(self._bot, self._hours, self._wait_until, self._compare)
            self._wait_until(min(self._bot.clock.now() + MINUTE, self._hours.close))

    def _wait_until(self, moment: datetime) -> None:
        if (kill := self._guard.wait_until(moment)) is not None:
            raise KillAsked(kill)
