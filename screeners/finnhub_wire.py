"""HTTP to Finnhub: so many calls a minute, bounded in time, exact numbers, the key in no text.

finnhub-python puts the key into every address, where errors and logs would quote it, and takes a
session's answers as they come. Its client is given this session instead: the key goes in the header
X-Finnhub-Token, and every failure is raised here, before the library could quote the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import finnhub
import requests

from config.clock import Clock, from_micros
from config.http_body import TooLong, read_body
from config.setting_forms import Secret
from screeners.port import ScreenerError, ScreenerKeyRefused, Wait

URL = "https://api.finnhub.io/api/v1"
# 60 calls a minute are allowed. This spacing leaves three of them to a restart and to a test of the
# key on the settings page, which cannot know of each other.
SPACING = timedelta(milliseconds=1050)
LONGEST_PAUSE = timedelta(seconds=65)  # the limit is per minute
FIRST_PAUSE = timedelta(seconds=1)  # doubled with every further try
LONGEST_ANSWER = 32 * 2**20  # bytes; all securities of the United States are a quarter of that
# The pulse of whoever trades is watched: no answer may be silent, or drip, for longer.
LONGEST_S, LONGEST_BODY_S = 20, 60.0


class NotTold(ScreenerError):
    """An answer that makes no sense, or a refusal of this one question: others may be answered."""


class _Failure(Exception):
    """``status`` is 0 when no whole answer came; ``pause`` what was asked for, in seconds."""

    def __init__(self, said: str, status: int = 0, pause: int | None = None) -> None:
        super().__init__(said)
        self.said, self.status, self.pause = said, status, pause


class Wire(requests.Session):
    """The session of the library's client. ``timeout_s`` is for the connection and each read."""

    def __init__(self, key: Secret, timeout_s: int, clock: Clock) -> None:
        super().__init__()
        self._timeout_s, self._clock = min(timeout_s, LONGEST_S), clock
        self.trust_env = False  # no proxy and no .netrc: the key goes to Finnhub alone
        self.headers.update({"Accept": "application/json", "X-Finnhub-Token": key.reveal()})

    def request(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """One request, one answer. Raises _Failure for all but JSON with a 2xx."""
        options |= {"timeout": self._timeout_s, "allow_redirects": False, "stream": True}
        failure = None
        try:
            response = super().request(method, url, **options)
            read_body(response, LONGEST_BODY_S, LONGEST_ANSWER)
        except requests.Timeout:
            failure = _Failure("no answer in time")
        except TooLong:
            failure = _Failure("an answer that makes no sense", response.status_code)
        except requests.RequestException:
            failure = _Failure("no connection")
        except UnicodeError:  # in a header: nothing was sent, and the key is wrong
            failure = _Failure("a key that cannot be sent", 401)
        if failure is not None:  # outside the except: the library's error holds the key
            raise failure
        answer = self._answer(response)
        response.headers["Content-Type"] = "application/json"  # the library asks for it
        response.json = lambda **_: answer  # type: ignore[method-assign]
        return response

    def _answer(self, response: requests.Response) -> Any:
        status, body = response.status_code, response.content
        if not 200 <= status < 300:
            raise _Failure(f"HTTP {status}", status, self._pause_asked(response))
        try:
            return json.loads(body, parse_float=Decimal, parse_constant=_refuse)
        except (ValueError, ArithmeticError, RecursionError):
            pass
        raise _Failure("an answer that makes no sense", status)

    def _pause_asked(self, response: requests.Response) -> int | None:
        """Retry-After in seconds, or X-Ratelimit-Reset in seconds since 1970."""
        after = response.headers.get("Retry-After", "")
        if re.fullmatch("[0-9]{1,6}", after):
            return int(after)
        reset = response.headers.get("X-Ratelimit-Reset", "")
        if re.fullmatch("[0-9]{1,10}", reset):
            left = from_micros(int(reset) * 1_000_000) - self._clock.now()
            return max(0, -(-left // timedelta(seconds=1)))
        return None


def _refuse(_constant: str) -> None:
    raise ValueError


class Client(finnhub.Client):  # type: ignore[misc]
    """The library's client over our session."""

    def __init__(self, wire: Wire, url: str) -> None:
        self.API_URL = url
        self._session = wire


class Line:
    """The one way to Finnhub: evenly spaced, tried again ``retries`` times where that can help."""

    def __init__(
        self, key: Secret, timeout_s: int, retries: int, clock: Clock, url: str = URL
    ) -> None:
        self._clock, self._retries = clock, retries
        self.client = Client(Wire(key, timeout_s, clock), url)
        self.calls = 0
        self._free_at = clock.now()

    def ask(self, what: str, call: Callable[[Client], Any], wait: Wait) -> Any:
        """The answer as exact JSON. Raises ScreenerKeyRefused, NotTold, ScreenerError."""
        tried = 0
        while True:
            failure = self._once(call, wait)
            if not isinstance(failure, _Failure):
                return failure
            if failure.status == 401:
                raise ScreenerKeyRefused(
                    "Finnhub refuses the key. Nothing was changed; check FINNHUB_API_KEY on the "
                    "settings page."
                )
            passing = failure.status in (0, 408, 429) or failure.status >= 500
            said = f"Finnhub did not tell {what}: {failure.said}"
            if not passing:
                raise NotTold(f"{said}. Nothing was changed.")
            tried += 1
            if tried > self._retries:
                raise ScreenerError(f"{said}, after {tried} tries. What it told before is kept.")
            wait(self._clock.now() + _pause(failure, tried))

    def _once(self, call: Callable[[Client], Any], wait: Wait) -> Any:
        """An answer, or why there is none, as a value: no error is raised inside another."""
        # never longer than the spacing, should the clock have been set back meanwhile
        wait(min(self._free_at, self._clock.now() + SPACING))
        self._free_at = self._clock.now() + SPACING
        self.calls += 1
        try:
            return call(self.client)
        except _Failure as failure:
            return failure

    def close(self) -> None:
        self.client.close()


def _pause(failure: _Failure, tried: int) -> timedelta:
    """What was asked for, within reason; after 429 without a word the minute of the limit."""
    if failure.pause is not None:
        return min(timedelta(seconds=failure.pause), LONGEST_PAUSE)
    if failure.status == 429:
        return LONGEST_PAUSE
    return min(FIRST_PAUSE * (1 << (tried - 1)), LONGEST_PAUSE)
