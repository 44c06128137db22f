"""The event store as an ``eventsourcing`` application: load an aggregate, save what it decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper
from eventsourcing.sqlite import SQLiteFactory
from eventsourcing.utils import Environment, EnvType

from aggregates.base import Aggregate, NewEvent
from eventstore.connection import StorePool
from eventstore.envelope import CommandContext
from eventstore.head import Head
from eventstore.mapper import EventMapper
from eventstore.recorder import ChainRecorder
from security.data_keys import DataKey, KeyRing

A = TypeVar("A", bound=Aggregate)


class Store(Application[str]):
    """One bot's history, open for writing. ``now_us`` is the injected clock, UTC microseconds."""

    def __init__(
        self, path: Path, *, keys: KeyRing, now_us: Callable[[], int], software_version: str
    ) -> None:
        self.path = path
        self.keys = keys
        self._now_us = now_us
        self._software_version = software_version
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__({"SQLITE_DBNAME": str(path), "ORIGINATOR_ID_TYPE": "text"})

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Only what is passed: the process environment never configures the store."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> SQLiteFactory:  # type: ignore[override]
        factory = SQLiteFactory(env)
        library_pool = factory.datastore.pool
        factory.datastore.pool = StorePool(db_name=str(self.path))
        library_pool.close()
        return factory

    def construct_mapper(self) -> Mapper[str]:
        self._events = EventMapper(self.keys)
        return self._events

    def construct_recorder(self) -> ApplicationRecorder:
        assert isinstance(self.factory, SQLiteFactory)  # noqa: S101 - made just above
        self.chain = ChainRecorder(
            self.factory.datastore, self.keys, self._now_us, self._software_version
        )
        if not self.path.exists() or not self.path.stat().st_size or not self.chain_is_laid():
            self.chain.create_table()
        return self.chain

    def chain_is_laid(self) -> bool:
        """Whether the tables exist: a store that was killed while it was made is made again."""
        c: Any
        with self.chain.datastore.transaction(commit=False) as c:
            found = c.execute(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchone()
            return bool(found[0] == 3)

    def load(self, kind: type[A], stream: str) -> A:
        """The aggregate as its stream says; an unused stream gives a fresh one."""
        loaded = kind(stream)
        if not kind.decides_by_past:
            newest = self.chain.select_events(stream, desc=True, limit=1)
            loaded.version = newest[0].originator_version if newest else 0
            return loaded
        for new in self.events.get(stream):
            assert isinstance(new, NewEvent)  # noqa: S101 - our mapper makes no other
            loaded.fold(new.event)
        return loaded

    def follow(self, aggregate: Aggregate) -> None:
        """Fold what was recorded in its stream since it was loaded."""
        for new in self.events.get(aggregate.id, gt=aggregate.version):
            assert isinstance(new, NewEvent)  # noqa: S101 - our mapper makes no other
            aggregate.fold(new.event)

    @contextmanager
    def alone(self) -> Iterator[Any]:
        """A write transaction: until its end nobody else writes, so what is loaded stays true.

        The keys are read anew in it: another process may have rotated them since.
        """
        with self.chain.datastore.transaction(commit=True) as writing:
            self.keys.refresh()
            yield writing

    def record(
        self,
        context: CommandContext,
        *changed: Aggregate,
        writing: Any = None,
        under: tuple[int, DataKey] | None = None,
    ) -> list[int]:
        """Append what the aggregates decided, in one transaction; returns the positions.

        ``writing`` is what ``alone`` gave, when it was decided there. ``under`` is given by a
        rotation alone: the next epoch and its keys, which this batch is the first to be sealed
        under. Raises CommandRepeated, with the first positions, when the command was recorded
        before; ConcurrentChange when the stream or the keys moved on; KeysAhead; MissingKey.
        """
        epoch, key = under or (self.keys.current, self.keys.of(self.keys.current))
        decided = [new for aggregate in changed for new in aggregate.collect_events()]
        stored = [self._events.sealed(new, epoch, key) for new in decided]
        return list(self.chain.insert_events(stored, context=context, writing=writing, under=under))

    def head(self) -> Head:
        return self.chain.head()
