"""Single edits of the chart of accounts. An account's code, type and currency never change.

What was posted stays where it was posted, so what is of another type is another account. Edits
whose rules need the books carry what the books said: ``runtime/chart_change.py`` asks them.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar, get_args

import msgspec

from aggregates import chart_rules as rules
from aggregates.chart_of_accounts import Change, ChartEdit
from aggregates.chart_values import Account, AccountType, Chart

TYPES: tuple[AccountType, ...] = get_args(AccountType)


class Held(msgspec.Struct, frozen=True):
    """What an account, or a security's sub-account, holds: an amount in the books' currency."""

    code: str
    amount: Decimal
    quantity: Decimal | None = None


# What is asked stays the same, whatever the books say at the moment of asking.
BOOKS = frozenset({"at", "books_at", "held"})


class AccountEdit(ChartEdit, frozen=True, kw_only=True):
    """An edit of one account that is there."""

    code: str

    @property
    def subject(self) -> str:
        return self.code

    def faults(self, chart: Chart) -> dict[str, str]:
        account = chart.account(self.code)
        if account is None:
            found = {"code": f"There is no account {self.code[:20]!r} in the chart of accounts."}
        else:
            found = self.account_faults(chart, account)
        return _told(found | {"reason": rules.reason_fault(self.reason)})

    def account_faults(self, chart: Chart, account: Account) -> dict[str, str]:
        raise NotImplementedError

    def changed(self, account: Account) -> Account:
        raise NotImplementedError

    def applied(self, chart: Chart) -> Chart:
        accounts = tuple(self.changed(a) if a.code == self.code else a for a in chart.accounts)
        return msgspec.structs.replace(chart, accounts=accounts)

    def sides(self, chart: Chart) -> tuple[str, str]:
        account = _there(chart, self.code)
        return account.name, self.changed(account).name


class CreateAccount(ChartEdit, frozen=True, kw_only=True):
    """A new account in the books' currency, active from now on."""

    what: ClassVar[Change] = "added"

    code: str
    name: str
    type: str
    per_instrument: bool = False
    parent: str = ""

    @property
    def subject(self) -> str:
        return self.code

    def faults(self, chart: Chart) -> dict[str, str]:
        found = {
            "code": rules.code_fault(chart, self.code),
            "name": rules.name_fault(chart, self.code, self.name),
            "reason": rules.reason_fault(self.reason),
        }
        if self.type not in TYPES:
            found["type"] = f"The type is one of {', '.join(TYPES)}."
            return _told(found)
        if self.per_instrument and self.type != "asset":
            found["per_instrument"] = "Only asset accounts have one sub-account for each security."
        if why := rules.parent_fault(chart, self._account()):
            found["parent"] = f"Account {self.code} {why}."
        return _told(found)

    def _account(self) -> Account:
        return Account(
            code=self.code,
            name=self.name,
            type=msgspec.convert(self.type, AccountType),
            per_instrument=self.per_instrument,
            parent=self.parent or msgspec.UNSET,
        )

    def applied(self, chart: Chart) -> Chart:
        accounts = sorted((*chart.accounts, self._account()), key=lambda a: a.code)
        return msgspec.structs.replace(chart, accounts=tuple(accounts))

    def sides(self, chart: Chart) -> tuple[str, str]:  # noqa: ARG002 - as for every edit
        return "", self.name


class RenameAccount(AccountEdit, frozen=True, kw_only=True):
    what: ClassVar[Change] = "renamed"

    name: str

    def account_faults(self, chart: Chart, account: Account) -> dict[str, str]:
        if self.name == account.name:
            return {"name": f"{self.code} is called {account.name} already."}
        return {"name": rules.name_fault(chart, self.code, self.name)}

    def changed(self, account: Account) -> Account:
        return msgspec.structs.replace(account, name=self.name)


class MoveAccount(AccountEdit, frozen=True, kw_only=True):
    """Stand under another account of the same type; ``parent`` empty: at the top."""

    what: ClassVar[Change] = "moved"

    parent: str

    def account_faults(self, chart: Chart, account: Account) -> dict[str, str]:
        if self.parent == account.under:
            return {"parent": f"{self.code} stands there already."}
        why = rules.parent_fault(self.applied(chart), self.changed(account))
        return {"parent": f"Account {self.code} then {why}." if why else ""}

    def changed(self, account: Account) -> Account:
        return msgspec.structs.replace(account, parent=self.parent or msgspec.UNSET)

    def sides(self, chart: Chart) -> tuple[str, str]:
        return _there(chart, self.code).under, self.parent


class DeactivateAccount(AccountEdit, frozen=True, kw_only=True):
    """Nothing new is posted there any more; never an account with a balance or with units.

    ``held`` is what it holds after event ``books_at``; nothing may be recorded since.
    """

    what: ClassVar[Change] = "deactivated"
    circumstances: ClassVar[frozenset[str]] = BOOKS

    books_at: int
    held: tuple[Held, ...]

    def account_faults(self, chart: Chart, account: Account) -> dict[str, str]:
        roles = [role.replace("_", " ") for role in chart.roles_of(self.code)]
        below = [a.code for a in chart.below(self.code) if a.active]
        if not account.active:
            why = f"{self.code} is not active."
        elif roles:
            why = (
                f"The role {roles[0]} posts to {self.code}; map it elsewhere first."
                if len(roles) == 1
                else f"The roles {', '.join(roles)} post to {self.code}; map them elsewhere first."
            )
        elif below:
            why = f"{', '.join(below)} stands under {self.code}; move it first."
        elif self.held:
            why = f"{self.code} holds {_words(self.held)}; it can be closed when that is nothing."
        else:
            why = ""
        return {"code": why}

    def changed(self, account: Account) -> Account:
        return msgspec.structs.replace(account, active=False)


class ReactivateAccount(AccountEdit, frozen=True, kw_only=True):
    what: ClassVar[Change] = "activated"

    def account_faults(self, chart: Chart, account: Account) -> dict[str, str]:
        if account.active:
            return {"code": f"{self.code} is active already."}
        why = rules.parent_fault(self.applied(chart), self.changed(account))
        return {"code": f"Account {self.code} {why}." if why else ""}

    def changed(self, account: Account) -> Account:
        return msgspec.structs.replace(account, active=True)


class MapRole(ChartEdit, frozen=True, kw_only=True):
    """From now on ``role`` posts to ``code``; what was posted stays where it is.

    So units and cash stay too: a sale would not find the units in the new account, and the purse
    would not add up to the broker's cash. These roles move only while their account holds nothing.
    ``held`` is what it holds after event ``books_at``; nothing may be recorded since.
    """

    what: ClassVar[Change] = "remapped"
    circumstances: ClassVar[frozenset[str]] = BOOKS

    role: str
    code: str
    books_at: int
    held: tuple[Held, ...]

    @property
    def subject(self) -> str:
        return self.role

    def faults(self, chart: Chart) -> dict[str, str]:
        found = {"reason": rules.reason_fault(self.reason)}
        if self.role not in rules.ROLE_TYPES:
            found["role"] = f"There is no role {self.role[:40]!r}; roles are those of the rules."
        elif chart.mapping.get(self.role) == self.code:
            found["code"] = f"It posts to {self.code} already."
        elif why := rules.role_fault(self.applied(chart), self.role, self.code):
            found["code"] = f"{why[0].upper()}{why[1:].replace('_', ' ')}."
        elif self.held and self.role in (*rules.SECURITY_ROLES, *rules.PURSE_ROLES):
            found["code"] = (
                f"{chart.mapping[self.role]} still holds {_words(self.held)}, which would stay "
                "there. Rename the account instead, or map it elsewhere when it holds nothing."
            )
        return _told(found)

    def applied(self, chart: Chart) -> Chart:
        return msgspec.structs.replace(chart, mapping=chart.mapping | {self.role: self.code})

    def sides(self, chart: Chart) -> tuple[str, str]:
        return chart.mapping.get(self.role, ""), self.code


BooksEdit = DeactivateAccount | MapRole  # edits that rest on the books
EDITS: tuple[type[ChartEdit], ...] = (
    CreateAccount, RenameAccount, MoveAccount, DeactivateAccount, ReactivateAccount, MapRole,
)  # fmt: skip


def _words(held: Iterable[Held]) -> str:
    """4,130.00 (40 units in 1110.SPY)"""
    found = list(held)
    told = [
        f"{h.amount:,f}"
        + (f" ({h.quantity.normalize():f} units in {h.code})" if h.quantity else "")
        for h in found[:3]
    ]
    return ", ".join(told) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _there(chart: Chart, code: str) -> Account:
    found = chart.account(code)
    assert found is not None  # noqa: S101 - faults are asked first
    return found


def _told(faults: dict[str, str]) -> dict[str, str]:
    return {field: why for field, why in faults.items() if why}
