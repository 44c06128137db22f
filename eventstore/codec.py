"""Events to bytes and back: msgspec JSON under an allow-list of topics, with a commitment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from aggregates.base import Command, Event, NewEvent
from aggregates.catalog import TOPICS
from eventstore.envelope import blind_of, commitment_of
from eventstore.errors import UnknownEvent

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class SealedEvent(StoredEvent):
    """A stored event with the two envelope fields that the payload decides."""

    schema_version: int
    commitment: bytes


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(TOPICS[topic])


def decode(topic: str, schema_version: int, state: bytes, where: str) -> Event:
    """The typed event of a payload. ``where`` names the row in the error.

    Raises UnknownEvent for a topic, version or payload that this version cannot read.
    """
    known = TOPICS.get(topic)
    if known is None or schema_version > known.schema_version:
        raise UnknownEvent(
            f"{where} is a {topic} of schema {schema_version}, which this version does not know. "
            "Nothing was changed. Install the version of TradeBot that wrote it, or a newer one."
        )
    try:
        return _decoder(topic).decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise UnknownEvent(
            f"{where} ({topic}) cannot be read: {e}. Run `tbot verify` to see if it was changed."
        ) from None


def encode(event: Event) -> bytes:
    """The payload: JSON with fields in the order of the class, decimals as text, times as UTC."""
    return _ENCODER.encode(event)


def command_content(command: Command) -> bytes:
    """What makes two commands the same: kind and every field but its circumstances."""
    content = (name for name in command.__struct_fields__ if name not in command.circumstances)
    fields = {name: getattr(command, name) for name in content}
    return _ENCODER.encode([type(command).__name__, fields])


class EventMapper(Mapper[str]):
    """The library's mapper, made typed, allow-listed and committing."""

    def __init__(self, blind_key: bytes) -> None:
        super().__init__(JSONTranscoder())  # required by the library; payloads never pass it
        self._blind_key = blind_key

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> SealedEvent:
        event: Any = getattr(domain_event, "event")  # noqa: B009 - the protocol has no such field
        payload = encode(event)
        stream, version = domain_event.originator_id, domain_event.originator_version
        return SealedEvent(
            originator_id=stream,
            originator_version=version,
            topic=event.topic,
            state=payload,
            schema_version=event.schema_version,
            commitment=commitment_of(blind_of(self._blind_key, stream, version), payload),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> NewEvent:
        assert isinstance(stored_event, SealedEvent)  # noqa: S101 - our recorder makes no other
        stream = str(stored_event.originator_id)
        where = f"Event {stored_event.originator_version} of {stream}"
        event = decode(stored_event.topic, stored_event.schema_version, stored_event.state, where)
        return NewEvent(stream, stored_event.originator_version, event)
