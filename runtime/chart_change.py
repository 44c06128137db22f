"""A change of the chart of accounts by a person: decided, rotated, and shown in table and files."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from aggregates.chart_edits import BooksEdit, DeactivateAccount, Held, MapRole
from aggregates.chart_of_accounts import Chart, ChartEdit
from aggregates.errors import TradeBotError
from config.paths import DataFolder
from exporters.chart import ChartSheet, write_chart
from projections.ledger_records import AsOf
from runtime.custody import Custody
from runtime.dispatch import BooksMoved, Recorded
from runtime.queries import Queries
from runtime.views import Views

TRIES = 5
E = TypeVar("E", bound=ChartEdit)


class ChartChange(NamedTuple):
    """What was recorded. ``unwritten`` says what of table and files could not follow yet."""

    recorded: Recorded
    unwritten: str


def change_chart(
    custody: Custody, queries: Queries, edit: ChartEdit, *, actor: str, command_id: str
) -> ChartChange:
    """Carry one edit out, then bring ledger table and files up to it.

    Raises EditRefused (faults by field), ChartMoved (somebody was faster), BooksMoved when events
    come so fast that the books could not be looked at; then nothing was changed.
    """
    for tried in range(1, TRIES + 1):
        # What the books say goes into the command, with the event that they stand at. The handler
        # decides while nobody else can write, and only if that is still the newest event: so no
        # fill slips in between the look and the change.
        looked = with_books(queries, edit)
        try:
            done = custody.change(looked, actor=actor, command_id=command_id)
            break
        except BooksMoved:
            if tried == TRIES:
                raise
    return ChartChange(done, _follow(custody.folder, queries))


def with_books(queries: Queries, edit: E) -> E:
    """The edit with what the books say now about the account that it closes or leaves."""
    if not isinstance(edit, BooksEdit):
        return edit
    now = queries.newest()
    chart = queries.chart(AsOf(position=now))
    code = edit.code if isinstance(edit, DeactivateAccount) else leaves(chart, edit)
    return msgspec.structs.replace(edit, books_at=now, held=held_in(queries, code, now))


def leaves(chart: Chart, edit: MapRole) -> str:
    """The account that the role posts to so far; empty when there is no such role."""
    return chart.mapping.get(edit.role, "")


def held_in(queries: Queries, code: str, position: int) -> tuple[Held, ...]:
    """What an account and its securities' sub-accounts hold after that event."""
    return tuple(
        Held(b.code, b.amount, b.quantity)
        for b in queries.balances(AsOf(position=position))
        if b.code.partition(".")[0] == code
    )


def write_chart_files(folder: DataFolder, sheet: ChartSheet) -> None:
    """The files for people beside the ledger. Raises ExportError."""
    write_chart(sheet, folder.ledgers(sheet.identity))


def _follow(folder: DataFolder, queries: Queries) -> str:
    """Table and files after a change that stands; what cannot follow now does so later."""
    try:
        sheet = queries.chart_sheet()
        views = Views.open(folder, sheet.identity)
        try:
            views.catch_up()
        finally:
            views.close()
        write_chart_files(folder, sheet)
    except TradeBotError as e:
        return f"The change is recorded. What shows it could not be written yet: {e}"
    return ""
