"""An aggregate kept in memory and brought up to date by what its stream has grown by."""

from __future__ import annotations

from threading import Lock
from typing import Generic

from aggregates.base import Aggregate, NewEvent
from eventstore.application import A, Store


class Followed(Generic[A]):
    """To be read only, by any thread. Costs one look-up in an index when nothing is new."""

    def __init__(self, store: Store, kind: type[A], stream: str) -> None:
        self._store, self._stream = store, stream
        self._state: A = kind(stream)
        self._lock = Lock()

    @property
    def now(self) -> A:
        """The aggregate with every event that is committed. What it holds is never to be changed.

        Raises StoreUnreadable, and MissingKey when the key of an event is not here.
        """
        with self._lock:
            state: Aggregate = self._state
            for new in self._store.events.get(self._stream, gt=state.version or None):
                assert isinstance(new, NewEvent)  # noqa: S101 - our mapper makes no other
                state.fold(new.event)
            return self._state
