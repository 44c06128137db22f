"""Webull's JSON and the port's values; pure. Every function raises ``Unreadable``, never guesses.

Numbers come as text, times as ISO 8601 in UTC or as milliseconds since 1970. Names and shapes:
https://developer.webull.com/apis/docs/reference (version v3 of the paths).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.order_messages import OrderType, Side
from brokers.http_fields import Unreadable, exact, fields, moment, rows, side, text
from brokers.http_increments import Total
from brokers.port import (
    Activity,
    ActivityKind,
    Asset,
    BrokerOrder,
    BrokerPosition,
    BrokerState,
    OrderRefused,
    OrderRequest,
)
from brokers.request_checks import price_units, quantity_units

_SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell", "SHORT": "sell"}
STEP = Decimal("0.00001")  # Webull documents fractions, and not how fine they may be
_OUR_ID = re.compile("tb1-([0-9a-f]{32})")  # 36 characters: aggregates.order.client_order_id
_ALLOWED = re.compile("[A-Za-z0-9_-]{1,32}")
_HEX = re.compile("[0-9a-f]{32}")

TYPES: Mapping[OrderType, str] = {"market": "MARKET", "limit": "LIMIT", "stop": "STOP_LOSS"}
_KNOWN_TYPES: Mapping[str, OrderType] = {word: kind for kind, word in TYPES.items()}
_FINAL: Mapping[str, BrokerState] = {  # every other status is open
    "FILLED": "filled", "CANCELLED": "cancelled", "FAILED": "rejected", "REJECTED": "rejected",
    "EXPIRED": "expired",
}  # fmt: skip
_KINDS: Mapping[str, ActivityKind] = {
    "DIVIDENDS": "dividend", "TAX": "withholding", "INTERESTS": "interest", "FEES": "fee",
    "DEPOSIT": "transfer", "WITHDRAW": "transfer", "TRANSFER": "transfer", "JOURNAL": "transfer",
    "CORPORATE_ACTION": "corporate_action",
}  # fmt: skip
OF_ORDERS = "TRADE"  # cash that moved by executions is no activity of the port

# --- ids --------------------------------------------------------------------------------------


def wire_id(client_order_id: str) -> str:
    """Under which id an order goes: Webull takes 32 characters, so the bot's own lose their head.

    Raises OrderRefused for what cannot be told from one of those, or is not allowed there.
    """
    ours = _OUR_ID.fullmatch(client_order_id)
    if ours:
        return ours[1]
    if not _ALLOWED.fullmatch(client_order_id) or _HEX.fullmatch(client_order_id):
        raise OrderRefused(
            "invalid_id", "Webull takes 1 to 32 letters, digits, - and _ as a client order id."
        )
    return client_order_id


def client_id(there: str) -> str:
    return f"tb1-{there}" if _HEX.fullmatch(there) else there


# --- orders -----------------------------------------------------------------------------------


def order_fields(request: OrderRequest) -> dict[str, str]:
    """An element of ``new_orders``, numbers as text: a day order of the regular session.

    Raises OrderRefused before anything is sent.
    """
    quantity_units(request)
    if request.quantity % STEP:
        raise OrderRefused("invalid_quantity", f"Webull takes steps of {STEP:f} shares here.")
    price_units(request, "limit", request.limit_price)
    price_units(request, "stop", request.stop_price)
    sent = {
        "client_order_id": wire_id(request.client_order_id), "combo_type": "NORMAL",
        "instrument_type": "EQUITY", "market": "US", "symbol": request.symbol,
        "side": request.side.upper(), "order_type": TYPES[request.order_type],
        "entrust_type": "QTY", "quantity": f"{request.quantity:f}", "time_in_force": "DAY",
        "support_trading_session": "CORE",
    }  # fmt: skip
    if request.limit_price is not None:
        sent["limit_price"] = f"{request.limit_price:f}"
    if request.stop_price is not None:
        sent["stop_price"] = f"{request.stop_price:f}"
    return sent


def orders(raw: Any) -> Iterator[Mapping[str, Any]]:
    """The orders of an answer that holds one or many: each group of a page holds its own."""
    for group in rows(fields(raw, "orders").get("data", [raw]), "orders"):
        for row in rows(fields(group, "a group of orders").get("orders"), "orders"):
            yield fields(row, "order")


def order(row: Mapping[str, Any]) -> BrokerOrder:
    """An order, of whatever origin. A status that is new to us counts as open: it stays watched."""
    filled, status = exact(row, "filled_quantity"), text(row, "status")
    state: BrokerState = _FINAL.get(status) or ("partially_filled" if filled else "accepted")
    placed = moment(row, "place_time_at")
    return BrokerOrder(
        client_order_id=client_id(text(row, "client_order_id")),
        broker_order_id=text(row, "order_id"),
        symbol=text(row, "symbol"),
        side=side(row, _SIDES),
        order_type=_KNOWN_TYPES.get(text(row, "order_type"), "other"),
        quantity=exact(row, "total_quantity"),
        filled_quantity=filled,
        state=state,
        error_code="rejected" if state == "rejected" else "",
        reason="rejected by Webull after it was accepted" if state == "rejected" else "",
        submitted_at=placed,
        updated_at=moment(row, "filled_time_at") if row.get("filled_time_at") else placed,
    )


def placed(raw: Any, request: OrderRequest, at: datetime) -> BrokerOrder:
    """The answer to a new order: ids alone, and surely of this one."""
    row = fields(raw, "order")
    if client_id(text(row, "client_order_id")) != request.client_order_id:
        raise Unreadable("client_order_id")
    return BrokerOrder(
        client_order_id=request.client_order_id, broker_order_id=text(row, "order_id"),
        symbol=request.symbol, side=request.side, order_type=request.order_type,
        quantity=request.quantity, filled_quantity=Decimal(0), state="accepted", error_code="",
        reason="", submitted_at=at, updated_at=at,
    )  # fmt: skip


def total(row: Mapping[str, Any]) -> Total | None:
    """What is filled of an order; None where nothing is."""
    quantity = exact(row, "filled_quantity")
    if not quantity:
        return None
    average = exact(row, "filled_price")
    if average <= 0 or quantity < 0:
        raise Unreadable("filled quantity or price of an order")
    return Total(
        client_order_id=client_id(text(row, "client_order_id")),
        broker_order_id=text(row, "order_id"), symbol=text(row, "symbol"), side=side(row, _SIDES),
        quantity=quantity, average=average, at=moment(row, "filled_time_at"),
    )  # fmt: skip


# --- the account ------------------------------------------------------------------------------


def cash(raw: Any) -> Decimal:
    """The dollars of the account, which holds one currency or more."""
    assets = rows(fields(raw, "balance").get("account_currency_assets"), "currencies")
    dollars = [fields(one, "currency") for one in assets]
    dollars = [one for one in dollars if text(one, "currency") == "USD"]
    if len(dollars) != 1:
        raise Unreadable("dollars of the balance")
    return exact(dollars[0], "cash_balance")


def account_type(raw: Any, account_id: str) -> str:
    """CASH or MARGIN; "" when the list does not hold this account."""
    found = [fields(one, "account") for one in rows(raw, "accounts")]
    mine = [text(one, "account_type") for one in found if text(one, "account_id") == account_id]
    return mine[0] if mine else ""


def position(raw: Any) -> BrokerPosition:
    """A short position is below zero."""
    row = fields(raw, "position")
    return BrokerPosition(symbol=text(row, "symbol"), quantity=exact(row, "quantity"))


def asset(raw: Any, symbol: str) -> Asset | None:
    """The symbol's profile; None where the list of profiles is empty. Halts are not told."""
    found = [fields(one, "profile") for one in rows(fields(raw, "profiles").get("data"), "data")]
    mine = [one for one in found if text(one, "symbol") == symbol]
    if len(mine) != len(found) or len(mine) > 1:
        raise Unreadable("symbol of a profile")
    if not mine:
        return None
    fractionable = mine[0].get("fractionable")
    if not isinstance(fractionable, bool):
        raise Unreadable("fractionable of a profile")
    tradable = text(mine[0], "status") == "OC"  # CO: to be sold only, NT: not at all
    return Asset(symbol=symbol, tradable=tradable, fractionable=fractionable, halted=None)


def activity(raw: Any) -> Activity:
    """What moved cash without an order. A kind that is new to us is ``other``."""
    row = fields(raw, "activity")
    code = text(row, "activity_type")
    return Activity(
        activity_id=text(row, "activity_id"),
        kind=_KINDS.get(code, "other"),
        code=code,
        day=_day(row),
        symbol=str(row.get("symbol") or ""),
        quantity=None if row.get("quantity") is None else exact(row, "quantity"),
        net_amount=exact(row, "net_amount"),
        description=str(row.get("description") or "")[:200],
        cancelled=False,
    )


def _day(row: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(text(row, "activity_date")[:10])
    except ValueError:
        raise Unreadable("date of an activity") from None


# --- fields -----------------------------------------------------------------------------------


def next_page(raw: Any) -> str:
    """The key of the page after this one; "" where it is the last."""
    return str(fields(raw, "page").get("pagination_key") or "")


def stamp(at: datetime) -> str:
    """As queries take it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
