"""Money, Quantity and Price: exact integers underneath, never a float.

Money counts minor units of an ISO 4217 currency, Quantity counts 1e-9 units, Price counts 1e-6
major units. Multiplying happens here in Python integers; SQL only adds (architecture, rule 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from typing import Self

from aggregates.errors import CurrencyMismatch, DomainError, InexactNumber

QUANTITY_SCALE = 1_000_000_000  # 9 decimals: what brokers allow for fractional shares
PRICE_SCALE = 1_000_000  # up to 6 decimals

# ISO 4217 exponents that are not two (source: ISO 4217 list one).
_EXPONENTS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
# Wider than any product of a quantity, a price and a multiplier; refuses instead of rounding.
_WIDE = Context(prec=60, Emax=40, Emin=-40, traps=[Inexact, InvalidOperation])
_DIGITS = {10**digits: digits for digits in range(10)}
_LARGEST = 2**63 - 1  # what a column of the store's views holds


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD."""
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise DomainError(f"{currency!r} is not an ISO 4217 code; use three capitals such as USD.")
    return _EXPONENTS.get(currency, 2)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Integer quotient rounded half to even; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def exact_decimal(value: Decimal | int | str) -> Decimal:
    """A finite Decimal from text, int or Decimal: at most 60 digits, below 1e30.

    Floats and NaN raise InexactNumber; nothing is rounded and nothing is guessed.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InexactNumber(f"{value!r} is a {type(value).__name__}; give text, int or Decimal.")
    try:
        number = _WIDE.create_decimal(value)
    except InvalidOperation:
        raise InexactNumber(f"{value!r} is not a number.") from None
    except Inexact:  # too large is inexact too
        raise InexactNumber(f"{value!r:.40} has more digits than can be kept exactly.") from None
    if not number.is_finite():
        raise InexactNumber(f"{value!r} is not a finite number.")
    if number and number.adjusted() >= 30:
        raise InexactNumber(f"{value!r:.40} is larger than the books can hold.")
    return number


def to_scaled(value: Decimal | int | str, scale: int, what: str) -> int:
    """``value × scale`` (a power of ten) as a 64-bit int. Raises InexactNumber, never rounds."""
    if type(value) is Decimal:  # the common case, quickly; whatever is odd goes the long way
        try:
            quick = value.scaleb(_DIGITS[scale], _WIDE)
            if quick == (found := int(quick)) and -_LARGEST <= found <= _LARGEST:
                return found
        except (ArithmeticError, ValueError):
            pass
    scaled = exact_decimal(value).scaleb(_DIGITS[scale], _WIDE)
    if scaled != (whole := int(scaled)):
        raise InexactNumber(f"{what} {value} has more decimals than 1/{scale:,} holds.")
    if abs(whole) > _LARGEST:
        raise InexactNumber(f"{what} {value} is larger than the books can hold.")
    return whole


def from_scaled(units: int, scale: int) -> Decimal:
    """The Decimal of ``units / scale`` with fixed decimals (scale is a power of ten)."""
    return Decimal(units).scaleb(-(len(str(scale)) - 1), _WIDE)


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent: 100, never 1E+2."""
    return Decimal(format(value.normalize(_WIDE), "f"))


def minor_units(amount: Decimal, currency_exponent: int) -> int:
    """A broker's exact amount rounded once, half to even, to minor units."""
    return int(amount.scaleb(currency_exponent, _WIDE).to_integral_value(ROUND_HALF_EVEN))


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """Units of an instrument; ``units`` counts 1e-9."""

    units: int

    @classmethod
    def of(cls, value: Decimal | int | str) -> Self:
        return cls(to_scaled(value, QUANTITY_SCALE, "quantity"))

    @property
    def decimal(self) -> Decimal:
        return from_scaled(self.units, QUANTITY_SCALE)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.units + other.units)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.units - other.units)

    def __neg__(self) -> Quantity:
        return Quantity(-self.units)

    def __str__(self) -> str:
        return str(plain(self.decimal))


@dataclass(frozen=True, slots=True, order=True)
class Price:
    """Major units of a currency per unit of an instrument; ``units`` counts 1e-6."""

    units: int
    currency: str

    @classmethod
    def of(cls, value: Decimal | int | str, currency: str) -> Self:
        exponent(currency)
        return cls(to_scaled(value, PRICE_SCALE, "price"), currency)

    @property
    def decimal(self) -> Decimal:
        return from_scaled(self.units, PRICE_SCALE)

    def times(self, quantity: Quantity, multiplier: int = 1) -> Money:
        """Price × quantity × multiplier, rounded once, half to even, to the minor unit."""
        scale = 10 ** exponent(self.currency)
        product = self.units * quantity.units * multiplier * scale
        return Money(divide_half_even(product, PRICE_SCALE * QUANTITY_SCALE), self.currency)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency. Mixing currencies raises CurrencyMismatch."""

    minor: int
    currency: str

    @classmethod
    def of(cls, value: Decimal | int | str, currency: str) -> Self:
        """Exactly ``value``; more decimals than the currency has are refused (see ``rounded``)."""
        return cls(to_scaled(value, 10 ** exponent(currency), currency), currency)

    @classmethod
    def rounded(cls, value: Decimal | int | str, currency: str) -> Self:
        """``value`` rounded once, half to even, to the currency's minor unit."""
        return cls(minor_units(exact_decimal(value), exponent(currency)), currency)

    @property
    def decimal(self) -> Decimal:
        return from_scaled(self.minor, 10 ** exponent(self.currency))

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(
                f"{self.currency} and {other.currency} cannot meet in one sum; convert first."
            )

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def share(self, part: Fraction) -> Money:
        """This amount × an exact fraction, rounded half to even."""
        return Money(divide_half_even(self.minor * part.numerator, part.denominator), self.currency)

    def split(self, weights: Sequence[Fraction | int]) -> list[Money]:
        """Shares by weight. Cumulative rounding: no share has the wrong sign, no cent is lost."""
        total = sum((Fraction(w) for w in weights), Fraction(0))
        if not weights or total <= 0 or any(w < 0 for w in weights):
            raise DomainError("A split needs weights that are not negative and add up to above 0.")
        shares: list[Money] = []
        running, taken = Fraction(0), Money(0, self.currency)
        for weight in weights:
            running += Fraction(weight)
            shares.append(self.share(running / total) - taken)
            taken = taken + shares[-1]
        return shares

    def __str__(self) -> str:
        return f"{self.decimal:,f} {self.currency}"
