"""One stored event as people see it: its payload open where the key is here."""

from __future__ import annotations

from typing import Any

import msgspec

from config.clock import from_micros
from eventstore.envelope import Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from runtime.query_records import EventView
from security.data_keys import MissingKey


def event_view(feed: Feed, row: Envelope) -> EventView:
    """What cannot be read says why in ``unreadable``; it is never an error."""
    payload, fault = _content(feed, row)
    return EventView(
        position=row.position,
        recorded_at=from_micros(row.recorded_at),
        topic=row.topic,
        schema_version=row.schema_version,
        stream=row.originator_id,
        version=row.originator_version,
        actor=row.actor,
        command_id=row.command_id,
        correlation=row.correlation_id,
        causation=row.causation_id,
        software=row.software_version,
        key_epoch=row.key_epoch,
        effective_date=str(payload.get("effective_date", "")),
        payload=payload,
        commitment=row.commitment.hex(),
        hash=row.hash.hex(),
        unreadable=fault,
    )


def _content(feed: Feed, row: Envelope) -> tuple[dict[str, Any], str]:
    """The plain payload, nothing where it is not open; and why it cannot be read."""
    try:
        payload = feed.payload(row)
    except MissingKey as e:
        return {}, f"It is sealed under epoch {e.epoch}, and the key is not here."
    except UnknownEvent as e:
        return {}, str(e)
    try:
        feed.event(row)
    except UnknownEvent as e:
        return _as_data(payload), str(e)
    return _as_data(payload), ""


def _as_data(payload: bytes) -> dict[str, Any]:
    """As recorded; what is no JSON object is given as its text."""
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {"as_stored": payload.decode(errors="backslashreplace")}
