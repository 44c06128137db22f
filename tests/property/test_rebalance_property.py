"""A rebalance over any plan, holdings and prices: what must hold whatever they are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates.holdings_plan import Plan, PlannedSecurity, plan_faults, weights
from aggregates.rebalance_values import CarriedOut, Preview, Purses
from strategies.planned_order import SMALLEST
from strategies.rebalance import preview
from strategies.rebalance_checks import purchases_for
from strategies.rebalance_values import CostRates, HeldSecurity, Situation

D = Decimal
MOST_TAX = 60  # percent: above it, a sale brings next to nothing to buy for
STEPS = st.sampled_from([D("0.000000001"), D("0.001"), D("1")])


def cents(least: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda n: D(n) / 100)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Valid ones: with blanks, without, one security to twenty."""
    symbols = [f"S{n:02}" for n in range(draw(st.integers(1, 20)))]
    blank = draw(st.lists(st.booleans(), min_size=len(symbols), max_size=len(symbols)))
    parts = draw(st.lists(st.integers(0, 50), min_size=len(symbols), max_size=len(symbols)))
    blank[0] = blank[0] or not sum(parts[1:])
    if any(blank):
        whole = sum(p for p, b in zip(parts, blank, strict=True) if not b) + 1
        shares = [
            None if b else D(p * 9900 // whole) / 100 for p, b in zip(parts, blank, strict=True)
        ]
    else:
        exact = [D(p * 10000 // sum(parts)) / 100 for p in parts]
        shares = [exact[0] + 100 - sum(exact), *exact[1:]]
    return Plan(
        securities=tuple(map(PlannedSecurity, symbols, shares)),
        tax_reserve=draw(cents(0, 10000)),
        sweep=draw(st.booleans()),
        drift_band=draw(cents(0, 500)),
    )  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    of, step = draw(plans()), draw(STEPS)
    symbols = [s.symbol for s in of.securities] + ["OLD"] * draw(st.booleans())
    securities = []
    for symbol in symbols:
        units = D(draw(st.integers(0, 10**6))) * step
        price = draw(st.one_of(cents(10, 10**5), cents(10, 10**5), st.none()))
        cost = draw(cents(0, 10**7)) if units else D(0)
        securities.append(HeldSecurity(symbol=symbol, units=units, cost=cost, price=price))
    cash = draw(cents(0, 10**7))
    target = draw(st.one_of(cents(0, 10**7), st.just(cash)))
    known = all(s.price is not None or not s.units for s in securities)
    return Situation(
        plan=of, version=1, securities=tuple(securities),
        purses=Purses(
            float=cash, tax_cash=draw(cents(0, 1000)), tax_vehicle=D(0), payroll=D(0), pool=D(0)
        ),
        float_target=target if known else None,
        costs=CostRates(
            per_share=draw(st.sampled_from([D(0), D("0.005")])), per_share_sold=D("0.000166"),
            of_proceeds=D("0.0000278"),
        ),
        step=step, currency="USD",
    )  # fmt: skip


@settings(max_examples=80)
@given(situations())
def test_whatever_is_held(now: Situation) -> None:
    assert not plan_faults(now.plan)
    found = preview(now)
    by_symbol = {s.symbol: s for s in now.securities}
    # never more than is held, whole steps, sells before buys, each symbol once
    for order in found.orders:
        held = by_symbol[order.symbol]
        assert order.quantity > 0
        assert order.quantity % now.step == 0
        assert order.side == "buy" or order.quantity <= held.units
        assert held.price is not None
    sides = [order.side for order in found.orders]
    assert sides == sorted(sides, reverse=True)
    moved = [order.symbol for order in found.orders]
    assert sorted(moved + [one.symbol for one in found.left]) == sorted(by_symbol)
    # cash: what is shown is what the orders come to, and the float is no worse off than it was
    money = found.proceeds - found.purchases - found.costs
    assert found.after.float + found.after.tax_cash == (
        now.purses.float + now.purses.tax_cash + money
    )
    floor = now.purses.float
    if now.float_target is not None:
        floor = min(floor, now.float_target)
    assert found.after.float >= floor >= 0
    assert found.tax == sum(o.tax for o in found.of("sell"))
    assert (found.tax > 0) <= (found.gain > 0)
    _weights_are_reached(now, found)


def _weights_are_reached(now: Situation, found: Preview) -> None:
    """Within the band, one step, and the least order; where the float's shortfall did not eat the
    purchases, and nothing was left for want of a price or of anything to buy."""
    shares = weights(now.plan)
    changed = {o.symbol: o.quantity if o.side == "buy" else -o.quantity for o in found.orders}
    priced = [s for s in now.securities if s.price is not None]
    whole = sum((shares.get(s.symbol, Fraction(0)) for s in priced), Fraction(0))
    after = {
        s.symbol: Fraction(s.price or 0) * Fraction(s.units + changed.get(s.symbol, D(0)))
        for s in priced
    }
    total = sum(after.values(), Fraction(0))
    if not whole or not found.orders or now.plan.tax_reserve > MOST_TAX:
        return
    # a purchase cut for the sake of the float moves money by the steps and orders left out
    coarse = sum(
        (max(Fraction(s.price or 0) * Fraction(now.step), Fraction(SMALLEST)) for s in priced),
        Fraction(0),
    )
    band = Fraction(now.plan.drift_band) / 100 * (total + coarse)
    for security in priced:
        wanted = shares.get(security.symbol, Fraction(0)) / whole * total
        assert abs(after[security.symbol] - wanted) <= band + 2 * coarse


@settings(max_examples=40)
@given(situations(), st.lists(st.integers(0, 100), min_size=21, max_size=21))
def test_however_little_the_sales_bring_the_float_pays_for_none_of_it(
    now: Situation, percents: list[int]
) -> None:
    found = preview(now)
    sold = []
    for sale, percent in zip(found.of("sell"), percents, strict=False):
        part = D(percent) / 100
        sold.append(
            CarriedOut(
                symbol=sale.symbol, side="sell", previewed_quantity=sale.quantity,
                previewed=sale.value, previewed_costs=sale.costs, wanted=sale.quantity,
                filled=sale.quantity * part, value=sale.value * part, costs=sale.costs * part,
                state="cancelled", reason="not filled",
            )
        )  # fmt: skip
    bought = purchases_for(found, sold, now.step)
    brought = sum((s.value - s.costs for s in sold), D(0))
    tax = sum(
        (
            o.tax * s.filled / s.previewed_quantity
            for o, s in zip(found.of("sell"), sold, strict=True)
        ),
        D(0),
    )
    spent = sum((o.value + o.costs for o in bought), D(0))
    given_by_float = max(now.purses.float - found.after.float, D(0))
    assert spent <= max(given_by_float + brought - tax, D(0)) + D("0.01") * (
        len(bought) + len(sold)
    )
    whole = {o.symbol: o.quantity for o in found.of("buy")}
    assert all(o.quantity <= whole[o.symbol] for o in bought)
