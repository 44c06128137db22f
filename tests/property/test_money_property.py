"""Money under any numbers: Decimal's own rounding is the oracle, and no cent is lost or made."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.errors import CurrencyMismatch, InexactNumber
from aggregates.money import Money, Price, Quantity, divide_half_even, exponent, from_scaled
from projections.cost_pools import Movement, Pool

CURRENCIES = st.sampled_from(["JPY", "USD", "EUR", "KWD", "CLF"])  # exponents 0, 2, 2, 3, 4
MINOR = st.integers(-(10**15), 10**15)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)
WEIGHTS = st.lists(
    st.one_of(st.integers(0, 10**6), st.fractions(0, 10**3, max_denominator=10**6)),
    min_size=1, max_size=12,
).filter(any)  # fmt: skip
EXACT = Context(prec=80)


@given(st.one_of(st.floats(), st.booleans(), st.complex_numbers()), CURRENCIES)
def test_no_float_gets_in(value: object, currency: str) -> None:
    for make in (Money.of, Money.rounded, Price.of):
        with pytest.raises(InexactNumber):
            make(value, currency)  # type: ignore[arg-type]
    with pytest.raises(InexactNumber):
        Quantity.of(value)  # type: ignore[arg-type]


@given(DECIMALS, CURRENCIES)
def test_rounding_is_decimal_s_half_even(value: Decimal, currency: str) -> None:
    unit = Decimal(1).scaleb(-exponent(currency))
    expected = value.quantize(unit, ROUND_HALF_EVEN, EXACT)
    assert Money.rounded(value, currency).decimal == expected
    if value == expected:
        assert Money.of(value, currency).decimal == value
    else:  # what does not fit is refused, never rounded in silence
        with pytest.raises(InexactNumber):
            Money.of(value, currency)


@given(MINOR, st.integers(0, 10**9), st.integers(1, 10**9), CURRENCIES)
def test_a_share_is_decimal_s_half_even(
    minor: int, numerator: int, denominator: int, currency: str
) -> None:
    exact = Fraction(minor * numerator, denominator)
    assert divide_half_even(minor * numerator, denominator) == round(exact)  # Python: half to even
    assert Money(minor, currency).share(Fraction(numerator, denominator)).minor == round(exact)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**15), st.integers(1, 1000), CURRENCIES)
def test_price_times_quantity_rounds_the_exact_product_once(
    price: int, quantity: int, multiplier: int, currency: str
) -> None:
    exact = Fraction(price, 10**6) * Fraction(quantity, 10**9) * multiplier
    found = Price(price, currency).times(Quantity(quantity), multiplier)
    assert found.minor == round(exact * 10 ** exponent(currency))


@given(MINOR, WEIGHTS, CURRENCIES)
def test_no_cent_is_lost_in_a_split(
    minor: int, weights: list[Fraction | int], currency: str
) -> None:
    whole = Money(minor, currency)
    shares = whole.split(weights)
    assert len(shares) == len(weights)
    assert sum(s.minor for s in shares) == minor
    total = sum(Fraction(w) for w in weights)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share.minor - minor * Fraction(weight) / total) <= 1  # never a cent and more off
        assert share.minor * minor >= 0  # no share against the direction of the whole
        assert weight or not share.minor  # no weight, no money


@given(MINOR, MINOR, CURRENCIES)
def test_adding_and_taking_away_are_exact(a: int, b: int, currency: str) -> None:
    x, y = Money(a, currency), Money(b, currency)
    assert (x + y) - y == x
    assert x + (-x) == Money(0, currency)
    assert (x < y) == (a < b)
    assert (x + y).decimal == EXACT.add(x.decimal, y.decimal)


@given(MINOR, MINOR, st.lists(CURRENCIES, min_size=2, max_size=2, unique=True))
def test_two_currencies_never_meet(a: int, b: int, currencies: list[str]) -> None:
    with pytest.raises(CurrencyMismatch):
        Money(a, currencies[0]) + Money(b, currencies[1])


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([0, 2, 3, 4, 6, 9]))
def test_scaling_there_and_back_changes_nothing(units: int, decimals: int) -> None:
    value = from_scaled(units, 10**decimals)
    assert int(value.scaleb(decimals, EXACT)) == units
    assert -value.as_tuple().exponent == decimals  # type: ignore[operator]
    if decimals == 9:
        assert Quantity.of(value).units == units
        assert Quantity.of(str(Quantity(units))).units == units  # what is printed can be read


BUYS = st.lists(st.tuples(st.integers(1, 10**12), st.integers(0, 10**10)), min_size=1, max_size=6)


@given(BUYS, st.data(), st.sampled_from(["average", "fifo"]))
def test_partial_sales_relieve_the_whole_cost_and_no_more(
    buys: list[tuple[int, int]], data: st.DataObject, method: str
) -> None:
    """However a holding is sold, its parts add up to what was paid; each is near its fair part."""
    pool = Pool(method)
    for n, (units, cost) in enumerate(buys, start=1):
        pool.apply(Movement("2024-01-02", n, "buy", units, cost))
    paid, relieved, n = sum(cost for _, cost in buys), 0, len(buys)
    while pool.units:
        held, cost = pool.units, pool.cost
        sold = data.draw(st.one_of(st.just(held), st.integers(1, held)))
        n += 1
        outcome = pool.apply(Movement("2024-01-03", n, "sell", sold, 0))
        assert outcome.units == -sold
        if method == "average":
            assert -outcome.cost == round(Fraction(cost * sold, held))
        assert outcome.gain_short + outcome.gain_long == outcome.cost  # sold for nothing
        assert sum(c.units for c in outcome.lots) == -sold
        relieved -= outcome.cost
        assert pool.cost >= 0
        assert sum(lot.units for lot in pool.lots) == pool.units
    assert relieved == paid
    assert (pool.units, pool.cost, list(pool.lots)) == (0, 0, [])
