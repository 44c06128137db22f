"""What is Robinhood's own of its HTTP: the token, its refusals (the rest is in ``http_wire``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import requests

from brokers import http_wire
from brokers.http_fields import Unreadable, fields, rows
from brokers.http_wire import Tell
from brokers.port import OrderRefused
from brokers.robinhood_wire import next_cursor
from config.clock import Clock
from config.setting_forms import Secret

MOST_PAGES = 1_000

# Its refusals have no codes, so the words decide; the first that occur count.
_WORDS = (
    ("not enough shares", "short_sale"),
    ("short", "short_sale"),
    ("buying power", "insufficient_cash"),
    ("fractional", "not_fractionable"),
    ("not tradable", "not_tradable"),
    ("halt", "not_tradable"),
    ("market hours", "market_closed"),
    ("restricted", "account_blocked"),
    ("price", "invalid_price"),
    ("quantity", "invalid_quantity"),
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how. ``url`` is always given: there is no address of Robinhood's in this program.

    ``token`` is one that was obtained elsewhere: a name, a password or a second factor of a person
    is never asked for. ``timeout_s`` is for each answer, ``settle_s`` how long after an unclear
    answer an order may still turn up.
    """

    token: Secret
    account_number: str
    url: str
    timeout_s: float
    retries: int
    settle_s: float = 30.0


class WireFailure(http_wire.WireFailure):
    """A request that Robinhood did not answer well."""

    @property
    def absent(self) -> bool:
        """A 404 in its own JSON; one of something in between has none."""
        return self.status == 404 and bool(self.message)


class Wire(http_wire.Wire):
    """Requests with the token to one address; addresses in answers are not followed."""

    BROKER, NAME, FAILURE = "Robinhood", "robinhood", WireFailure
    KEYS_REFUSED = (
        "Robinhood refuses the token. Nothing was changed there. Obtain another one, then start "
        "again."
    )

    def __init__(self, access: Access, clock: Clock, tell: Tell) -> None:
        super().__init__(access.timeout_s, access.retries, clock, tell)
        self._access = access

    def asked(self, path: str, **query: str) -> requests.Response:
        return self._authorized("GET", path, params=query)

    def json(self, path: str, **query: str) -> Any:
        return self.asked(path, **query).json()

    def results(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """The rows of every page. Raises Unreadable."""
        for _ in range(MOST_PAGES):
            page = self.json(path, **query)
            for row in rows(fields(page, path).get("results"), path):
                yield fields(row, path)
            cursor = next_cursor(page)
            if not cursor:
                return
            if cursor == query.get("cursor"):
                break
            query["cursor"] = cursor
        raise Unreadable("pages without end")

    def sent(self, path: str, form: Mapping[str, str]) -> requests.Response:
        return self._authorized("POST", path, data=form)

    def _authorized(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._access.token.reveal()}"}
        url = self._access.url.rstrip("/") + path
        return self.request(method, url, headers=headers, **options)

    def refusal(self, answer: Any) -> dict[str, Any]:
        """``detail``, or what is said of single fields."""
        if not isinstance(answer, dict):
            return {}
        said = answer.get("detail") or "; ".join(
            f"{name}: {' '.join(map(str, words))}"
            for name, words in answer.items()
            if isinstance(words, list)
        )
        return {"message": str(said).replace(self._access.token.reveal(), "(token)")}


def no_order(failure: http_wire.WireFailure) -> OrderRefused:
    """What a refusal of an order means."""
    said = failure.message.lower()
    code = next((known for words, known in _WORDS if words in said), "robinhood_refused")
    return OrderRefused(code, failure.message)
