"""The chart of accounts as of both clocks, from the few events that adopted one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from aggregates.chart_of_accounts import STREAM, Account, Chart, ChartAdopted
from eventstore.envelope import Envelope
from eventstore.feed import Feed, event_of
from projections.ledger_records import FOREVER, NOW, AsOf


class Adoption(NamedTuple):
    """A version of the chart, why it was adopted, and the stored event that did it."""

    row: Envelope
    chart: Chart
    reason: str


class AccountChange(NamedTuple):
    """``what`` happened to the account ``code``, or to the role of that name: added, removed,
    renamed, deactivated, activated, retyped, remapped."""

    code: str
    what: str
    before: str
    after: str


def adoptions(feed: Feed, as_of: AsOf = NOW) -> list[Adoption]:
    """Every version that both clocks know, in the order of recording; the last is in force."""
    until = as_of.date or date.max
    position = FOREVER if as_of.position is None else as_of.position
    rows = (row for row in feed.stream(STREAM) if row.position <= position)
    return [
        Adoption(row, event.chart, event.reason)
        for row in rows
        if isinstance(event := event_of(row), ChartAdopted) and event.effective_date <= until
    ]


def changes_between(before: Chart | None, after: Chart) -> Iterator[AccountChange]:
    """What a chart says otherwise than the one before it: accounts by code, then roles."""
    old = {a.code: a for a in before.accounts} if before else {}
    new = {a.code: a for a in after.accounts}
    for code in sorted(old.keys() | new):
        yield from _account_changes(code, old.get(code), new.get(code))
    mapped = before.mapping if before else {}
    for role in sorted(mapped.keys() | after.mapping):
        was, now = mapped.get(role, ""), after.mapping.get(role, "")
        if before and was != now:
            yield AccountChange(role, "remapped", was, now)


def _account_changes(
    code: str, old: Account | None, new: Account | None
) -> Iterator[AccountChange]:
    if old is None or new is None:
        what = "added" if new else "removed"
        yield AccountChange(code, what, old.name if old else "", new.name if new else "")
        return
    if old.name != new.name:
        yield AccountChange(code, "renamed", old.name, new.name)
    if old.active != new.active:
        yield AccountChange(code, "activated" if new.active else "deactivated", old.name, new.name)
    if (old.type, old.per_instrument) != (new.type, new.per_instrument):
        yield AccountChange(code, "retyped", _kind(old), _kind(new))


def _kind(account: Account) -> str:
    return f"{account.type}, one for each security" if account.per_instrument else account.type
