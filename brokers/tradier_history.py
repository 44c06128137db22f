"""What Tradier's account history says that orders do not: dividends, fees, expiries; pure.

https://docs.tradier.com/docs/history. It is written anew each night, names no order and gives no
ids. Trades are in it too: of them only what was charged beyond price and quantity is an activity.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from aggregates.occ import occ_terms
from brokers.http_fields import Unreadable, exact, fields, text
from brokers.port import Activity, ActivityKind
from brokers.tradier_wire import CONTRACT, here

CENT = Decimal("0.01")
_KINDS: Mapping[str, ActivityKind] = {
    "dividend": "dividend", "tax": "withholding", "interest": "interest", "fee": "fee",
    "ach": "transfer", "wire": "transfer", "check": "transfer", "transfer": "transfer",
    "journal": "transfer",
}  # fmt: skip
_OPTIONS: Mapping[str, ActivityKind] = {
    "OPTEXP": "option_expiry", "EXPIRATION": "option_expiry", "EXPIRED": "option_expiry",
    "EXERCISE": "option_exercise", "ASSIGNMENT": "option_exercise",
}  # fmt: skip


def activities(events: Iterable[Any], first: date) -> Sequence[Activity]:
    """Those from that day on. Equal events of one day get numbers, so that each has an id that
    stays the same from question to question."""
    seen: Counter[str] = Counter()
    found = []
    for raw in events:
        row = fields(raw, "event")
        mark = hashlib.sha256(repr(sorted(row.items(), key=str)).encode()).hexdigest()[:16]
        seen[mark] += 1
        told = _activity(row, f"{mark}:{seen[mark]}")
        if told is not None and told.day >= first:
            found.append(told)
    return sorted(found, key=lambda one: (one.day, one.activity_id))


def _activity(row: Mapping[str, Any], mark: str) -> Activity | None:
    code = text(row, "type")
    more = row.get(code) if isinstance(row.get(code), dict) else row.get("adjustment")
    about = more if isinstance(more, dict) else {}
    net: Decimal | None = exact(row, "amount")
    quantity = None if about.get("quantity") is None else exact(about, "quantity")
    symbol, kind = here(str(about.get("symbol") or "")), _KINDS.get(code, "other")
    if code == "trade":
        kind, net, quantity = "fee", _charged(row, about), None
        if not net:
            return None
    elif code == "option":
        # without its symbol nobody knows what went away: that is left to a person
        if occ_terms(symbol):
            kind = _OPTIONS.get(str(about.get("option_type")).upper(), "other")
        if kind == "option_expiry" and quantity is not None:
            quantity, net = -abs(quantity), None
    return Activity(
        activity_id=f"{_day(row)}:{mark}", kind=kind, code=code, day=_day(row), symbol=symbol,
        quantity=quantity, net_amount=net, description=str(about.get("description") or "")[:200],
        cancelled=False,
    )  # fmt: skip


def _charged(row: Mapping[str, Any], trade: Mapping[str, Any]) -> Decimal:
    """What a trade moved beyond price times quantity: commission and fees, below zero."""
    units = CONTRACT if occ_terms(str(trade.get("symbol") or "")) else 1
    worth = exact(trade, "price") * exact(trade, "quantity") * units
    return (exact(row, "amount") + worth).quantize(CENT)


def _day(row: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(text(row, "date")[:10])
    except ValueError:
        raise Unreadable("date of an event") from None
