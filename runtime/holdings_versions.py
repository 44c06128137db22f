"""The versions of the holdings plan as of both clocks, from the few events that made them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from aggregates.holdings_plan import STREAM, HoldingsPlanSaved, Plan, PlanChange, plan_changes
from config.clock import from_micros
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf


class PlanVersion(NamedTuple):
    """Who saved which plan, when and why. ``position`` is that of the event; ``before`` is None
    for the first, ``rolled_back_to`` the earlier version that was put back."""

    number: int
    position: int
    recorded_at: datetime
    actor: str
    before: Plan | None
    plan: Plan
    reason: str
    rolled_back_to: int | None

    @property
    def changes(self) -> tuple[PlanChange, ...]:
        return plan_changes(self.before, self.plan)


def plan_versions(feed: Feed, as_of: AsOf = NOW) -> list[PlanVersion]:
    """Every version that both clocks know, in order; the last was in force."""
    found = []
    for row, event in known_events(feed, STREAM, as_of):
        if isinstance(event, HoldingsPlanSaved):
            at = from_micros(row.recorded_at)
            found.append(
                PlanVersion(
                    event.version, row.position, at, row.actor, event.before, event.after,
                    event.reason, event.rolled_back_to,
                )
            )  # fmt: skip
    return found
