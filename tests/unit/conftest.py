"""Given these events, when this is asked, then these events follow, or this is what is said."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates.base import Aggregate, Event
from aggregates.errors import DomainError


class Case:
    """One aggregate with a past; ``when`` asks it for something, ``then`` compares what followed.

    A case can go on: what it decided is its past for the next question.
    """

    def __init__(self, aggregate: Aggregate, past: tuple[Event, ...]) -> None:
        self.aggregate: Any = aggregate
        for event in past:
            aggregate.fold(event)
        self._before = aggregate.version
        self._events: list[Event] = []
        self._said = ""

    def when(self, decide: Callable[[Any, Any], None], *commands: Any) -> "Case":
        """Ask; a refusal is kept for ``refused``."""
        self._before, self._events, self._said = self.aggregate.version, [], ""
        try:
            for command in commands:
                decide(self.aggregate, command)
        except DomainError as e:
            self._said = str(e)
        collected = self.aggregate.collect_events()
        versions = [new.originator_version for new in collected]
        # the store's optimistic lock stands on these numbers
        assert versions == list(range(self._before + 1, self._before + 1 + len(collected)))
        assert {new.originator_id for new in collected} <= {self.aggregate.id}
        self._events = [new.event for new in collected]
        return self

    def then(self, *events: Event) -> "Case":
        assert self._said == ""
        assert self._events == list(events)
        return self

    @property
    def event(self) -> Any:
        """The one event that followed."""
        assert self._said == ""
        (found,) = self._events
        return found

    def refused(self, *words: str) -> "Case":
        """Nothing was emitted, nothing changed, and the message holds these words."""
        assert self._events == []
        assert self.aggregate.version == self._before
        assert self._said, "this should have been refused"
        for expected in words:
            assert expected in self._said
        return self


@pytest.fixture
def given() -> Callable[..., Case]:
    """`given(Order("order-1"), *events)` gives a Case with that past."""

    def make(aggregate: Aggregate, *past: Event) -> Case:
        return Case(aggregate, past)

    return make
