"""What is set aside of realized gains, and what restores the float: arithmetic alone (M31 to M34).

Pure, in exact arithmetic; each amount is rounded once, half to even, to the minor unit. The texts
show the arithmetic, "20 % of 1,234.56 = 246.91".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from aggregates.holdings import ReservedFor
from aggregates.holdings_plan import Plan, weights
from aggregates.money import QUANTITY_SCALE, Money, exponent, from_scaled, plain
from strategies.cost_rates import CostRates
from strategies.holdings_rules import least_float
from strategies.planned_order import SMALLEST, Context, PlannedOrder, buy_limit, buyable

# A sale at the market brings a little less than its bid: the spread moves, and it has costs.
SALE_ROOM = Fraction(1001, 1000)
_ZERO = Decimal(0)


class Result(NamedTuple):
    """Realized, by source, of the dates ``first`` to ``last``: gains less commissions and fees.

    ``invested``: what of ``holdings`` became known since the last allocation and is no money to
    invest, as a rebalance has spent it or it is the tax reserve's own.
    """

    first: date
    last: date
    trading: Decimal
    holdings: Decimal
    invested: Decimal = _ZERO


class Due(NamedTuple):
    """Gains that reserves are due for, by source, and the stretches of dates that they are of.

    ``over_reserved``: what reserves were made for and later corrections took away. ``invested``:
    what of ``holdings`` is no money to invest.
    """

    trading: Decimal
    holdings: Decimal
    reserved: tuple[ReservedFor, ...]
    over_reserved: Decimal
    invested: Decimal = _ZERO


class Allocation(NamedTuple):
    tax: Decimal
    payroll: Decimal
    reinvested: Decimal
    arithmetic: tuple[str, ...]

    def line(self, step: str) -> str:
        """The arithmetic of one amount; the only line there is when nothing is set aside."""
        found = [line for line in self.arithmetic if line.startswith(f"{step}: ")]
        return (found or self.arithmetic)[0].removeprefix(f"{step}: ")


class Sellable(msgspec.Struct, frozen=True, kw_only=True):
    """Units of the long-term sleeve, with the price that a buyer bids now."""

    symbol: str
    units: Decimal
    bid: Decimal


# Gains


def due_gains(before: Mapping[date, ReservedFor], results: Iterable[Result]) -> Due:
    """What reserves are due for, when these are the results as they are known now.

    Each stretch of dates counts by itself: a loss gives nothing and takes nothing from another one.
    What a correction adds is due; what it takes away stays reserved.
    """
    trading = holdings = invested = _ZERO
    known, changed = dict(before), []
    for result in results:
        was = before.get(result.first)
        kept = (was.trading, was.holdings) if was else (_ZERO, _ZERO)
        now = ReservedFor(
            first=result.first,
            last=result.last,
            trading=max(kept[0], result.trading),
            holdings=max(kept[1], result.holdings),
            result_trading=result.trading,
            result_holdings=result.holdings,
        )
        trading += now.trading - kept[0]
        raised = now.holdings - kept[1]
        holdings += raised
        more = result.holdings - (was.result_holdings if was else _ZERO)
        invested += raised - min(raised, max(more - result.invested, _ZERO))
        known[now.first] = now
        changed.append(now)
    over = sum(map(_over, known.values()), _ZERO)
    return Due(trading, holdings, tuple(changed), over, invested)


def _over(stretch: ReservedFor) -> Decimal:
    return (
        stretch.trading
        - max(stretch.result_trading, _ZERO)
        + stretch.holdings
        - max(stretch.result_holdings, _ZERO)
    )


def allocate(
    plan: Plan, due: Due, *, cash_float: Decimal, target: Decimal | None, currency: str
) -> Allocation:
    """Tax on both sources, payroll on what trading earned after tax, the rest to be reinvested,
    but for what rebalances and the reserve's vehicle gained.

    ``target`` is the least float; None: not known, and then nothing is reinvested. What of the rest
    is not reinvested stays in the float.
    """
    if not due.trading + due.holdings:
        return Allocation(
            _ZERO, _ZERO, _ZERO, ("no gain: nothing is set aside, nothing is lowered",)
        )
    tax = percent_of(plan.tax_reserve, due.trading + due.holdings, currency)
    own_tax = percent_of(plan.tax_reserve, due.trading, currency)
    payroll = percent_of(plan.payroll, due.trading - own_tax, currency)
    rest, shown = _rest(plan, due, tax, payroll, currency)
    lines = [
        f"tax: {_percent(plan.tax_reserve)} of {_sum(due)} = {tax:,f}",
        f"payroll: {_percent(plan.payroll)} of ({due.trading:,f} - {own_tax:,f}) = {payroll:,f}",
        f"rest: {shown}",
    ]
    room = _ZERO if target is None else max(cash_float - tax - payroll - target, _ZERO)
    reinvested, why = min(rest, room), ""
    if not weights(plan):
        reinvested, why = _ZERO, "no security is planned"
    elif target is None:
        why = "a price is missing, so the float's target is not known"
    elif reinvested < rest:
        why = f"the float stays at {target:,f}"
    lines.append(f"reinvested: {reinvested:,f}" + (f" ({why})" if why else ""))
    return Allocation(tax, payroll, reinvested, tuple(lines))


def _rest(
    plan: Plan, due: Due, tax: Decimal, payroll: Decimal, currency: str
) -> tuple[Decimal, str]:
    """What is left to invest, and how it comes about. The tax on what is left out is no part of it:
    a rebalance has kept that back in the float."""
    if not due.invested:
        rest = due.trading + due.holdings - tax - payroll
        return rest, f"{_sum(due)} - {tax:,f} - {payroll:,f} = {rest:,f}"
    free = due.trading + due.holdings - due.invested
    own_tax = percent_of(plan.tax_reserve, free, currency)
    rest = free - own_tax - payroll
    return rest, (
        f"{free:,f} - {own_tax:,f} - {payroll:,f} = {rest:,f}; {due.invested:,f} of rebalances and "
        "of the tax reserve's security are invested or reserved already"
    )


def percent_of(percent: Decimal, amount: Decimal, currency: str) -> Decimal:
    return Money.of(amount, currency).share(Fraction(percent) / 100).decimal


def float_target(plan: Plan, account_value: Decimal, currency: str) -> Decimal:
    """The least float, rounded up to the minor unit."""
    scale: int = 10 ** exponent(currency)
    exact = Fraction(least_float(plan, account_value)) * scale
    return from_scaled(-int(-exact // 1), scale)


def _sum(due: Due) -> str:
    if due.trading and due.holdings:
        return f"({due.trading:,f} + {due.holdings:,f})"
    return f"{due.trading + due.holdings:,f}"


def _percent(value: Decimal) -> str:
    return f"{plain(value):f} %"


# Orders


def top_up(missing: Decimal, held: Sequence[Sellable], step: Decimal) -> tuple[PlannedOrder, ...]:
    """Sales that bring ``missing``, the largest market value first, as little as does it."""
    orders: list[PlannedOrder] = []
    left = Fraction(missing) * SALE_ROOM
    by_value = sorted(held, key=lambda s: (-s.units * s.bid, s.symbol))
    for one in by_value:
        if left <= 0:
            break
        wanted = max(left, Fraction(SMALLEST)) / Fraction(one.bid)
        units = min(_up_to_steps(wanted, step), one.units)
        if units > 0:
            orders.append(
                PlannedOrder(
                    symbol=one.symbol,
                    side="sell",
                    quantity=plain(units),
                    context="top-up",
                    reason=f"the float is {missing:,f} below its target",
                )
            )
            left -= Fraction(units) * Fraction(one.bid)
    return tuple(orders)


def _up_to_steps(units: Fraction, step: Decimal) -> Decimal:
    smallest = max(Fraction(step), Fraction(1, QUANTITY_SCALE))
    return from_scaled(int(-(-units // smallest) * smallest * QUANTITY_SCALE), QUANTITY_SCALE)


def purchases(
    plan: Plan,
    amount: Decimal,
    asks: Mapping[str, Decimal],
    step: Decimal,
    currency: str,
    context: Context,
    rates: CostRates,
) -> tuple[PlannedOrder, ...]:
    """``amount`` by the plan's shares, no cent lost; what has no price keeps its share of it.

    Each order is for what its share pays at its limit with costs, rounded down to whole steps.
    """
    shares = weights(plan)
    if not shares or amount <= 0:
        return ()
    parts = Money.of(amount, currency).split(list(shares.values()))
    orders = []
    for symbol, part in zip(shares, parts, strict=True):
        if part.minor and symbol in asks:
            limit = buy_limit(asks[symbol])
            orders.append(
                PlannedOrder(
                    symbol=symbol,
                    side="buy",
                    quantity=buyable(part.decimal, limit, step, rates),
                    limit_price=limit,
                    context=context,
                    reason=f"{part.decimal:,f} of {amount:,f} {currency}",
                )
            )
    return tuple(order for order in orders if order.quantity > 0)
