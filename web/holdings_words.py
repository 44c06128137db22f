"""How percentages read, and the drawings of them: made here as SVG, so that they print."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import NamedTuple

from flask import Blueprint
from markupsafe import Markup

from aggregates.plan_values import PlanChange

FIELDS = {
    "float_target": "Float target",
    "tax_reserve": "Tax reserve",
    "tax_vehicle": "Tax reserve held in",
    "payroll": "Payroll",
    "rebalance_months": "Months between rebalances",
    "auto_rebalance": "Rebalance by itself",
    "sweep": "Sweep excess cash",
    "drift_band": "Tolerance band",
}
SHARES, DRIFT = 100, 50  # units of the drawings: a full bar, and half a strip
LEAST_DRIFT = Decimal(2)  # percentage points that half a strip stands for, at least


class Bar(NamedTuple):
    """One security in the drawings; lengths in their units, None where no price is known.

    The strip's middle is the target; ``band`` is half of what is not flagged.
    """

    symbol: str
    actual: str | None
    target: str | None
    drift: str | None
    below: bool
    beyond: bool
    band: str

    @property
    def drift_from(self) -> str:
        """Where the strip's bar begins: to the left of the middle when there is too little."""
        return _units(DRIFT - Fraction(self.drift or 0)) if self.below else str(DRIFT)

    @property
    def band_from(self) -> str:
        return _units(DRIFT - Fraction(self.band))

    @property
    def band_width(self) -> str:
        return _units(2 * Fraction(self.band))


def percent(share: Fraction | Decimal | None) -> str:
    """A share of 1 in percent with two decimals, half to even; empty when it is not known."""
    if share is None:
        return ""
    exact = Fraction(share) * 100
    return f"{_rounded(exact):.2f} %"


def points(value: Decimal | None) -> Markup:
    """Percentage points with their sign, so that more and less are told apart without colour."""
    if value is None:
        return Markup('<span class="none">unknown</span>')
    rounded = _rounded(Fraction(value))
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return Markup('<span class="points">{}{}</span>').format(sign, f"{abs(rounded):.2f}")


def bare_percent(value: Decimal) -> str:
    """A percentage as people write it, without its sign: 10, 12.5."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_percent(value: Decimal) -> str:
    """10 %, 12.5 %."""
    return f"{bare_percent(value)} %"


def round_points(value: Decimal) -> str:
    """1 point, 2.5 points: of the long-term part."""
    return f"{bare_percent(value)} point{'' if value == 1 else 's'}"


def two_places(value: Decimal | None) -> str:
    """A percentage with two decimals, half to even; empty when it is not known."""
    return "" if value is None else f"{_rounded(Fraction(value)):.2f}"


def field_name(change: PlanChange) -> str:
    """What changed, in words; a security is told by its symbol."""
    return FIELDS.get(change.field, change.field)


def bars(lines: Iterable[tuple[str, Fraction | None, Fraction | None]], band: Decimal) -> list[Bar]:
    """``lines``: symbol, target and actual share. One scale for all bars, one for all strips."""
    known = list(lines)
    top = max([Fraction(1, 100), *(s for _, *both in known for s in both if s is not None)])
    drifts = {symbol: _drift(target, actual) for symbol, target, actual in known}
    off = [abs(drift) for drift in drifts.values() if drift is not None]
    widest = max([Fraction(LEAST_DRIFT), Fraction(band) * 2, *off])
    half = Fraction(DRIFT) / widest

    def bar(symbol: str, target: Fraction | None, actual: Fraction | None) -> Bar:
        drift = drifts[symbol]
        return Bar(
            symbol,
            None if actual is None else _units(actual / top * SHARES),
            None if target is None else _units(target / top * SHARES),
            None if drift is None else _units(abs(drift) * half),
            drift is not None and drift < 0,
            drift is not None and abs(drift) > band,
            _units(Fraction(band) * half),
        )

    return [bar(*line) for line in known]


def _drift(target: Fraction | None, actual: Fraction | None) -> Fraction | None:
    """Percentage points above the target, exact."""
    return None if target is None or actual is None else (actual - target) * 100


def _units(exact: Fraction) -> str:
    return f"{float(exact):.2f}"


def _rounded(exact: Fraction) -> Decimal:
    hundredths = round(exact * 100)  # half to even
    return (Decimal(hundredths) / 100).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


FILTERS = (
    percent, points, bare_percent, round_percent, round_points, two_places, field_name,
)  # fmt: skip


def add_words(pages: Blueprint) -> None:
    for each in FILTERS:
        pages.add_app_template_filter(each)
