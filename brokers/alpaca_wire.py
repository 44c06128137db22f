"""Alpaca's JSON and the port's values; pure. Every function raises ``Unreadable``, never guesses.

Numbers come as text or as exact JSON numbers; a float is refused. Names and shapes:
https://docs.alpaca.markets/reference (orders, positions, account activities, stock quotes).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import msgspec

from aggregates.market import MINUTE, Bar, Quote
from aggregates.order_messages import OrderType, Side
from brokers.http_fields import Unreadable, count, exact, fields, moment, side, text
from brokers.port import (
    Activity,
    ActivityKind,
    Asset,
    BrokerOrder,
    BrokerPosition,
    BrokerState,
)

# https://docs.alpaca.markets/docs/orders-at-alpaca#order-lifecycle; every other status is open
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "sell_short": "sell"}
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
    "OPEXP": "option_expiry",
    "OPEXC": "option_exercise", "OPASN": "option_exercise", "OPTRD": "option_exercise",
}  # fmt: skip


class WireAccount(msgspec.Struct, frozen=True, kw_only=True):
    """``faults`` are what Alpaca has against trading on it, in words; ``options_level`` is 0 where
    it is not approved for options, or Alpaca does not say."""

    currency: str
    cash: Decimal
    faults: tuple[str, ...]
    options_level: int


def account(raw: Any) -> WireAccount:
    """The account; a switch that is missing counts as on."""
    row = fields(raw, "account")
    status = text(row, "status")
    switches = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    faults = [f"Alpaca says {name}." for name in switches if row.get(name) is not False]
    if row.get("shorting_enabled") is not False:  # a sale of too much would go short unseen
        faults.append("The account may sell short at Alpaca, which this bot never does.")
    if status != "ACTIVE":
        faults.append(f"The account is {status[:40]} at Alpaca, not ACTIVE.")
    level = row.get("options_trading_level")
    return WireAccount(
        currency=text(row, "currency"), cash=exact(row, "cash"), faults=tuple(faults),
        options_level=level if isinstance(level, int) else 0,
    )  # fmt: skip


def server_time(raw: Any) -> datetime:
    return moment(fields(raw, "clock"), "timestamp")


def order(raw: Any) -> BrokerOrder:
    """An order, of whatever origin. A status that is new to us counts as open: it stays watched."""
    row = fields(raw, "order")
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
        side=side(row, _SIDES),
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
    row = fields(raw, "position")
    quantity, side = exact(row, "qty"), text(row, "side")
    if side not in ("long", "short"):
        raise Unreadable("side of a position")
    return BrokerPosition(
        symbol=text(row, "symbol"), quantity=-abs(quantity) if side == "short" else quantity
    )


def asset(raw: Any) -> Asset:
    """``halted`` stays unknown: trading halts are told on the market data stream only."""
    row = fields(raw, "asset")
    tradable, fractionable = row.get("tradable"), row.get("fractionable")
    if not isinstance(tradable, bool) or not isinstance(fractionable, bool):
        raise Unreadable("tradable or fractionable of an asset")
    return Asset(
        symbol=text(row, "symbol"), tradable=tradable and text(row, "status") == "active",
        fractionable=fractionable, halted=None,
    )  # fmt: skip


def activity(raw: Any) -> Activity:
    """What is no fill. A kind that is new to us is ``other``."""
    row = fields(raw, "activity")
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
        row = fields(raw, "fill")
        if row.get("activity_type") != "FILL":
            raise Unreadable("kind of a fill")
        self.activity_id = text(row, "id")
        # "time::id": the part behind the time is the execution's own
        self.execution_id = self.activity_id.rpartition("::")[2]
        self.order_id, self.symbol, self.side = (
            text(row, "order_id"),
            text(row, "symbol"),
            side(row, _SIDES),
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
    row = fields(raw, "quote")
    known, bid, ask = moment(row, "t"), exact(row, "bp"), exact(row, "ap")
    if bid <= 0 or ask <= 0 or bid > ask:
        return None
    return Quote(
        symbol=symbol, start=known - MINUTE, bid=bid, ask=ask,
        bid_size=count(row, "bs"), ask_size=count(row, "as"),
    )  # fmt: skip


def bar(symbol: str, raw: Any) -> Bar:
    """One minute; refused where open or close lies outside low and high."""
    row = fields(raw, "bar")
    opened, high, low, close = (exact(row, name) for name in "ohlc")
    if not (0 < low <= opened <= high and low <= close <= high):
        raise Unreadable("prices of a bar")
    return Bar(
        symbol=symbol, start=moment(row, "t"), open=opened, high=high, low=low, close=close,
        volume=count(row, "v"),
    )  # fmt: skip
