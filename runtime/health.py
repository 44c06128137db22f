"""What stands between the bot and its broker, as the rules ask for it before each entry."""

from __future__ import annotations

from datetime import datetime, timedelta

from aggregates.control import STREAM, Control
from aggregates.reconciliation import Compared, Occasion
from brokers.port import BrokerUnavailable
from config.clock import from_micros
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.outbox import Outbox
from runtime.reconciliation import Reconciler

LOOK_EVERY_MINUTES = 15  # of the clock, so that a restart looks when it would have looked
PATIENCE = timedelta(minutes=5)  # a look waits so long for orders under way


class Health:
    """Of one session. Nothing is known until `look` was called; then entries may be judged.

    ``clock_skew`` is our clock less the broker's, ``open_differences`` the number of differences
    between books and broker that nobody has explained; None: not known, which denies entries.
    """

    def __init__(self, bot: Bot, desk: Desk, outbox: Outbox, reconciler: Reconciler) -> None:
        self._bot, self._desk, self._outbox = bot, desk, outbox
        self._reconciler = reconciler
        self.clock_skew: timedelta | None = None
        self.open_differences: int | None = None
        self._occasion: Occasion | None = "start"
        self.failed_check = ""
        self._due_since: datetime | None = None

    @property
    def unreachable_since(self) -> datetime | None:
        return self._outbox.unreachable_since

    def entries_blocked(self) -> str:
        """Why a stop, a kill or a failed self check forbids entries; empty when none does."""
        return self._bot.store.load(Control, STREAM).entries_blocked or self.failed_check

    def behind_history(self) -> timedelta:
        """How far our clock is behind the newest event; 0 as a rule."""
        newest = from_micros(self._bot.store.head().recorded_at)
        return max(newest - self._bot.clock.now(), timedelta(0))

    def look(self, now: datetime) -> None:
        """Ask the broker for its time and its statement: at the start, every 15 minutes when no
        order is under way, and as soon as it answers again."""
        if self.unreachable_since is not None:
            self.open_differences, self._occasion = None, "reconnect"
            return
        if self._occasion is None and now.minute % LOOK_EVERY_MINUTES == 0:
            self._occasion, self._due_since = "schedule", now
        if self._occasion is None or self._waits(now):
            return
        if self._occasion == "start" and self._started_before():
            self._occasion = "schedule"
        self._ask(self._occasion)

    def _ask(self, occasion: Occasion) -> None:
        try:
            self.clock_skew = self._bot.clock.now() - self._bot.broker.clock()
        except BrokerUnavailable:
            self.clock_skew = self.open_differences = None
            return  # the same occasion, a minute later
        found = self._reconciler.run(self._desk, occasion)
        if found.repaired:
            self._desk.take_over()
        self.open_differences = len(found.open_differences) if found.known else None
        self._occasion = None if found.known else "reconnect"

    def _waits(self, now: datetime) -> bool:
        """Orders under way make differences that are none; they are waited for, but not long."""
        since = self._due_since or now
        scheduled = self._occasion == "schedule"
        return scheduled and bool(self._desk.open_orders()) and now - since < PATIENCE

    def _started_before(self) -> bool:
        """A session that was interrupted has compared at its start already."""
        return compared_on(self._bot, self._desk, "start")


def compared_on(bot: Bot, desk: Desk, occasion: Occasion) -> bool:
    """Whether the comparison of the day's start or close is recorded."""
    feed = bot.views.feed
    rows = feed.page(topics=(Compared.topic,), newest_first=True, limit=10)
    told = [event for event in map(feed.event, rows) if isinstance(event, Compared)]
    return any(e.effective_date == desk.hours.day and e.occasion == occasion for e in told)
