"""The windows of a strategy's day, from its settings (M17)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import NamedTuple

from aggregates.market import MINUTE
from config.calendar import SessionHours
from config.clock import local_to_utc
from config.settings import Settings
from strategies.protocol import Window

BEFORE_CLOSE = timedelta(minutes=5)  # no window reaches nearer to the close


class Times(NamedTuple):
    """Of one strategy's settings: the local start, and minutes of the three windows."""

    start: time
    analysis: int
    breakout: int
    monitoring: int

    def window(self, start: datetime, latest: datetime) -> Window:
        """Each edge from ``start`` on; none reaches beyond ``latest``."""
        analysed = start + self.analysis * MINUTE
        entered = analysed + self.breakout * MINUTE
        watched = entered + self.monitoring * MINUTE
        return Window(*(min(edge, latest) for edge in (start, analysed, entered, watched)))


def local_start(times: Times, settings: Settings, hours: SessionHours) -> datetime:
    return local_to_utc(hours.day, times.start, settings.TIMEZONE)
