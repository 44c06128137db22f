"""One trading day in the specification's phases, under an injected clock (M20).

A simulated day runs this code; only clock and broker differ. Every step is a command with an id of
its own, so a day that was interrupted is run again and goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from aggregates.errors import DomainError
from aggregates.market import MINUTE
from aggregates.session import (
    CloseSession,
    EndPhase,
    OpenSession,
    RecordReconciliation,
    Session,
    StartPhase,
    session_stream,
)
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.build_check import check_books
from runtime.desk import Desk
from runtime.marks import mark_prices
from runtime.open_phase import OpenPhase
from runtime.outbox import Outbox
from runtime.reconciliation import differences
from runtime.views import snapshot
from strategies.opening_range import OpeningRangeBreakout

PHASES = ("open", "holdings", "mid", "close", "universe")
HOLDINGS_DELAY = timedelta(minutes=10)  # the specification: ten minutes after the open phase


class StartRefused(DomainError):
    """A self check failed: nothing was traded (M10)."""


class Supervisor:
    """Runs sessions of one bot. ``symbols`` are the candidates of the day.

    Raises StartBlocked when the ledger does not fit the events and settings.
    """

    def __init__(self, bot: Bot, symbols: tuple[str, ...]) -> None:
        self._bot, self._symbols = bot, tuple(sorted(symbols))
        bot.views.catch_up()
        check_books(bot)

    def run_session(self, hours: SessionHours) -> None:
        """The whole day: open, phases, close, reconciliation. Done already: returns at once."""
        bot, label = self._bot, hours.day.isoformat()
        if bot.store.load(Session, session_stream(label)).closed:
            return
        self._begin(hours)
        session = bot.store.load(Session, session_stream(label))
        desk = Desk(bot.store, bot.views.books, hours)
        desk.load(session)
        outbox = Outbox(bot.dispatch, bot.broker, bot.clock, desk, hours.day)
        strategy = OpeningRangeBreakout(bot.settings, hours, session.symbols)
        self._check(strategy.self_check(), "strategy OPEN")
        self._check(list(bot.broker.self_check()), f"broker {bot.broker.capabilities.name}")
        open_phase = OpenPhase(bot, desk, outbox, strategy, session.symbols)
        work: dict[str, Callable[[], str]] = {
            "open": open_phase.run,
            "holdings": self._holdings,
            "mid": lambda: "nothing to do: no MID strategy is installed",
            "close": lambda: "nothing to do: no CLOSE strategy is installed",
            "universe": lambda: "nothing to do: the symbols are given at the start",
        }
        for phase in PHASES:
            self._phase(hours.day, phase, work[phase])
            if phase == "close":
                self._after_the_close(hours, desk, open_phase)
        self._finish(hours.day)

    # -- the day's frame -------------------------------------------------------------------

    def _begin(self, hours: SessionHours) -> None:
        """Wait for the open, bring the books up to date, keep a snapshot, open the session."""
        bot, label = self._bot, hours.day.isoformat()
        bot.clock.wait_until(hours.open)
        bot.views.catch_up()
        where = bot.folder.ledger_snapshots(bot.identity)
        snapshot(bot.views.ledger, where, bot.identity, bot.clock.now())
        session = bot.store.load(Session, session_stream(label))
        if not session.label:
            bot.dispatch(
                OpenSession(
                    at=bot.clock.now(),
                    effective_date=hours.day,
                    label=label,
                    opens_at=hours.open,
                    closes_at=hours.close,
                    symbols=self._symbols,
                    settings_position=self._settings_position(),
                ),
                command_id=f"session:{label}:open",
                correlation=session_stream(label),
            )
            bot.views.catch_up()

    def _settings_position(self) -> int:
        """Position of the settings in force: what the day was run with."""
        rows = self._bot.views.feed.page(topics=("Configuration",), newest_first=True, limit=1)
        return rows[0].position if rows else 0

    def _check(self, faults: list[str], who: str) -> None:
        if faults:
            raise StartRefused(
                f"The self check of {who} failed at {self._bot.clock.now():%Y-%m-%d %H:%M:%S} UTC: "
                f"{'; '.join(faults)} Nothing was traded; mend this and start again."
            )

    def _phase(self, day: date, phase: str, work: Callable[[], str]) -> None:
        """Start, run, end; a phase that has ended is never run again."""
        bot, stream = self._bot, session_stream(day.isoformat())
        session = bot.store.load(Session, stream)
        if phase in session.ended:
            return
        if session.phase != phase:
            bot.dispatch(
                StartPhase(at=bot.clock.now(), effective_date=day, phase=phase),
                command_id=f"phase:{day}:{phase}:start",
                correlation=stream,
            )
        outcome = work()
        bot.dispatch(
            EndPhase(at=bot.clock.now(), effective_date=day, phase=phase, outcome=outcome),
            command_id=f"phase:{day}:{phase}:end",
            correlation=stream,
        )

    def _holdings(self) -> str:
        self._bot.clock.wait_until(self._bot.clock.now() + HOLDINGS_DELAY)
        return "nothing to do: no long-term holdings are planned"

    def _after_the_close(self, hours: SessionHours, desk: Desk, open_phase: OpenPhase) -> None:
        """Last reports, closing prices, and our books against the broker's statement."""
        bot, day = self._bot, hours.day
        end = hours.close + MINUTE
        bot.clock.wait_until(end)
        open_phase.last_reports(hours.close)
        bot.views.catch_up()
        mark_prices(bot, desk, end, "close", desk.bars)
        found = differences(bot.views.books, bot.broker)
        bot.dispatch(
            RecordReconciliation(
                at=end,
                effective_date=day,
                broker_cash=bot.broker.account().cash,
                differences=tuple(found),
            ),
            command_id=f"reconcile:{day}",
            correlation=session_stream(day.isoformat()),
        )

    def _finish(self, day: date) -> None:
        label = day.isoformat()
        self._bot.dispatch(
            CloseSession(at=self._bot.clock.now(), effective_date=day, label=label),
            command_id=f"session:{label}:close",
            correlation=session_stream(label),
        )
        self._bot.views.catch_up()
