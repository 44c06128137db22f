"""The versions of the chart of accounts, as pages and files show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from aggregates.chart_of_accounts import AccountChange, Chart, changes_between
from aggregates.errors import DomainError
from config.clock import from_micros
from exporters.chart import ChartSheet
from projections.charts import Adoption
from projections.fill_facts import utc_text
from projections.ledger_records import Books


class ChartVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version with who made it so and why; ``changes`` against the version before."""

    chart: Chart
    position: int
    recorded_at: datetime
    effective_date: date
    actor: str
    reason: str
    changes: tuple[AccountChange, ...]

    @property
    def version(self) -> int:
        return self.chart.version


def versions_of(found: Sequence[Adoption]) -> list[ChartVersion]:
    """Every version that was asked for, in order."""
    before: Chart | None = None
    versions = []
    for row, event in found:
        # the first one is there as a whole: its accounts are no changes
        changes = tuple(changes_between(before, event.chart)) if before else ()
        versions.append(
            ChartVersion(
                chart=event.chart,
                position=row.position,
                recorded_at=from_micros(row.recorded_at),
                effective_date=event.effective_date,
                actor=row.actor,
                reason=event.reason,
                changes=changes,
            )
        )
        before = event.chart
    return versions


def sheet_of(books: Books, found: Sequence[Adoption]) -> ChartSheet:
    """The last of these versions as a file shows it. Raises DomainError when there is none."""
    if not found:
        raise DomainError("No chart of accounts was in force at that time.")
    first, last = found[0].event, found[-1].event
    return ChartSheet(
        identity=books.identity,
        entity_code=books.entity_code,
        jurisdiction_code=books.jurisdiction_code,
        currency_code=books.currency,
        created_at_utc=utc_text(first.occurred_at),
        last_updated_utc=utc_text(last.occurred_at),
        effective_date=last.effective_date.isoformat(),
        position=found[-1].row.position,
        reason=last.reason,
        chart=last.chart,
    )
