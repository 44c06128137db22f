"""Robinhood's JSON and the port's values; pure. Every function raises ``Unreadable``.

Robinhood documents nothing of this. Names and shapes are those that its users describe
(https://github.com/sanko/Robinhood) and that robin_stocks 3.4.0 sends. Numbers are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from aggregates.market import MINUTE, Quote
from aggregates.order_messages import OrderType, Side
from brokers.http_fields import Unreadable, count, exact, fields, moment, side, text
from brokers.port import (
    Activity,
    BrokerOrder,
    BrokerState,
    Execution,
    OrderRefused,
    OrderRequest,
)
from brokers.request_checks import price_units, quantity_units

_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "sell_short": "sell"}
STEP = Decimal("0.000001")
_OUR_ID = re.compile("tb1-([0-9a-f]{32})")  # aggregates.order.client_order_id
_SHORT_ID = re.compile("[!-~]{1,15}")
_FINAL: Mapping[str, BrokerState] = {  # every other state is open
    "filled": "filled", "cancelled": "cancelled", "canceled": "cancelled", "expired": "expired",
    "partially_filled_rest_cancelled": "cancelled", "rejected": "rejected", "failed": "rejected",
}  # fmt: skip

# --- ids --------------------------------------------------------------------------------------


def ref_id(client_order_id: str) -> str:
    """The UUID under which an order goes: the 128 bits of the bot's own ids, and for short ids
    their letters. Raises OrderRefused for an id that neither fits."""
    ours = _OUR_ID.fullmatch(client_order_id)
    if ours:
        bits = bytes.fromhex(ours[1])
    elif _SHORT_ID.fullmatch(client_order_id):
        bits = client_order_id.encode().ljust(16, b"\0")
    else:
        raise OrderRefused("invalid_id", "Robinhood takes a UUID, which this id cannot be made to.")
    return str(UUID(bytes=bits))


def client_id(ref: Any) -> str:
    """The id that went as this UUID; "" of an order that was placed without one."""
    if not ref:
        return ""
    try:
        bits = UUID(str(ref)).bytes
    except ValueError:
        raise Unreadable("ref_id") from None
    short = bits.rstrip(b"\0").decode("latin-1")  # of 128 bits that are no letters nothing matches
    return short if _SHORT_ID.fullmatch(short) else f"tb1-{bits.hex()}"


def id_in(url: str) -> str:
    """The id at the end of an address: addresses in answers are never followed."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def next_cursor(raw: Any) -> str:
    """Of the page after this one; "" where it is the last."""
    following = fields(raw, "page").get("next")
    return parse_qs(urlsplit(str(following)).query).get("cursor", [""])[0] if following else ""


# --- orders -----------------------------------------------------------------------------------


def order_fields(request: OrderRequest) -> dict[str, str]:
    """The form of POST /orders/, without account and instrument. Raises OrderRefused."""
    quantity_units(request)
    if request.quantity % STEP:
        raise OrderRefused("invalid_quantity", f"Robinhood takes steps of {STEP:f} shares.")
    price_units(request, "limit", request.limit_price)
    price_units(request, "stop", request.stop_price)
    sent = {
        "symbol": request.symbol, "side": request.side, "quantity": f"{request.quantity:f}",
        "type": "limit" if request.order_type == "limit" else "market",
        "trigger": "stop" if request.order_type == "stop" else "immediate",
        "time_in_force": "gfd", "ref_id": ref_id(request.client_order_id),
    }  # fmt: skip
    if request.limit_price is not None:
        sent["price"] = f"{request.limit_price:f}"
    if request.stop_price is not None:
        sent["stop_price"] = f"{request.stop_price:f}"
    return sent


def order(raw: Any, symbol: str) -> BrokerOrder:
    """An order, of whatever origin. A state that is new to us counts as open: it stays watched."""
    row = fields(raw, "order")
    filled, said = exact(row, "cumulative_quantity"), text(row, "state")
    state: BrokerState = _FINAL.get(said) or ("partially_filled" if filled else "accepted")
    return BrokerOrder(
        client_order_id=client_id(row.get("ref_id")),
        broker_order_id=text(row, "id"),
        symbol=symbol,
        side=side(row, _SIDES),
        order_type=_type(row),
        quantity=exact(row, "quantity"),
        filled_quantity=filled,
        state=state,
        error_code="rejected" if state == "rejected" else "",
        reason=str(row.get("reject_reason") or "rejected")[:200] if state == "rejected" else "",
        submitted_at=moment(row, "created_at"),
        updated_at=moment(row, "updated_at"),
    )


def _type(row: Mapping[str, Any]) -> Any:
    kinds: dict[tuple[str, str], OrderType] = {
        ("market", "immediate"): "market", ("limit", "immediate"): "limit",
        ("market", "stop"): "stop",
    }  # fmt: skip
    return kinds.get((text(row, "type"), text(row, "trigger")), "other")


def executions(raw: Any, symbol: str) -> list[Execution]:
    """The executions of an order, numbered 0: its fees are told for the order alone."""
    row = fields(raw, "order")
    listed = row.get("executions")
    if not isinstance(listed, list):
        raise Unreadable("executions")
    return [_execution(row, fields(one, "execution"), symbol) for one in listed]


def _execution(order: Mapping[str, Any], row: Mapping[str, Any], symbol: str) -> Execution:
    quantity, price = exact(row, "quantity"), exact(row, "price")
    if quantity <= 0 or price <= 0:
        raise Unreadable("quantity or price of an execution")
    return Execution(
        sequence=0,
        execution_id=text(row, "id"),
        client_order_id=client_id(order.get("ref_id")),
        broker_order_id=text(order, "id"),
        symbol=symbol,
        side=side(order, _SIDES),
        quantity=quantity,
        price=price,
        currency="USD",
        commission=Decimal(0),
        fees=Decimal(0),
        net_amount=None,
        executed_at=moment(row, "timestamp"),
        settles_on=_day(row, "settlement_date"),
    )


# --- the account ------------------------------------------------------------------------------


def account_faults(raw: Any) -> list[str]:
    """What stands against trading on it, in words; a switch that is missing counts as on."""
    row = fields(raw, "account")
    switches = ("deactivated", "only_position_closing_trades")
    faults = [f"Robinhood says {name}." for name in switches if row.get(name) is not False]
    if row.get("type") != "cash":
        faults.append("The account is not a cash account, so one sale too many would go short.")
    return faults


def tradable(row: Mapping[str, Any]) -> bool:
    return row.get("tradeable") is True and row.get("state") == "active"


def dividend(raw: Any, symbol: str) -> Activity:
    row = fields(raw, "dividend")
    return Activity(
        activity_id=text(row, "id"), kind="dividend", code="dividend", symbol=symbol,
        day=_day(row, "payable_date"), quantity=exact(row, "position"),
        net_amount=exact(row, "amount"), description="", cancelled=row.get("state") == "voided",
    )  # fmt: skip


def transfer(raw: Any) -> Activity:
    row = fields(raw, "transfer")
    sign = {"deposit": 1, "withdraw": -1}.get(text(row, "direction"))
    if sign is None:
        raise Unreadable("direction of a transfer")
    return Activity(
        activity_id=text(row, "id"), kind="transfer", code=text(row, "direction"), symbol="",
        day=_day(row, "expected_landing_date"), quantity=None,
        net_amount=sign * exact(row, "amount"), description="",
        cancelled=text(row, "state") in ("cancelled", "failed", "reversed"),
    )  # fmt: skip


# --- market data ------------------------------------------------------------------------------


def quote(symbol: str, raw: Any) -> Quote | None:
    """A quote known at its own instant; None where it states no market."""
    row = fields(raw, "quote")
    known, bid, ask = moment(row, "updated_at"), exact(row, "bid_price"), exact(row, "ask_price")
    if not 0 < bid <= ask:
        return None
    return Quote(
        symbol=symbol, start=known - MINUTE, bid=bid, ask=ask, bid_size=count(row, "bid_size"),
        ask_size=count(row, "ask_size"),
    )  # fmt: skip


# --- fields -----------------------------------------------------------------------------------


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(row: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(text(row, name)[:10])
    except ValueError:
        raise Unreadable(name) from None
