"""The choice of a bearish instrument, derived again from what was recorded with the decision.

What the broker's chain said is not recorded contract by contract, only how many were rejected for
what. Derived are the figures of the chosen one, and that it is within the limits of the settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction

from aggregates.occ import occ_terms
from strategies.bearish import DELTA_BY_QUOTE, RATE, days_to, etf_stop, shown, spread_share
from strategies.derived import Compared, Day, Inputs


def compared_instrument(inputs: Inputs, day: Day) -> Iterator[Compared]:
    """Of a decision with an instrument: ``inputs`` are all of its inputs, ``day`` its session's
    settings and hours. Nothing where no instrument was found."""
    if "instrument" in inputs.texts:
        put = inputs.text("instrument_kind") == "option"
        yield "price of the instrument", inputs.number("price"), inputs.number("instrument_ask")
        underlying = inputs.number("instrument_underlying_price")
        yield "price of the underlying", inputs.number("close"), underlying
        stop = inputs.number("instrument_underlying_stop")
        yield "stop of the underlying", inputs.number("initial_stop"), stop
        yield from _put(inputs, day) if put else _etf(inputs)


def _etf(i: Inputs) -> Iterator[Compared]:
    price, stop = i.number("instrument_underlying_price"), i.number("instrument_underlying_stop")
    worth = etf_stop(i.number("instrument_ask"), i.number("instrument_leverage"), price, stop)
    yield "instrument", i.text("instrument"), i.text("instrument_etf")
    yield "stop above the price", True, stop > price
    yield "instrument_stop", i.number("instrument_stop"), worth
    yield "stop", i.number("stop"), worth


def _put(i: Inputs, day: Day) -> Iterator[Compared]:
    s = day.settings
    expiry, terms = date.fromisoformat(i.text("instrument_expiry")), occ_terms(i.text("instrument"))
    days = days_to(expiry, day.hours.day)
    bid, ask = i.number("instrument_bid"), i.number("instrument_ask")
    spread, delta = spread_share(bid, ask), i.number("instrument_delta")
    yield "stop", i.number("stop"), Decimal(0)
    strike = i.number("instrument_strike")
    yield "terms of the contract", terms[1:] if terms else None, (expiry, "put", strike)
    yield "instrument_days", int(i.text("instrument_days")), days
    yield "days to expiry", True, s.PUT_MIN_EXPIRY_DAYS <= days <= s.PUT_MAX_EXPIRY_DAYS
    yield "instrument_spread", i.text("instrument_spread"), shown(spread)
    yield "spread", True, spread <= Fraction(s.PUT_MAX_SPREAD_PCT)
    yield (
        "open interest",
        True,
        int(i.text("instrument_open_interest")) >= s.PUT_MIN_OPEN_INTEREST,
    )
    if i.text("instrument_delta_from") == DELTA_BY_QUOTE:
        yield "instrument_rate", i.number("instrument_rate"), RATE
        yield "instrument_delta", delta, _computed(i, bid, ask, days)
    yield "delta", True, s.PUT_MIN_DELTA <= delta <= s.PUT_MAX_DELTA


def _computed(i: Inputs, bid: Decimal, ask: Decimal, days: int) -> Decimal | None:
    from strategies.greeks import put_delta  # a large library, seldom needed

    return put_delta(
        underlying=i.number("instrument_underlying_price"),
        strike=i.number("instrument_strike"),
        days=days,
        rate=RATE,
        mid=(bid + ask) / 2,
    )
