"""What one version of the chart of accounts says otherwise than another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aggregates.chart_values import Account, Chart


class AccountChange(NamedTuple):
    """``what`` happened to the account ``code``, or to the role of that name: added, removed,
    renamed, moved, deactivated, activated, retyped, remapped."""

    code: str
    what: str
    before: str
    after: str


def changes_between(before: Chart | None, after: Chart) -> Iterator[AccountChange]:
    """What a chart says otherwise than another: accounts by code, then roles."""
    old = {a.code: a for a in before.accounts} if before else {}
    new = {a.code: a for a in after.accounts}
    for code in sorted(old.keys() | new):
        yield from _account_changes(code, old.get(code), new.get(code))
    mapped = before.mapping if before else {}
    for role in sorted(mapped.keys() | after.mapping):
        was, now = mapped.get(role, ""), after.mapping.get(role, "")
        if before and was != now:
            yield AccountChange(role, "remapped", was, now)


def in_words(change: AccountChange) -> str:
    """Account 5020 renamed from Fees to Broker fees."""
    kind = "role" if change.what == "remapped" else "account"
    sides = f" from {change.before or 'none'} to {change.after or 'none'}"
    told = change.what in ("renamed", "moved", "retyped", "remapped")
    return f"{kind} {change.code} {change.what}{sides if told else ''}"


def _account_changes(
    code: str, old: Account | None, new: Account | None
) -> Iterator[AccountChange]:
    if old is None or new is None:
        what = "added" if new else "removed"
        yield AccountChange(code, what, old.name if old else "", new.name if new else "")
        return
    if old.name != new.name:
        yield AccountChange(code, "renamed", old.name, new.name)
    if old.under != new.under:
        yield AccountChange(code, "moved", old.under, new.under)
    if old.active != new.active:
        yield AccountChange(code, "activated" if new.active else "deactivated", old.name, new.name)
    if (old.type, old.per_instrument) != (new.type, new.per_instrument):
        yield AccountChange(code, "retyped", _kind(old), _kind(new))


def _kind(account: Account) -> str:
    return f"{account.type}, one for each security" if account.per_instrument else account.type
