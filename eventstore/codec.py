"""Events to bytes and back: msgspec JSON under an allow-list of topics.

An event that was stored in an older form is lifted to the present one when it is decoded
(aggregates.upcasters); the stored bytes never change.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from aggregates.base import Command, Event
from aggregates.catalog import TOPICS
from aggregates.upcasters import lift
from eventstore.errors import UnknownEvent

_ENCODER = msgspec.json.Encoder()
# An upcaster is total over what was ever written: what it fails on was changed behind the store.
_NEVER_WRITTEN = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


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
