"""What is bought on weakness: a mapped inverse ETF, or a put of the broker's chain (M11).

Pure. Never a short sale. What is missing is never filled in: then there is no instrument, and the
reason says what was missing. ``docs/decisions/0037-bearish.md`` says how a put is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from aggregates.inverse_etfs import InverseEtf
from aggregates.market import OptionContract, Quote
from aggregates.money import divide_half_even
from config.settings import Settings
from strategies.indicators import EXACT
from strategies.protocol import Signal, as_text
from strategies.risk import MAX_SKEW, QUOTE_LIVES

PLACES = Decimal("0.000001")  # a price has six decimals; a worst case is rounded down to them
SHARE = 10**6  # shares are shown with six decimals, half to even; compared they are exact
# The yearly rate by which a delta is computed where the broker tells none (decision 0037: at any
# rate of 0 to 8 % a delta within 45 days differs by 0.03 at most).
RATE = Decimal("0.04")
DELTA_BY_BROKER, DELTA_BY_QUOTE = "broker", "quote"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought in the symbol's place. ``multiplier`` is 1 for an ETF.

    ``price`` is what a unit is judged at, the ask; ``stop`` what a unit is worth at worst when the
    underlying is at its stop: of an ETF by its leverage, of a put nothing. ``inputs`` is all that
    was looked at, as text, in a fixed order, with the symbol under ``instrument``.
    """

    symbol: str
    kind: Literal["etf", "option"]
    multiplier: int
    bid: Decimal
    ask: Decimal
    known_at: datetime
    price: Decimal
    stop: Decimal
    inputs: dict[str, str]


class NoInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is bought; ``reason`` says why, ``inputs`` what was looked at."""

    reason: str
    inputs: dict[str, str]


# Inverse ETF


def inverse_etf(
    signal: Signal, mapped: InverseEtf | None, quote: Quote | None, now: datetime
) -> Instrument | NoInstrument:
    """The mapped ETF at its ask. The age of the quote is left to the rules, which look at it again
    by the clock; one of the future is none."""
    inputs = {"instrument_kind": "etf"}
    if mapped is None:
        return NoInstrument(reason=f"no inverse ETF is mapped to {signal.symbol}", inputs=inputs)
    inputs |= {"instrument_etf": mapped.etf, "instrument_leverage": as_text(mapped.leverage)}
    if (faults := _of_signal(signal)) or quote is None or not 0 < quote.bid <= quote.ask:
        return NoInstrument(reason=faults or f"{mapped.etf} has no quote", inputs=inputs)
    if quote.end > now + MAX_SKEW:
        return NoInstrument(reason=f"the quote of {mapped.etf} is of the future", inputs=inputs)
    assert signal.price is not None  # noqa: S101 - _of_signal said so
    assert signal.stop is not None  # noqa: S101
    stop = etf_stop(quote.ask, mapped.leverage, signal.price, signal.stop)
    inputs |= {
        "instrument": mapped.etf,
        **_underlying(signal),
        "instrument_ask": as_text(quote.ask),
        "instrument_stop": as_text(stop),
    }
    return Instrument(
        symbol=mapped.etf, kind="etf", multiplier=1, bid=quote.bid, ask=quote.ask,
        known_at=quote.end, price=quote.ask, stop=stop, inputs=inputs,
    )  # fmt: skip


def etf_stop(ask: Decimal, leverage: Decimal, price: Decimal, stop: Decimal) -> Decimal:
    """What an inverse ETF bought at ``ask`` is worth when its underlying has risen from ``price``
    to ``stop``: ask × (1 − leverage × rise), never below 0, rounded down to six decimals."""
    rise = (Fraction(stop) - Fraction(price)) / Fraction(price)
    worth = max(Fraction(ask) * (1 - Fraction(leverage) * rise), Fraction(0))
    steps = worth // Fraction(PLACES)
    return EXACT.multiply(Decimal(steps), PLACES).quantize(PLACES, ROUND_FLOOR)


# Put


class Candidate(NamedTuple):
    """A contract that is within every limit."""

    contract: OptionContract
    bid: Decimal
    ask: Decimal
    known_at: datetime
    spread: Fraction  # of the mid price
    delta: Decimal  # without its sign
    delta_from: str


def long_put(
    signal: Signal,
    chain: Sequence[OptionContract],
    settings: Settings,
    now: datetime,
    day: date,
) -> Instrument | NoInstrument:
    """The put of the chain that fits best: its delta is nearest the middle of what is allowed, then
    its spread the narrowest, then its expiry the nearest, then its symbol the first.

    ``day`` is the session's: days to expiry count from it. Every contract that does not fit is
    counted with the first reason against it.
    """
    inputs = {"instrument_kind": "option", "instrument_listed": str(len(chain))}
    if fault := _of_signal(signal):
        return NoInstrument(reason=fault, inputs=inputs)
    if not chain:
        reason = f"the broker lists no put on {signal.symbol} within the expiries allowed"
        return NoInstrument(reason=reason, inputs=inputs)
    found: list[Candidate] = []
    against: Counter[str] = Counter()
    for contract in chain:
        judged = _judge(contract, signal, settings, now, day)
        if isinstance(judged, str):
            against[judged] += 1
        else:
            found.append(judged)
    inputs |= {
        "instrument_fit": str(len(found)),
        "instrument_rejected": ", ".join(f"{why} {n}" for why, n in sorted(against.items()))
        or "none",
    }
    if not found:
        return NoInstrument(reason=_nothing_fits(signal.symbol, against, len(chain)), inputs=inputs)
    middle = (Fraction(settings.PUT_MIN_DELTA) + Fraction(settings.PUT_MAX_DELTA)) / 2
    best = min(found, key=lambda c: _preference(c, middle))
    return _put(best, inputs | _underlying(signal), day)


def days_to(expiry: date, day: date) -> int:
    return (expiry - day).days


def spread_share(bid: Decimal, ask: Decimal) -> Fraction:
    """Spread ÷ mid price."""
    return 2 * (Fraction(ask) - Fraction(bid)) / (Fraction(ask) + Fraction(bid))


def _judge(
    c: OptionContract, signal: Signal, s: Settings, now: datetime, day: date
) -> Candidate | str:
    """The contract as a candidate, or the first reason against it. A delta comes last: computing
    one costs more than everything else."""
    if c.right != "put" or c.underlying != signal.symbol:
        return "no put on it"
    if c.adjusted or c.multiplier < 1:
        return "adjusted"
    if not s.PUT_MIN_EXPIRY_DAYS <= days_to(c.expiry, day) <= s.PUT_MAX_EXPIRY_DAYS:
        return "expiry"
    if c.bid is None or c.ask is None or c.quote_known_at is None or not 0 < c.bid <= c.ask:
        return "no quote"
    if c.quote_known_at > now + MAX_SKEW or now - c.quote_known_at > QUOTE_LIVES:
        return "old quote"
    spread = spread_share(c.bid, c.ask)
    if spread > Fraction(s.PUT_MAX_SPREAD_PCT):
        return "spread"
    # PUT_MIN_OPEN_INTEREST=0: any will do, but one that is not known still refuses.
    if c.open_interest is None or c.open_interest < s.PUT_MIN_OPEN_INTEREST:
        return "open interest"
    delta, source = _delta(c, c.bid, c.ask, signal, day)
    if delta is None:
        return "no delta"
    if not s.PUT_MIN_DELTA <= delta <= s.PUT_MAX_DELTA:
        return "delta"
    return Candidate(c, c.bid, c.ask, c.quote_known_at, spread, delta, source)


def _delta(
    c: OptionContract, bid: Decimal, ask: Decimal, signal: Signal, day: date
) -> tuple[Decimal | None, str]:
    """Without its sign: the broker's own, or computed from the mid price; None where it has none.
    A put's delta above 0 is no put's."""
    if c.delta is not None:
        return (-c.delta if c.delta <= 0 else None), DELTA_BY_BROKER
    from strategies.greeks import put_delta  # a large library, seldom needed

    assert signal.price is not None  # noqa: S101 - _of_signal said so
    found = put_delta(
        underlying=signal.price,
        strike=c.strike,
        days=days_to(c.expiry, day),
        rate=RATE,
        mid=(bid + ask) / 2,
    )
    return found, DELTA_BY_QUOTE


def _preference(c: Candidate, middle: Fraction) -> tuple[Fraction, Fraction, date, str]:
    return abs(Fraction(c.delta) - middle), c.spread, c.contract.expiry, c.contract.symbol


def _put(c: Candidate, inputs: dict[str, str], day: date) -> Instrument:
    contract = c.contract
    told = {
        "instrument": contract.symbol,
        "instrument_strike": as_text(contract.strike),
        "instrument_expiry": contract.expiry.isoformat(),
        "instrument_days": str(days_to(contract.expiry, day)),
        "instrument_bid": as_text(c.bid),
        "instrument_ask": as_text(c.ask),
        "instrument_spread": shown(c.spread),
        "instrument_open_interest": str(contract.open_interest),
        "instrument_delta": as_text(c.delta),
        "instrument_delta_from": c.delta_from,
    }
    if c.delta_from == DELTA_BY_QUOTE:
        told["instrument_rate"] = as_text(RATE)
    return Instrument(
        symbol=contract.symbol, kind="option", multiplier=contract.multiplier, bid=c.bid,
        ask=c.ask, known_at=c.known_at, price=c.ask, stop=Decimal(0), inputs=inputs | told,
    )  # fmt: skip


def shown(share: Fraction) -> str:
    """A quotient as text, six decimals, half to even."""
    units = divide_half_even(share.numerator * SHARE, share.denominator)
    return f"{EXACT.multiply(Decimal(units), PLACES):f}"


def _underlying(signal: Signal) -> dict[str, str]:
    return {
        "instrument_underlying_price": as_text(signal.price),
        "instrument_underlying_stop": as_text(signal.stop),
    }


def _of_signal(signal: Signal) -> str:
    """What of the signal leaves the risk unknown; empty when all is there."""
    if signal.price is None or signal.price <= 0 or signal.stop is None:
        return f"{signal.symbol} has no price or no stop"
    if signal.stop <= signal.price:
        return f"the stop of {signal.symbol} is not above its price"
    return ""


def _nothing_fits(symbol: str, against: Counter[str], listed: int) -> str:
    if set(against) <= {"no quote", "old quote", "expiry", "adjusted"} and (
        quoteless := against["no quote"] + against["old quote"]
    ):
        return f"none of {quoteless} puts on {symbol} has a quote of the last five minutes"
    return f"none of {listed} puts on {symbol} is within the limits of the settings"
