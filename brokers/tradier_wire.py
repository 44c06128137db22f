"""Tradier's JSON and the port's values; pure. Every function raises ``Unreadable``, never guesses.

A list of one comes as the object alone, an empty one as the text "null". Names and shapes:
https://docs.tradier.com/docs (orders, positions, balances, quotes, time and sales).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from aggregates.occ import occ_terms
from aggregates.order_messages import OrderType, Side
from brokers.http_fields import Unreadable, count, exact, fields, moment, side, text
from brokers.http_increments import Total
from brokers.port import BrokerOrder, BrokerPosition, BrokerState, OrderRefused, OrderRequest
from brokers.request_checks import check_id, price_units, quantity_units
from config.clock import from_micros

CONTRACT = 100  # shares of one option contract that was not adjusted

_ALLOWED = re.compile("[A-Za-z0-9-]+")
_FINAL: Mapping[str, BrokerState] = {  # every other status is open
    "filled": "filled", "canceled": "cancelled", "expired": "expired", "rejected": "rejected",
    "error": "rejected",
}  # fmt: skip
_SIDES: Mapping[str, Side] = {
    "buy": "buy", "buy_to_cover": "buy", "buy_to_open": "buy", "buy_to_close": "buy",
    "sell": "sell", "sell_short": "sell", "sell_to_open": "sell", "sell_to_close": "sell",
}  # fmt: skip
_REASONS = (  # the first words that occur count
    ("unknown symbol", "unknown_symbol"),
    ("symbol not found", "unknown_symbol"),
    ("invalid parameter, symbol", "unknown_symbol"),
    ("buying power", "insufficient_cash"),
    ("insufficient", "insufficient_cash"),
    ("more shares than", "short_sale"),
    ("short", "short_sale"),
    ("long position", "short_sale"),
    ("not tradable", "not_tradable"),
    ("halt", "not_tradable"),
    ("market is closed", "market_closed"),
    ("not approved", "account_blocked"),
    ("disabled", "account_blocked"),
    ("price", "invalid_price"),
    ("quantity", "invalid_quantity"),
)


def many(raw: Mapping[str, Any], outer: str, inner: str) -> list[Any]:
    """``{"orders": {"order": [...]}}``, of which one comes without its list and none as "null" (or
    null, or {}). An answer without its key is no list."""
    held = raw.get(outer, Unreadable)
    if held in (None, "null", {}):
        return []
    found = fields(held, outer).get(inner)
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise Unreadable(outer)
    return found


def there(symbol: str) -> str:
    """Classes of shares are BRK/B at Tradier."""
    return symbol.replace(".", "/")


def here(symbol: str) -> str:
    return symbol.replace("/", ".")


# --- orders -----------------------------------------------------------------------------------


def order_fields(request: OrderRequest) -> dict[str, str]:
    """The form of an order for the day, numbers as text. Raises OrderRefused before it is sent."""
    check_id(request)
    if not _ALLOWED.fullmatch(request.client_order_id):
        raise OrderRefused("invalid_id", "Tradier takes letters, digits and dashes in an id only.")
    quantity_units(request)
    if request.quantity != int(request.quantity):
        raise OrderRefused("not_fractionable", "Tradier trades whole shares and contracts only.")
    found = {
        "class": "equity", "symbol": there(request.symbol), "side": request.side,
        "quantity": f"{int(request.quantity)}", "type": request.order_type, "duration": "day",
        "tag": request.client_order_id,
    }  # fmt: skip
    if option := occ_terms(request.symbol):
        side = "buy_to_open" if request.side == "buy" else "sell_to_close"
        found |= {
            "class": "option", "symbol": option.root, "option_symbol": request.symbol, "side": side,
        }  # fmt: skip
    for kind, name, price in (
        ("limit", "price", request.limit_price),
        ("stop", "stop", request.stop_price),
    ):
        price_units(request, kind, price)
        if price is not None:
            found[name] = f"{price:f}"
    return found


def order_id(raw: Mapping[str, Any]) -> str:
    """Of the answer to a POST or a DELETE: ``{"order": {"id": 257459, "status": "ok"}}``."""
    row = fields(raw.get("order"), "order")
    if row.get("status") != "ok":
        raise Unreadable("status of an answer")
    return str(count(row, "id"))


def order(raw: Any) -> BrokerOrder:
    """An order, of whatever origin. A status that is new to us counts as open: it stays watched."""
    row = fields(raw, "order")
    filled, status, kind = exact(row, "exec_quantity"), text(row, "status"), row.get("type")
    state: BrokerState = _FINAL.get(status) or ("partially_filled" if filled else "accepted")
    return BrokerOrder(
        client_order_id=_tag(row),
        broker_order_id=str(count(row, "id")),
        symbol=_symbol(row),
        side=side(row, _SIDES),
        order_type=cast(OrderType, kind) if kind in ("market", "limit", "stop") else "other",
        quantity=exact(row, "quantity"),
        filled_quantity=filled,
        state=state,
        error_code="rejected" if state == "rejected" else "",
        reason=str(row.get("reason_description") or "")[:200] if state == "rejected" else "",
        submitted_at=moment(row, "create_date"),
        updated_at=moment(row, "transaction_date"),
    )


def total(raw: Any) -> Total | None:
    """How much of an order is filled by now; None while nothing is."""
    row = fields(raw, "order")
    quantity = exact(row, "exec_quantity")
    if quantity < 0:
        raise Unreadable("exec_quantity")
    if not quantity:
        return None
    average = exact(row, "avg_fill_price")
    if average <= 0:
        raise Unreadable("avg_fill_price")
    return Total(
        client_order_id=_tag(row), broker_order_id=str(count(row, "id")), symbol=_symbol(row),
        side=side(row, _SIDES), quantity=quantity, average=average,
        at=moment(row, "transaction_date"), multiplier=CONTRACT if row.get("option_symbol") else 1,
    )  # fmt: skip


def error_code(message: str) -> str:
    """The port's word for a refusal in Tradier's words."""
    said = message.lower()
    return next((code for words, code in _REASONS if words in said), "tradier_refused")


def _tag(row: Mapping[str, Any]) -> str:
    """ "" for an order that was placed without one."""
    return str(row.get("tag") or "")


def _symbol(row: Mapping[str, Any]) -> str:
    return here(text(row, "option_symbol" if row.get("option_symbol") else "symbol"))


# --- the account ------------------------------------------------------------------------------


def cash(raw: Mapping[str, Any]) -> Decimal:
    return exact(fields(raw.get("balances"), "balances"), "total_cash")


def position(raw: Any) -> BrokerPosition:
    row = fields(raw, "position")
    return BrokerPosition(symbol=here(text(row, "symbol")), quantity=exact(row, "quantity"))


def account_row(raw: Mapping[str, Any], number: str) -> Mapping[str, Any] | None:
    """The account of this number in the profile of whom the token belongs to."""
    profile = fields(raw.get("profile"), "profile")
    found = [fields(row, "account") for row in many({"profile": profile}, "profile", "account")]
    return next((row for row in found if row.get("account_number") == number), None)


def server_time(raw: Mapping[str, Any]) -> datetime:
    return from_micros(count(fields(raw.get("clock"), "clock"), "timestamp") * 1_000_000)
