"""What is Tradier's own of its HTTP: the token, form bodies, refusals (the rest: ``http_wire``).

https://docs.tradier.com/docs/error-responses
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brokers import http_wire
from brokers.http_fields import fields
from brokers.http_wire import Tell
from config.clock import Clock, from_micros
from config.setting_forms import Secret


class WireFailure(http_wire.WireFailure):
    """A request that Tradier did not answer well."""

    @property
    def reset_at(self) -> datetime | None:
        """Milliseconds since 1970."""
        if not re.fullmatch("[0-9]{1,13}", self.reset):
            return None
        return from_micros(int(self.reset) * 1_000)


class Wire(http_wire.Wire):
    """``url`` without the version, such as https://api.tradier.com."""

    BROKER, NAME, FAILURE = "Tradier", "tradier", WireFailure
    RESET = "X-Ratelimit-Expiry"
    KEYS_REFUSED = (
        "Tradier refuses the access token. Nothing was changed there. Check the token and whether "
        "it is that of this account, then start again."
    )

    def __init__(
        self, token: Secret, url: str, timeout_s: float, retries: int, clock: Clock, tell: Tell
    ) -> None:
        super().__init__(timeout_s, retries, clock, tell)
        self._token, self._url = token, url
        self.headers["Accept"] = "application/json"
        self.headers["Authorization"] = f"Bearer {token.reveal()}"

    def ask(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """The object that a GET gives. Raises WireFailure, or Unreadable."""
        return self._said("GET", path, params=query)

    def change(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        """One request that changes something."""
        return self._said(method, path, data=form)

    def _said(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        """What was refused behind the API comes with 200 and "errors": a clear no like 400."""
        found = fields(self.request(method, f"{self._url}/v1{path}", **options).json(), "answer")
        refusal = self.refusal(found)
        if refusal:
            raise WireFailure("refused", 400, refusal)
        return found

    def refusal(self, answer: Any) -> dict[str, Any]:
        """Tradier's own words are in "errors"; "fault" is of the gateway before it."""
        errors = answer.get("errors") if isinstance(answer, dict) else None
        if not isinstance(errors, dict):
            return {}
        said = errors.get("error")
        message = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
        return {"message": message.replace(self._token.reveal(), "(token)")}
