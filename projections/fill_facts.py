"""What the ledger takes from a fill, straight from the payload: no event object is made.

Pure. A million fills go through here; the checks are those of the typed event and of
aggregates.money.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any, NamedTuple

import msgspec

from aggregates.errors import InexactNumber
from aggregates.money import (
    PRICE_SCALE,
    QUANTITY_SCALE,
    divide_half_even,
    exponent,
    minor_units,
    to_scaled,
)
from aggregates.order_messages import OrderFilled, Side, Sleeve
from eventstore.codec import decode, encode

_QUANTITY_DIGITS, _PRICE_DIGITS = 9, 6  # of QUANTITY_SCALE and PRICE_SCALE
_POWERS: list[int] = [10**n for n in range(20)]
_SHORT = 10  # fewer digits than this fit into 64 bits, scaled
_LONG = 19  # a text up to this long has its power of ten above
_KEPT = 1024  # texts that come again and again (days, sizes, commissions) are worked out once


class FillTerms(NamedTuple):
    """What many fills have in common. Only what else is looked up by it."""

    instrument_id: str
    symbol: str
    sleeve: Sleeve
    side: Side
    currency: str
    strategy: str
    context: str


class FillFacts(NamedTuple):
    """One fill. ``units`` in 1e-9, ``price`` in 1e-6, money in minor units; texts as stored.

    ``net`` is the cash effect that the broker states, if it states one. Handed over as a plain
    tuple in this order, which any process can marshal.
    """

    position: int
    terms: tuple[str, ...]
    effective: str
    timestamp: str
    settles_on: str
    units: int
    price: int
    commission: int
    fees: int
    net: int | None
    size_text: str
    price_text: str
    execution_id: str


class _Payload(msgspec.Struct, gc=False):
    """The fields of OrderFilled that are needed, numbers and dates as the texts they are."""

    occurred_at: str
    effective_date: str
    execution_id: str
    instrument_id: str
    symbol: str
    sleeve: Sleeve
    side: Side
    quantity: str
    price: str
    currency: str
    commission: str
    fees: str
    net_amount: str | None
    settles_on: str
    strategy: str
    context: str


_decode = msgspec.json.Decoder(_Payload).decode


def utc_text(moment: datetime) -> str:
    """2013-10-07T13:30:00.000000Z: sorts as text, the same in every zone."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def fill_facts(row: Sequence[Any], payload: bytes) -> tuple[Any, ...]:
    """FillFacts of a stored row (eventstore.envelope.COLUMNS) and its plain payload.

    Raises ValueError, TradeBotError.
    """
    position = row[0]
    if row[4] != OrderFilled.schema_version:  # an older form is lifted by the codec
        writer = row[14] if len(row) > 14 else ""  # a rebuild hands over the first columns alone
        payload = encode(decode(row[3], row[4], payload, position, writer))
    f = _decode(payload)
    price, currency, net = f.price, f.currency, f.net_amount
    digits = 2 if currency == "USD" else exponent(currency)
    charge = _CHARGE[digits]
    effective, timestamp = _day(f.effective_date), _moment(f.occurred_at)
    settles_on = _day(f.settles_on)
    units, size_text = _size(f.quantity)
    return (
        position,
        _terms(f.instrument_id, f.symbol, f.sleeve, f.side, currency, f.strategy, f.context),
        effective,
        timestamp,
        settles_on,
        units,
        _scaled(price, PRICE_SCALE, _PRICE_DIGITS),
        charge(f.commission),
        charge(f.fees),
        None if net is None else _minor(net, digits),
        size_text,
        _plain(price),
        f.execution_id,
    )


@lru_cache(_KEPT)
def _terms(*terms: str) -> tuple[str, ...]:
    """The same terms are one object: it is handed over once a batch."""
    return terms


def _moment(text: str) -> str:
    if len(text) == 27 and text[19] == "." and text[26] == "Z":
        return text
    if text[19:] == "Z":
        return text[:19] + ".000000Z"
    return utc_text(datetime.fromisoformat(text))


@lru_cache(_KEPT)
def _day(text: str) -> str:
    day = date.fromisoformat(text).isoformat()
    if day != text:  # a week or a date without hyphens
        raise InexactNumber(f"{text!r} is not a date; it is written as {day}.")
    return day


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InexactNumber(f"{text!r} is not a number.") from None


@lru_cache(_KEPT)
def _size(text: str) -> tuple[int, str]:
    units = _scaled(text, QUANTITY_SCALE, _QUANTITY_DIGITS)
    return units, _plain(text)


def _scaled(text: str, scale: int, digits: int) -> int:
    whole, _, fraction = text.partition(".")
    number = whole + fraction
    if len(number) < _SHORT and len(fraction) <= digits and number.isdecimal():
        return int(number) * _POWERS[digits - len(fraction)]
    return to_scaled(_decimal(text), scale, "price" if scale == PRICE_SCALE else "quantity")


def _minor(text: str, digits: int) -> int:
    whole, _, fraction = text.partition(".")
    if not (whole.removeprefix("-") + fraction).isdecimal() or len(text) > _LONG:
        return minor_units(_decimal(text), digits)
    spare = digits - len(fraction)
    if spare >= 0:
        return int(whole + fraction) * _POWERS[spare]
    return divide_half_even(int(whole + fraction), _POWERS[-spare])


# by the digits of a currency; a commission is a rate a share, so it comes again as sizes do, and
# most fills have the same fees
_CHARGE = [lru_cache(_KEPT)(partial(_minor, digits=digits)) for digits in range(5)]


def _plain(text: str) -> str:
    return format(_decimal(text), "f") if "E" in text else text
