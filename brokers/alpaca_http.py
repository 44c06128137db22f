"""HTTP to Alpaca: bounded in time, exact numbers, every request logged, nothing sent twice.

alpaca-py sets no time-out and repeats orders after 429 and 504. Its clients are given this session
instead, which raises ``WireFailure`` before they could repeat anything; what may be repeated,
reading, is repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import requests

from brokers.alpaca_wire import Unreadable, exact_json
from brokers.port import ApiAction, BrokerUnavailable, KeysRefused
from config.clock import Clock, from_micros
from config.setting_forms import Secret

Found = TypeVar("Found")
Tell = Callable[[ApiAction], None]

NO_SUCH_THING = 40410000  # Alpaca's number; a 404 without it comes from somewhere in between
FIRST_PAUSE = timedelta(milliseconds=250)  # doubled with every further try
LONGEST_GROWN = timedelta(seconds=8)
LONGEST_PAUSE = timedelta(seconds=65)  # the limit of requests is per minute


class WireFailure(Exception):
    """A request without a good answer. Never leaves the adapter, and holds no request.

    ``status`` is 0 when no whole answer came; ``answer`` is the JSON of a refusal, {} without one.
    """

    def __init__(
        self, said: str, status: int = 0, answer: dict[str, Any] | None = None, reset: str = ""
    ) -> None:
        super().__init__(said)
        self.said, self.status, self.answer, self.reset = said, status, answer or {}, reset

    @property
    def code(self) -> int:
        """Alpaca's own number of the refusal, 0 without one."""
        code = self.answer.get("code")
        return code if isinstance(code, int) else 0

    @property
    def message(self) -> str:
        return str(self.answer.get("message", ""))[:200]

    @property
    def keys_refused(self) -> bool:
        """401, and 403 where it is about the keys: other 403s refuse an order or a data plan."""
        words = ("forbidden", "unauthorized", "not authorized")
        return self.status == 401 or (
            self.status == 403
            and (self.code == 40110000 or any(word in self.message.lower() for word in words))
        )

    @property
    def may_pass(self) -> bool:
        """Whether asking again can help: nothing came, nonsense came, too many, their fault, or a
        refusal that is not in Alpaca's own words."""
        passing = self.status < 400 or self.status in (408, 429) or self.status >= 500
        return passing or not self.message


class Refused(BrokerUnavailable):
    """Alpaca clearly says no to a question. For the day it is no answer, like any other silence;
    only the self check tells it apart."""


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


class Wire(requests.Session):
    """The session of alpaca-py's clients. ``timeout_s`` is for the connection and for each read."""

    def __init__(self, keys: Keys, timeout_s: float, retries: int, clock: Clock, tell: Tell):
        super().__init__()
        self._keys, self._timeout_s, self._retries = keys, timeout_s, retries
        self._clock, self._tell = clock, tell
        self.trust_env = False  # no proxy and no .netrc: the keys go to Alpaca alone

    def request(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """One request, one answer. Raises WireFailure for all but a readable 2xx."""
        sent = self._clock.now()
        failure: WireFailure | None = None
        response = requests.Response()
        try:
            response = super().request(method, url, timeout=self._timeout_s, **options)
            failure = self._judged(response)
        except requests.Timeout:
            failure = WireFailure("no answer in time")
        except requests.RequestException:
            failure = WireFailure("connection lost")
        self._log(sent, method, url, failure.said if failure else str(response.status_code))
        if failure is not None:  # outside the except: the library's error holds the keys
            raise failure
        return response

    def _judged(self, response: requests.Response) -> WireFailure | None:
        """Why this answer is none; else its JSON is left in it with exact numbers."""
        status, body = response.status_code, response.content
        response.encoding = "utf-8"  # it would be guessed, slowly
        try:
            answer = exact_json(body) if body else None
        except (ValueError, RecursionError):
            answer = Unreadable
        if not 200 <= status < 300:
            reset = response.headers.get("X-RateLimit-Reset", "")
            failure = WireFailure(str(status), status, self._keys.cleaned(answer), reset)
            failure.said += f" {failure.code}" if failure.code else ""
            return failure
        if answer is Unreadable:
            return WireFailure(f"{status}, unreadable")
        response.json = lambda **_: answer  # type: ignore[method-assign]
        return None

    def _log(self, sent: datetime, method: str, url: str, outcome: str) -> None:
        took = max(self._clock.now() - sent, timedelta(0))
        action = ApiAction(
            at=sent, broker="alpaca", method=method, endpoint=urlsplit(url).path, outcome=outcome,
            duration_ms=took // timedelta(milliseconds=1),
        )  # fmt: skip
        with suppress(Exception):  # a log that cannot be written never stops trading
            self._tell(action)

    # --- reading ----------------------------------------------------------------------------

    def read(self, what: str, ask: Callable[[], Found]) -> Found:
        """What ``ask`` gives, tried again as often as allowed. Only for what changes nothing.

        Raises KeysRefused, Refused at once when Alpaca clearly says no, else BrokerUnavailable.
        """
        for tried in range(self._retries + 1):
            found = attempt(ask)
            if not isinstance(found, Failed):
                return found
            failure = found.why
            if failure.keys_refused:
                refuse_keys()
            if not failure.may_pass:
                said = failure.message
                raise Refused(f"Alpaca refuses to tell {what}: {said}. Nothing was changed.")
            pause = self._pause(failure, tried)
            if tried == self._retries or pause > LONGEST_PAUSE:
                break
            self._clock.wait_until(self._clock.now() + pause)
        raise BrokerUnavailable(
            f"Alpaca did not give {what}: {failure.said}, after {tried + 1} tries. Nothing is "
            "known and nothing was changed; it will be asked again."
        )

    def find(self, what: str, ask: Callable[[], Found]) -> Found | None:
        """The same, and None when Alpaca itself says that it has no such thing."""

        def ask_or_none() -> Found | None:
            found = attempt(ask)
            if not isinstance(found, Failed):
                return found
            if found.why.status == 404 and found.why.code == NO_SUCH_THING:
                return None
            raise found.why

        return self.read(what, ask_or_none)

    def _pause(self, failure: WireFailure, tried: int) -> timedelta:
        """Until the limit of requests is reset (epoch seconds), else longer with every try."""
        growing = min(FIRST_PAUSE * (1 << tried), LONGEST_GROWN)
        if failure.status == 429 and re.fullmatch("[0-9]{1,10}", failure.reset):
            reset = from_micros(int(failure.reset) * 1_000_000)
            return max(reset - self._clock.now(), growing)
        return growing


class Failed(NamedTuple):
    """A failure as a value, so that no error is raised inside another."""

    why: WireFailure


def attempt(ask: Callable[[], Found]) -> Found | Failed:
    """The answer, or what came in its place."""
    try:
        return ask()
    except WireFailure as failure:
        return Failed(failure)
    except Unreadable as e:
        return Failed(WireFailure(f"unreadable answer ({e})"))


def refuse_keys() -> NoReturn:
    raise KeysRefused(
        "Alpaca refuses the keys. Nothing was changed there. Check the key, its secret and "
        "whether they are those of the paper account in the settings, then start again."
    )
