"""What the page of the bearish instruments shows: the mapping, and how it came to be (M11)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from aggregates.inverse_etfs import (
    STREAM,
    InverseEtf,
    InverseEtfMapped,
    InverseEtfs,
    InverseEtfUnmapped,
)
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf


class MappingChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change; None before or after it: nothing was mapped."""

    position: int
    at: datetime
    actor: str
    underlying: str
    etf_before: str | None
    leverage_before: Decimal | None
    etf: str | None
    leverage: Decimal | None
    reason: str


class MappingView(msgspec.Struct, frozen=True, kw_only=True):
    """``mapped`` by symbol; ``changes`` with the newest first; ``seen`` is how many they are."""

    mapped: tuple[InverseEtf, ...]
    since: dict[str, int]  # the event that mapped each symbol as it is
    changes: tuple[MappingChange, ...]

    @property
    def seen(self) -> int:
        return len(self.changes)


def mapping_view(feed: Feed, as_of: AsOf = NOW) -> MappingView:
    """As of the clock of knowing."""
    state, changes, since = InverseEtfs(STREAM), list[MappingChange](), dict[str, int]()
    last = FOREVER if as_of.position is None else as_of.position
    for row in feed.stream(STREAM):
        event = feed.event(row)
        if row.position > last or not isinstance(event, InverseEtfMapped | InverseEtfUnmapped):
            continue
        state.fold(event)
        since[event.underlying] = row.position
        changes.append(_change(row.position, row.actor, event))
    mapped = tuple(state.mapped[symbol] for symbol in sorted(state.mapped))
    return MappingView(mapped=mapped, since=since, changes=tuple(reversed(changes)))


def _change(
    position: int, actor: str, event: InverseEtfMapped | InverseEtfUnmapped
) -> MappingChange:
    mapped = isinstance(event, InverseEtfMapped)
    return MappingChange(
        position=position,
        at=event.occurred_at,
        actor=actor,
        underlying=event.underlying,
        etf_before=event.etf_before if isinstance(event, InverseEtfMapped) else event.etf,
        leverage_before=(
            event.leverage_before if isinstance(event, InverseEtfMapped) else event.leverage
        ),
        etf=event.etf if mapped else None,
        leverage=event.leverage if mapped else None,
        reason=event.reason,
    )
