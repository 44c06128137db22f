"""Alpaca's JSON and the port's values; pure. Every function raises ``Unreadable``, never guesses.

Numbers come as text or as exact JSON numbers; a float is refused. Names and shapes:
https://docs.alpaca.markets/reference (orders, positions, account activities, stock quotes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, cast

import msgspec

from aggregates.market import MINUTE, Bar, Quote
from aggregates.money import plain
from aggregates.order_messages import OrderType, Side
from brokers.port import (
    Activity,
    ActivityKind,
    Asset,
    BrokerOrder,
    BrokerPosition,
    BrokerState,
)


class Unreadable(ValueError):
    """An answer that is not what it should be; the text says where, and quotes nothing."""


# https://docs.alpaca.markets/docs/orders-at-alpaca#order-lifecycle; every other status is open
_FINAL: Mapping[str, BrokerState] = {
    "filled": "filled",
    "canceled": "cancelled",
    "replaced": "cancelled",
    "expired": "expired",
    "rejected": "rejected",
}
_KINDS: Mapping[str, ActivityKind] = {
    "DIV": "dividend", "DIVCGL": "dividend", "DIVCGS": "dividend", "DIVROC": "dividend",
    "DIVTXEX": "dividend", "DIVNRA": "withholding", "DIVWH": "withholding", "WH": "withholding",
    "INT": "interest", "INTPNL": "interest", "SWP": "interest",
    "FEE": "fee", "CFEE": "fee", "PTC": "fee",
    "CSD": "transfer", "CSW": "transfer", "JNLC": "transfer", "JNLS": "transfer",
    "ACATC": "transfer", "ACATS": "transfer",
    "CIL": "corporate_action", "MA": "corporate_action", "NC": "corporate_action",
    "REORG": "corporate_action", "SPIN": "corporate_action", "SPLIT": "corporate_action",
}  # fmt: skip


class WireAccount(msgspec.Struct, frozen=True, kw_only=True):
    """``faults`` are what Alpaca has against trading on it, in words."""

    currency: str
    cash: Decimal
    faults: tuple[str, ...]


def account(raw: Any) -> WireAccount:
    """The account; a switch that is missing counts as on."""
    row = _object(raw, "account")
    status = text(row, "status")
    switches = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    faults = [f"Alpaca says {name}." for name in switches if row.get(name) is not False]
    if row.get("shorting_enabled") is not False:  # a sale of too much would go short unseen
        faults.append("The account may sell short at Alpaca, which this bot never does.")
    if status != "ACTIVE":
        faults.append(f"The account is {status[:40]} at Alpaca, not ACTIVE.")
    return WireAccount(
        currency=text(row, "currency"), cash=exact(row, "cash"), faults=tuple(faults)
    )


def server_time(raw: Any) -> datetime:
    return moment(_object(raw, "clock"), "timestamp")


def order(raw: Any) -> BrokerOrder:
    """An order, of whatever origin. A status that is new to us counts as open: it stays watched."""
    row = _object(raw, "order")
    filled = exact(row, "filled_qty")
    quantity = filled if row.get("qty") is None else exact(row, "qty")
    status = text(row, "status")
    state: BrokerState = _FINAL.get(status) or ("partially_filled" if filled else "accepted")
    kind = row.get("type")
    submitted = moment(row, "submitted_at" if row.get("submitted_at") else "created_at")
    return BrokerOrder(
        client_order_id=text(row, "client_order_id"),
        broker_order_id=text(row, "id"),
        symbol=text(row, "symbol"),
        side=_side(row),
        order_type=cast(OrderType, kind) if kind in ("market", "limit", "stop") else "other",
        quantity=quantity,
        filled_quantity=filled,
        state=state,
        error_code="rejected" if state == "rejected" else "",
        reason=_reason(status),
        submitted_at=submitted,
        updated_at=moment(row, "updated_at") if row.get("updated_at") else submitted,
    )


def _reason(status: str) -> str:
    if status == "rejected":
        return "rejected by Alpaca after it was accepted"
    return "replaced by another order at Alpaca" if status == "replaced" else ""


def position(raw: Any) -> BrokerPosition:
    """A short position is below zero, whichever way it is written."""
    row = _object(raw, "position")
    quantity, side = exact(row, "qty"), text(row, "side")
    if side not in ("long", "short"):
        raise Unreadable("side of a position")
    return BrokerPosition(
        symbol=text(row, "symbol"), quantity=-abs(quantity) if side == "short" else quantity
    )


def asset(raw: Any) -> Asset:
    """``halted`` stays unknown: trading halts are told on the market data stream only."""
    row = _object(raw, "asset")
    tradable, fractionable = row.get("tradable"), row.get("fractionable")
    if not isinstance(tradable, bool) or not isinstance(fractionable, bool):
        raise Unreadable("tradable or fractionable of an asset")
    return Asset(
        symbol=text(row, "symbol"), tradable=tradable and text(row, "status") == "active",
        fractionable=fractionable, halted=None,
    )  # fmt: skip


def activity(raw: Any) -> Activity:
    """What is no fill. A kind that is new to us is ``other``."""
    row = _object(raw, "activity")
    code = text(row, "activity_type")
    try:
        day = date.fromisoformat(text(row, "date")[:10])
    except ValueError:
        raise Unreadable("date of an activity") from None
    return Activity(
        activity_id=text(row, "id"),
        kind=_KINDS.get(code, "other"),
        code=code,
        day=day,
        symbol=str(row.get("symbol") or ""),
        quantity=None if row.get("qty") is None else exact(row, "qty"),
        net_amount=None if row.get("net_amount") is None else exact(row, "net_amount"),
        description=str(row.get("description") or "")[:200],
        cancelled=row.get("status") == "canceled",
    )


class WireFill:
    """A fill of the account activities, before it is known which of our orders it belongs to."""

    def __init__(self, raw: Any) -> None:
        row = _object(raw, "fill")
        if row.get("activity_type") != "FILL":
            raise Unreadable("kind of a fill")
        self.activity_id = text(row, "id")
        # "time::id": the part behind the time is the execution's own
        self.execution_id = self.activity_id.rpartition("::")[2]
        self.order_id, self.symbol, self.side = (
            text(row, "order_id"),
            text(row, "symbol"),
            _side(row),
        )
        self.quantity, self.price = exact(row, "qty"), exact(row, "price")
        self.cumulative = exact(row, "cum_qty")
        self.executed_at = moment(row, "transaction_time")
        if self.quantity <= 0 or self.price <= 0:
            raise Unreadable("quantity or price of a fill")

    def same_as(self, other: WireFill) -> bool:
        return (self.order_id, self.quantity, self.price) == (
            other.order_id, other.quantity, other.price,
        )  # fmt: skip


def quote(symbol: str, raw: Any) -> Quote | None:
    """A quote known at its own instant (``end``); None where it states no market.

    A side of zero happens outside the session, a crossed quote on a single venue.
    """
    row = _object(raw, "quote")
    known, bid, ask = moment(row, "t"), exact(row, "bp"), exact(row, "ap")
    if bid <= 0 or ask <= 0 or bid > ask:
        return None
    return Quote(
        symbol=symbol, start=known - MINUTE, bid=bid, ask=ask,
        bid_size=_count(row, "bs"), ask_size=_count(row, "as"),
    )  # fmt: skip


def bar(symbol: str, raw: Any) -> Bar:
    """One minute; refused where open or close lies outside low and high."""
    row = _object(raw, "bar")
    opened, high, low, close = (exact(row, name) for name in "ohlc")
    if not (0 < low <= opened <= high and low <= close <= high):
        raise Unreadable("prices of a bar")
    return Bar(
        symbol=symbol, start=moment(row, "t"), open=opened, high=high, low=low, close=close,
        volume=_count(row, "v"),
    )  # fmt: skip


# --- fields -----------------------------------------------------------------------------------


def exact(row: Mapping[str, Any], name: str) -> Decimal:
    """A finite number without an exponent; from text, an integer or a Decimal, never a float."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable(name)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Unreadable(name) from None
    if not number.is_finite() or abs(number.adjusted()) > 18:
        raise Unreadable(name)
    return plain(number)


def text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(name)
    return value


def moment(row: Mapping[str, Any], name: str) -> datetime:
    """RFC 3339, with up to nine decimals of which six are kept; to UTC."""
    try:
        found = datetime.fromisoformat(text(row, name))
    except ValueError:
        raise Unreadable(name) from None
    if found.tzinfo is None:
        raise Unreadable(name)
    return found.astimezone(UTC)


def rows(raw: Any, what: str) -> list[Any]:
    """A list that was really sent: an answer without one is not an empty list."""
    if not isinstance(raw, list):
        raise Unreadable(what)
    return raw


def _object(raw: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise Unreadable(what)
    return raw


def _side(row: Mapping[str, Any]) -> Side:
    side = text(row, "side")
    if side == "buy":
        return "buy"
    if side in ("sell", "sell_short"):
        return "sell"
    raise Unreadable("side")


def _count(row: Mapping[str, Any], name: str) -> int:
    number = exact(row, name)
    if number < 0 or number != int(number):
        raise Unreadable(name)
    return int(number)


def exact_json(body: bytes | str) -> Any:
    """JSON with every fraction as Decimal. Raises ValueError, for NaN and Infinity too."""
    return json.loads(body, parse_float=Decimal, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
