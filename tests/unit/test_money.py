"""Money, Quantity and Price: what goes in, what is refused, what comes out."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest

from aggregates.errors import CurrencyMismatch, DomainError, InexactNumber
from aggregates.money import Money, Price, Quantity, divide_half_even, exponent, minor_units

# Each constructor that stands between the outside world and the books.
DOORS = {
    "Money.of": lambda v: Money.of(v, "USD"),
    "Money.rounded": lambda v: Money.rounded(v, "USD"),
    "Quantity.of": Quantity.of,
    "Price.of": lambda v: Price.of(v, "USD"),
}
door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())


@door
@pytest.mark.parametrize(
    "value",
    [0.0, 1.0, 0.1, float("nan"), numpy.float64(1), numpy.float32(1), numpy.int64(1),
     True, False, None, b"1", Fraction(1, 2), 1j, [1]],
    ids=repr,
)  # fmt: skip
def test_only_text_integers_and_decimals_come_in(door: Any, value: Any) -> None:
    with pytest.raises(InexactNumber):
        door(value)


@door
@pytest.mark.parametrize(
    "value",
    ["NaN", "sNaN", "Infinity", "-Infinity", "inf", Decimal("NaN"), Decimal("sNaN"), Decimal("Inf"),
     "", " ", "1,000", "1.000,00", "$1", "1_000", " 1", "1 ", "0x10", "1/2", "one", "--1", "1e"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_finite_plain_number_is_refused(door: Any, value: Any) -> None:
    with pytest.raises(InexactNumber):
        door(value)


@door
@pytest.mark.parametrize(
    "value", ["1" + "0" * 70, "1e30", "-1e30", "1e999999999", "1e-999999999", "1." + "0" * 70 + "1"]
)
def test_a_number_that_cannot_be_kept_exactly_is_refused_at_once(door: Any, value: str) -> None:
    """Neither rounded on the way in, nor a machine busy with a number of a billion digits."""
    with pytest.raises(InexactNumber, match=r"exactly|larger"):
        door(value)


@pytest.mark.parametrize(
    ("value", "minor"),
    [("1", 100), (1, 100), (Decimal("1.0"), 100), ("0.10", 10), ("-0.01", -1), ("+2.5", 250),
     ("1e3", 100_000), ("1E-2", 1), ("0.010000", 1), ("-0", 0), (".5", 50), ("0e5", 0)],
    ids=repr,
)  # fmt: skip
def test_every_exact_way_to_write_an_amount_is_that_amount(value: Any, minor: int) -> None:
    """An exponent is exact: 1e3 is one thousand, and nothing else."""
    assert Money.of(value, "USD") == Money(minor, "USD")
    assert Money.rounded(value, "USD") == Money(minor, "USD")


@pytest.mark.parametrize(
    ("currency", "decimals", "text"),
    [("JPY", 0, "1,234 JPY"), ("USD", 2, "1,234.00 USD"), ("KWD", 3, "1,234.000 KWD"),
     ("CLF", 4, "1,234.0000 CLF")],
)  # fmt: skip
def test_the_minor_unit_is_the_currency_s_own(currency: str, decimals: int, text: str) -> None:
    assert exponent(currency) == decimals
    amount = Money.of("1234", currency)
    assert amount.minor == 1234 * 10**decimals
    assert str(amount) == text
    assert amount.decimal == 1234
    smallest = Decimal(1).scaleb(-decimals)
    assert Money.of(smallest, currency).minor == 1
    with pytest.raises(InexactNumber, match="more decimals"):
        Money.of(smallest / 10, currency)
    assert Price.of("2.5", currency).times(Quantity.of("0.4")).decimal == 1


@pytest.mark.parametrize("currency", ["usd", "US", "USDX", "", "U5D", "ÜSD", "US ", "$"])
def test_a_currency_is_an_iso_4217_code(currency: str) -> None:
    for make in (Money.of, Price.of, Money.rounded):
        with pytest.raises(DomainError, match="ISO 4217"):
            make("1", currency)


@pytest.mark.parametrize(
    ("make", "finest", "too_fine"),
    [(Quantity.of, "0.000000001", "0.0000000001"), (DOORS["Price.of"], "0.000001", "0.0000001"),
     (DOORS["Money.of"], "0.01", "0.001")],
)  # fmt: skip
def test_decimals_beyond_the_scale_are_refused_not_cut(
    make: Any, finest: str, too_fine: str
) -> None:
    assert make(finest).decimal == Decimal(finest)
    assert getattr(make(finest), "units", 1) == 1
    with pytest.raises(InexactNumber, match="more decimals"):
        make(too_fine)
    with pytest.raises(InexactNumber, match="more decimals"):
        make(Decimal(finest) + Decimal(too_fine))


def test_amounts_end_where_a_column_of_the_books_ends() -> None:
    """Integers in SQLite have 64 bits; a larger amount would stop the ledger for good."""
    assert Money.of("92233720368547758.07", "USD").minor == 2**63 - 1
    assert Money.of("-92233720368547758.07", "USD").minor == 1 - 2**63
    for large in ("92233720368547758.08", "-92233720368547758.08"):
        with pytest.raises(InexactNumber, match="larger"):
            Money.of(large, "USD")
    with pytest.raises(InexactNumber, match="larger"):
        Quantity.of("10000000000")


@pytest.mark.parametrize(
    ("text", "minor"),
    [("0.005", 0), ("0.015", 2), ("0.025", 2), ("0.0250000001", 3), ("-0.005", 0), ("-0.015", -2),
     ("-0.025", -2), ("1.125", 112), ("1.135", 114), ("0.0049999", 0)],
)  # fmt: skip
def test_rounding_is_half_to_even(text: str, minor: int) -> None:
    assert Money.rounded(text, "USD").minor == minor
    assert minor_units(Decimal(text), 2) == minor


def test_rounding_to_other_minor_units() -> None:
    assert Money.rounded("2.5", "JPY").minor == 2
    assert Money.rounded("3.5", "JPY").minor == 4
    assert Money.rounded("0.0005", "KWD").minor == 0
    assert Money.rounded("0.0015", "KWD").minor == 2


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1), (-1, 3, 0), (-2, 3, -1),
     (0, 7, 0), (10**40 + 5 * 10**19, 10**20, 10**20)],
)  # fmt: skip
def test_integer_division_half_to_even(numerator: int, denominator: int, quotient: int) -> None:
    assert divide_half_even(numerator, denominator) == quotient


def test_two_currencies_never_meet() -> None:
    dollars, euros = Money.of(1, "USD"), Money.of(1, "EUR")
    for meet in (
        lambda: dollars + euros,
        lambda: dollars - euros,
        lambda: dollars < euros,
        lambda: dollars <= euros,
        lambda: dollars > euros,
        lambda: dollars >= euros,
    ):
        with pytest.raises(CurrencyMismatch, match="cannot meet in one sum"):
            meet()
    assert dollars != euros
    assert dollars < Money.of(2, "USD")
    assert Money.of(1, "USD") <= dollars


def test_money_meets_no_plain_number_and_does_not_change() -> None:
    one: Any = Money.of(1, "USD")
    for wrong in (lambda: one + 1, lambda: one * 2.0, lambda: one + Decimal(1), lambda: sum([one])):
        with pytest.raises((TypeError, AttributeError)):
            wrong()
    with pytest.raises(AttributeError):
        one.minor = 2


def test_price_times_quantity_rounds_once() -> None:
    """0.3333 × 100 = 33.33 exactly; 33.333 shares at 1.005 is 33.499665, rounded once to 33.50."""
    assert Price.of("0.3333", "USD").times(Quantity.of(100)) == Money(3333, "USD")
    assert Price.of("1.005", "USD").times(Quantity.of("33.333")) == Money(3350, "USD")
    assert Price.of("0.005", "USD").times(Quantity.of(1)) == Money(0, "USD")
    assert Price.of("0.015", "USD").times(Quantity.of(1)) == Money(2, "USD")


def test_an_option_counts_its_multiplier() -> None:
    assert Price.of("1.25", "USD").times(Quantity.of(3), 100) == Money.of(375, "USD")


def test_quantities_add_up_and_print_plainly() -> None:
    tenth = Quantity.of("0.1")
    assert str(tenth + tenth + tenth) == "0.3"
    assert (tenth - Quantity.of("0.3")).decimal == Decimal("-0.2")
    assert str(-tenth) == "-0.1"
    assert str(Quantity.of("1000000")) == "1000000"
    assert str(Quantity(0)) == "0"
    assert Quantity.of("0.000000001") < tenth


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [Fraction(-1, 3), 1]])
def test_a_split_needs_weights_that_mean_something(weights: list[Any]) -> None:
    with pytest.raises(DomainError, match="weights"):
        Money.of(1, "USD").split(weights)


def test_shares_follow_the_running_total_and_add_up() -> None:
    third = Money.of("100", "USD").split([1, 1, 1])
    assert [m.minor for m in third] == [3333, 3334, 3333]
    assert [m.minor for m in Money(1, "USD").split([1, 1, 1])] == [0, 1, 0]
    assert [m.minor for m in Money(-100, "USD").split([1, 2])] == [-33, -67]
    assert [m.minor for m in Money(7, "USD").split([0, 1, 0])] == [0, 7, 0]
