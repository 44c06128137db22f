"""Delta of an American put from its market price, by QuantLib.

Floats live inside this module only: what goes in and comes out is exact, and no amount of money
follows from a delta. Time and rate are given by the caller. No dividend is assumed: one that is
paid before expiry makes the true delta a little larger.
"""

from __future__ import annotations

from decimal import Decimal

import QuantLib as ql  # noqa: N813 - the name under which everybody knows it

PLACES = Decimal("0.0001")  # of a delta; the grid's own error is below it
_TIME_STEPS, _PRICE_STEPS = 200, 200
_LOWEST, _HIGHEST = 0.01, 5.0  # implied volatilities a year that are looked for
_ACCURACY, _TRIES = 1e-6, 200
_TODAY = ql.Date(1, 1, 2020)  # only differences of days count


def put_delta(
    *, underlying: Decimal, strike: Decimal, days: int, rate: Decimal, mid: Decimal
) -> Decimal | None:
    """Delta without its sign, 0 to 1, with four decimals; None when no volatility explains ``mid``.

    ``days`` to expiry count as days of 365 in a year, ``rate`` is the yearly one, continuously
    compounded. A price at or below what exercising pays at once has no volatility.
    """
    if days < 1 or mid <= max(strike - underlying, Decimal(0)):
        return None
    volatility = _implied(float(underlying), float(strike), days, float(rate), float(mid))
    if volatility is None:
        return None
    delta = american_put(float(underlying), float(strike), days, float(rate), volatility)[1]
    exact = Decimal(repr(-delta)).quantize(PLACES)
    return min(max(exact, Decimal(0)), Decimal(1))


def american_put(
    underlying: float, strike: float, days: int, rate: float, volatility: float
) -> tuple[float, float]:
    """Price and delta (below 0) under Black and Scholes, by finite differences."""
    option, process = _option(underlying, strike, days, rate, volatility)
    option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, _TIME_STEPS, _PRICE_STEPS))
    return option.NPV(), option.delta()


def _implied(
    underlying: float, strike: float, days: int, rate: float, price: float
) -> float | None:
    option, process = _option(underlying, strike, days, rate, 0.2)
    try:
        found: float = option.impliedVolatility(
            price, process, _ACCURACY, _TRIES, _LOWEST, _HIGHEST
        )
    except RuntimeError:  # QuantLib's word for: no volatility in these bounds gives that price
        return None
    return found


def _option(underlying: float, strike: float, days: int, rate: float, volatility: float):  # type: ignore[no-untyped-def]
    """A put that may be exercised from today until in ``days``, and the process of its price."""
    ql.Settings.instance().evaluationDate = _TODAY
    counter, calendar = ql.Actual365Fixed(), ql.NullCalendar()
    process = ql.BlackScholesProcess(
        ql.QuoteHandle(ql.SimpleQuote(underlying)),
        ql.YieldTermStructureHandle(ql.FlatForward(_TODAY, rate, counter)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(_TODAY, calendar, volatility, counter)),
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Put, strike)
    return ql.VanillaOption(payoff, ql.AmericanExercise(_TODAY, _TODAY + days)), process
