"""Money that moves without a trade: each entry once, by the reference the world gave it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates import capital
from aggregates.capital import CapitalEntry, capital_stream

D = Decimal
AT = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)
DAY = date(2024, 1, 2)
FIELDS: dict[str, Any] = {
    "effective_date": DAY, "reference": "w-1", "currency": "USD", "amount": D("120.50"),
    "reason": "as stated",
}  # fmt: skip
# command, what decides it, the event it leads to, fields of its own
KINDS: list[tuple[type, Any, type, dict[str, Any]]] = [
    (capital.RecordDeposit, CapitalEntry.deposit, capital.CapitalDeposited, {}),
    (
        capital.RecordWithdrawal,
        CapitalEntry.withdraw,
        capital.CapitalWithdrawn,
        {"purse": "tax_reserve", "purpose": "income_tax", "confirmed": "PAY 120.50 USD"},
    ),
    (
        capital.RecordDividend,
        CapitalEntry.dividend,
        capital.DividendReceived,
        {"symbol": "SPY", "withheld": D("18.07")},
    ),
    (
        capital.RecordWithholding,
        CapitalEntry.withholding,
        capital.TaxWithheld,
        {"symbol": "SPY"},
    ),
    (capital.RecordInterest, CapitalEntry.interest, capital.InterestReceived, {}),
    (capital.RecordFee, CapitalEntry.fee, capital.FeeCharged, {}),
    (
        capital.RecordMarginInterest,
        CapitalEntry.margin_interest,
        capital.MarginInterestCharged,
        {},
    ),
    (
        capital.RecordRounding,
        CapitalEntry.rounding,
        capital.RoundingSettled,
        {"gained": True},
    ),
    (
        capital.Earmark,
        CapitalEntry.earmark,
        capital.CapitalEarmarked,
        {"purse_from": "float", "purse_to": "payroll_reserve", "context": "payroll"},
    ),
    (
        capital.ReleaseReserve,
        CapitalEntry.release,
        capital.ReserveReleased,
        {"purse_from": "tax_reserve", "confirmed": "RELEASE 120.50 USD"},
    ),
]
kinds = pytest.mark.parametrize(
    ("command", "decide", "event", "own"), KINDS, ids=[k[0].__name__ for k in KINDS]
)
STREAM = capital_stream("w-1")


@kinds
def test_each_kind_leads_to_its_event(
    given: Any, command: type, decide: Any, event: type, own: dict[str, Any]
) -> None:
    case = given(CapitalEntry(STREAM)).when(decide, command(at=AT, **FIELDS, **own))
    case.then(event(occurred_at=AT, **FIELDS, **own))


asked = pytest.mark.parametrize(
    ("command", "decide", "own"), [(k[0], k[1], k[3]) for k in KINDS],
    ids=[k[0].__name__ for k in KINDS],
)  # fmt: skip


@asked
def test_a_reference_is_booked_once_whatever_kind_comes_second(
    given: Any, command: type, decide: Any, own: dict[str, Any]
) -> None:
    past = capital.CapitalDeposited(occurred_at=AT, **FIELDS)
    case = given(CapitalEntry(STREAM), past).when(decide, command(at=AT, **FIELDS, **own))
    case.refused("w-1 is booked already", "nothing was booked again")


@asked
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": D(0)}, "above 0"),
        ({"amount": D("-1")}, "above 0"),
        ({"amount": D("0.001")}, "more decimals"),
        ({"amount": D("NaN")}, "finite"),
        ({"amount": 120.5}, "float"),
        ({"amount": D("1e20")}, "larger than the books"),
        ({"currency": "dollars"}, "ISO 4217"),
        ({"reason": "  "}, "say why"),
    ],
)
def test_what_could_not_be_posted_is_refused(
    given: Any, command: type, decide: Any, own: dict[str, Any],
    change: dict[str, Any], words: str,
) -> None:  # fmt: skip
    given(CapitalEntry(STREAM)).when(decide, command(at=AT, **(FIELDS | own | change))).refused(
        words
    )


@pytest.mark.parametrize(
    ("withheld", "words"),
    [("120.51", "withheld must be between"), ("-0.01", "withheld must be between"),
     ("0.001", "more decimals")],
)  # fmt: skip
def test_the_tax_withheld_is_part_of_the_dividend(given: Any, withheld: str, words: str) -> None:
    command = capital.RecordDividend(at=AT, **FIELDS, symbol="SPY", withheld=D(withheld))
    given(CapitalEntry(STREAM)).when(CapitalEntry.dividend, command).refused(words)


def test_a_dividend_may_be_withheld_whole(given: Any) -> None:
    command = capital.RecordDividend(at=AT, **FIELDS, symbol="SPY", withheld=D("120.50"))
    assert given(CapitalEntry(STREAM)).when(CapitalEntry.dividend, command).event.withheld == D(
        "120.50"
    )


def test_an_earmark_moves_between_two_purses(given: Any) -> None:
    command = capital.Earmark(at=AT, **FIELDS, purse_from="float", purse_to="float")
    given(CapitalEntry(STREAM)).when(CapitalEntry.earmark, command).refused("purses are the same")


# What was set aside stays set aside


@pytest.mark.parametrize("purse_from", ["tax_reserve", "payroll_reserve"])
@pytest.mark.parametrize("purse_to", ["float", "reinvestment_pool", "payroll_reserve"])
def test_no_earmark_takes_money_out_of_a_reserve(
    given: Any, purse_from: str, purse_to: str
) -> None:
    command = capital.Earmark(at=AT, **FIELDS, purse_from=purse_from, purse_to=purse_to)  # type: ignore[arg-type]
    case = given(CapitalEntry(STREAM)).when(CapitalEntry.earmark, command)
    if purse_from == purse_to:
        case.refused("purses are the same")
    else:
        case.refused("stays there until it is paid out for what it is kept for, or released")


def test_the_reinvestment_pool_is_no_reserve(given: Any) -> None:
    command = capital.Earmark(
        at=AT, **FIELDS, purse_from="reinvestment_pool", purse_to="float"
    )  # what a purchase did not need
    assert given(CapitalEntry(STREAM)).when(CapitalEntry.earmark, command).event


@pytest.mark.parametrize(
    ("purse", "purpose", "words"),
    [
        ("tax_reserve", "draw", "the tax reserve pays income tax only"),
        ("tax_reserve", "payroll", "the tax reserve pays income tax only"),
        ("payroll_reserve", "draw", "the payroll reserve pays payroll only"),
        ("payroll_reserve", "income_tax", "the payroll reserve pays payroll only"),
    ],
)
def test_a_reserve_pays_what_it_is_kept_for_and_nothing_else(
    given: Any, purse: Any, purpose: Any, words: str
) -> None:
    command = capital.RecordWithdrawal(at=AT, **FIELDS, purse=purse, purpose=purpose)
    given(CapitalEntry(STREAM)).when(CapitalEntry.withdraw, command).refused(words)


@pytest.mark.parametrize("purpose", ["draw", "payroll", "income_tax"])
def test_the_float_pays_anything(given: Any, purpose: Any) -> None:
    command = capital.RecordWithdrawal(at=AT, **FIELDS, purse="float", purpose=purpose)
    assert given(CapitalEntry(STREAM)).when(CapitalEntry.withdraw, command).event


@pytest.mark.parametrize(
    "typed", ["", "RELEASE", "RELEASE 120.5 USD", "release 120.50 usd", "RELEASE 1205.00 USD"]
)
def test_a_release_is_confirmed_with_its_own_amount(given: Any, typed: str) -> None:
    command = capital.ReleaseReserve(at=AT, **FIELDS, purse_from="tax_reserve", confirmed=typed)
    case = given(CapitalEntry(STREAM)).when(CapitalEntry.release, command)
    case.refused("RELEASE 120.50 USD", "Nothing was released")


def test_a_payout_is_confirmed_with_its_own_amount(given: Any) -> None:
    kept = {"purse": "payroll_reserve", "purpose": "payroll", "confirmed": "PAY 12.05 USD"}
    case = given(CapitalEntry(STREAM)).when(
        CapitalEntry.withdraw, capital.RecordWithdrawal(at=AT, **FIELDS, **kept)
    )
    case.refused("PAY 120.50 USD", "Nothing was paid out")


@pytest.mark.parametrize("purse", ["float", "reinvestment_pool"])
def test_only_a_reserve_is_released(given: Any, purse: Any) -> None:
    command = capital.ReleaseReserve(
        at=AT, **FIELDS, purse_from=purse, confirmed="RELEASE 120.50 USD"
    )
    given(CapitalEntry(STREAM)).when(CapitalEntry.release, command).refused("only a reserve")


def test_amounts_follow_the_currency_s_decimals(given: Any) -> None:
    yen = capital.RecordDeposit(at=AT, **(FIELDS | {"currency": "JPY"}))
    given(CapitalEntry(STREAM)).when(CapitalEntry.deposit, yen).refused("more decimals")
    whole = msgspec.structs.replace(yen, amount=D(120))
    assert given(CapitalEntry(STREAM)).when(CapitalEntry.deposit, whole).event.amount == D(120)
