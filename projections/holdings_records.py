"""What questions to the long-term holdings are answered with (M09, M30). Base currency, exact."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import msgspec


class Reserves(msgspec.Struct, frozen=True, kw_only=True):
    """The purses, from the ledger. ``tax_vehicle`` is the security that holds a part of the tax
    reserve, at cost; everything else is cash at the broker."""

    float: Decimal
    tax_cash: Decimal
    tax_vehicle: Decimal
    payroll: Decimal
    pool: Decimal

    @property
    def cash(self) -> Decimal:
        return self.float + self.tax_cash + self.payroll + self.pool


class SecurityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One security of the long-term part: planned, held, or held before.

    ``allocation`` is the plan's percentage, None where it is blank or not planned; ``target`` the
    weight that follows, 0 for what is held without being planned, None without a plan. ``cost`` and
    ``average_price`` are without commissions. ``realized`` is the result of sales less commissions
    and fees of purchases and sales; ``dividends`` are less the tax withheld; ``total`` adds
    ``unrealized`` to both. ``price`` is None when none was known at that time, and then so is what
    follows from it; it is adjusted for splits since ``price_at``. ``actual`` is the share of the
    long-term part, ``deviation`` its distance from the target in percentage points.
    """

    symbol: str
    name: str
    allocation: Decimal | None
    target: Fraction | None
    units: Decimal
    average_price: Decimal | None
    cost: Decimal
    price: Decimal | None
    price_at: datetime | None
    value: Decimal | None
    realized: Decimal
    dividends: Decimal
    unrealized: Decimal | None
    total: Decimal | None
    actual: Fraction | None
    deviation: Decimal | None
    instrument_id: str = ""  # empty: not registered yet


class HoldingsState(msgspec.Struct, frozen=True, kw_only=True):
    """The long-term part and the account around it.

    ``unpriced`` names what is held, in any sleeve, without a price at that time: the values that
    would need it are None. ``tax_vehicle_value`` is at market, unlike ``reserves.tax_vehicle``.
    """

    rows: tuple[SecurityRow, ...]
    reserves: Reserves
    long_term_value: Decimal | None
    trading_value: Decimal | None
    tax_vehicle_value: Decimal | None
    account_value: Decimal | None
    float_target: Decimal | None
    unpriced: tuple[str, ...]


class Realized(msgspec.Struct, frozen=True, kw_only=True):
    """Result booked: gains less commissions and fees, by the sleeve of the security account.

    ``invested`` is what of ``holdings`` rebalances made, which have spent it on securities, and the
    tax reserve's vehicle, whose it is: no money to be invested again.
    """

    trading: Decimal
    holdings: Decimal
    invested: Decimal


class ReserveLine(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of a reserve with its balance after it; ``position`` is the event's."""

    position: int
    effective_date: date
    timestamp: str
    description: str
    amount: Decimal
    balance: Decimal


class PriceThen(msgspec.Struct, frozen=True, kw_only=True):
    """A price as it was known: per unit as units are counted at the as-of date. ``at``: when the
    market made it."""

    price: Fraction
    at: datetime
