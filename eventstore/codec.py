"""Events to bytes and back: msgspec JSON under an allow-list of topics, with a commitment.

An event that was stored in an older form is lifted to the present one when it is decoded
(aggregates.upcasters); the stored bytes never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from aggregates.base import Command, Event, NewEvent
from aggregates.catalog import TOPICS
from aggregates.upcasters import lift
from eventstore.errors import UnknownEvent
from eventstore.sealing import open_row, seal
from security.data_keys import DataKey, KeyRing

_ENCODER = msgspec.json.Encoder()
_NOT_BOUND = (None,) * 8  # the columns of a row that its payload does not depend on
# An upcaster is total over what was ever written: what it fails on was changed behind the store.
_NEVER_WRITTEN = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class CommittedEvent(StoredEvent):
    """A stored event with the envelope fields that the payload decides.

    ``state`` is sealed unless ``key_epoch`` is 0. ``software_version`` and ``position`` are the
    store's to stamp: on the way into it they say nothing.
    """

    schema_version: int
    commitment: bytes
    key_epoch: int
    software_version: str = ""
    position: int = 0


@cache
def _decoder(kind: type[Event]) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(kind)


def decode(
    topic: str, schema_version: int, state: bytes, where: str | int, software_version: str = ""
) -> Event:
    """The typed event of a payload, lifted to the present form when it was stored in an older one.

    ``where`` names the row in an error: its position, or words. ``software_version`` is what wrote
    it. Raises UnknownEvent for a topic, version or payload that this version cannot read.
    """
    known = TOPICS.get(topic)
    if known is None or schema_version != known.schema_version:
        return _decode_other(topic, schema_version, state, where, software_version)
    try:
        return _decoder(known).decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise _damaged(topic, where, e) from None


def _decode_other(
    topic: str, schema_version: int, state: bytes, where: str | int, software_version: str
) -> Event:
    """What is not of the present form: an older one is lifted, anything else is unknown."""
    known = TOPICS.get(topic)
    if known is None or not 0 < schema_version < known.schema_version:
        knows = f" (it reads up to schema {known.schema_version})" if known else ""
        written = f", written by TradeBot {software_version}" if software_version else ""
        wanted = f"TradeBot {software_version}" if software_version else "the one that wrote it"
        raise UnknownEvent(
            f"{_named(where)} is a {topic} of schema {schema_version}{written}; this version does "
            f"not know it{knows}. Nothing was changed. Install {wanted} or a newer version."
        )
    try:
        payload = lift(topic, schema_version, msgspec.json.decode(state, type=dict[str, Any]))
        return _decoder(known).decode(_ENCODER.encode(payload))
    except _NEVER_WRITTEN as e:
        raise _damaged(f"{topic}, schema {schema_version}", where, e) from None


def _damaged(what: str, where: str | int, error: Exception) -> UnknownEvent:
    return UnknownEvent(
        f"{_named(where)} ({what}) cannot be read: {error}. Run `tbot verify` to see if it was "
        "changed."
    )


def _named(where: str | int) -> str:
    return f"Event {where}" if isinstance(where, int) else where


def encode(event: Event) -> bytes:
    """The payload: JSON with fields in the order of the class, decimals as text, times as UTC."""
    return _ENCODER.encode(event)


def command_content(command: Command) -> bytes:
    """What makes two commands the same: kind and every field but its circumstances."""
    content = (name for name in command.__struct_fields__ if name not in command.circumstances)
    fields = {name: getattr(command, name) for name in content}
    fields = {name: value for name, value in fields.items() if value or name not in command.added}
    return _ENCODER.encode([type(command).__name__, fields])


class EventMapper(Mapper[str]):
    """The library's mapper, made typed, allow-listed, committing and sealing."""

    def __init__(self, keys: KeyRing) -> None:
        super().__init__(JSONTranscoder())  # required by the library; payloads never pass it
        self._keys = keys

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> CommittedEvent:
        """Sealed under the newest epoch that is known here. Raises MissingKey when none is."""
        epoch = self._keys.current
        return self.sealed(domain_event, epoch, self._keys.of(epoch))

    def sealed(
        self, domain_event: DomainEventProtocol[str], epoch: int, key: DataKey
    ) -> CommittedEvent:
        event: Any = getattr(domain_event, "event")  # noqa: B009 - the protocol has no such field
        stream, version = domain_event.originator_id, domain_event.originator_version
        topic, schema_version = event.topic, event.schema_version
        state, commitment = seal(epoch, key, stream, version, topic, schema_version, encode(event))
        return CommittedEvent(
            originator_id=stream,
            originator_version=version,
            topic=topic,
            state=state,
            schema_version=schema_version,
            commitment=commitment,
            key_epoch=epoch,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> NewEvent:
        """Raises UnknownEvent, SealBroken, MissingKey."""
        assert isinstance(stored_event, CommittedEvent)  # noqa: S101 - our recorder makes no other
        e, stream = stored_event, str(stored_event.originator_id)
        row = (
            e.position, stream, e.originator_version, e.topic, e.schema_version, e.state,
            e.commitment, *_NOT_BOUND, e.key_epoch, b"",
        )  # fmt: skip
        payload = open_row(self._keys, row)
        where = f"Event {e.originator_version} of {stream}"
        event = decode(e.topic, e.schema_version, payload, where, e.software_version)
        return NewEvent(stream, e.originator_version, event)
