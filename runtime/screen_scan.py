"""One strategy's candidates: looked through in the order of preference until there are enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from aggregates.screen import Mode
from config.calendar import SessionHours
from config.clock import Clock
from config.settings import Settings
from screeners import filters
from screeners.filters import Looked
from screeners.port import Facts, Screener, ScreenerError, Wait

QUOTE_HOLDS = timedelta(minutes=15)  # a price that a scan was told before it was interrupted


class Scan(NamedTuple):
    """What came of looking: ``chosen`` in the order of preference, among all that was looked at.

    ``universe`` is the session after whose close it was made; ``said`` why there are not more.
    """

    chosen: tuple[str, ...]
    looked: list[Looked]
    universe: date | None = None
    said: str = ""


class Scanner(NamedTuple):
    """What a scan needs. ``last`` and ``now`` are the session before and that of the candidates;
    after ``until`` nobody is asked any more."""

    screener: Screener
    settings: Settings
    clock: Clock
    wait: Wait
    last: SessionHours
    now: SessionHours
    until: datetime
    blocked: Callable[[str], str]

    def scan(self, known: Sequence[Facts], strategy: str, mode: Mode) -> Scan:
        """Asks only about what passes all that is known already, and no further than needed.

        A screener that fails ends it: what has passed by then on facts of its own is chosen.
        """
        s, since = self.settings, self.clock.now() - QUOTE_HOLDS
        standing = filters.standing(s, strategy)
        moving = filters.moving(s, strategy, mode, self.last, self.now)
        looked: list[Looked] = []
        chosen: list[str] = []
        for facts in known:
            if len(chosen) == s.CANDIDATE_MULTIPLIER * s.MAX_OPEN_POSITIONS:
                break
            try:
                found = self._look(facts, standing, moving, since)
            except ScreenerError as e:
                return Scan(tuple(chosen), looked, said=str(e))
            looked.append(found)
            if not found.why:
                chosen.append(facts.symbol)
        return Scan(tuple(chosen), looked)

    def _look(
        self,
        facts: Facts,
        standing: Sequence[filters.Limit],
        moving: Sequence[filters.Limit],
        since: datetime,
    ) -> Looked:
        why = self.blocked(facts.symbol) or filters.foreign(facts, self.settings)
        if why := why or filters.why_not(facts, standing):
            return Looked(facts=facts, why=why)
        quoted = self.screener.quote(facts, since, self._in_time)
        return Looked(facts=quoted, why=filters.why_not(quoted, moving))

    def _in_time(self, moment: datetime) -> None:
        if max(moment, self.clock.now()) > self.until:
            raise ScreenerError(
                f"at {self.until:%H:%M} UTC, when the phase starts, there were not more yet"
            )
        self.wait(moment)
