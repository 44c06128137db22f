"""The revisions of the settings as of both clocks, from the few events that made them."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from aggregates.configuration import (
    STREAM,
    Change,
    Configuration,
    SettingsAdopted,
    SettingsChanged,
)
from config.clock import from_micros
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf


class Revision(NamedTuple):
    """What changed, who did it and why, and all that was in force from then on.

    ``position`` is that of the event. In ``values`` and ``changes`` a secret is its fingerprint.
    ``adopted``: the settings were taken over whole, so ``changes`` are what differs from before.
    """

    number: int
    position: int
    recorded_at: datetime
    actor: str
    adopted: bool
    changes: tuple[Change, ...]
    reason: str
    values: dict[str, str]


def revisions(feed: Feed, as_of: AsOf = NOW) -> list[Revision]:
    """Every revision that both clocks know, in order; the last is in force."""
    until = as_of.date or date.max
    position = FOREVER if as_of.position is None else as_of.position
    settings, found = Configuration(STREAM), []
    for row in feed.stream(STREAM):
        if row.position > position:
            break
        event = feed.event(row)
        if event.effective_date > until:
            continue
        settings.fold(event)
        if isinstance(event, SettingsAdopted | SettingsChanged):
            found.append(
                Revision(
                    number=settings.revision,
                    position=row.position,
                    recorded_at=from_micros(row.recorded_at),
                    actor=row.actor,
                    adopted=isinstance(event, SettingsAdopted),
                    changes=settings.revisions[-1],
                    reason=event.reason,
                    values=settings.values,
                )
            )
    return found
