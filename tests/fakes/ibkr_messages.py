"""Messages of a TWS gateway at server version 176, fields in the order of the API."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

E = ("",)
ORDER_TYPES = "ACTIVETIM,LMT,MKT,STP"


def frame(*fields: Any) -> bytes:
    """Length-prefixed, each field ended by NUL."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return len(body).to_bytes(4, "big") + body


def error(number: int, code: int, said: str) -> bytes:
    return frame(4, 2, number, code, said, "")


def contract(listed: Any) -> tuple[Any, ...]:
    """conId to trading class, as orders, positions and executions have it."""
    return (
        listed.con_id, listed.symbol, listed.sec_type, listed.expiry, listed.strike, listed.right,
        listed.multiplier, "SMART", "USD", listed.local, listed.trading_class,
    )  # fmt: skip


def _terms(order: Any, quantity: Any) -> tuple[Any, ...]:
    """Action to the order's reference."""
    limit = order.limit if order.kind == "LMT" else "0.0"
    stop = order.stop if order.kind == "STP" else "0.0"
    return (
        order.side, quantity, order.kind, limit, stop, "DAY", "", order.account, "O", 0, order.ref,
    )  # fmt: skip


def open_order(order: Any) -> bytes:
    return frame(
        5, order.order_id, *contract(order.listed), *_terms(order, order.quantity),
        order.client_id, order.perm_id, 0, 0, *E * 6, "", *E * 29, *E * 7, 0, 0, 0, *E * 3, "",
        *E * 3, 0, 0, "", 0, 0, order.status, *["1.7976931348623157E308"] * 9, *E * 5, 0, 0, 0,
        *E * 16, "", "", "", *E * 5,
    )  # fmt: skip


def status(order: Any) -> bytes:
    left = order.quantity - order.filled
    return frame(
        3, order.order_id, order.status, order.filled, left, "100.01", order.perm_id, 0, "100.01",
        order.client_id, "", "0",
    )  # fmt: skip


def completed_order(order: Any) -> bytes:
    """Its total is 0 where all of it was filled, and it has no order id."""
    quantity = 0 if order.status == "Filled" else order.quantity
    return frame(
        101, *contract(order.listed), *_terms(order, quantity), order.perm_id, 0, 0, *E * 5, "",
        *E * 23, *E * 5, 0, 0, 0, *E * 3, "", *E * 3, 0, "", 0, order.status, 0, 0, 0,
        *E * 6, order.filled, *E * 6, "20260302-21:00:00", order.why, *E * 5,
    )  # fmt: skip


def execution(number: int, fill: Any) -> bytes:
    order, at = fill.order, fill.at
    return frame(
        11, number, order.order_id, *contract(order.listed), fill.execution_id,
        f"{at:%Y%m%d %H:%M:%S} UTC", order.account, "NASDAQ",
        "BOT" if order.side == "BUY" else "SLD", fill.quantity, fill.price, order.perm_id,
        order.client_id, 0, order.filled, "100.01", order.ref, "", "", "", 2,
    )  # fmt: skip


def commission(fill: Any) -> bytes:
    return frame(
        59, 1, fill.execution_id, fill.commission, "USD", "1.7976931348623157E308",
        "1.7976931348623157E308", "",
    )  # fmt: skip


def position(account: str, listed: Any, quantity: Any) -> bytes:
    return frame(61, 3, account, *contract(listed), quantity, "100.0")


def details(number: int, listed: Any) -> bytes:
    return frame(
        10, number, listed.symbol, listed.sec_type, listed.expiry, listed.strike, listed.right,
        "SMART", "USD", listed.local, "NMS", listed.trading_class, listed.con_id, "0.01",
        listed.multiplier, ORDER_TYPES, "SMART,NASDAQ", 1, 0, "FAKE CORP", "NASDAQ", "", "", "", "",
        "US/Eastern", "", "", "", 0, 0, 1, "", "", "26", "", "COMMON", "0.0001", "0.0001", "100",
    )  # fmt: skip


def bars(number: int, rows: Iterable[tuple[datetime, Any, Any, Any, Any, Any]]) -> bytes:
    fields: list[Any] = []
    rows = list(rows)
    for at, *prices, volume in rows:
        fields += [int(at.timestamp()), *prices, volume, "100.1", 9]
    return frame(17, number, "20260302 09:30:00", "20260302 16:00:00", len(rows), *fields)
