"""The revisions of the settings as of both clocks, from the few events that made them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from aggregates.configuration import (
    STREAM,
    Change,
    Configuration,
    SettingsAdopted,
    SettingsChanged,
)
from config.clock import from_micros
from config.setting_model import KEYS
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf
from runtime.query_records import Money

_MONEY = ("BROKER_NAME", "ALPACA_PAPER", "IBKR_ACCOUNT")
_IBKR_PAPER = "D"  # the adapter's PAPER, which pages do not load: it holds account and port to it


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


def money_of(values: Mapping[str, str]) -> Money:
    """What is traded with under these settings."""
    chosen = {name: values.get(name, KEYS[name].default_text) for name in _MONEY}
    # SIMULATED: a file beside the store plays the broker, and nothing leaves the machine
    if chosen["BROKER_NAME"] == "SIMULATED":
        return "simulated"
    # ALPACA_PAPER=true: the broker plays, too; IBKR_ACCOUNT: numbers of paper accounts have a D
    paper = {
        "ALPACA": chosen["ALPACA_PAPER"] == "true",
        "IBKR": chosen["IBKR_ACCOUNT"].startswith(_IBKR_PAPER),
    }
    return "paper" if paper.get(chosen["BROKER_NAME"]) else "real"


def revisions(feed: Feed, as_of: AsOf = NOW) -> list[Revision]:
    """Every revision that both clocks know, in order; the last is in force."""
    settings, found = Configuration(STREAM), []
    for row, event in known_events(feed, STREAM, as_of):
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
