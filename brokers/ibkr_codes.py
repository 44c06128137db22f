"""What the numbers of errors mean at Interactive Brokers. Pure.

https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/#api-error-codes
"""

from __future__ import annotations

from collections.abc import Mapping

from brokers.ibkr_told import Error
from brokers.port import OrderRefused

CLIENT_ID_TAKEN = 326
CUT, BACK = frozenset({1100, 2110}), frozenset({1101, 1102})
NO_CONTRACT = 200
HISTORY = 162  # no data, or asked too fast: only its words tell
DUPLICATE_ID = 103
CANCELLED = 202
NOT_CANCELLABLE = frozenset({135, 136, 161, 10147, 10148})
# No market data of this kind is subscribed to, or another session of the same user has it.
NO_MARKET_DATA = frozenset({354, 10089, 10090, 10091, 10168, 10186, 10197})
# The order stays alive under these; so it does under 2100 to 2199.
_WARNINGS = frozenset({105, 165, 399, 404, 492, 10167})
# A clear no to an order: there is none at IBKR under this number. Of 201 and 321 the words decide.
_REFUSALS: Mapping[int, str] = {
    109: "invalid_price", 110: "invalid_price", 200: "unknown_symbol", 201: "", 203: "not_tradable",
    321: "", 383: "invalid_quantity", 387: "not_tradable", 388: "invalid_quantity",
    434: "invalid_quantity", 460: "account_blocked", 10243: "not_fractionable",
}  # fmt: skip
_REASONS = (
    ("short", "short_sale"),
    ("available funds", "insufficient_cash"),
    ("insufficient", "insufficient_cash"),
    ("margin", "insufficient_cash"),
    ("equity with loan", "insufficient_cash"),
    ("fraction", "not_fractionable"),
    ("halt", "not_tradable"),
    ("not available for trading", "not_tradable"),
    ("no trading permission", "account_blocked"),
    ("read-only", "account_blocked"),
    ("restricted", "account_blocked"),
    ("closed", "market_closed"),
    ("price", "invalid_price"),
    ("size", "invalid_quantity"),
    ("quantity", "invalid_quantity"),
)


def is_warning(code: int) -> bool:
    return code in _WARNINGS or 2100 <= code < 2200


def refusal(error: Error, account: str) -> OrderRefused | None:
    """The refusal that an error about an order is, or None where it is no clear no."""
    code = _REFUSALS.get(error.code)
    if code is None:
        return None
    said = error.said.replace(account, "(account)")[:300] if account else error.said[:300]
    if not code:
        words = (name for word, name in _REASONS if word in said.lower())
        code = next(words, f"ibkr_{error.code}")
    return OrderRefused(code, said or f"error {error.code}")
