"""What is Webull's own of its HTTP: the signature, its refusals (the rest is in ``http_wire``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from brokers import http_wire
from brokers.http_wire import Tell
from brokers.port import BrokerError, DuplicateOrder, OrderRefused
from brokers.webull_signing import Signed, headers
from config.clock import Clock
from config.setting_forms import Secret

_OF_KEYS = frozenset({"INVALID_TOKEN", "UNAUTHORIZED", "INCORRECT_SIGN"})
_ABSENT = frozenset({"ORDER_NOT_FOUND", "INSTRUMENT_NOT_FOUND"})
_CODES: Mapping[str, str] = {
    "INSTRUMENT_NOT_FOUND": "unknown_symbol", "INVALID_SYMBOL": "unknown_symbol",
    "ORDER_TICKER_NOT_FOUND": "unknown_symbol", "TICKER_ID_CAN_NOT_TRADE": "not_tradable",
    "ORDER_TICKER_CAN_NOT_TRADE": "not_tradable", "ORDER_PRICE_ILLEGAL": "invalid_price",
    "TRADE_ORDER_TICKER_UNLISTED_CANNOT_TRADE": "not_tradable",
    "TRADE_ORDER_NO_PERMISSION": "account_blocked",
}  # fmt: skip
# Where its code says nothing, its words do; the first that occur count.
_WORDS = (
    ("buying power", "insufficient_cash"),
    ("fraction", "not_fractionable"),
    ("short", "short_sale"),
    ("position", "short_sale"),
    ("market hours", "market_closed"),
    ("price", "invalid_price"),
    ("quantity", "invalid_quantity"),
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how. ``url`` is always given: there is no address of Webull's in this program.

    ``token`` is of accounts whose owner has switched two-factor authentication on. ``timeout_s`` is
    for each answer, ``settle_s`` how long after an unclear answer an order may still turn up.
    """

    app_key: Secret
    app_secret: Secret
    account_id: str
    url: str
    timeout_s: float
    retries: int
    token: Secret = Secret("")
    settle_s: float = 30.0


class WireFailure(http_wire.WireFailure):
    """A request that Webull did not answer well. ``word`` is Webull's own of a refusal."""

    @property
    def word(self) -> str:
        return str(self.answer.get("word") or "")

    @property
    def keys_refused(self) -> bool:
        """Whatever is said with 401, but for a clock that is wrong."""
        return self.word in _OF_KEYS or (self.status == 401 and self.word != "CLOCK_SKEW_EXCEEDED")

    @property
    def absent(self) -> bool:
        return 400 <= self.status < 500 and self.word in _ABSENT


class Wire(http_wire.Wire):
    """Signed requests to one address. ``new_nonce`` gives a text that was never used before."""

    BROKER, NAME, FAILURE = "Webull", "webull", WireFailure
    KEYS_REFUSED = (
        "Webull refuses the keys. Nothing was changed there. Check the app key, its secret, the "
        "token and whether they are of this account, then start again."
    )

    def __init__(
        self, access: Access, clock: Clock, tell: Tell, new_nonce: Callable[[], str]
    ) -> None:
        super().__init__(access.timeout_s, access.retries, clock, tell)
        self._access, self._new_nonce = access, new_nonce

    def asked(self, path: str, **query: str) -> requests.Response:
        """A question about the account unless it is about the market."""
        return self._signed("GET", path, query, b"")

    def sent(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        return self._signed("POST", path, {}, json.dumps(body, separators=(",", ":")).encode())

    def _signed(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> requests.Response:
        access = self._access
        signed = Signed(
            host=urlsplit(access.url).netloc, path=path, query=query, body=body,
            at=self._clock.now(), nonce=self._new_nonce(),
        )  # fmt: skip
        named = headers(access.app_key.reveal(), access.app_secret.reveal(), signed)
        named |= {"x-version": "v3", "Content-Type": "application/json"}
        if access.token:
            named["x-access-token"] = access.token.reveal()
        return self.request(
            method, access.url.rstrip("/") + path, params=query, data=body or None, headers=named
        )

    def refusal(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
            return {}
        message = str(answer.get("message", ""))
        for secret in (self._access.app_key, self._access.app_secret, self._access.token):
            message = message.replace(secret.reveal(), "(key)") if secret else message
        return {"word": answer.get("error_code"), "message": message}


def no_order(failure: http_wire.WireFailure) -> BrokerError | None:
    """What Webull's refusal of an order means; None where it does not say no in its own words."""
    code = str(failure.answer.get("word") or "")
    if not code:
        return None
    if code == "TRADE_PLACE_ORDER_REPEAT":
        return DuplicateOrder(
            "Webull has an order under this id already; it was not taken again. Ask for its state."
        )
    said = failure.message.lower()
    by_words = (known for words, known in _WORDS if words in said)
    return OrderRefused(
        _CODES.get(code) or next(by_words, f"webull_{code.lower()}"), failure.message
    )
