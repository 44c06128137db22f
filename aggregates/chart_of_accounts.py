"""The chart of accounts: accounts, which role posts where, versions (M05).

A role is the posting rules' word for an account ("cash_float"); the mapping says which code it is.
``chart_edits`` has the single edits, ``chart_rules`` what every chart must fulfil.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.chart_changes import AccountChange, changes_between, in_words
from aggregates.chart_rules import ROLE_TYPES, ROLES, SECURITY_ROLES, faults_of
from aggregates.chart_values import Account, AccountType, Chart
from aggregates.errors import DomainError

STREAM = "chart-of-accounts"
Change = Literal["added", "renamed", "moved", "deactivated", "activated", "remapped"]

__all__ = [
    "ROLES", "ROLE_TYPES", "SECURITY_ROLES", "STREAM", "Account", "AccountChange", "AccountType",
    "AdoptChart", "Chart", "ChartAdopted", "ChartChanged", "ChartEdit", "ChartMoved",
    "ChartOfAccounts", "EditRefused", "changes_between", "faults_of",
]  # fmt: skip


@topic("ChartOfAccounts.Adopted")
class ChartAdopted(Event, frozen=True, kw_only=True):
    chart: Chart
    reason: str


@topic("ChartOfAccounts.Changed")
class ChartChanged(Event, frozen=True, kw_only=True):
    """One edit: ``what`` happened to the account or role ``subject``, and the chart that results.

    ``before`` and ``after``: the name, the parent's code or the role's account, as ``what`` says.
    """

    what: Change
    subject: str
    before: str
    after: str
    chart: Chart
    reason: str


class AdoptChart(Command, frozen=True, kw_only=True):
    chart: Chart
    reason: str


class ChartEdit(Command, frozen=True, kw_only=True):
    """One edit by a person who saw version ``seen``. ``reason`` is mandatory."""

    what: ClassVar[Change]

    seen: int
    reason: str

    @property
    def subject(self) -> str:
        """The code of the account, or the role."""
        raise NotImplementedError

    def faults(self, chart: Chart) -> dict[str, str]:
        """What forbids the edit, by field; empty when the chart allows it."""
        raise NotImplementedError

    def applied(self, chart: Chart) -> Chart:
        """The chart with the edit, under the same version number."""
        raise NotImplementedError

    def sides(self, chart: Chart) -> tuple[str, str]:
        """What the edit changes, before and after."""
        raise NotImplementedError


class EditRefused(DomainError):
    """An edit that the rules forbid. ``faults`` says why, by field of the edit."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(f"{' '.join(faults.values())} The chart of accounts is as it was.")
        self.faults = faults


class ChartMoved(DomainError):
    """Somebody else changed the chart since the person looked at it."""

    def __init__(self, seen: int, now: int, changes: tuple[AccountChange, ...]) -> None:
        listed = "; ".join(in_words(c) for c in changes) or "that version was never in force"
        super().__init__(
            f"The chart of accounts is at version {now} by now; you saw version {seen}. Since "
            f"then: {listed}. Nothing was changed; look at the difference and send yours again."
        )
        self.seen, self.now, self.changes = seen, now, changes


class ChartOfAccounts(Aggregate):
    """The line of charts; each replaces the one before, whole."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.chart: Chart | None = None
        self._earlier: dict[int, Chart] = {}

    @classmethod
    def at(cls, chart: Chart) -> Self:
        """As it is while that chart is in force: to try an edit that nobody records."""
        found = cls(STREAM)
        found._keep(chart)
        return found

    def adopt(self, c: AdoptChart) -> None:
        faults = faults_of(c.chart)
        check(not faults, "The chart of accounts was not adopted: " + "; ".join(faults) + ".")
        expected = self.chart.version + 1 if self.chart else 1
        check(
            c.chart.version == expected,
            f"The chart is version {c.chart.version}; the next one is {expected}.",
        )
        self.emit(record(ChartAdopted, c))

    def edit(self, c: ChartEdit) -> None:
        """Decide one edit against the version that the person saw."""
        before = self._seen(c.seen)
        if faults := c.faults(before):
            raise EditRefused(faults)
        old, new = c.sides(before)
        chart = msgspec.structs.replace(c.applied(before), version=before.version + 1)
        self.emit(
            record(ChartChanged, c, chart=chart, before=old, after=new, reason=c.reason.strip())
        )

    def _seen(self, version: int) -> Chart:
        if self.chart is None:
            raise DomainError("There is no chart of accounts yet; provisioning adopts the first.")
        if version != self.chart.version:
            then = self._earlier.get(version)
            changes = tuple(changes_between(then, self.chart)) if then else ()
            raise ChartMoved(version, self.chart.version, changes)
        return self.chart

    def apply(self, event: Event) -> None:
        if isinstance(event, ChartAdopted | ChartChanged):
            self._keep(event.chart)

    def _keep(self, chart: Chart) -> None:
        self.chart = self._earlier[chart.version] = chart
