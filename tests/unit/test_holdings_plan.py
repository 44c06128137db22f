"""The plan of the long-term holdings, named after the specification's sections 1 and 6."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from aggregates.holdings_plan import (
    DEFAULT_PLAN,
    STREAM,
    HoldingsPlan,
    HoldingsPlanSaved,
    Plan,
    PlanMoved,
    PlannedSecurity,
    RollBackPlan,
    SavePlan,
    in_words,
    plan_changes,
    plan_faults,
    weights,
)
from aggregates.money import Money

D = Decimal
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def plan(*securities: Any, **fields: Any) -> Plan:
    """``plan("A", ("B", "60"))``: A blank, B 60 %."""
    named = (s if isinstance(s, tuple) else (s, None) for s in securities)
    made = (PlannedSecurity(s, None if a is None else D(a)) for s, a in named)
    return Plan(securities=tuple(made), **fields)


def faults(of: Plan) -> dict[str, str]:
    return {fault.field: fault.message for fault in plan_faults(of)}


def saving(of: Plan, seen: int = 0, reason: str = "") -> SavePlan:
    return SavePlan(at=AT, effective_date=DAY, plan=of, seen=seen, reason=reason)


def back(to: int, seen: int) -> RollBackPlan:
    return RollBackPlan(at=AT, effective_date=DAY, to=to, seen=seen, reason="as it was")


def saved(version: int, before: Plan | None, after: Plan, **fields: Any) -> HoldingsPlanSaved:
    more = {"reason": "", "rolled_back_to": None} | fields
    return HoldingsPlanSaved(
        occurred_at=AT, effective_date=DAY, version=version, before=before, after=after, **more
    )


# "Default Example"


def test_float_10_tax_reserve_20_payroll_10_interval_6_months_schd_and_schy() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DEFAULT_PLAN)) == {
        "securities": [
            {"symbol": "SCHD", "allocation": None},
            {"symbol": "SCHY", "allocation": None},
        ],
        "float_target": "10", "tax_reserve": "20", "tax_vehicle": "", "payroll": "10",
        "rebalance_months": 6, "auto_rebalance": True, "sweep": False, "drift_band": "1",
    }  # fmt: skip
    assert plan_faults(DEFAULT_PLAN) == ()


# "User specifies any number of securities (up to 20)."


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20])
def test_user_specifies_any_number_of_securities_up_to_20(count: int) -> None:
    assert faults(plan(*LETTERS[:count])) == {}


def test_the_21st_security_is_refused() -> None:
    assert faults(plan(*LETTERS[:21])) == {
        "securities": "21 securities are planned; at most 20 can be."
    }


# "For each symbol, user may set an explicit allocation %. Any symbols with blank % will divide the
# remainder of the “long-term” allocation equally."


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (plan("A"), {"A": "1"}),
        (plan(("A", "100")), {"A": "1"}),
        (plan("A", "B", "C"), {"A": "1/3", "B": "1/3", "C": "1/3"}),
        (plan(("A", "50"), "B", "C"), {"A": "1/2", "B": "1/4", "C": "1/4"}),
        (plan("C", ("B", "33.33"), "A"), {"C": "6667/20000", "B": "3333/10000", "A": "6667/20000"}),
        (plan(("A", "99.99"), "B", "C"), {"A": "9999/10000", "B": "1/20000", "C": "1/20000"}),
        (plan(("A", "0"), "B"), {"A": "0", "B": "1"}),
        (plan(*LETTERS[:20]), dict.fromkeys(LETTERS[:20], "1/20")),
        (plan(), {}),
    ],
    ids=["one", "all of it", "all blank", "half", "order", "crumbs", "none", "twenty", "nothing"],
)
def test_symbols_with_blank_percent_divide_the_remainder_equally(
    planned: Plan, expected: dict[str, str]
) -> None:
    assert faults(planned) == {}
    found = weights(planned)
    assert list(found) == [s.symbol for s in planned.securities]
    assert found == {symbol: Fraction(share) for symbol, share in expected.items()}


@any_of(
    st.lists(st.integers(0, 10_000) | st.none(), min_size=1, max_size=20), st.integers(0, 10**9)
)
def test_whatever_plan_is_valid_gives_shares_of_exactly_1_and_loses_no_cent(
    hundredths: list[int | None], cents: int
) -> None:
    """A plan is valid when its given percentages are 100 % of it, or leave something for blanks."""
    given = [h for h in hundredths if h is not None]
    tried = plan(*((LETTERS[i], None if h is None else str(D(h) / 100))
                   for i, h in enumerate(hundredths)))  # fmt: skip
    valid = sum(given) < 10_000 if len(given) < len(hundredths) else sum(given) == 10_000
    assert (faults(tried) == {}) == valid
    if valid:
        shares = weights(tried)
        assert sum(shares.values()) == 1
        parts = Money(cents, "USD").split(list(shares.values()))
        assert sum(part.minor for part in parts) == cents


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        (plan(("A", "60"), ("B", "30")), "add up to 90 %, not to 100 %: 10 % too little"),
        (plan(("A", "60"), ("B", "40.01")), "add up to 100.01 %, not to 100 %: 0.01 % too much"),
        (plan(("A", "0")), "add up to 0 %, not to 100 %: 100 % too little"),
        (plan(("A", "100"), "B"), "add up to 100 %, which leaves nothing for the 1 blank"),
        (plan(("A", "70"), ("B", "70"), "C", "D"), "which leaves nothing for the 2 blank"),
    ],
)
def test_allocations_that_do_not_sum_to_100_after_blank_fill_are_flagged(
    planned: Plan, said: str
) -> None:
    assert list(found := faults(planned)) == ["securities"]
    assert said in found["securities"]


@pytest.mark.parametrize(
    ("planned", "field", "said"),
    [
        (plan("A", ("B", "-0.01")), "securities.1.allocation", "is -0.01 %; it must be from 0"),
        (plan(("A", "100.01")), "securities.0.allocation", "is 100.01 %; it must be from 0"),
        (plan(("A", "33.333"), "B"), "securities.0.allocation", "at most two decimals"),
        (plan(("A", "NaN"), "B"), "securities.0.allocation", "is not a number"),
        (plan(("A", "Infinity"), "B"), "securities.0.allocation", "is not a number"),
        (plan("A", float_target=D("100.5")), "float_target", "The float target is 100.5 %"),
        (plan("A", float_target=D("-1")), "float_target", "it must be from 0 to 100"),
        (plan("A", tax_reserve=D("20.001")), "tax_reserve", "at most two decimals"),
        (plan("A", payroll=D(101)), "payroll", "Payroll is 101 %"),
        (plan("A", drift_band=D("1e9")), "drift_band", "is 1000000000 %"),
        (plan("A", rebalance_months=4), "rebalance_months", "3, 6 or 12"),
        (plan("A", rebalance_months=0), "rebalance_months", "3, 6 or 12"),
        (plan("A", tax_vehicle="A"), "tax_vehicle", "A is one of the securities"),
        (plan("A", tax_vehicle="B C"), "tax_vehicle", "cannot be a symbol"),
        (plan(""), "securities.0.symbol", "A symbol is missing"),
        (plan("A", "a"), "securities.1.symbol", "capitals"),
        (plan("A", "B/C"), "securities.1.symbol", "cannot be a symbol"),
    ],
)
def test_what_is_out_of_spec_is_said_at_its_field(planned: Plan, field: str, said: str) -> None:
    assert list(found := faults(planned)) == [field]
    assert said in found[field]


def test_a_security_that_stands_twice_is_said_at_both_places() -> None:
    found = faults(plan("A", "B", "A"))
    assert list(found) == ["securities.0.symbol", "securities.2.symbol"]
    assert found["securities.0.symbol"] == "A stands in the plan 2 times."


@pytest.mark.parametrize("months", [3, 6, 12])
def test_user_sets_rebalance_interval_3_6_or_12_months(months: int) -> None:
    assert faults(plan("A", rebalance_months=months)) == {}


@pytest.mark.parametrize("edge", ["0", "100", "12.34"])
def test_percentages_reach_from_0_to_100_with_two_decimals(edge: str) -> None:
    value = D(edge)
    same = {"float_target": value, "tax_reserve": value, "payroll": value, "drift_band": value}
    assert faults(plan("A", **same)) == {}


def test_every_fault_is_told_at_once_in_the_order_of_the_fields() -> None:
    wrong = plan("", ("B", "101"), float_target=D(-1), tax_vehicle="B", rebalance_months=5)
    assert list(faults(wrong)) == [
        "securities.0.symbol", "securities.1.allocation", "float_target", "tax_vehicle",
        "rebalance_months",
    ]  # fmt: skip


# "blocking save", "audit entry including the user and timestamp", "before and after values"

ONE, TWO = plan("A", ("B", "60")), plan("A", "C", sweep=True)
Given = Callable[..., Any]


def test_the_first_plan_has_no_before(given: Given) -> None:
    case = given(HoldingsPlan(STREAM)).when(HoldingsPlan.save, saving(ONE, reason="first"))
    case.then(saved(1, None, ONE, reason="first"))


def test_an_edit_says_what_was_before_and_what_is_after(given: Given) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE))
    case.when(HoldingsPlan.save, saving(TWO, seen=1)).then(saved(2, ONE, TWO))
    assert (case.aggregate.number, case.aggregate.plan) == (2, TWO)


def test_an_invalid_edit_is_never_saved(given: Given) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE))
    case.when(HoldingsPlan.save, saving(plan(("A", "60"), ("B", "30")), seen=1))
    case.refused("not saved", "add up to 90 %", "Nothing was changed")


def test_what_differs_in_nothing_is_no_version(given: Given) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE))
    same = plan("A", ("B", "60.00"), float_target=D("10.0"))
    case.when(HoldingsPlan.save, saving(same, seen=1)).refused("Nothing differs")


@pytest.mark.parametrize("reason", ["x" * 501, "bell\a"])
def test_a_reason_that_cannot_be_kept_is_refused(given: Given, reason: str) -> None:
    case = given(HoldingsPlan(STREAM)).when(HoldingsPlan.save, saving(ONE, reason=reason))
    case.refused("reason", "Nothing was changed")


def test_two_people_never_overwrite_each_other_unseen(given: Given) -> None:
    """Ann and Bob both look at version 1; Bob saves second."""
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE))
    case.when(HoldingsPlan.save, saving(TWO, seen=1)).then(saved(2, ONE, TWO))
    case.when(HoldingsPlan.save, saving(plan("A"), seen=1))
    case.refused("you saw version 1, now it is 2", "C: none → blank", "sweep: off → on")
    with pytest.raises(PlanMoved) as moved:
        case.aggregate.check_seen(0)
    assert (moved.value.seen, moved.value.number) == (0, 2)
    assert {c.field for c in moved.value.changes} >= {"A", "C", "float_target"}


@pytest.mark.parametrize("seen", [-1, 2])
def test_a_version_that_nobody_could_see_is_refused(given: Given, seen: int) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE))
    case.when(HoldingsPlan.save, saving(TWO, seen=seen)).refused(f"no version {seen}")


# "audit/rollback support"


def test_any_earlier_version_can_be_put_back_as_a_new_one(given: Given) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE), saved(2, ONE, TWO))
    case.when(HoldingsPlan.roll_back, back(to=1, seen=2))
    case.then(saved(3, TWO, ONE, reason="as it was", rolled_back_to=1))
    case.when(HoldingsPlan.roll_back, back(to=2, seen=3))
    case.then(saved(4, ONE, TWO, reason="as it was", rolled_back_to=2))


@pytest.mark.parametrize(
    ("to", "seen", "said"),
    [
        (9, 2, "There is no version 9"),
        (0, 2, "There is no version 0"),
        (2, 2, "Nothing differs"),
        (1, 1, "you saw version 1, now it is 2"),
    ],
)
def test_a_roll_back_that_leads_nowhere_changes_nothing(
    given: Given, to: int, seen: int, said: str
) -> None:
    case = given(HoldingsPlan(STREAM), saved(1, None, ONE), saved(2, ONE, TWO))
    case.when(HoldingsPlan.roll_back, back(to, seen)).refused(said)


def test_changes_are_told_field_by_field() -> None:
    after = plan("C", ("A", "25"), tax_vehicle="BIL", payroll=D("12.50"), auto_rebalance=False)
    assert [in_words(c) for c in plan_changes(ONE, after)] == [
        "C: none → blank",
        "A: blank → 25 %",
        "tax_vehicle: none → BIL",
        "payroll: 10 % → 12.5 %",
        "auto_rebalance: on → off",
        "B: 60 % → none",
    ]
