"""What Alpaca's market data stream says of trading halts; pure.

Shapes and codes: https://docs.alpaca.markets/docs/real-time-stock-pricing-data (Trading Status) and
https://docs.alpaca.markets/docs/streaming-market-data (messages, errors). A frame is a list of
objects, in MessagePack or JSON; ``T`` says of which kind each is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from brokers.http_fields import Unreadable, exact_json, text

EVERY_SYMBOL = "*"

# The codes of tapes A and B (CTA) are digits and A to F, those of C and O (UTP) the other letters,
# so a code means the same wherever it comes from.
_HALTED = frozenset("2HPQ")  # Q: quoted again before trading resumes
_TRADES = frozenset("3T")
_NEITHER = frozenset("56789ACDE")  # indications, imbalances, short sale restriction
_BANDS, _PAUSE = "F", "M"  # limit up, limit down: of its bands, or the reason of a pause

# Alpaca's numbers of errors, in words of ours: an answer may quote what it was sent.
_ERRORS: Mapping[int, str] = {
    400: "a message it did not understand",
    401: "not authenticated",
    402: "keys refused",
    404: "authenticated too late",
    405: "too many symbols for the subscription",
    406: "another connection of the account is open",
    407: "read too slowly",
    409: "feed not in the subscription",
    410: "no statuses on this feed",
    500: "an error of its own",
}
FOR_GOOD = frozenset({402, 409})  # asking again changes nothing


class Halt(NamedTuple):
    """``halted`` is None where what is said of the symbol is not understood."""

    symbol: str
    halted: bool | None


def messages(frame: str | bytes) -> list[Mapping[str, Any]]:
    """Those of one frame. Raises Unreadable."""
    try:
        found = exact_json(frame) if isinstance(frame, str) else msgspec.msgpack.decode(frame)
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        raise Unreadable("a frame") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unreadable("a frame")
    return found


def halt(message: Mapping[str, Any]) -> Halt | None:
    """What a trading status says; None where it is about something else than halting."""
    symbol, code = text(message, "S"), text(message, "sc")
    if code == _BANDS:
        code = "2" if message.get("rc") == _PAUSE else "E"
    if code in _NEITHER:
        return None
    return Halt(symbol, True if code in _HALTED else False if code in _TRADES else None)


def tells_all(message: Mapping[str, Any]) -> bool:
    """Whether a list of subscriptions holds the statuses of every symbol."""
    statuses = message.get("statuses")
    return isinstance(statuses, list) and EVERY_SYMBOL in statuses


def error(message: Mapping[str, Any]) -> tuple[int, str]:
    """Alpaca's number of an error and what it means; 0 for one that is new to us."""
    code = message.get("code")
    known = isinstance(code, int) and code in _ERRORS
    return (code, _ERRORS[code]) if known else (0, "an error that is not known")  # type: ignore[return-value, index]
