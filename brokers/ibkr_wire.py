"""What the messages of the TWS API say, field by field. Pure: no socket, no clock.

The order of the fields is that of server version 176. ib_async reads the three longest messages
(orders and contracts), with every number exact; the short ones, which carry all the money, are read
here, because the library makes floats of them and passes over what it cannot read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from types import SimpleNamespace
from typing import Any

from ib_async.contract import Contract
from ib_async.decoder import Decoder

from aggregates.money import plain
from brokers.ibkr_told import (
    NONE,
    AccountValue,
    Cost,
    Error,
    Fill,
    Held,
    Listing,
    OpenOrder,
    Status,
    Tick,
    Told,
    Unreadable,
    WireBar,
)
from config.clock import UnclearTime, local_to_utc

SERVER_VERSION = 176
_UNSET = ("E308", "E+308")  # how the largest double ends, which is how the API writes none


# --- fields -----------------------------------------------------------------------------------


def exact(text: str) -> Decimal:
    """A finite number without an exponent, of at most 24 digits before and after the point."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unreadable("a number") from None
    if not number.is_finite() or (number and abs(number.adjusted()) > 24):
        raise Unreadable("a number")
    return plain(number)


def moment(text: str) -> datetime:
    """20260302 09:31:05 US/Eastern, 20260302-14:31:05 (UTC) or seconds since 1970; to UTC.

    A time without its zone is refused: nobody knows which is meant.
    """
    try:
        if text.isdecimal() and len(text) > 8:
            return datetime.fromtimestamp(int(text), UTC)
        if "-" in text[:9]:
            return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        day, wall, zone = text.split(maxsplit=2)
        return local_to_utc(day_of(day), time.fromisoformat(wall), zone)
    except (ValueError, KeyError, OverflowError, UnclearTime):
        raise Unreadable("a time") from None


def day_of(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Unreadable("a day") from None


def whole(text: str) -> int:
    """Nothing counts as 0, which is how the API writes it."""
    try:
        return int(text or 0)
    except ValueError:
        raise Unreadable("a whole number") from None


def _contract(fields: list[str]) -> Contract:
    """conId, symbol, type, expiry, strike, right, multiplier, exchange, currency, local symbol,
    class: as positions and executions write it."""
    found = Contract(conId=whole(fields[0]), symbol=fields[1], secType=fields[2])
    found.lastTradeDateOrContractMonth, found.right, found.multiplier = fields[3], *fields[5:7]
    found.exchange, found.currency, found.localSymbol, found.tradingClass = fields[7:11]
    return found


# --- the long messages, by the library --------------------------------------------------------


class _Long(Decoder):
    """Reads one message and hands back what the library would have told its wrapper."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(defaultTimezone=UTC), SERVER_VERSION)  # type: ignore[arg-type]

    def parse(self, obj: Any) -> None:
        """As the library does it, with exact numbers."""
        for field in dataclasses.fields(obj):
            kind, value = type(field.default), getattr(obj, field.name)
            if kind not in (int, float, bool) or not isinstance(value, str):
                continue
            if not value:
                found: Any = field.default
            elif kind is float:
                found = Decimal(value)
            else:
                found = bool(int(value)) if kind is bool else int(value)
            setattr(obj, field.name, found)

    def read(self, name: str, method: str, fields: list[str]) -> tuple[Any, ...]:
        told: list[tuple[Any, ...]] = []
        setattr(self.wrapper, method, lambda *args: told.append(args))
        try:
            getattr(self, name)(fields)
        except (ValueError, IndexError, InvalidOperation):
            raise Unreadable(name) from None
        return told[0]


def _open_order(fields: list[str]) -> Told:
    number, contract, order, state = _Long().read("openOrder", "openOrder", fields)
    return Told("open_order", number, OpenOrder(contract, order, state))


def _completed_order(fields: list[str]) -> Told:
    found = _Long().read("completedOrder", "completedOrder", fields)
    return Told("completed_order", NONE, OpenOrder(*found))


def _details(fields: list[str]) -> Told:
    number, found = _Long().read("contractDetails", "contractDetails", fields)
    return Told("contract", number, found)


# --- the short messages -----------------------------------------------------------------------


def _error(f: list[str]) -> Told:
    return Told("error", whole(f[2]), Error(whole(f[3]), f[4]))


def _status(f: list[str]) -> Told:
    number = whole(f[1])
    found = Status(number, whole(f[6]), whole(f[9]), f[2], exact(f[3]))
    return Told("status", number, found)


def _fill(f: list[str]) -> Told:
    side = f[18]
    if side not in ("BOT", "SLD"):
        raise Unreadable("side of an execution")
    found = Fill(
        execution_id=f[14], order_id=whole(f[2]), perm_id=whole(f[21]), client_id=whole(f[22]),
        order_ref=f[26], account=f[16], contract=_contract(f[3:14]), buys=side == "BOT",
        quantity=exact(f[19]), price=exact(f[20]), executed_at=moment(f[15]),
    )  # fmt: skip
    return Told("fill", whole(f[1]), found)


def _cost(f: list[str]) -> Told:
    """A double's last digits are noise: commissions are read to 1e-8. One that is not set yet, the
    largest double, is told as such: the message is no damage, and a later one has it."""
    if not f[3] or f[3].upper().endswith(_UNSET):
        return Told("no_cost", NONE)
    commission = exact(f[3]).quantize(Decimal("1e-8"))
    return Told("cost", NONE, Cost(f[2], plain(commission), f[4]))


def _held(f: list[str]) -> Told:
    return Told("position", NONE, Held(f[2], _contract(f[3:14]), exact(f[14])))


def _value(f: list[str]) -> Told:
    return Told("value", whole(f[2]), AccountValue(f[3], f[5], f[7], f[6]))


def _bars(f: list[str]) -> Told:
    rows = f[5 : 5 + 8 * whole(f[4])]
    if len(rows) != 8 * whole(f[4]):
        raise Unreadable("bars")
    found = [
        WireBar(moment(rows[n]), *(exact(text) for text in rows[n + 1 : n + 6]))
        for n in range(0, len(rows), 8)
    ]
    return Told("bars", whole(f[1]), found)


def _listing(f: list[str]) -> Told:
    expiries = 6 + whole(f[6])
    found = Listing(
        exchange=f[2], trading_class=f[4], multiplier=f[5],
        expiries=tuple(day_of(text) for text in f[7 : expiries + 1]),
        strikes=tuple(exact(text) for text in f[expiries + 2 :]),
    )  # fmt: skip
    return Told("listing", whole(f[1]), found)


def _price_tick(f: list[str]) -> Told:
    return Told("tick", whole(f[2]), Tick(whole(f[3]), exact(f[4] or "-1"), exact(f[5] or "0")))


def _tick(f: list[str]) -> Told:
    """A size, a switch such as the halt, or a time; of texts only the time is of use."""
    number, what = whole(f[2]), whole(f[3])
    if f[0] == "46" and what != 45:
        return Told("other_tick", number)
    return Told("tick", number, Tick(what, exact(f[4] or "-1")))


def _greeks(f: list[str]) -> Told:
    """The delta alone; -2 is how the API says that it has none. One that cannot be read, such as
    1e-31 of a far strike, is none, too: no money follows from it, and the chain needs the rest."""
    number, what = whole(f[1]), whole(f[2])
    with suppress(Unreadable):
        return Told("tick", number, Tick(what, exact(f[5])))
    return Told("tick", number, Tick(what, Decimal(-2)))


def _end(kind: str, place: int | None = None) -> Callable[[list[str]], Told]:
    return lambda f: Told(kind, NONE if place is None else whole(f[place]))


_READ: Mapping[str, Callable[[list[str]], Told]] = {
    "1": _price_tick,
    "2": _tick,
    "3": _status,
    "4": _error,
    "5": _open_order,
    "10": _details,
    "11": _fill,
    "17": _bars,
    "21": _greeks,
    "45": _tick,
    "46": _tick,
    "49": lambda f: Told("time", NONE, moment(f[2])),
    "52": _end("contract_end", 2),
    "53": _end("open_end"),
    "55": _end("fill_end", 2),
    "57": _end("snapshot_end", 2),
    "58": lambda f: Told("data_type", whole(f[2]), whole(f[3])),
    "59": _cost,
    "61": _held,
    "62": _end("position_end"),
    "73": _value,
    "74": _end("value_end", 2),
    "75": _listing,
    "76": _end("listing_end", 1),
    "101": _completed_order,
    "102": _end("completed_end"),
}


def read(fields: list[str]) -> Told | None:
    """The message, or None for one that nobody here asks for. Raises Unreadable."""
    reader = _READ.get(fields[0]) if fields else None
    if reader is None:
        return None
    try:
        return reader(list(fields))
    except (IndexError, TypeError) as e:
        raise Unreadable(f"message {fields[0]}: {type(e).__name__}") from None
    except Unreadable as e:
        raise Unreadable(f"message {fields[0]}: {e}") from None
