"""Which securities a session looks at: candidates before a phase, the universe after the close
(M16). What was looked at, chosen and rejected is an event; docs/decisions/0041-screening.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from aggregates.screen import Mode, RecordCandidates, ScreenDay, screen_stream
from config.calendar import SessionHours
from config.clock import Clock, local_to_utc
from config.paths import DataFolder
from config.settings import Settings
from runtime.bootstrap import Bot
from runtime.screen_files import UNIVERSE, read_facts, write_facts
from runtime.screen_scan import Scan, Scanner
from runtime.universe import Rebuild, blocked, dispatch, newest_universe
from screeners import filters
from screeners.filters import Looked
from screeners.port import Facts, Screener, Wait

SCAN_BEFORE = timedelta(minutes=10)  # how long before its start a strategy's candidates are chosen
SCAN_LEAST = timedelta(minutes=1)  # how long at least, when it is asked for too late
LOOK_BACK = timedelta(days=45)  # holds the sessions of every SCREENER_UNIVERSE_MAX_AGE_DAYS
NOTHING_TO_DO = "nothing to do: the symbols are those of the broker's market"


def screener_of(folder: DataFolder, settings: Settings, clock: Clock) -> Screener | None:
    """The screener of the settings; None for a simulated broker, whose market is all there is."""
    # BROKER_NAME=SIMULATED: other symbols could not be traded there, so nothing is screened
    if settings.BROKER_NAME == "SIMULATED":
        return None
    # SCREENER_NAME=FILE: files of one's own, and nobody is asked
    if settings.SCREENER_NAME == "FILE":
        from screeners.file_screener import FileScreener

        return FileScreener(folder.market_data)
    from screeners.finnhub_screener import FinnhubScreener
    from screeners.finnhub_wire import Line

    # API_RETRY_LIMIT=0: a question that was not answered is not asked again at once
    line = Line(settings.FINNHUB_API_KEY, settings.API_TIMEOUT, settings.API_RETRY_LIMIT, clock)
    return FinnhubScreener(line, clock, folder.screens / "answers.jsonl")


class Screening:
    """Of one session. ``wait`` returns when a moment has come, and raises for a kill."""

    def __init__(
        self, bot: Bot, screener: Screener | None, hours: SessionHours, wait: Wait
    ) -> None:
        self._bot, self._screener, self._hours, self._wait = bot, screener, hours, wait

    # -- candidates ----------------------------------------------------------------------------

    def begins(self, strategy: str) -> datetime:
        """When the candidates of a strategy are chosen: shortly before its window, when its prices
        are still fresh and there is time enough to ask for them."""
        return self._starts(strategy) - SCAN_BEFORE

    def candidates(self, strategy: str) -> tuple[str, ...]:
        """Chosen once a session; asked again, what was recorded. Waits until ``begins``.

        Raises ScreenerError for files of one's own that are wrong, and what ``wait`` raises.
        """
        recorded = self._bot.store.load(ScreenDay, screen_stream(self._hours.day))
        found = recorded.chosen.get(strategy)
        if found is not None:
            return found.symbols
        if self._screener is None:
            return ()
        wanted = self._screener.wanted()
        if wanted is None and self._starts(strategy) >= self._hours.close:
            return ()  # a half day that is over before its window, as its phase will say
        if wanted is None and self._screener.rebuilds:
            self._wait(self.begins(strategy))
        now = self._bot.clock.now()
        mode: Mode = "pre-market" if now < self._hours.open else "intraday"
        if wanted is not None:
            scan = Scan(tuple(wanted), [Looked(facts=Facts(symbol=symbol)) for symbol in wanted])
        else:
            scan = self._scan(self._screener, strategy, mode)
        self._record(self._screener, strategy, mode, scan)
        return scan.chosen

    def said(self, strategy: str) -> str:
        """Why there are none or not more, of candidates that were chosen; mostly empty."""
        found = self._bot.store.load(ScreenDay, screen_stream(self._hours.day)).chosen.get(strategy)
        if found is None or found.said or found.symbols:
            return found.said if found else ""
        counts = "; ".join(f"{r.count:,} × {r.why}" for r in found.rejected[:3])
        return f"none of {found.looked_at:,} passes{f' ({counts})' if counts else ''}"

    def _record(self, screener: Screener, strategy: str, mode: Mode, scan: Scan) -> None:
        day = self._hours.day
        command = RecordCandidates(
            at=self._bot.clock.now(),
            effective_date=day,
            strategy=strategy,
            source=screener.name,
            mode=mode,
            universe=scan.universe,
            looked_at=len(scan.looked),
            symbols=scan.chosen,
            rejected=filters.counted(scan.looked),
            facts=write_facts(self._bot.folder, day, strategy, scan.looked),
            said=scan.said,
        )
        dispatch(self._bot, command, f"screen:{day}:{strategy}")

    def _scan(self, screener: Screener, strategy: str, mode: Mode) -> Scan:
        bot, now = self._bot, self._bot.clock.now()
        universe, known, said = self._known(screener)
        scanner = Scanner(
            screener=screener,
            settings=bot.settings,
            clock=bot.clock,
            wait=self._wait,
            last=self._sessions_before()[-1],
            now=self._hours,
            until=max(self._starts(strategy), now + SCAN_LEAST),
            blocked=blocked(self._bot),
        )
        scan = scanner.scan(known, strategy, mode)
        return scan._replace(universe=universe, said=said or scan.said)

    def _known(self, screener: Screener) -> tuple[date | None, Sequence[Facts], str]:
        """The securities to choose from, in the order of preference; why there are none."""
        s = self._bot.settings
        if not screener.rebuilds:
            now = self._bot.clock.now()
            listed = screener.listing(s.SCREENER_UNIVERSE_EXCHANGES, now, self._wait)
            return None, filters.by_dollar_volume(listed), ""
        before = [hours.day for hours in self._sessions_before()]
        if (found := newest_universe(self._bot, before)) is None:
            said = (
                f"no universe was made in the last {s.SCREENER_UNIVERSE_MAX_AGE_DAYS} sessions; it "
                "is made after the close"
            )
            return None, (), said
        day, made = found
        looked = read_facts(self._bot.folder, day, UNIVERSE, made.facts)
        if looked is None:
            said = (
                f"the file of facts of the universe of {day} is gone or was changed; the next one "
                "is made after the close"
            )
            return day, (), said
        facts = {each.facts.symbol: each.facts for each in looked}
        return day, [facts[symbol] for symbol in made.symbols], ""

    def _sessions_before(self) -> list[SessionHours]:
        day = self._hours.day
        return self._bot.calendar.sessions(day - LOOK_BACK, day - timedelta(days=1))

    def _starts(self, strategy: str) -> datetime:
        """When the strategy's window starts, at the open at the earliest. OPEN's first bar is the
        session's, so its candidates are needed before the open."""
        if strategy == "OPEN":
            return self._hours.open
        s = self._bot.settings
        wall = getattr(s, f"START_TIME_{strategy}")
        return max(local_to_utc(self._hours.day, wall, s.TIMEZONE), self._hours.open)

    # -- the universe --------------------------------------------------------------------------

    def rebuild_universe(self) -> str:
        """After the close: what came of it, in words. Raises what ``wait`` raises."""
        if self._screener is None:
            return NOTHING_TO_DO
        if not self._screener.rebuilds:
            return "nothing to do: the symbols come from files of one's own"
        return Rebuild(self._bot, self._screener, self._hours, self._wait).run()
