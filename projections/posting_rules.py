"""Posting rules: which accounts an event moves, and by how much (decisions/0006).

Pure functions of an event and the chart's mapping. Old versions stay in RULES, so that old books
rebuild as they were. Amounts are minor units, debit positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from aggregates.base import Event
from aggregates.capital import (
    CapitalDeposited,
    CapitalEarmarked,
    CapitalWithdrawn,
    DividendReceived,
    FeeCharged,
    InterestReceived,
    MarginInterestCharged,
    ReserveReleased,
    RoundingSettled,
    TaxWithheld,
)
from aggregates.errors import DomainError
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, divide_half_even, minor_units, to_scaled
from aggregates.order_messages import OrderFilled

_SCALES = QUANTITY_SCALE * PRICE_SCALE
# What an entry of a security gained, and what that cost.
RESULT_ROLES = ("gain_short_term", "gain_long_term", "commissions", "fees")
ROUNDING_BOUND = 2  # minor units: four amounts rounded by at most half a unit each

_PURSES = {
    "float": "cash_float",
    "tax_reserve": "tax_reserve",
    "payroll_reserve": "payroll_reserve",
    "reinvestment_pool": "reinvestment_pool",
}
_PURPOSES = {"draw": "owner_draws", "payroll": "payroll", "income_tax": "income_tax"}

# debit and credit of what always moves the same two accounts
_PAIRS: dict[type[Event], tuple[str, str]] = {
    CapitalDeposited: ("cash_float", "opening_equity"),
    TaxWithheld: ("withholding_tax", "cash_float"),
    InterestReceived: ("cash_float", "interest"),
    FeeCharged: ("fees", "cash_float"),
    MarginInterestCharged: ("margin_interest", "cash_float"),
}


class Line(NamedTuple):
    """One posting: ``amount`` in minor units (debit positive), ``quantity`` in 1e-9 units."""

    account: str
    amount: int
    quantity: int = 0


class FillAmounts(NamedTuple):
    """A fill in minor units. ``cash`` is the signed change of cash."""

    units: int
    gross: int
    commission: int
    fees: int
    cash: int


def gross_amount(units: int, price: int, factor: int) -> int:
    """Units (1e-9) × price (1e-6) × factor in minor units, rounded once per fill, half to even.

    ``factor`` is the multiplier of the instrument times the minor units in one of the currency.
    """
    return divide_half_even(units * price * factor, _SCALES)


def fill_amounts(fill: OrderFilled, multiplier: int, exponent: int) -> FillAmounts:
    """Round once per fill, half to even; where the broker states an amount, that is booked."""
    units = to_scaled(fill.quantity, QUANTITY_SCALE, "quantity")
    price = to_scaled(fill.price, PRICE_SCALE, "price")
    gross = gross_amount(units, price, multiplier * 10**exponent)
    commission = minor_units(fill.commission, exponent)
    fees = minor_units(fill.fees, exponent)
    computed = (-gross if fill.side == "buy" else gross) - commission - fees
    cash = computed if fill.net_amount is None else minor_units(fill.net_amount, exponent)
    return FillAmounts(units, gross, commission, fees, cash)


class FillAccounts(NamedTuple):
    """Roles that a fill moves: the security's account and the purse that pays or is paid."""

    security: str
    cash: str


def fill_roles(sleeve: str, side: str, context: str, kind: str) -> FillAccounts:
    """Rule 5: each sleeve has its own cost pool; purchases under way are paid from their purse."""
    if sleeve == "trading":
        return FillAccounts(
            "trading_options" if kind == "option" else "trading_securities", "cash_float"
        )
    if context == "tax-reserve":
        return FillAccounts("tax_reserve_vehicle", "tax_reserve")
    from_pool = side == "buy" and context == "reinvestment"
    return FillAccounts("holdings_securities", "reinvestment_pool" if from_pool else "cash_float")


def gain_lines(mapping: Mapping[str, str], short: int, long: int) -> list[Line]:
    """Realized gains, short and long term, as credits; none where there is none."""
    if mapping["gain_short_term"] == mapping["gain_long_term"]:
        short, long = short + long, 0  # a chart may keep both in one account
    lines = [Line(mapping["gain_short_term"], -short), Line(mapping["gain_long_term"], -long)]
    return [line for line in lines if line.amount]


def residue_role(residue: int) -> str:
    """Within the rounding bound the difference is an expense, above it a suspense to resolve."""
    return "rounding" if abs(residue) <= ROUNDING_BOUND else "suspense"


def capital_lines(event: Event, mapping: Mapping[str, str], exponent: int) -> list[Line]:
    """The postings of a movement of money without a trade; empty for any other event."""

    def minor(amount: Decimal) -> int:
        return minor_units(amount, exponent)

    def pair(debit: str, credit: str, amount: int) -> list[Line]:
        return [Line(mapping[debit], amount), Line(mapping[credit], -amount)]

    match event:
        case (
            CapitalDeposited()
            | TaxWithheld()
            | InterestReceived()
            | FeeCharged()
            | MarginInterestCharged()
        ):
            return pair(*_PAIRS[type(event)], minor(event.amount))
        case CapitalWithdrawn():
            return pair(_PURPOSES[event.purpose], _PURSES[event.purse], minor(event.amount))
        case DividendReceived():
            gross, withheld = minor(event.amount), minor(event.withheld)
            lines = [
                Line(mapping["cash_float"], gross - withheld),
                Line(mapping["withholding_tax"], withheld),
                Line(mapping["dividends"], -gross),
            ]
            return [line for line in lines if line.amount]
        case RoundingSettled():
            sides = ("cash_float", "rounding") if event.gained else ("rounding", "cash_float")
            return pair(*sides, minor(event.amount))
        case CapitalEarmarked():
            return pair(_PURSES[event.purse_to], _PURSES[event.purse_from], minor(event.amount))
        case ReserveReleased():
            return pair("cash_float", _PURSES[event.purse_from], minor(event.amount))
    return []


def check_currency(currency: str, base: str) -> None:
    """One entity, one base currency; anything else cannot be posted."""
    if currency != base:
        raise DomainError(f"the amount is in {currency}, the books are kept in {base}.")


class PostingRules(NamedTuple):
    """One version: what may differ between versions, and nothing else."""

    fill_roles: Callable[[str, str, str, str], FillAccounts]
    residue_role: Callable[[int], str]
    capital_lines: Callable[[Event, Mapping[str, str], int], list[Line]]


# Every version that ever posted; Books.RulesAdopted says from which event on which one is in force.
RULES: dict[int, PostingRules] = {
    1: PostingRules(fill_roles, residue_role, capital_lines),
}
RULES_VERSION = max(RULES)  # what new books adopt
