"""The values that a chart of accounts is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from aggregates.base import check

AccountType = Literal["asset", "liability", "equity", "income", "expense", "memo"]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """``per_instrument`` accounts have one sub-account for each security, CODE.SYMBOL.

    ``parent`` is the code of the account that it stands under. One that stands under none is stored
    without the field, as all were before there were parents.
    """

    code: str
    name: str
    type: AccountType
    per_instrument: bool = False
    active: bool = True
    parent: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def under(self) -> str:
        """The parent's code; empty at the top."""
        return "" if isinstance(self.parent, msgspec.UnsetType) else self.parent


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the chart, as its JSON file holds it."""

    version: int
    accounts: tuple[Account, ...]
    mapping: dict[str, str]

    def account(self, code: str) -> Account | None:
        return next((a for a in self.accounts if a.code == code), None)

    def below(self, code: str) -> list[Account]:
        """The accounts directly under one."""
        return [a for a in self.accounts if a.under == code]

    def roles_of(self, code: str) -> list[str]:
        return [role for role, mapped in self.mapping.items() if mapped == code]

    def type_of(self, posted_code: str) -> AccountType:
        """Type of an account or of a security's sub-account."""
        account = self.account(posted_code.partition(".")[0])
        check(account is not None, f"Account {posted_code} is not in chart {self.version}.")
        assert account is not None  # noqa: S101 - for the type checker
        return account.type
