"""Events to stored events and back, as the library asks for it: with a commitment, sealed.

Apart from the codec: whoever only reads does not wait for the library to be loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from aggregates.base import NewEvent
from eventstore.codec import decode, encode
from eventstore.sealing import open_row, seal
from security.data_keys import DataKey, KeyRing

_NOT_BOUND = (None,) * 8  # the columns of a row that its payload does not depend on


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
