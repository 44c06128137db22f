"""What a rebalance is planned from: the plan, what is held, the purses, what orders cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from aggregates.holdings_plan import Plan
from aggregates.rebalance_values import Purses
from strategies.cost_rates import CostRates

__all__ = ["CostRates", "HeldSecurity", "Situation"]


class HeldSecurity(msgspec.Struct, frozen=True, kw_only=True):
    """Units and book cost in the holdings sleeve alone; 0 of what is planned and not held yet.

    ``price`` is None where there is none to go by; ``no_price`` then says why.
    """

    symbol: str
    units: Decimal
    cost: Decimal
    price: Decimal | None
    price_at: datetime | None = None
    no_price: str = "no price"


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides about a rebalance; equal situations give equal previews.

    ``securities``: everything planned and everything held long-term, each once. ``float_target`` is
    the float that the plan wants, None while the account's value is not known. ``step`` is the
    broker's smallest quantity. ``unspent`` is what an unfinished rebalance sold and bought nothing
    for.
    """

    plan: Plan
    version: int
    securities: tuple[HeldSecurity, ...]
    purses: Purses
    float_target: Decimal | None
    costs: CostRates
    step: Decimal
    currency: str
    unspent: Decimal = Decimal(0)
