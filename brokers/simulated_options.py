"""The simulated broker's market of puts: invented, and said so, over the bars of the underlying.

Every Friday has puts on a grid of strikes. A put's price is Black and Scholes' at one volatility
and one rate, at least what exercising pays, in whole cents; its spread grows with it; its bars and
quotes are the underlying's, minute by minute. Floats live here alone: the market is made up by
them, and what is dealt in it is exact. The same bars give the same puts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from aggregates.market import Bar, OptionContract, Quote
from aggregates.money import QUANTITY_SCALE, plain
from aggregates.occ import OptionTerms, occ_symbol, occ_terms
from brokers.known_market import KnownMarket

MULTIPLIER = 100
VOLATILITY, RATE = 0.30, 0.04  # a year
FRIDAY = 4
AWAY = Decimal("0.2")  # strikes are listed up to a fifth away from the price
OPEN_INTEREST = 1000  # of the strikes next to the price; less further away
SHARES_A_CONTRACT_TRADED = 100  # a minute trades one contract for so many shares
_STEPS = ((Decimal(25), Decimal("0.5")), (Decimal(200), Decimal(1)))  # strikes below, their step
_WIDE_STEP = Decimal(5)
_SHARE_OF_SPREAD = 100  # half the spread is the hundredth part of the price, at least a cent


class SimulatedOptions:
    """Reads nothing but what ``market`` knows at the moment that is asked about."""

    def __init__(self, market: KnownMarket) -> None:
        self._market = market

    def terms(self, symbol: str) -> OptionTerms | None:
        """The terms of a put that this market has or had, or None."""
        terms = occ_terms(symbol)
        if (
            terms is None
            or terms.root not in self._market.symbols
            or terms.right != "put"
            or terms.expiry.weekday() != FRIDAY
            or terms.strike <= 0
            or terms.strike % _step(terms.strike)
        ):
            return None
        return terms

    def chain(
        self, underlying: str, first: date, last: date, now: datetime
    ) -> Sequence[OptionContract]:
        """By expiry and strike; empty while no price of the underlying is known."""
        bar = self._market.last_bar(underlying, now)
        if bar is None:
            return ()
        return [
            self._contract(OptionTerms(underlying, expiry, "put", strike), bar)
            for expiry in _fridays(max(first, now.date()), last)
            for strike in _strikes(bar.close)
        ]

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Sequence[Bar]:
        terms = self._known(symbol)
        return [_bar(symbol, terms, b) for b in self._market.bars(terms.root, start, end, now)]

    def quote(self, symbol: str, now: datetime) -> Quote | None:
        terms = self._known(symbol)
        bar = self._market.last_bar(terms.root, now)
        return None if bar is None else _quote(symbol, terms, bar)

    def last_bar(self, symbol: str, now: datetime) -> Bar | None:
        terms = self._known(symbol)
        bar = self._market.last_bar(terms.root, now)
        return None if bar is None else _bar(symbol, terms, bar)

    def worth_at_expiry(self, symbol: str) -> Decimal:
        """What exercising one unit pays by the underlying's last price of that day or before it, no
        matter when it is asked: 0 when the put expires for nothing, and where no price is known."""
        terms = self._known(symbol)
        over = datetime.combine(terms.expiry + timedelta(days=1), time(), UTC)
        bar = self._market.last_bar(terms.root, over)
        return max(terms.strike - bar.close, Decimal(0)) if bar else Decimal(0)

    def _known(self, symbol: str) -> OptionTerms:
        terms = self.terms(symbol)
        assert terms is not None, symbol  # noqa: S101 - asked for by whoever checked it
        return terms

    def _contract(self, terms: OptionTerms, bar: Bar) -> OptionContract:
        symbol = occ_symbol(terms.root, terms.expiry, "put", terms.strike)
        quote = _quote(symbol, terms, bar)
        steps_away = int(abs(terms.strike - bar.close) / _step(terms.strike))
        return OptionContract(
            symbol=symbol, underlying=terms.root, right="put", strike=terms.strike,
            expiry=terms.expiry, multiplier=MULTIPLIER, adjusted=False,
            bid=quote.bid if quote else None, ask=quote.ask if quote else None,
            quote_known_at=quote.end if quote else None,
            open_interest=OPEN_INTEREST // (1 + steps_away), delta=_delta(terms, bar),
        )  # fmt: skip


def _fridays(first: date, last: date) -> Iterator[date]:
    day = first + timedelta(days=(FRIDAY - first.weekday()) % 7)
    while day <= last:
        yield day
        day += timedelta(days=7)


def _step(strike: Decimal) -> Decimal:
    return next((step for below, step in _STEPS if strike < below), _WIDE_STEP)


def _strikes(price: Decimal) -> Iterator[Decimal]:
    """Multiples of their step, from a fifth below the price to a fifth above it."""
    finest = _STEPS[0][1]
    strike = max(math.ceil(price * (1 - AWAY) / finest), 1) * finest
    while strike <= price * (1 + AWAY):
        if not strike % _step(strike):
            yield plain(strike)
        strike += finest


# Prices


def _bar(symbol: str, terms: OptionTerms, bar: Bar) -> Bar:
    """A put is dearest when its underlying is cheapest."""
    days = (terms.expiry - bar.start.date()).days
    cents = [
        _cents(terms.strike, price, days) for price in (bar.open, bar.low, bar.high, bar.close)
    ]
    opened, high, low, close = (Decimal(max(c, 1)).scaleb(-2) for c in cents)
    return Bar(
        symbol=symbol, start=bar.start, open=opened, high=high, low=low, close=close,
        volume=bar.volume // SHARES_A_CONTRACT_TRADED,
    )  # fmt: skip


def _quote(symbol: str, terms: OptionTerms, bar: Bar) -> Quote | None:
    """As of the end of the underlying's bar; None while the price is too small to be bid for."""
    mid = _cents(terms.strike, bar.close, (terms.expiry - bar.start.date()).days)
    half = max(mid // _SHARE_OF_SPREAD, 1)
    if mid <= half:
        return None
    return Quote(
        symbol=symbol, start=bar.start, bid=Decimal(mid - half).scaleb(-2), bid_size=10,
        ask=Decimal(mid + half).scaleb(-2), ask_size=10,
    )  # fmt: skip


@lru_cache(65536)
def _cents(strike: Decimal, price: Decimal, days: int) -> int:
    """At least what exercising pays, for a put may be exercised at any time."""
    k, s, t = float(strike), float(price), _years(days)
    d1, d2 = _d1_d2(k, s, t)
    held = k * math.exp(-RATE * t) * _normal(-d2) - s * _normal(-d1)
    return round(100 * max(held, k - s, 0.0))


def _delta(terms: OptionTerms, bar: Bar) -> Decimal:
    """Of the market's own making, so told and not computed by whoever asks; below 0."""
    t = _years((terms.expiry - bar.start.date()).days)
    d1, _ = _d1_d2(float(terms.strike), float(bar.close), t)
    return Decimal(repr(-_normal(-d1))).quantize(Decimal("0.0001"))


def _years(days: int) -> float:
    return max(days, 0.25) / 365  # on its last day a put has some hours left


def _d1_d2(k: float, s: float, t: float) -> tuple[float, float]:
    deviation = VOLATILITY * math.sqrt(t)
    d1 = (math.log(s / k) + (RATE + VOLATILITY**2 / 2) * t) / deviation
    return d1, d1 - deviation


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def whole(units: int) -> bool:
    """Contracts are traded whole."""
    return units % QUANTITY_SCALE == 0
