"""Delta of a put against two oracles of our own: the closed form, and a binomial tree."""

import math
from decimal import Decimal

import pytest

from strategies.greeks import american_put, put_delta

D = Decimal
CLOSE = 0.001  # of a delta: the grid's error, and that of 400 steps


def normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def closed_form(s: float, k: float, days: int, r: float, v: float) -> tuple[float, float]:
    """Price and delta of a European put (Black and Scholes 1973)."""
    t = days / 365
    d1 = (math.log(s / k) + (r + v * v / 2) * t) / (v * math.sqrt(t))
    d2 = d1 - v * math.sqrt(t)
    return k * math.exp(-r * t) * normal(-d2) - s * normal(-d1), -normal(-d1)


def tree(
    s: float, k: float, days: int, r: float, v: float, steps: int = 400
) -> tuple[float, float]:
    """Price and delta of an American put (Cox, Ross and Rubinstein 1979)."""
    dt = days / 365 / steps
    up = math.exp(v * math.sqrt(dt))
    p, discount = (math.exp(r * dt) - 1 / up) / (up - 1 / up), math.exp(-r * dt)
    worth, delta = [max(k - s * up ** (2 * j - steps), 0.0) for j in range(steps + 1)], 0.0
    for i in reversed(range(steps)):
        worth = [
            max(discount * (p * worth[j + 1] + (1 - p) * worth[j]), k - s * up ** (2 * j - i))
            for j in range(i + 1)
        ]
        if i == 1:
            delta = (worth[1] - worth[0]) / (s * up - s / up)
    return worth[0], delta


def asked(s: float, k: float, days: int, r: float, price: float) -> Decimal | None:
    return put_delta(
        underlying=D(repr(s)), strike=D(repr(k)), days=days, rate=D(repr(r)),
        mid=D(f"{price:.4f}"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("s", "k", "days", "v"),
    [(100.0, 100.0, 30, 0.3), (100.0, 95.0, 14, 0.25), (450.0, 455.0, 45, 0.15), (10.0, 9.5, 7, 1)],
)
def test_without_a_rate_a_put_is_worth_what_the_closed_form_says(
    s: float, k: float, days: int, v: float
) -> None:
    """Nothing is gained by exercising early then, so both kinds are one."""
    price, delta = closed_form(s, k, days, 0.0, v)
    assert american_put(s, k, days, 0.0, v) == pytest.approx((price, delta), abs=2e-4 * s)
    found = asked(s, k, days, 0.0, price)
    assert found is not None
    assert float(found) == pytest.approx(-delta, abs=CLOSE)


@pytest.mark.parametrize(
    ("s", "k", "days", "r", "v"),
    [
        (100.0, 100.0, 45, 0.04, 0.2), (100.0, 110.0, 45, 0.04, 0.3), (100.0, 105.0, 7, 0.04, 0.5),
        (450.0, 455.0, 30, 0.08, 0.15), (25.0, 22.5, 20, 0.04, 0.8),
    ],
)  # fmt: skip
def test_with_a_rate_it_is_worth_what_the_tree_says(
    s: float, k: float, days: int, r: float, v: float
) -> None:
    price, delta = tree(s, k, days, r, v)
    found = asked(s, k, days, r, price)
    assert found is not None
    assert float(found) == pytest.approx(-delta, abs=CLOSE)


def test_what_is_worth_more_when_exercised_is_told_by_the_tree_alone() -> None:
    """Deep in the money the closed form is wrong: this tells that the American one is meant."""
    price, delta = tree(450.0, 455.0, 30, 0.08, 0.15)
    european = closed_form(450.0, 455.0, 30, 0.08, 0.15)
    assert abs(european[1] - delta) > 0.02
    assert american_put(450.0, 455.0, 30, 0.08, 0.15) == pytest.approx((price, delta), abs=0.01)


@pytest.mark.parametrize(
    ("mid", "days"),
    [
        ("5", 30),  # what exercising pays at once: no time is in that price
        ("4.99", 30), ("0", 30), ("-1", 30),
        ("105", 30),  # more than the strike: no volatility explains it
        ("6", 0), ("6", -3),
    ],
)  # fmt: skip
def test_a_price_that_nothing_explains_has_no_delta(mid: str, days: int) -> None:
    found = put_delta(underlying=D(100), strike=D(105), days=days, rate=D("0.04"), mid=D(mid))
    assert found is None


@pytest.mark.parametrize("days", [7, 45])
@pytest.mark.parametrize("strike", [95, 100, 105])
def test_the_rate_that_is_assumed_matters_little(days: int, strike: int) -> None:
    """Decision 0037: at any rate of 0 to 8 % the delta differs by 0.03 at most from that at 4 %."""
    price, _ = tree(100.0, strike, days, 0.04, 0.25, 100)
    at_four = asked(100.0, strike, days, 0.04, price)
    for rate in (0.0, 0.02, 0.06, 0.08):
        found = asked(100.0, strike, days, rate, price)
        assert found is not None
        assert at_four is not None
        assert abs(found - at_four) <= D("0.03")
