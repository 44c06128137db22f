"""What questions to the ledger are answered with. Amounts are exact decimals, debit positive."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from aggregates.chart_of_accounts import AccountType

FOREVER = 2**62


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The two clocks: effective dates up to ``date``, events up to ``position``. None: no limit."""

    date: date | None = None
    position: int | None = None

    def where(self, prefix: str = "") -> str:
        """SQL condition on the two columns; take ``parameters`` with it."""
        return f"{prefix}effective_date <= ? AND {prefix}position <= ?"

    @property
    def parameters(self) -> tuple[str, int]:
        return (
            self.date.isoformat() if self.date else "9999-12-31",
            FOREVER if self.position is None else self.position,
        )


NOW = AsOf()  # no limit on either clock


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One account: ``amount`` in the base currency, debit positive; units where it holds some."""

    code: str
    account: str
    type: AccountType
    currency: str
    amount: Decimal
    quantity: Decimal | None = None


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts with a balance. ``debits`` equals ``credits`` when the books balance."""

    balances: tuple[Balance, ...]
    debits: Decimal
    credits: Decimal


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    account: str
    amount: Decimal
    quantity: Decimal | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction with its postings. ``position`` caused it, ``about`` is what it concerns."""

    transaction_id: int
    position: int
    about: int
    effective_date: date
    timestamp: str
    topic: str
    description: str
    strategy: str
    ticker: str
    side: str
    size: str
    entry_price: str | None
    exit_price: str | None
    pnl: Decimal | None
    broker: str
    error_code: str
    sleeve: str
    context: str
    reference: str
    settles_on: str
    coa_version: int
    rules_version: int
    postings: tuple[Posting, ...]


class RegisterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting of one account with the balance after it, in date order."""

    transaction_id: int
    position: int
    effective_date: date
    timestamp: str
    description: str
    amount: Decimal
    quantity: Decimal | None
    balance: Decimal


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A security held: units and book cost, per sleeve account."""

    code: str
    symbol: str
    instrument_id: str
    name: str
    kind: str
    multiplier: int
    quantity: Decimal
    cost: Decimal


class Listing(NamedTuple):
    """An instrument as it was listed at ``position``; ``suffix`` follows the point in 1110.SYM."""

    position: int
    suffix: str
    instrument_id: str
    symbol: str
    name: str
    kind: str
    multiplier: int


class OpenLot(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one purchase that are still held, at their own cost."""

    code: str
    lot: int
    acquired_on: date
    quantity: Decimal
    cost: Decimal


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Whose books these are, and the chart that is in force."""

    identity: str
    entity_code: str
    jurisdiction_code: str
    currency: str
    exponent: int
    broker_code: str
    timezone: str
    cost_method: str
    demo: bool
    coa_version: int
    created_at_utc: str
    last_updated_utc: str
