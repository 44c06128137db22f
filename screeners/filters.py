"""What a security must have to be in the universe or a candidate (M16): pure, on settings.

A value that is not known rejects, whatever the limit: it is never taken for one that would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from aggregates.market import MINUTE
from aggregates.screen import NAMED, Mode, Rejected
from config.calendar import SessionHours
from config.settings import Settings
from screeners.port import Facts

ANY_GAP = Decimal(1)
CAPS = {
    "OPEN": ("MIN_MARKET_CAP_OPEN", "MAX_MARKET_CAP_OPEN"),
    "MID": ("MIN_MARKET_CAP_MID", "MAX_MARKET_CAP_MID"),
    "CLOSE": ("MIN_MARKET_CAP_CLOSE", "MAX_MARKET_CAP_CLOSE"),
}
GAPS = {"OPEN": "MAX_GAP_PCT_OPEN", "MID": "MAX_GAP_PCT_MID", "CLOSE": "MAX_GAP_PCT_CLOSE"}
UNIVERSE_CAPS = ("SCREENER_UNIVERSE_MIN_MARKET_CAP", "SCREENER_UNIVERSE_MAX_MARKET_CAP")
UNIVERSE_PRICES = ("SCREENER_UNIVERSE_MIN_PRICE", "SCREENER_UNIVERSE_MAX_PRICE")
PRICES, FLOATS = ("MIN_PRICE", "MAX_PRICE"), ("MIN_SHARE_FLOAT", "MAX_SHARE_FLOAT")
Value = Decimal | Fraction | None


class Limit(NamedTuple):
    """``least`` and ``most``, both included, with the settings they come from; None: no limit."""

    what: str
    of: Callable[[Facts], Value]
    least_key: str = ""
    least: Decimal | None = None
    most_key: str = ""
    most: Decimal | None = None

    def why_not(self, facts: Facts) -> str:
        value = self.of(facts)
        if value is None:
            return f"{self.what}: not known"
        if self.least is not None and value < self.least:
            return f"{self.what} below {self.least_key} {self.least:,f}"
        if self.most is not None and value > self.most:
            return f"{self.what} above {self.most_key} {self.most:,f}"
        return ""


class Looked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A security that was looked at, and why it was rejected; empty: it was chosen."""

    facts: Facts
    why: str = ""


def why_not(facts: Facts, limits: Iterable[Limit]) -> str:
    """The first limit that is not met, in words; empty when all are."""
    return next(filter(None, (limit.why_not(facts) for limit in limits)), "")


# -- limits --------------------------------------------------------------------------------------


def foreign(facts: Facts, s: Settings) -> str:
    """Prices in another currency cannot be held against the limits, nor booked."""
    if facts.currency is None:
        return "currency: not known"
    return "" if facts.currency == s.CURRENCY_CODE else f"currency is not {s.CURRENCY_CODE}"


def universe_size(s: Settings) -> tuple[Limit, ...]:
    """Of the company. SCREENER_UNIVERSE_MIN_MARKET_CAP=0: any size, as long as it is known."""
    return (_between(s, "market capitalisation", _cap, UNIVERSE_CAPS),)


def universe_price(s: Settings) -> tuple[Limit, ...]:
    """Of the newest price. SCREENER_UNIVERSE_MIN_PRICE=0: any price, as long as it is known."""
    return (_between(s, "price", _price, UNIVERSE_PRICES),)


def standing(s: Settings, strategy: str) -> tuple[Limit, ...]:
    """What does not change within a day, so that nobody has to be asked anew.

    A security whose usual volume of a whole day is below MIN_VOLUME_THRESHOLD could not have that
    much in an analysis window. Each least limit of 0: any, as long as it is known.
    """
    return (
        _between(s, "market capitalisation", _cap, CAPS[strategy]),
        _between(s, "share float", _float, FLOATS),
        Limit("volume", _volume, "MIN_VOLUME_THRESHOLD", Decimal(s.MIN_VOLUME_THRESHOLD)),
    )


def moving(
    s: Settings, strategy: str, mode: Mode, last: SessionHours, now: SessionHours
) -> tuple[Limit, ...]:
    """Price and gap. ``last`` and ``now`` are the session before and that of the candidates.

    Before the open a price is one since the open of the last session, and a gap needs a trade since
    its close; after the open both are of this session.
    """
    before = mode == "pre-market"
    key = GAPS[strategy]
    most: Decimal = getattr(s, key)
    price = _between(s, "price", _after(_price, last.open if before else now.open), PRICES)
    # MAX_GAP_PCT_…=1: the gap is not looked at, so one that is not known rejects nothing
    if most == ANY_GAP:
        return (price,)
    # at the very close is the closing price itself, of which there is no gap yet
    moment = last.close + MINUTE if before else now.open
    gap = _after(_gap_so_far if before else _gap, moment)
    return (price, Limit("gap", gap, most_key=key, most=most))


def _between(s: Settings, what: str, of: Callable[[Facts], Value], keys: tuple[str, str]) -> Limit:
    least, most = keys
    return Limit(what, of, least, Decimal(getattr(s, least)), most, Decimal(getattr(s, most)))


def _price(facts: Facts) -> Value:
    return facts.price


def _cap(facts: Facts) -> Value:
    return facts.market_cap


def _volume(facts: Facts) -> Value:
    return facts.volume


def _float(facts: Facts) -> Value:
    """Where the float itself is not told, all shares outstanding: it is never more than these."""
    return facts.share_float if facts.share_float is not None else facts.shares_outstanding


def _gap(facts: Facts) -> Value:
    return _apart(facts.opening, facts.previous_close)


def _gap_so_far(facts: Facts) -> Value:
    """Before the open there is none yet; the newest trade says where it would be."""
    return _apart(facts.price, facts.previous_close)


def _apart(now: Decimal | None, before: Decimal | None) -> Value:
    if now is None or before is None or not before:
        return None
    return abs(Fraction(now) - Fraction(before)) / Fraction(before)


def _after(of: Callable[[Facts], Value], since: datetime) -> Callable[[Facts], Value]:
    """Not known where the newest price is not of this day."""

    def later(facts: Facts) -> Value:
        return of(facts) if facts.at is not None and facts.at >= since else None

    return later


# -- order and count -----------------------------------------------------------------------------


def by_size(found: Iterable[Facts]) -> list[Facts]:
    """The largest companies first: who is in the universe when not all fit."""
    return sorted(found, key=lambda f: (-(f.market_cap or Decimal(0)), f.symbol))


def by_dollar_volume(found: Iterable[Facts]) -> list[Facts]:
    """What is traded most, in money, first: the order of preference."""
    return sorted(found, key=lambda f: (-(f.dollar_volume or Decimal(0)), f.symbol))


def counted(looked: Sequence[Looked]) -> tuple[Rejected, ...]:
    """The rejected by their reason, the most frequent first."""
    reasons: dict[str, list[str]] = {}
    for each in looked:
        if each.why:
            reasons.setdefault(each.why, []).append(each.facts.symbol)
    listed = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        Rejected(why=why, count=len(symbols), symbols=tuple(sorted(symbols)[:NAMED]))
        for why, symbols in listed
    )
