"""What the long-term holdings may not do: the rule, the figures, and what would be allowed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from aggregates.capital import Purse
from aggregates.holdings_plan import DEFAULT_PLAN, Plan, PlannedSecurity
from strategies.holdings_rules import (
    Breach,
    RulesBroken,
    check_allocation,
    check_plan,
    check_purchases,
    check_reserve_release,
    refuse,
)

D = Decimal
USD = "USD"


class Held(NamedTuple):
    float: Decimal = D("5000")
    tax_cash: Decimal = D("1000")
    tax_vehicle: Decimal = D("500")
    payroll: Decimal = D("300")
    pool: Decimal = D("200")


class Account(NamedTuple):
    account_value: Decimal | None
    reserves: Held = Held()


def plan(**fields: Any) -> Plan:
    securities = (PlannedSecurity("SCHD", D(60)), PlannedSecurity("SCHY"))
    return Plan(**({"securities": securities, "tax_vehicle": "BIL"} | fields))


def said(breaches: tuple[Breach, ...]) -> list[str]:
    return [str(breach) for breach in breaches]


# A save


def test_a_plan_that_the_account_can_fulfil_may_be_saved() -> None:
    assert check_plan(plan(), Account(D("50000")), USD) == ()


def test_a_faulty_plan_is_told_by_rule_field_and_what_is_allowed() -> None:
    wrong = plan(float_target=D(101), tax_vehicle="SCHD", rebalance_months=1, payroll=D("0.001"))
    found = check_plan(wrong, Account(D("50000")), USD)
    assert [(b.field, b.rule) for b in found] == [
        ("float_target", "FLOAT"), ("payroll", "RESERVE"), ("tax_vehicle", "RESERVE"),
        ("rebalance_months", "INTERVAL"),
    ]  # fmt: skip
    assert found[0].said == "The float target is 101 %; it must be from 0 to 100 %"
    assert found[0].allowed == "from 0 to 100 %, with at most two decimals"


def test_every_field_of_the_plan_that_can_be_faulty_has_a_rule() -> None:
    twice = (PlannedSecurity("A", D(-1)), PlannedSecurity("A"), *map(PlannedSecurity, "abcdefghij"))
    wrong = Plan(
        securities=twice * 2, float_target=D(-1), tax_reserve=D(-1), payroll=D(-1),
        tax_vehicle="a", rebalance_months=0, drift_band=D(-1),
    )  # fmt: skip
    found = check_plan(wrong, None, USD)
    assert {b.field.partition(".")[0] for b in found} == set(Plan.__struct_fields__) - {
        "auto_rebalance", "sweep",
    }  # fmt: skip
    assert all(b.rule and b.said and b.allowed for b in found)


def test_a_float_target_beyond_what_the_reserves_leave_is_refused() -> None:
    """Of 10,000, the reserves have 1,000 + 500 + 300: 8,200 are left, which is 82 %."""
    account = Account(D("10000"))
    assert check_plan(plan(float_target=D(82)), account, USD) == ()
    (breach,) = check_plan(plan(float_target=D("82.01")), account, USD)
    assert breach == Breach(
        "FLOAT",
        "a float target of 82.01 % is 8,201.00 USD; of the account's 10,000.00 USD there are "
        "1,800.00 USD reserved",
        "a float target of at most 82 %",
        "float_target",
    )


@pytest.mark.parametrize(("value", "most"), [("3333", "45.99"), ("1800", "0"), ("900", "0")])
def test_the_float_target_that_is_offered_instead_is_allowed(value: str, most: str) -> None:
    account = Account(D(value))
    (breach,) = check_plan(plan(float_target=D(90)), account, USD)
    assert breach.allowed == f"a float target of at most {most} %"
    assert check_plan(plan(float_target=D(most)), account, USD) == ()


@pytest.mark.parametrize("account", [None, Account(None)], ids=["no books", "price missing"])
def test_without_a_value_of_the_account_the_plan_alone_is_looked_at(account: Any) -> None:
    assert check_plan(plan(float_target=D(100)), account, USD) == ()
    assert check_plan(plan(float_target=D(101)), account, USD)


# A purchase


def bought(purse: Purse, target: str = "4120", proceeds: str = "0", **costs: str) -> list[str]:
    found = check_purchases(
        plan(), {s: D(c) for s, c in costs.items()}, purse=purse, held=Held(), target=D(target),
        currency=USD, proceeds=D(proceeds),
    )  # fmt: skip
    return said(found)


def test_purchases_may_take_the_float_down_to_its_target() -> None:
    assert bought("float", SCHD="800", SCHY="80") == []
    assert bought("float", SCHD="800", SCHY="80.01") == [
        "FLOAT: the float would be 4,119.99 USD, the target is 4,120.00 USD; "
        "allowed: purchases of at most 880.00 USD."
    ]


def test_sales_that_come_before_make_room() -> None:
    assert bought("float", proceeds="100", SCHD="980") == []
    assert "at most 980.00 USD" in bought("float", proceeds="100", SCHD="981")[0]


def test_below_its_target_the_float_buys_nothing() -> None:
    assert bought("float", target="5000.01", SCHD="1") == [
        "FLOAT: the float would be 4,999.00 USD, the target is 5,000.01 USD; "
        "allowed: purchases of at most 0.00 USD."
    ]
    assert bought("float", target="5000.01") == []


@pytest.mark.parametrize(
    ("purse", "symbol", "room", "name"),
    [
        ("reinvestment_pool", "SCHD", "200", "reinvestment pool"),
        ("tax_reserve", "BIL", "1000", "tax reserve"),
    ],
)
def test_a_purse_pays_for_what_it_holds_and_no_more(
    purse: Purse, symbol: str, room: str, name: str
) -> None:
    assert bought(purse, target="9999", **{symbol: room}) == []
    assert bought(purse, **{symbol: f"{room}.01"}) == [
        f"RESERVE: {D(room):,}.01 USD would be spent from the {name}; "
        f"allowed: at most {D(room):,}.00 USD from there."
    ]


def test_payroll_buys_nothing_at_all() -> None:
    assert "at most 0.00 USD" in bought("payroll_reserve", SCHD="1")[0]


def test_only_planned_securities_are_bought_and_the_tax_reserve_buys_its_vehicle_alone() -> None:
    assert bought("float", AAPL="1") == [
        "ALLOCATION: AAPL would be bought, which the plan does not ask for; allowed: SCHD, SCHY."
    ]
    assert bought("float", BIL="1")[0].startswith("ALLOCATION: BIL")
    assert bought("tax_reserve", SCHD="1") == [
        "RESERVE: SCHD would be bought, which the plan does not ask for; allowed: BIL."
    ]


def test_a_security_of_0_percent_and_a_reserve_in_cash_are_not_bought() -> None:
    nothing = Plan(securities=(PlannedSecurity("OLD", D(0)), PlannedSecurity("NEW")))
    for symbol, purse, allowed in (("OLD", "float", "NEW"), ("BIL", "tax_reserve", "in cash")):
        found = check_purchases(
            nothing, {symbol: D(1)}, purse=purse, held=Held(), target=D(0), currency=USD
        )  # fmt: skip
        assert allowed in found[0].allowed


# An allocation


def set_aside(tax: str, payroll: str, reinvested: str, target: str = "4000") -> list[str]:
    return said(
        check_allocation(
            tax=D(tax), payroll=D(payroll), reinvested=D(reinvested), held=Held(),
            target=D(target), currency=USD,
        )
    )  # fmt: skip


def test_an_allocation_leaves_the_float_at_its_target() -> None:
    assert set_aside("200", "80", "720") == []
    assert set_aside("200", "80", "720.01") == [
        "FLOAT: the float would be 3,999.99 USD, the target is 4,000.00 USD; "
        "allowed: purchases of at most 720.00 USD."
    ]


def test_the_reserves_come_first_also_where_the_float_falls_below_its_target() -> None:
    assert set_aside("1200", "100", "0") == []
    assert "purchases of at most 0.00 USD" in set_aside("1200", "100", "0.01")[0]


def test_what_the_float_does_not_hold_cannot_be_reserved() -> None:
    assert set_aside("4900", "101", "0") == [
        "RESERVE: 5,001.00 USD would be set aside, the float holds 5,000.00 USD; "
        "allowed: at most 5,000.00 USD."
    ]


def test_reserves_are_never_reduced_by_an_allocation() -> None:
    assert set_aside("-1", "-2", "0") == [
        "RESERVE: the tax reserve would change by -1.00 USD; allowed: nothing below 0.",
        "RESERVE: payroll would change by -2.00 USD; allowed: nothing below 0.",
    ]


def test_no_gain_allocates_nothing_and_breaks_nothing() -> None:
    assert set_aside("0", "0", "0", target="99999") == []


# A release


@pytest.mark.parametrize(
    ("purse", "amount", "words"),
    [
        ("tax_reserve", "1000", ""),
        ("tax_reserve", "1000.01", "at most 1,000.00 USD, its cash"),
        ("tax_reserve", "0", "above 0"),
        ("payroll_reserve", "-1", "above 0 and at most 300.00 USD"),
        ("float", "1", "the float is no reserve"),
        ("reinvestment_pool", "1", "the reinvestment pool is no reserve"),
    ],
)
def test_a_release_is_of_a_reserve_and_of_what_it_has_in_cash(
    purse: Purse, amount: str, words: str
) -> None:
    found = said(check_reserve_release(purse, D(amount), Held(), USD))
    assert bool(found) == bool(words)
    assert words in "".join(found)


def test_a_refusal_has_every_breach_and_says_that_nothing_was_done() -> None:
    refuse(())
    with pytest.raises(RulesBroken, match=r"FLOAT: .*; allowed: .* Nothing was done\.") as broken:
        refuse(check_plan(DEFAULT_PLAN, Account(D("1000")), USD))
    assert len(broken.value.breaches) == 1
