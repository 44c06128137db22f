"""What every aggregate and event shares: deciding emits events, applying only folds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from aggregates.errors import DomainError


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact in the past tense. Amounts are the broker's exact decimals, times are UTC.

    ``topic`` is the short stable name that is stored, ``schema_version`` the form of the payload.
    """

    topic: ClassVar[str] = ""
    schema_version: ClassVar[int] = 1

    occurred_at: datetime
    effective_date: date


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request in the imperative. ``at`` is when it is decided (UTC).

    ``circumstances`` are the fields that belong to the moment of asking, not to what is asked:
    asked again with others, it is still the same command. ``added`` are fields that came later:
    empty, they make it no other command than the one that was recorded without them.
    """

    circumstances: ClassVar[frozenset[str]] = frozenset({"at"})
    added: ClassVar[frozenset[str]] = frozenset()

    at: datetime
    effective_date: date


class NewEvent(NamedTuple):
    """An event with its place in its stream, on the way to the store."""

    originator_id: str
    originator_version: int
    event: Event


TOPICS: dict[str, type[Event]] = {}
E = TypeVar("E", bound=type[Event])


def topic(name: str, schema_version: int = 1) -> Any:
    """Register an event class under its stable topic: the allow-list of what a store may hold."""

    def register(cls: E) -> E:
        if name in TOPICS:
            raise DomainError(f"The topic {name} is registered twice.")
        cls.topic, cls.schema_version = name, schema_version
        TOPICS[name] = cls
        return cls

    return register


T = TypeVar("T", bound=Event)


def record(cls: type[T], command: Command, **more: Any) -> T:
    """The event that a command led to: fields of the same name are taken over, ``more`` adds."""
    check_utc(command.at)
    fields = {
        name: getattr(command, name) for name in cls.__struct_fields__ if hasattr(command, name)
    }
    return cls(**(fields | more | {"occurred_at": command.at}))


class Aggregate:
    """One stream of events. ``decide`` methods check and emit; ``apply`` folds and cannot fail.

    ``decides_by_past``: False where no event of the past matters to the next one; then only their
    number is asked for, which costs the same however many they are.
    """

    decides_by_past: ClassVar[bool] = True

    def __init__(self, stream: str) -> None:
        self.id = stream
        self.version = 0
        self._pending: list[NewEvent] = []

    def emit(self, event: Event) -> None:
        """Record a decision: fold it now, hand it to the store with the batch."""
        self.fold(event)
        self._pending.append(NewEvent(self.id, self.version, event))

    def fold(self, event: Event) -> None:
        self.apply(event)
        self.version += 1

    def apply(self, event: Event) -> None:
        """Change the state by one event. Never raises, never decides."""
        raise NotImplementedError

    def collect_events(self) -> Sequence[NewEvent]:
        pending, self._pending = self._pending, []
        return pending


def check(condition: bool, message: str) -> None:
    """Guard of a decision: raise DomainError with ``message`` unless the condition holds."""
    if not condition:
        raise DomainError(message)


def check_utc(*moments: datetime) -> None:
    """Refuse naive and non-UTC times: everything stored is UTC (M17)."""
    for moment in moments:
        offset = moment.utcoffset()
        check(
            offset is not None and not offset,
            f"{moment!r} is not UTC; convert it with config.clock first.",
        )
