"""The preview of a rebalance, case by case, named after the specification's section 7."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.holdings_plan import Plan, PlannedSecurity
from aggregates.rebalance_values import Preview, Purses
from strategies.rebalance import preview
from strategies.rebalance_values import CostRates, HeldSecurity, Situation

D = Decimal
FREE = CostRates(per_share=D(0), per_share_sold=D(0), of_proceeds=D(0))
US = CostRates(per_share=D("0.005"), per_share_sold=D("0.000166"), of_proceeds=D("0.0000278"))


def plan(allocations: dict[str, str | None], **fields: Any) -> Plan:
    securities = (PlannedSecurity(s, None if a is None else D(a)) for s, a in allocations.items())
    return Plan(securities=tuple(securities), **{"tax_reserve": D(0)} | fields)


def held(symbol: str, units: str, price: str | None, cost: str = "0") -> HeldSecurity:
    known = None if price is None else D(price)
    return HeldSecurity(symbol=symbol, units=D(units), cost=D(cost), price=known)


def situation(of: Plan, *securities: HeldSecurity, **fields: Any) -> Situation:
    purses = Purses(
        float=D("1000.00"), tax_cash=D("50.00"), tax_vehicle=D(0), payroll=D("30.00"), pool=D(0)
    )
    usual: dict[str, Any] = {
        "version": 1,
        "purses": purses,
        "float_target": D("1000.00"),
        "costs": FREE,
        "step": D("0.000000001"),
        "currency": "USD",
    }
    return Situation(plan=of, securities=securities, **usual | fields)


def orders(of: Preview) -> dict[str, str]:
    return {o.symbol: f"{o.side} {o.quantity.normalize():f}" for o in of.orders}


def left(of: Preview) -> dict[str, str]:
    return {one.symbol: one.why for one in of.left}


TWO = plan({"AAA": None, "BBB": None})


# "Reads current portfolio weights. Calculates deviations from targets. Executes fractional buy/sell
# orders to correct."


def test_what_is_above_its_target_is_sold_and_what_is_below_is_bought_in_parts_of_a_share() -> None:
    found = preview(situation(TWO, held("AAA", "60", "10"), held("BBB", "10", "33")))
    assert orders(found) == {"AAA": "sell 13.5", "BBB": "buy 4.09090909"}
    shares = {s.symbol: (s.share, s.target, s.share_after) for s in found.securities}
    assert shares == {
        "AAA": (D("64.5161"), D("50.0000"), D("50.0000")),
        "BBB": (D("35.4839"), D("50.0000"), D("50.0000")),
    }


def test_sells_come_before_buys_the_greatest_first() -> None:
    four = plan({"AAA": "40", "BBB": "30", "CCC": "20", "DDD": "10"})
    prices = {"AAA": "10", "BBB": "20", "CCC": "30", "DDD": "40"}
    now = [held(symbol, "10", price) for symbol, price in prices.items()]
    found = preview(situation(four, *now))
    assert [(o.side, o.symbol) for o in found.orders] == [
        ("sell", "DDD"), ("sell", "CCC"), ("buy", "AAA"), ("buy", "BBB"),
    ]  # fmt: skip


# "Rebalance logic respects any blank allocation % fields, dividing residual % across remaining
# symbols."


def test_blank_allocations_share_what_the_others_leave() -> None:
    blanks = plan({"AAA": "40", "BBB": None, "CCC": None})
    found = preview(situation(blanks, *(held(s, "10", "10") for s in ("AAA", "BBB", "CCC"))))
    assert {s.symbol: s.target for s in found.securities} == {
        "AAA": D("40.0000"), "BBB": D("30.0000"), "CCC": D("30.0000"),
    }  # fmt: skip
    assert {s.symbol: s.share_after for s in found.securities} == {
        "AAA": D("40.0000"), "BBB": D("30.0000"), "CCC": D("30.0000"),
    }  # fmt: skip


def test_one_security_is_at_its_target_whatever_it_is_worth() -> None:
    found = preview(situation(plan({"AAA": None}), held("AAA", "7", "10")))
    assert orders(found) == {}
    assert left(found) == {"AAA": "within the band of 1 points (off by 0.00)"}


def test_twenty_blanks_are_brought_to_a_twentieth_each() -> None:
    symbols = [f"S{n:02}" for n in range(20)]
    now = [held(s, str(n + 1), "10") for n, s in enumerate(symbols)]
    found = preview(situation(plan(dict.fromkeys(symbols), drift_band=D(0)), *now))
    assert {s.share_after for s in found.securities} == {D("5.0000")}


def test_a_security_that_is_no_longer_planned_is_sold_whole_however_little_it_is() -> None:
    # 0.1 % of the whole: far within the band
    found = preview(situation(plan({"AAA": None}), held("AAA", "999", "1"), held("OLD", "1", "1")))
    assert orders(found) == {"OLD": "sell 1", "AAA": "buy 1"}


# "UI must allow user to preview/simulate the rebalance showing exact orders and outcomes."


def test_each_sale_shows_what_it_realizes_and_the_tax_reserve_that_follows_from_it() -> None:
    taxed = plan({"AAA": "10", "BBB": "10", "CCC": "80"}, tax_reserve=D(20))
    now = (
        held("AAA", "30", "10", cost="150.00"),  # gains half of what it brings
        held("BBB", "30", "10", cost="360.00"),  # loses a fifth on top
        held("CCC", "40", "10", cost="400.00"),
    )
    found = preview(situation(taxed, *now))
    sold = {o.symbol: o for o in found.of("sell")}
    assert sold["AAA"].gain is not None
    assert sold["AAA"].gain > 0
    assert sold["BBB"].gain is not None
    assert sold["BBB"].gain < 0
    assert sold["BBB"].tax == 0
    # one allocation a day takes gains and losses of all sales together
    assert found.tax == sold["AAA"].tax == (found.gain * D("0.2")).quantize(D("0.01"))


def test_cash_and_reserves_after_are_shown_with_the_tax_reserve_moved() -> None:
    taxed = plan({"AAA": None, "BBB": None}, tax_reserve=D(20))
    now = held("AAA", "60", "10", cost="300.00"), held("BBB", "40", "10", cost="400.00")
    found = preview(situation(taxed, *now, costs=US))
    assert found.after.tax_cash == found.before.tax_cash + found.tax
    assert found.after.float == (
        found.before.float + found.proceeds - found.purchases - found.costs - found.tax
    )
    assert found.after.payroll == found.before.payroll
    # costs and tax are paid by the purchases: the float is not what they come out of
    assert found.before.float <= found.after.float < found.before.float + D("0.02")
    assert found.tax > 0
    assert found.costs > 0


def test_commission_and_fees_are_those_of_the_rates() -> None:
    found = preview(situation(TWO, held("AAA", "60", "100"), held("BBB", "40", "100"), costs=US))
    (sale,) = found.of("sell")
    # 0.005 a share; 0.000166 a share sold, and 0.00278 % of 1,000 dollars
    # half of what 0.08 and 0.05 leave of 10,000 is 4,999.935
    assert (sale.value, sale.costs) == (D("1000.06"), D("0.08"))
    assert sale.gain == D("999.98")  # it had cost nothing
    assert found.of("buy")[0].costs == D("0.05")


# What is skipped, and why


def test_a_security_within_the_band_is_left_alone_and_said() -> None:
    band = plan({"AAA": None, "BBB": None}, drift_band=D(1))
    found = preview(situation(band, held("AAA", "509", "1"), held("BBB", "491", "1")))
    assert orders(found) == {}
    assert left(found)["AAA"] == "within the band of 1 points (off by 0.90)"


def test_the_band_is_left_at_its_very_edge() -> None:
    at, over = (
        preview(situation(TWO, held("AAA", a, "1"), held("BBB", b, "1")))
        for a, b in (("510", "490"), ("510.01", "489.99"))
    )
    assert orders(at) == {}
    assert orders(over) == {"AAA": "sell 10.01", "BBB": "buy 10.01"}


def test_what_is_within_the_band_pays_only_as_much_as_the_others_cannot_pay_for() -> None:
    # 19 are 0.9 points above their target, one is 17.1 below: it alone is outside the band
    shares = {f"S{n:02}": "5" for n in range(20)}
    now = [held(s, "0" if s == "S19" else "59", "1") for s in shares]
    found = preview(situation(plan(shares, drift_band=D(1)), *now))
    assert found.of("buy")[0].symbol == "S19"
    assert max(abs(s.share_after - s.target) for s in found.securities if s.share_after) <= 1


def test_the_furthest_gives_first_and_the_last_only_what_is_still_lacking() -> None:
    four = plan({"AAA": "30", "BBB": "30", "CCC": "20", "DDD": "20"}, drift_band=D(5))
    now = {"AAA": "340", "BBB": "340", "CCC": "140", "DDD": "180"}
    found = preview(situation(four, *(held(symbol, units, "1") for symbol, units in now.items())))
    assert orders(found) == {"AAA": "sell 40", "BBB": "sell 20", "CCC": "buy 60"}
    assert left(found) == {"DDD": "within the band of 5 points (off by -2.00)"}


def test_a_security_without_a_price_is_left_alone_and_the_others_are_weighed_without_it() -> None:
    three = plan({"AAA": "25", "BBB": "25", "CCC": "50"})
    now = held("AAA", "60", "10"), held("BBB", "40", "10"), held("CCC", "5", None)
    found = preview(situation(three, *now, float_target=None))
    assert orders(found) == {"AAA": "sell 10", "BBB": "buy 10"}
    assert left(found) == {"CCC": "no price"}
    missing = next(s for s in found.securities if s.symbol == "CCC")
    assert (missing.value, missing.share, missing.share_after) == (None, None, None)


@pytest.mark.parametrize(
    ("of", "securities", "why"),
    [
        (plan({"AAA": None}), [held("AAA", "5", None)], "no price"),
        (plan({"AAA": None}), [held("AAA", "0", "10")],
         "nothing is held, and no cash is to be invested"),
        (plan({}), [held("OLD", "5", "10")], "the plan names no security"),
        (plan({"AAA": None}), [held("OLD", "5", "10"), held("AAA", "0", None)],
         "no security of the plan has a price"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_done_the_preview_says_why(
    of: Plan, securities: list[HeldSecurity], why: str
) -> None:
    found = preview(situation(of, *securities))
    assert orders(found) == {}
    assert left(found)[securities[0].symbol] == why
    assert found.before == found.after


def test_an_order_below_what_brokers_take_is_left_out() -> None:
    tight = plan({"AAA": None, "BBB": None}, drift_band=D(0))
    found = preview(situation(tight, held("AAA", "100.5", "1"), held("BBB", "99.5", "1")))
    assert orders(found) == {}
    assert left(found)["AAA"].startswith("the order would be below 1 USD")


# Float


def test_cash_above_the_float_target_stays_unless_sweep_is_on() -> None:
    now = held("AAA", "50", "10"), held("BBB", "50", "10")
    rich: dict[str, Any] = {"float_target": D("600.00")}
    assert orders(preview(situation(TWO, *now, **rich))) == {}
    swept = preview(situation(plan({"AAA": None, "BBB": None}, sweep=True), *now, **rich))
    assert orders(swept) == {"AAA": "buy 20", "BBB": "buy 20"}
    assert swept.after.float == D("600.00")


def test_sweep_also_invests_so_little_that_no_security_leaves_the_band() -> None:
    now = held("AAA", "50", "10"), held("BBB", "50", "10")
    sweeping = plan({"AAA": None, "BBB": None}, sweep=True)
    found = preview(situation(sweeping, *now, float_target=D("990.00")))
    assert orders(found) == {"AAA": "buy 0.5", "BBB": "buy 0.5"}


def test_a_float_below_its_target_is_filled_before_anything_is_bought() -> None:
    now = held("AAA", "80", "10"), held("BBB", "20", "10")
    found = preview(situation(TWO, *now, float_target=D("1100.00")))
    assert orders(found) == {"AAA": "sell 35", "BBB": "buy 25"}
    assert found.after.float == D("1100.00")


def test_a_tax_that_takes_nearly_all_of_the_sales_is_not_paid_by_the_float() -> None:
    taxed = plan({"AAA": "7", "BBB": "93"}, tax_reserve=D("99.79"), drift_band=D(0))
    found = preview(situation(taxed, held("AAA", "0", "10"), held("BBB", "60", "10")))
    assert found.tax > 0
    assert found.after.float >= found.before.float


def test_never_more_is_sold_than_is_held_also_where_the_broker_takes_whole_shares_alone() -> None:
    skewed = plan({"AAA": "1", "BBB": "99"})
    found = preview(
        situation(skewed, held("AAA", "10.5", "100"), held("BBB", "0", "100"), step=D(1))
    )
    assert orders(found) == {"AAA": "sell 10.5", "BBB": "buy 10"}


# The digest


def variants(of: Situation) -> list[Situation]:
    """The situation with each of its inputs changed, one at a time."""
    replace = msgspec.structs.replace
    aaa, bbb = of.securities
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"step": D("0.01")},
        {"currency": "EUR"},
        {"float_target": D("999.99")},
        {"float_target": None},
        {"securities": (aaa,)},
    ]
    changes += [{"purses": replace(of.purses, **{n: D(7)})} for n in of.purses.__struct_fields__]
    changes += [{"costs": replace(of.costs, **{n: D(7)})} for n in of.costs.__struct_fields__]
    changes += [
        {"securities": (replace(aaa, **{name: value}), bbb)}
        for name, value in {
            "symbol": "ZZZ", "units": D("60.1"), "cost": D("1.01"), "price": D("10.01"),
        }.items()
    ]  # fmt: skip
    changes += [
        {"plan": replace(of.plan, **{name: value})}
        for name, value in {
            "securities": (PlannedSecurity("AAA", D(50)), PlannedSecurity("BBB", D(50))),
            "float_target": D(11), "tax_reserve": D(21), "tax_vehicle": "BIL", "payroll": D(11),
            "rebalance_months": 3, "auto_rebalance": False, "sweep": True, "drift_band": D(2),
        }.items()
    ]  # fmt: skip
    return [replace(of, **change) for change in changes]


def test_the_digest_changes_with_every_input_and_with_nothing_else() -> None:
    base = situation(TWO, held("AAA", "60", "10"), held("BBB", "40", "10"))
    assert preview(base).digest == preview(msgspec.structs.replace(base)).digest
    digests = [preview(one).digest for one in (base, *variants(base))]
    assert len(set(digests)) == len(digests) == 1 + 6 + 5 + 3 + 4 + 9
