"""The plan of the long-term holdings: securities, float, reserves, rebalancing (M30, M35).

What is wanted, never what is held. Each valid edit is a version, numbered from 1; who edits names
the version looked at, so that two people never overwrite each other unseen. ``plan_values`` has
what a plan says, ``plan_rules`` what every plan must fulfil.
"""

from __future__ import annotations

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.errors import DomainError
from aggregates.plan_rules import (
    INTERVALS,
    MOST_SECURITIES,
    PlanFault,
    percent_fault,
    plan_faults,
    symbol_fault,
)
from aggregates.plan_values import (
    DEFAULT_PLAN,
    Plan,
    PlanChange,
    PlannedSecurity,
    in_words,
    plan_changes,
    weights,
)

STREAM = "holdings-plan"
REASON_LONGEST = 500  # characters

__all__ = [
    "DEFAULT_PLAN", "INTERVALS", "MOST_SECURITIES", "STREAM", "HoldingsPlan", "HoldingsPlanSaved",
    "Plan", "PlanChange", "PlanFault", "PlanMoved", "PlanRefused", "PlannedSecurity",
    "RollBackPlan", "SavePlan", "in_words", "percent_fault", "plan_changes", "plan_faults",
    "symbol_fault", "weights",
]  # fmt: skip


@topic("HoldingsPlan.Saved")
class HoldingsPlanSaved(Event, frozen=True, kw_only=True):
    """The plan from here on. ``before`` is None for the first, ``rolled_back_to`` the earlier
    version that was put back."""

    version: int
    before: Plan | None
    after: Plan
    reason: str
    rolled_back_to: int | None


class SavePlan(Command, frozen=True, kw_only=True):
    """``seen`` is the version that was looked at, 0 for none. A reason is offered, not asked for:
    edits are saved as they are typed."""

    plan: Plan
    seen: int
    reason: str = ""


class RollBackPlan(Command, frozen=True, kw_only=True):
    """Put version ``to`` back, as a new version."""

    to: int
    seen: int
    reason: str = ""


class PlanRefused(DomainError):
    """A plan that breaks the rules; ``faults`` says where and why."""

    def __init__(self, faults: tuple[PlanFault, ...]) -> None:
        self.faults = faults
        said = " ".join(fault.message for fault in faults)
        super().__init__(f"The holdings plan was not saved. {said} Nothing was changed.")


class PlanMoved(DomainError):
    """Somebody saved another plan since version ``seen``; ``changes`` are what differs by now."""

    def __init__(self, seen: int, number: int, changes: tuple[PlanChange, ...]) -> None:
        self.seen, self.number, self.changes = seen, number, changes
        listed = "; ".join(map(in_words, changes)) or "nothing that is not back as it was"
        super().__init__(
            f"The holdings plan was changed meanwhile: you saw version {seen}, now it is {number} "
            f"({listed}). Nothing of yours was saved; compare, and save again."
        )


class HoldingsPlan(Aggregate):
    """``number`` is the version in force, 0 while no plan is saved; ``versions`` has every one."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.versions: dict[int, HoldingsPlanSaved] = {}

    @property
    def number(self) -> int:
        return len(self.versions)

    @property
    def plan(self) -> Plan | None:
        return self.versions[self.number].after if self.versions else None

    def save(self, c: SavePlan) -> None:
        self.check_seen(c.seen)
        self._put(c, c.plan, rolled_back_to=None)

    def roll_back(self, c: RollBackPlan) -> None:
        self.check_seen(c.seen)
        self._put(c, self.of_version(c.to), rolled_back_to=c.to)

    def of_version(self, number: int) -> Plan:
        """An earlier plan, or the one in force."""
        check(
            number in self.versions,
            f"There is no version {number} of the holdings plan; the newest is {self.number}. "
            "Nothing was changed.",
        )
        return self.versions[number].after

    def check_seen(self, seen: int) -> None:
        """Raise PlanMoved unless ``seen`` is the version in force."""
        check(
            0 <= seen <= self.number,
            f"There is no version {seen} of the holdings plan; the newest is {self.number}. "
            "Nothing was changed; load the page again.",
        )
        if seen < self.number:
            then = self.versions[seen].after if seen else None
            now = self.versions[self.number].after
            raise PlanMoved(seen, self.number, plan_changes(then, now))

    def _put(self, c: SavePlan | RollBackPlan, plan: Plan, rolled_back_to: int | None) -> None:
        if faults := plan_faults(plan):
            raise PlanRefused(faults)
        check_reason(c.reason)
        check(plan != self.plan, "Nothing differs from the plan in force; nothing was saved.")
        said = {"version": self.number + 1, "before": self.plan, "after": plan}
        self.emit(record(HoldingsPlanSaved, c, **said, rolled_back_to=rolled_back_to))

    def apply(self, event: Event) -> None:
        if isinstance(event, HoldingsPlanSaved):
            self.versions[event.version] = event


def check_reason(reason: str) -> None:
    check(
        len(reason) <= REASON_LONGEST and all(c.isprintable() or c in "\r\n\t" for c in reason),
        f"The reason must be at most {REASON_LONGEST} printable characters. Nothing was changed.",
    )
