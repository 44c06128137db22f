"""The universe, made anew after the close: every security listed, then the fewest questions (M16).

One question for each exchange; one about the company for each share that is listed and not asked
about lately; prices, the largest companies first, until SCREENER_UNIVERSE_MAX_SIZE have passed; the
usual volume of these. What was told is kept, so a survey that was interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from config.calendar import SessionHours
from config.clock import Clock
from config.settings import Settings
from runtime.screen_files import Progress
from screeners import filters
from screeners.filters import Looked
from screeners.port import Facts, Screener, ScreenerError, Wait

TOLD_EVERY = timedelta(minutes=1)


class Survey(NamedTuple):
    """``symbols`` in the order of preference; ``looked`` everything, in the order of symbols."""

    symbols: tuple[str, ...]
    looked: list[Looked]


class Surveyor:
    """Makes one survey. ``tell`` hears of its progress once a minute; after ``until`` it gives up,
    and what was told is kept for the next one."""

    def __init__(
        self,
        screener: Screener,
        settings: Settings,
        hours: SessionHours,
        clock: Clock,
        wait: Wait,
        tell: Callable[[Progress], None],
        until: datetime,
    ) -> None:
        self._screener, self._settings, self._hours = screener, settings, hours
        self._clock, self._wait, self._tell, self._until = clock, wait, tell, until
        self.answers = 0  # that were used so far
        self._looked: dict[str, Looked] = {}
        self._begun = self._told_at = clock.now()

    def survey(self, blocked: Callable[[str], str]) -> Survey:
        """``blocked`` gives why a symbol is blocked, or nothing. Raises ScreenerError."""
        s, since = self._settings, self._hours.close
        listed = self._screener.listing(s.SCREENER_UNIVERSE_EXCHANGES, since, self._wait)
        able = [f for f in listed if self._passes(f, blocked(f.symbol) or filters.foreign(f, s))]
        sized = filters.by_size(self._of_size(able))
        chosen = self._with_volume(self._priced(sized))
        order = tuple(facts.symbol for facts in filters.by_dollar_volume(chosen))
        return Survey(order, [self._looked[symbol] for symbol in sorted(self._looked)])

    def _of_size(self, able: list[Facts]) -> Iterable[Facts]:
        limits, now = filters.universe_size(self._settings), self._clock.now()
        for facts in self._counting("companies", able):
            found = self._screener.profile(facts, now, self._wait)
            if self._passes(found, filters.why_not(found, limits)):
                yield found

    def _priced(self, sized: list[Facts]) -> list[Facts]:
        limits, most = (
            filters.universe_price(self._settings),
            self._settings.SCREENER_UNIVERSE_MAX_SIZE,
        )
        found: list[Facts] = []
        for facts in self._counting("prices", sized):
            if len(found) == most:
                self._passes(facts, f"smaller than the SCREENER_UNIVERSE_MAX_SIZE {most:,} largest")
                continue
            priced = self._screener.quote(facts, self._hours.close, self._wait)
            if self._passes(priced, filters.why_not(priced, limits)):
                found.append(priced)
        return found

    def _with_volume(self, priced: list[Facts]) -> list[Facts]:
        now = self._clock.now()
        found = []
        for facts in self._counting("volumes", priced):
            known = self._screener.usual_volume(facts, now, self._wait)
            self._passes(known, "")
            found.append(known)
        return found

    def _passes(self, facts: Facts, why: str) -> bool:
        """Remember what was looked at and what came of it."""
        self._looked[facts.symbol] = Looked(facts=facts, why=why)
        return not why

    def _counting(self, doing: str, every: list[Facts]) -> Iterable[Facts]:
        begun = self._clock.now()
        for done, facts in enumerate(every):
            now = self._clock.now()
            if now - self._told_at >= TOLD_EVERY:
                self._told_at = now
                self._tell(self._progress(doing, done, len(every), begun, now))
            if now > self._until:
                raise ScreenerError(
                    f"the time is over, with {done:,} of {len(every):,} {doing} told; the next "
                    "night goes on there"
                )
            yield facts
            self.answers += 1

    def _progress(self, doing: str, done: int, of: int, begun: datetime, now: datetime) -> Progress:
        ends = now + (now - begun) * (of - done) // done if done else None
        return Progress(at=now, day=self._hours.day, doing=doing, done=done, of=of, ends=ends)
