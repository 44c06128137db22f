"""Fields of a broker's JSON: exact, or refused. Pure; what every broker over HTTP reads with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from aggregates.money import plain
from aggregates.order_messages import Side


class Unreadable(ValueError):
    """An answer that is not what it should be; the text says where, and quotes nothing."""


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


def hint(row: Any, name: str) -> Decimal | None:
    """A number from which no money follows, such as a delta: None where it is not there, or is
    noise like 1e-31. The rest of the answer counts all the same."""
    try:
        return exact(row, name) if isinstance(row, dict) else None
    except Unreadable:
        return None


def count(row: Mapping[str, Any], name: str) -> int:
    """A whole number that is not below zero."""
    number = exact(row, name)
    if number < 0 or number != int(number):
        raise Unreadable(name)
    return int(number)


def text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(name)
    return value


def side(row: Mapping[str, Any], words: Mapping[str, Side]) -> Side:
    """What the broker's word for it means; of several legs, say, it has none."""
    found = words.get(text(row, "side"))
    if found is None:
        raise Unreadable("side")
    return found


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


def fields(raw: Any, what: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(raw, dict):
        raise Unreadable(what)
    return raw


def exact_json(body: bytes | str) -> Any:
    """JSON with every fraction as Decimal. Raises ValueError, for NaN and Infinity too."""
    return json.loads(body, parse_float=Decimal, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
