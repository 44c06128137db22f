"""The chart of accounts: accounts, which role posts where, versions (M05).

A role is the posting rules' word for an account ("cash_float"); the mapping says which code it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic

STREAM = "chart-of-accounts"
AccountType = Literal["asset", "liability", "equity", "income", "expense", "memo"]

# Every role that a posting rule may name; a chart without one of them cannot be adopted.
ROLES = (
    "cash_float tax_reserve payroll_reserve reinvestment_pool trading_securities trading_options"
    " holdings_securities tax_reserve_vehicle suspense tax_payable payroll_payable accrued_fees"
    " opening_equity owner_draws retained_earnings gain_short_term gain_long_term dividends"
    " interest commissions fees margin_interest payroll income_tax withholding_tax rounding"
    " unrealized slippage"
).split()


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """``per_instrument`` accounts have one sub-account for each security, CODE.SYMBOL."""

    code: str
    name: str
    type: AccountType
    per_instrument: bool = False
    active: bool = True


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the chart, as its JSON file holds it."""

    version: int
    accounts: tuple[Account, ...]
    mapping: dict[str, str]

    def account(self, code: str) -> Account | None:
        return next((a for a in self.accounts if a.code == code), None)

    def type_of(self, posted_code: str) -> AccountType:
        """Type of an account or of a security's sub-account."""
        account = self.account(posted_code.partition(".")[0])
        check(account is not None, f"Account {posted_code} is not in chart {self.version}.")
        assert account is not None  # noqa: S101 - for the type checker
        return account.type


@topic("ChartOfAccounts.Adopted")
class ChartAdopted(Event, frozen=True, kw_only=True):
    chart: Chart
    reason: str


class AdoptChart(Command, frozen=True, kw_only=True):
    chart: Chart
    reason: str


def faults_of(chart: Chart) -> list[str]:
    """Every fault of a chart in words: duplicates, unknown codes, roles without an account."""
    codes = [a.code for a in chart.accounts]
    faults = [f"account {code} is listed twice" for code in _doubles(codes)]
    faults += [
        f"account code {c!r} is not four digits" for c in codes if not re.fullmatch(r"\d{4}", c)
    ]
    faults += [f"account {a.code} has no name" for a in chart.accounts if not a.name.strip()]
    faults += [f"role {role} has no account" for role in ROLES if role not in chart.mapping]
    for role, code in chart.mapping.items():
        account = chart.account(code)
        if role not in ROLES:
            faults.append(f"role {role} is unknown")
        elif account is None or not account.active:
            faults.append(f"role {role} names account {code}, which is not an active account")
    return faults


class ChartOfAccounts(Aggregate):
    """The line of adopted charts; each replaces the one before, whole."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.chart: Chart | None = None

    def adopt(self, c: AdoptChart) -> None:
        faults = faults_of(c.chart)
        check(not faults, "The chart of accounts was not adopted: " + "; ".join(faults) + ".")
        expected = self.chart.version + 1 if self.chart else 1
        check(
            c.chart.version == expected,
            f"The chart is version {c.chart.version}; the next one is {expected}.",
        )
        self.emit(record(ChartAdopted, c))

    def apply(self, event: Event) -> None:
        if isinstance(event, ChartAdopted):
            self.chart = event.chart


def _doubles(codes: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [c for c in codes if c in seen or seen.add(c)]  # type: ignore[func-returns-value]
