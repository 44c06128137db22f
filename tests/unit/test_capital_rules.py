"""What an entry by hand may do to float and reserves: the figures that are said are the figures."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.books import ReverseEntry
from aggregates.capital import RecordFee, RecordWithdrawal, ReleaseReserve, release_words
from aggregates.plan_values import Plan
from projections.holdings_records import HoldingsState, Reserves
from strategies.capital_rules import check_entry, warnings

D = Decimal
HELD = Reserves(
    float=D("9000.00"), tax_cash=D("1000.00"), tax_vehicle=D("200.00"), payroll=D("500.00"),
    pool=D("0.00"),
)  # fmt: skip
WHEN: dict[str, Any] = {
    "at": datetime(2026, 3, 2, 15, tzinfo=UTC), "effective_date": date(2026, 3, 2),
}  # fmt: skip
OWN: dict[str, Any] = WHEN | {"reference": "r", "currency": "USD", "reason": "as asked"}


def account(value: str | None) -> HoldingsState:
    """An account of that value; None: a price is missing."""
    return HoldingsState(
        rows=(), reserves=HELD, long_term_value=None, trading_value=None, tax_vehicle_value=None,
        account_value=D(value) if value else None, float_target=None, unpriced=(),
    )  # fmt: skip


def said(
    command: Any, plan: Plan | None = None, value: str | None = None, promised: str = "0",
    **after: str,
) -> str:  # fmt: skip
    """Every breach as a person reads it; empty: it may be done."""
    left = msgspec.structs.replace(HELD, **{name: D(text) for name, text in after.items()})
    state = account(value)
    found = check_entry(
        command, HELD, left, plan=plan, state=state, currency="USD", promised=D(promised)
    )
    return " ".join(map(str, found))


def withdrawal(amount: str, **fields: Any) -> RecordWithdrawal:
    return RecordWithdrawal(**OWN, amount=D(amount), **fields)


TEN = Plan(securities=(), float_target=D(10))


def test_without_a_plan_the_float_may_be_spent_to_nothing() -> None:
    assert said(withdrawal("9000"), float="0.00") == ""
    assert said(withdrawal("9000.01"), float="-0.01") == (
        "FLOAT: the float would be -0.01 USD; allowed: at most 9,000.00 USD."
    )


def test_with_a_plan_a_withdrawal_leaves_the_float_at_its_target() -> None:
    """10 % of 50,000.00 less the withdrawal: x with 9,000 - x = 0.1 (50,000 - x) is 4,444.44."""
    assert said(withdrawal("4444.44"), TEN, "50000", float="4555.56") == ""
    assert said(withdrawal("4444.45"), TEN, "50000", float="4555.55") == (
        "FLOAT: the float would be 4,555.55 USD, the target is 4,555.56 USD (10 % of the account); "
        "allowed: at most 4,444.44 USD."
    )


def test_a_missing_price_leaves_the_target_unknown_and_the_float_above_nothing() -> None:
    assert said(withdrawal("9000"), TEN, None, float="0.00") == ""
    assert "at most 9,000.00 USD" in said(withdrawal("9001"), TEN, None, float="-1.00")


def test_what_is_promised_to_purchases_is_spent_already() -> None:
    assert said(withdrawal("8000"), promised="1000", float="1000.00") == ""
    assert said(withdrawal("8000.01"), promised="1000", float="999.99") == (
        "FLOAT: the float would be -0.01 USD, beside 1,000.00 USD for purchases under way; "
        "allowed: at most 8,000.00 USD."
    )
    # 9,000 - 1,000 - x = 0.1 (50,000 - x)
    assert said(withdrawal("3333.33"), TEN, "50000", promised="1000", float="5666.67") == ""
    assert "at most 3,333.33 USD" in said(
        withdrawal("3333.34"), TEN, "50000", promised="1000", float="5666.66"
    )


def test_a_float_below_its_target_gives_nothing() -> None:
    assert said(withdrawal("1"), TEN, "500000", float="8999.00").endswith("at most 0.00 USD.")


@given(
    value=st.integers(0, 10**9), held=st.integers(0, 10**9), hundredths=st.integers(0, 10_000),
)  # fmt: skip
def test_what_is_allowed_is_allowed_and_a_cent_more_is_not(
    value: int, held: int, hundredths: int
) -> None:
    plan = Plan(securities=(), float_target=D(hundredths) / 100)
    before = msgspec.structs.replace(HELD, float=D(held) / 100)
    state = msgspec.structs.replace(account("1"), account_value=D(held + value) / 100)

    def breaches(minor: int) -> Any:
        amount = D(minor) / 100
        after = msgspec.structs.replace(before, float=before.float - amount)
        command = withdrawal(str(amount))
        return check_entry(command, before, after, plan=plan, state=state, currency="USD")

    (found,) = breaches(held + value + 1)
    text = re.fullmatch(r"at most ([\d,]+\.\d\d) USD", found.allowed)
    assert text is not None
    most = int(text[1].replace(",", "").replace(".", ""))
    assert not most or breaches(most) == ()
    assert breaches(most + 1) or hundredths == 10_000


def test_a_reserve_pays_and_releases_its_cash_and_not_its_vehicle() -> None:
    payout = {"purse": "tax_reserve", "purpose": "income_tax"}
    assert said(withdrawal("1000", **payout), tax_cash="0.00") == ""
    refused = said(withdrawal("1000.01", **payout), tax_cash="-0.01")
    assert "1,000.01 USD would leave the tax reserve" in refused
    assert "at most 1,000.00 USD, its cash" in refused
    release = ReleaseReserve(
        **OWN, amount=D("500.01"), purse_from="payroll_reserve",
        confirmed=release_words(D("500.01"), "USD"),
    )  # fmt: skip
    assert "at most 500.00 USD, its cash" in said(release, payroll="-0.01", float="9500.01")


REVERSAL = ReverseEntry(**WHEN, reversed_position=7, reason="wrong")


def test_no_correction_lowers_a_reserve() -> None:
    assert "the payroll reserve would fall from 500.00 USD to 499.99 USD" in said(
        REVERSAL, payroll="499.99", float="9000.01"
    )
    assert "the tax reserve would fall from 1,200.00 USD to 1,199.99 USD" in said(
        REVERSAL, tax_vehicle="199.99"
    )
    # a purchase of the vehicle undone: the same reserve in another form
    assert said(REVERSAL, tax_vehicle="0.00", tax_cash="1200.00") == ""
    assert said(REVERSAL, payroll="900.00", float="8600.00") == ""


@pytest.mark.parametrize(("left", "refused"), [("0.00", False), ("-0.01", True)])
def test_a_correction_leaves_a_float(left: str, refused: bool) -> None:
    text = said(REVERSAL, float=left)
    assert ("the right entry first, then this reversal" in text) is refused


def test_what_the_broker_took_is_never_refused_but_warned_of() -> None:
    fee = RecordFee(**OWN, amount=D("9000.01"))
    assert said(fee, TEN, "50000", float="-0.01") == ""
    after = msgspec.structs.replace(HELD, float=D("-0.01"))
    assert "the broker took what was set aside" in warnings(after, "USD")[0]
    assert warnings(HELD, "USD") == ()
