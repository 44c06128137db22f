"""Aggregates that were recorded last: no long stream is read anew for each event."""

from __future__ import annotations

from collections.abc import Iterable

from aggregates.base import Aggregate
from eventstore.application import A, Store

KEPT = 64  # more than a session has open at one time


class Recent:
    """Private to one dispatcher. What is taken out is not here until it was recorded: an aggregate
    that a failed decision left half changed is never seen again."""

    def __init__(self) -> None:
        self._kept: dict[str, Aggregate] = {}

    def take(self, store: Store, kind: type[A], stream: str) -> A | None:
        """The aggregate as its stream says now, or None when it was not kept."""
        found = self._kept.pop(stream, None)
        if not isinstance(found, kind):
            return None
        store.follow(found)  # others write too: what they added is folded
        return found

    def keep(self, recorded: Iterable[Aggregate]) -> None:
        for aggregate in recorded:
            if aggregate.decides_by_past:
                self._kept[aggregate.id] = aggregate
        while len(self._kept) > KEPT:
            # threads of one process share a dispatcher: somebody may have taken it meanwhile
            self._kept.pop(next(iter(self._kept)), None)
