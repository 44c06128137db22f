"""The chart of accounts as a file, for the pages and the command line."""

from __future__ import annotations

from exporters.chart import KINDS, chart_file
from projections.ledger_records import AsOf
from runtime.queries import Queries

CHART_KINDS: tuple[str, ...] = KINDS


def chart_export(queries: Queries, kind: str, as_of: AsOf) -> tuple[str, bytes]:
    """Name and content of the file. Raises DomainError when no chart was in force."""
    found = next(each for each in KINDS if each == kind)
    sheet = queries.chart_sheet(as_of)
    return f"{sheet.identity}_BOT_coa.{kind}", chart_file(sheet, found)
