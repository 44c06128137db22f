"""The preview of a rebalance for a page, and what the supervisor plans one from (M36, M38).

A page never talks to a broker: its prices are the newest that were marked. The preview of a past
moment comes out the same again, so a digest and a position name it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from aggregates.errors import DomainError
from aggregates.money import plain
from aggregates.plan_values import Plan
from aggregates.rebalance_values import Preview, Purses
from config.setting_model import KEYS
from projections.holdings_records import HoldingsState, SecurityRow
from projections.ledger_records import NOW, AsOf
from runtime.queries import Queries
from runtime.requests_then import requests_then, unspent_of
from strategies.cost_rates import rates_of
from strategies.rebalance import preview
from strategies.rebalance_values import HeldSecurity, Situation

BROKER = "BROKER_NAME"  # history holds a setting only once it was given
STEP = Decimal("0.000000001")  # the finest fraction that brokers take; the books hold no finer one


class NoPlan(DomainError):
    """There is nothing to rebalance to."""

    def __init__(self) -> None:
        super().__init__(
            "No plan of the long-term holdings is saved. Nothing can be rebalanced; save a plan "
            "on the holdings page first."
        )


class Shown(NamedTuple):
    """A preview with the position that it was made at: asked for again there, it is the same."""

    preview: Preview
    position: int


def preview_now(queries: Queries, as_of: AsOf = NOW) -> Shown:
    """What a rebalance would do, by the newest prices that were known. Raises NoPlan."""
    position = queries.newest() if as_of.position is None else as_of.position
    moment = msgspec.structs.replace(as_of, position=position)
    versions = queries.plan_versions(moment)
    if not versions:
        raise NoPlan
    version = versions[-1]
    situation = situation_of(
        queries.holdings(moment, version.plan),
        version.number,
        version.plan,
        broker=queries.settings(moment)[-1].values.get(BROKER, KEYS[BROKER].default_text),
        currency=queries.books().currency,
        unspent=unspent_of(queries.of_history(requests_then, moment)),
    )
    return Shown(preview(situation), position)


def situation_of(
    state: HoldingsState,
    version: int,
    plan: Plan,
    *,
    broker: str,
    currency: str,
    unspent: Decimal,
    step: Decimal = STEP,
    since: datetime | None = None,
) -> Situation:
    """What a rebalance is planned from. A price from before ``since`` counts as none.

    ``state`` is of the same ``plan``. A security that the plan names by an older symbol goes by
    the one that it bears now.

    ``broker`` is BROKER_NAME.
    ``unspent`` is what an unfinished rebalance sold and bought nothing for.
    """
    securities = tuple(_held(row, since) for row in state.rows if row.units or row.target)
    old = any(s.price is None for s in securities)
    held = state.reserves
    return Situation(
        plan=named_as_rows(plan, state),
        version=version,
        securities=securities,
        purses=Purses(
            float=held.float,
            tax_cash=held.tax_cash,
            tax_vehicle=held.tax_vehicle,
            payroll=held.payroll,
            pool=held.pool,
        ),
        # of prices that are not to be gone by no float target follows either
        float_target=None if since is not None and old else state.float_target,
        costs=rates_of(broker),
        step=step,
        currency=currency,
        unspent=unspent,
    )


def named_as_rows(plan: Plan, state: HoldingsState) -> Plan:
    """The rows begin with the plan's securities, in its order, each under its symbol of then."""
    named = zip(plan.securities, state.rows, strict=False)
    securities = (msgspec.structs.replace(s, symbol=row.symbol) for s, row in named)
    return msgspec.structs.replace(plan, securities=tuple(securities))


def _held(row: SecurityRow, since: datetime | None) -> HeldSecurity:
    price, why = row.price, "no price"
    if price is not None and since is not None and (row.price_at is None or row.price_at < since):
        price, why = None, f"no price since {since:%H:%M} UTC"
    return HeldSecurity(
        symbol=row.symbol,
        units=row.units,
        cost=row.cost,
        price=None if price is None else plain(price),
        price_at=row.price_at if price is not None else None,
        no_price=why,
    )
