"""One trading day in the specification's phases, under an injected clock (M20).

A simulated day runs this code; only clock and broker differ. Every step is a command with an id of
its own, so a day that was interrupted is run again and goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from aggregates.control import LATCHED, Control
from aggregates.control import STREAM as CONTROL
from aggregates.errors import DomainError
from aggregates.market import MINUTE
from aggregates.screen import ScreenDay, screen_stream
from aggregates.session import EndPhase, Session, StartPhase, session_stream
from brokers.port import BrokerUnavailable
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.build_check import check_books
from runtime.desk import Desk
from runtime.guard import Guard, KillAsked, KillOrder, Unwatched, wait_or_raise
from runtime.health import Health
from runtime.holdings_phase import HoldingsPhase
from runtime.kill_switch import KillSwitch
from runtime.outbox import Outbox
from runtime.rebalancing import serve_requests
from runtime.reconciliation import Reconciled, Reconciler
from runtime.screening import NOTHING_TO_DO, Screening
from runtime.strategy_phases import STRATEGY_OF, StrategyPhases, not_offered
from runtime.trading_day import close_day, open_day, settle_day
from screeners.port import Screener, ScreenerError
from strategies.installed import passed_over

PHASES = ("open", "holdings", "mid", "close", "universe")
SETTLE_MINUTES = 30  # after the close: day orders end, late reports come in


class StartRefused(DomainError):
    """A self check failed: nothing was traded (M10)."""


class Supervisor:
    """Runs sessions of one bot. ``symbols`` are the candidates where no ``screener`` finds them.

    Raises StartBlocked when the ledger does not fit the events and settings.
    """

    def __init__(
        self,
        bot: Bot,
        symbols: tuple[str, ...],
        guard: Guard | None = None,
        screener: Screener | None = None,
    ) -> None:
        self._bot, self._symbols, self._screener = bot, tuple(sorted(symbols)), screener
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
        symbols, kill = self._symbols, None
        if not session.label and not passed_over(self._bot.settings, "OPEN"):
            symbols, kill = self._candidates(hours)
        kill = kill or self._guard.wait_until(hours.open)
        open_day(self._bot, hours, symbols)
        day = Day(self._bot, self._guard, hours, self._reconciler, self._screener)
        day.run(kill or self._interrupted_kill())
        return LATCHED if self._control().killed else ""

    def _candidates(self, hours: SessionHours) -> tuple[tuple[str, ...], KillOrder | None]:
        """What OPEN looks at, chosen before the open."""
        if self._screener is None:
            return self._symbols, None

        wait = partial(wait_or_raise, self._guard)
        try:
            found = Screening(self._bot, self._screener, hours, wait).candidates("OPEN")
        except KillAsked as asked:
            return (), asked.order
        except ScreenerError:  # asked again in the open phase, whose outcome says why
            return (), None
        return tuple(sorted(found)), None

    def _interrupted_kill(self) -> KillOrder | None:
        if self._control().killing:
            return KillOrder("flag", "a kill that was interrupted goes on")
        return None

    def _control(self) -> Control:
        return self._bot.store.load(Control, CONTROL)


class Day:
    """One open session: its desk, its way to the broker, and the work of its phases."""

    def __init__(
        self,
        bot: Bot,
        guard: Guard,
        hours: SessionHours,
        reconciler: Reconciler,
        screener: Screener | None = None,
    ) -> None:
        self._bot, self._guard, self._hours = bot, guard, hours
        self._reconciler = reconciler
        self._stream = session_stream(hours.day.isoformat())
        session = bot.store.load(Session, self._stream)
        self._desk = Desk(bot.store, bot.views.books, hours)
        self._desk.load(session)
        self._outbox = Outbox(bot.dispatch, bot.broker, bot.clock, self._desk, hours.day)
        self._health = Health(bot, self._desk, self._outbox, reconciler)
        self._strategies = StrategyPhases(
            bot, self._desk, self._outbox, guard, self._health, self._candidates, self._serve_until
        )
        self._symbols = session.symbols
        self._screening = Screening(bot, screener, hours, self._serve_until) if screener else None
        self._holdings = HoldingsPhase(bot, hours, self._wait_until, self._compare)

    def run(self, kill: KillOrder | None) -> None:
        """All phases, a kill in their place as soon as one is asked for, then the close."""
        killed = self._bot.store.load(Control, CONTROL).killed
        try:
            if kill is not None:
                raise KillAsked(kill)
            if not killed:
                for name, faults in self._strategies.self_check().items():
                    self._check(faults, f"strategy {name}")
                self._check(self._ask_broker(), f"broker {self._bot.broker.capabilities.name}")
            for phase in PHASES:
                if phase == "universe":
                    self._settle()
                self._phase(phase, latched=killed)
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
                return [*self._bot.broker.self_check(), *not_offered(self._bot)]
            except BrokerUnavailable as e:
                now = self._bot.clock.now()
                if now >= self._hours.close:
                    return [f"it has not answered since the open: {e}"]
                self._guard.tell("broker silent", self._desk)
                self._wait_until(now + MINUTE)

    def _check(self, faults: list[str], who: str) -> None:
        if faults and self._desk.symbols:
            # what is held is watched and sold all the same; nothing more is bought
            said = " ".join(faults).rstrip(".")
            self._health.failed_check = f"the self check of {who} failed: {said}"
        elif faults:
            raise StartRefused(
                f"The self check of {who} failed at {self._bot.clock.now():%Y-%m-%d %H:%M:%S} UTC: "
                f"{' '.join(faults)} Nothing was traded."
            )

    def _phase(self, phase: str, *, latched: bool) -> None:
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
        outcome = "nothing was done: the kill switch is latched" if latched else self._work(phase)
        bot.dispatch(
            EndPhase(at=bot.clock.now(), effective_date=day, phase=phase, outcome=outcome),
            command_id=f"phase:{day}:{phase}:end",
            correlation=self._stream,
        )

    def _work(self, phase: str) -> str:
        """What the phase is for; its outcome in words."""
        if phase == "holdings":
            return self._holdings.run()
        if phase == "universe":
            return self._screening.rebuild_universe() if self._screening else NOTHING_TO_DO
        since = self._bot.store.load(Session, self._stream).phase_since
        assert since is not None  # noqa: S101 - the phase has begun
        said = self._strategies.run(phase, since)
        if self._screening and (short := self._screening.said(STRATEGY_OF[phase])):
            said = f"{said}; candidates: {short}"
        return said if phase == "open" else self._then_float(phase, said)

    def _candidates(self, strategy: str) -> Sequence[str]:
        """OPEN's were chosen before the open, the others' are shortly before their windows."""
        if self._screening is None or (strategy == "OPEN" and self._symbols):
            return self._symbols
        return self._screening.candidates(strategy)

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
        self._serve_until(self._hours.close)
        moment, watched = self._hours.close + MINUTE, self._watched()
        for _ in range(SETTLE_MINUTES):
            moment = max(moment, self._bot.clock.now())
            self._wait_until(moment)
            self._strategies.last_reports(watched)
            if not self._desk.open_orders() and self._settled(watched):
                return
            moment += MINUTE
        self._settled(watched)  # what is still open stays a difference

    def _settled(self, watched: set[str]) -> bool:
        marked = watched | self._desk.symbols
        return settle_day(self._bot, self._desk, self._reconciler, marked)

    def _watched(self) -> set[str]:
        """What any strategy looked at today, by the events: the same after a restart."""
        chosen = self._bot.store.load(ScreenDay, screen_stream(self._hours.day)).chosen.values()
        return {*self._symbols, *(symbol for each in chosen for symbol in each.symbols)}

    def _serve_until(self, moment: datetime) -> None:
        """Once a minute: what the day's workflow had to leave undone, and what is asked of the
        long-term holdings."""
        while (now := self._bot.clock.now()) < moment:
            # HOLDINGS_ENABLED=false: nothing can be asked, and nothing is looked for
            if not self._bot.settings.HOLDINGS_ENABLED:
                self._wait_until(moment)
                return
            if now < self._hours.close:
                self._holdings.go_on()
                serve_requests(self._bot, self._hours, self._wait_until, self._compare)
            self._wait_until(min(self._bot.clock.now() + MINUTE, moment))

    def _wait_until(self, moment: datetime) -> None:
        wait_or_raise(self._guard, moment)
