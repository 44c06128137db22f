"""What log lines say beside their event: its order, the result of a round trip, people's names."""

from __future__ import annotations

from collections.abc import Callable

from aggregates.money import exponent
from aggregates.order import order_stream
from aggregates.order_messages import OrderIntended, OrderOutcomeUnknown
from aggregates.users import STREAM as USERS
from aggregates.users import UserRegistered
from config.paths import DataFolder
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
from runtime.views import Views

Result = Callable[[int], str | None]


class NotYetKnown(Exception):
    """The views have not seen an event that is to be logged."""


class FactsOf:
    """Facts about the events of one store."""

    def __init__(self, feed: Feed, result: Result) -> None:
        self.feed, self.result = feed, result
        self._names: dict[str, str] = {}

    def at(self, row: Envelope) -> FactsAt:
        return FactsAt(self, row)

    def name(self, user_id: str) -> str:
        """The user's name, else what stands there: a part of the program."""
        if user_id not in self._names:
            for row in self.feed.stream(USERS):
                if row.topic == UserRegistered.topic:
                    event = self.feed.event(row)
                    if isinstance(event, UserRegistered):
                        self._names[event.user_id] = event.name
            self._names.setdefault(user_id, user_id)
        return self._names[user_id]


class FactsAt:
    """The same as of one row (runtime.log_topics.Facts)."""

    def __init__(self, of: FactsOf, row: Envelope) -> None:
        self._of, self._row = of, row

    def order(self, order_id: str) -> OrderIntended | None:
        rows = self._of.feed.stream(order_stream(order_id))
        event = self._of.feed.event(rows[0]) if rows else None
        return event if isinstance(event, OrderIntended) else None

    def was_unknown(self, order_id: str) -> bool:
        rows = self._of.feed.stream(order_stream(order_id))
        before = [row for row in rows if row.position < self._row.position]
        return bool(before) and before[-1].topic == OrderOutcomeUnknown.topic

    def result(self) -> str:
        found = self._of.result(self._row.position)
        if found is None:
            raise NotYetKnown
        return found

    def name(self, user_id: str) -> str:
        return self._of.name(user_id)

    @property
    def actor(self) -> str:
        return self._of.name(self._row.actor)


def result_of(views: Views) -> Result:
    """The results of round trips, as far as a writer's views have been caught up."""

    def result(position: int) -> str | None:
        if views.performance.tracked()[0] < position:
            return None
        return _result(views.trading, position)

    return result


class ResultOnDisk:
    """The same for who writes no view: as far as the one on disk has come, and no further.

    Raises what opening a view raises.
    """

    def __init__(self, folder: DataFolder, currency: str) -> None:
        self._path, self._exponent = folder.performance_view, exponent(currency)
        self._view: Performance | None = None
        self._file = 0

    def __call__(self, position: int) -> str | None:
        view = self._opened()
        if view is None or view.tracked()[0] < position:
            return None
        return _result(PerformanceQueries(view.connection, self._exponent), position)

    def _opened(self) -> Performance | None:
        """The view that lies there now: one that was made anew is another file."""
        file = self._path.stat().st_ino if self._path.is_file() else 0
        if file != self._file:
            self.close()
            self._view = Performance.read_only(self._path) if file else None
            self._file = file
        return self._view

    def close(self) -> None:
        if self._view is not None:
            self._view.close()
        self._view, self._file = None, 0


def _result(trading: PerformanceQueries, position: int) -> str:
    found = trading.result(position)
    return "" if found is None else format(found, "f")
