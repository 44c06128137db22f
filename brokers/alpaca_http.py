"""What is Alpaca's own of its HTTP: its keys, its refusals (the rest is in ``http_wire``).

alpaca-py sets no time-out and repeats orders after 429 and 504. Its clients are given this session
instead, which raises ``WireFailure`` before they could repeat anything.
"""

from __future__ import annotations

from typing import Any, NoReturn

from brokers import http_wire
from brokers.http_wire import Tell
from brokers.port import KeysRefused
from config.clock import Clock
from config.setting_forms import Secret

KEYS_REFUSED = (
    "Alpaca refuses the keys. Nothing was changed there. Check the key, its secret and "
    "whether they are those of the paper account in the settings, then start again."
)
NO_SUCH_THING = 40410000  # Alpaca's number; a 404 without it comes from somewhere in between


class WireFailure(http_wire.WireFailure):
    """A request that Alpaca did not answer well."""

    @property
    def keys_refused(self) -> bool:
        """401, and 403 where it is about the keys: other 403s refuse an order or a data plan."""
        words = ("forbidden", "unauthorized", "not authorized")
        return self.status == 401 or (
            self.status == 403
            and (self.code == 40110000 or any(word in self.message.lower() for word in words))
        )

    @property
    def absent(self) -> bool:
        return self.status == 404 and self.code == NO_SUCH_THING


class Keys:
    """The two keys, and the cleaning of texts that might repeat one."""

    def __init__(self, key_id: Secret, secret: Secret) -> None:
        self.key_id, self.secret = key_id, secret

    def cleaned(self, answer: Any) -> dict[str, Any]:
        """A refusal as an object, without the keys should it quote them."""
        if not isinstance(answer, dict):
            return {}
        message = str(answer.get("message", ""))
        for key in (self.key_id, self.secret):
            message = message.replace(key.reveal(), "(key)") if key else message
        return {"code": answer.get("code"), "message": message}


class Wire(http_wire.Wire):
    """The session of alpaca-py's clients."""

    BROKER, NAME, FAILURE = "Alpaca", "alpaca", WireFailure
    KEYS_REFUSED = KEYS_REFUSED

    def __init__(self, keys: Keys, timeout_s: float, retries: int, clock: Clock, tell: Tell):
        super().__init__(timeout_s, retries, clock, tell)
        self._keys = keys

    def refusal(self, answer: Any) -> dict[str, Any]:
        return self._keys.cleaned(answer)


def refuse_keys() -> NoReturn:
    raise KeysRefused(KEYS_REFUSED)
