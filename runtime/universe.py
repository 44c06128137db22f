"""The universe of a screener, made after a session's close and used while it is not too old."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from aggregates.base import Command
from aggregates.blocklist import STREAM as BLOCKLIST
from aggregates.blocklist import Blocklist
from aggregates.screen import (
    RecordUniverse,
    RecordUniverseKept,
    ScreenDay,
    UniverseRebuilt,
    screen_stream,
)
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.log_files import log_path
from runtime.logs import append_line
from runtime.screen_files import UNIVERSE, Progress, end_progress, tell_progress, write_facts
from runtime.screen_survey import Survey, Surveyor
from screeners import filters
from screeners.port import Screener, ScreenerError, ScreenerKeyRefused, Wait

TRIES = 4  # in a row without anything new, before the night is given up
PAUSE = timedelta(minutes=10)
LONGEST = timedelta(hours=10)  # after the close; the next morning needs the calls itself
SAID_EVERY = timedelta(minutes=15)

Blocked = Callable[[str], str]


class Rebuild:
    """After the close of ``hours``. ``wait`` returns when a moment has come, and raises for a kill;
    what was told by then is kept, and the next rebuild goes on there."""

    def __init__(self, bot: Bot, screener: Screener, hours: SessionHours, wait: Wait) -> None:
        self._bot, self._screener, self._hours, self._wait = bot, screener, hours, wait
        self._said_at: datetime | None = None

    def run(self) -> str:
        """What came of it, in words; made already, nothing is asked."""
        bot, day = self._bot, self._hours.day
        screens = bot.store.load(ScreenDay, screen_stream(day))
        if (made := screens.universe) is not None:
            return _made(made.symbols, made.looked_at)
        try:
            survey = self._surveyed(blocked(bot))
            return self._record(survey)
        except ScreenerError as e:
            kept = RecordUniverseKept(
                at=bot.clock.now(), effective_date=day, source=self._screener.name, reason=str(e)
            )
            # a night that was interrupted after this is tried again, and may fail anew
            dispatch(bot, kept, f"screen:{day}:universe-kept:{screens.version}")
            return f"no new universe, the one before stays: {e}"
        finally:
            end_progress(bot.folder)

    def _record(self, survey: Survey) -> str:
        rejected = filters.counted(survey.looked)
        if not survey.symbols:
            counts = "; ".join(f"{r.count:,} × {r.why}" for r in rejected[:3])
            raise ScreenerError(f"of {len(survey.looked):,} securities none passes ({counts})")
        day = self._hours.day
        command = RecordUniverse(
            at=self._bot.clock.now(),
            effective_date=day,
            source=self._screener.name,
            mode="after-hours",
            looked_at=len(survey.looked),
            symbols=survey.symbols,
            rejected=rejected,
            facts=write_facts(self._bot.folder, day, UNIVERSE, survey.looked),
        )
        dispatch(self._bot, command, f"screen:{day}:universe")
        return _made(survey.symbols, len(survey.looked))

    def _surveyed(self, why: Blocked) -> Survey:
        """What failed is tried again after a pause, as long as each time something new was told."""
        tries, reached, until = 0, 0, self._hours.close + LONGEST
        while True:
            surveyor = Surveyor(
                self._screener, self._bot.settings, self._hours, self._bot.clock, self._wait,
                self._tell, until,
            )  # fmt: skip
            try:
                return surveyor.survey(why)
            except ScreenerKeyRefused:
                raise
            except ScreenerError as e:
                tries = 1 if surveyor.answers > reached else tries + 1
                reached = max(reached, surveyor.answers)
                again = self._bot.clock.now() + PAUSE
                if tries == TRIES or again > until:
                    raise
                self._say("WARNING", f"{e} It goes on at {again:%H:%M} UTC.")
            self._wait(again)

    def _tell(self, progress: Progress) -> None:
        tell_progress(self._bot.folder, progress)
        if self._said_at is None or progress.at - self._said_at >= SAID_EVERY:
            self._said_at = progress.at
            ends = f", until {progress.ends:%H:%M} UTC at this pace" if progress.ends else ""
            self._say(
                "INFO", f"universe: {progress.done:,} of {progress.of:,} {progress.doing}{ends}"
            )

    def _say(self, level: str, message: str) -> None:
        path = log_path(self._bot.folder, "screener")
        append_line(path, self._bot.clock.now(), level, message)


def newest_universe(bot: Bot, before: Sequence[date]) -> tuple[date, UniverseRebuilt] | None:
    """The newest that is not older than SCREENER_UNIVERSE_MAX_AGE_DAYS, counted in sessions: made
    after Friday's close, it is one old on Monday. ``before`` are the sessions before this one."""
    for day in reversed(before[-bot.settings.SCREENER_UNIVERSE_MAX_AGE_DAYS :]):
        made = bot.store.load(ScreenDay, screen_stream(day)).universe
        if made is not None:
            return day, made
    return None


def blocked(bot: Bot) -> Blocked:
    """Why a symbol is not even looked at: blocked by the settings, or by hand."""
    by_hand = bot.store.load(Blocklist, BLOCKLIST)
    # SCREENER_UNIVERSE_BLOCKLIST: empty, no symbol is blocked by name
    listed = frozenset(bot.settings.SCREENER_UNIVERSE_BLOCKLIST)

    def why(symbol: str) -> str:
        if symbol in listed:
            return "in SCREENER_UNIVERSE_BLOCKLIST"
        return "blocked by hand" if by_hand.why(symbol) else ""

    return why


def dispatch(bot: Bot, command: Command, command_id: str) -> None:
    """In the thread of the session's screens."""
    bot.dispatch(command, command_id=command_id, correlation=screen_stream(command.effective_date))


def _made(symbols: Sequence[str], looked_at: int) -> str:
    return f"the universe has {len(symbols):,} of {looked_at:,} securities that were looked at"
