"""HTTP to a broker: bounded in time, exact numbers, every request logged, nothing sent twice.

A ``requests`` session of its own, which raises ``WireFailure`` for all but a readable 2xx and
repeats nothing by itself. What may be repeated, reading, is repeated by ``read``. What a broker's
refusals mean is said by subclasses of ``WireFailure`` and ``Wire``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import requests

from brokers.http_fields import Unreadable, exact_json
from brokers.port import ApiAction, BrokerUnavailable, KeysRefused
from config.clock import Clock, from_micros
from config.http_body import read_body

Found = TypeVar("Found")
Tell = Callable[[ApiAction], None]

FIRST_PAUSE = timedelta(milliseconds=250)  # doubled with every further try
LONGEST_GROWN = timedelta(seconds=8)
LONGEST_BODY_S = 30.0  # the pulse of whoever trades is watched: no answer may drip for longer
LONGEST_BODY = 32 * 2**20  # bytes
LONGEST_PAUSE = timedelta(seconds=65)  # the limit of requests is per minute


class WireFailure(Exception):
    """A request without a good answer. Never leaves the adapter, and holds no request.

    ``status`` is 0 when no whole answer came; ``answer`` is what ``Wire.refusal`` made of a
    refusal, {} without one; ``reset`` is when the limit of requests begins anew, as it was sent.
    """

    def __init__(
        self, said: str, status: int = 0, answer: dict[str, Any] | None = None, reset: str = ""
    ) -> None:
        super().__init__(said)
        self.said, self.status, self.answer, self.reset = said, status, answer or {}, reset

    @property
    def message(self) -> str:
        """The broker's own words of a refusal, "" where it has said none."""
        return str(self.answer.get("message", ""))[:200]

    @property
    def code(self) -> int:
        """The broker's own number of the refusal, 0 without one."""
        code = self.answer.get("code")
        return code if isinstance(code, int) else 0

    @property
    def keys_refused(self) -> bool:
        return self.status == 401

    @property
    def absent(self) -> bool:
        """Whether the broker itself says that it has no such thing."""
        return False

    @property
    def reset_at(self) -> datetime | None:
        """``reset`` in seconds since 1970; None where it says nothing that can be believed."""
        if not re.fullmatch("[0-9]{1,10}", self.reset):
            return None
        return from_micros(int(self.reset) * 1_000_000)

    @property
    def may_pass(self) -> bool:
        """Whether asking again can help: nothing came, nonsense came, too many, their fault, or a
        refusal that is not in the broker's own words."""
        passing = self.status < 400 or self.status in (408, 429) or self.status >= 500
        return passing or not self.message


class Refused(BrokerUnavailable):
    """The broker clearly says no to a question. For the day it is no answer, like any other
    silence; only the self check tells it apart."""


class Wire(requests.Session):
    """``timeout_s`` is for the connection and for each read; ``retries`` is of questions alone.

    ``tell`` gets each request for the log; one that cannot be written never stops trading.
    """

    BROKER: ClassVar[str]  # as people write it
    NAME: ClassVar[str]  # in the log
    FAILURE: ClassVar[type[WireFailure]] = WireFailure
    RESET: ClassVar[str] = "X-RateLimit-Reset"  # the header of 429 with the end of the limit
    KEYS_REFUSED: ClassVar[str]  # what is said then: what happened, what to do

    def __init__(self, timeout_s: float, retries: int, clock: Clock, tell: Tell):
        super().__init__()
        self._timeout_s, self._retries = timeout_s, retries
        self._clock, self._tell = clock, tell
        self.trust_env = False  # no proxy and no .netrc: the keys go to the broker alone

    def refusal(self, answer: Any) -> dict[str, Any]:
        """What a refusal says (JSON of any shape), cleaned of keys that it may quote: ``message``
        where it is in the broker's own words, and whatever FAILURE looks at."""
        raise NotImplementedError

    def request(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """One request, one answer. Raises WireFailure for all but a readable 2xx.

        A redirection is no answer: followed, it would send an order twice, and keys elsewhere.
        """
        options |= {"timeout": self._timeout_s, "allow_redirects": False, "stream": True}
        sent = self._clock.now()
        failure: WireFailure | None = None
        response = requests.Response()
        try:
            response = super().request(method, url, **options)
            read_body(response, LONGEST_BODY_S, LONGEST_BODY)
            failure = self._judged(response)
        except requests.Timeout:
            failure = self.FAILURE("no answer in time")
        except requests.RequestException:
            failure = self.FAILURE("connection lost")
        except UnicodeError:  # in a header: nothing was sent, and the keys are wrong
            failure = self.FAILURE("a key that cannot be sent", 401)
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
            reset = response.headers.get(self.RESET, "")
            refusal = {} if answer is Unreadable else self.refusal(answer)
            failure = self.FAILURE(str(status), status, refusal, reset)
            failure.said += f" {failure.code}" if failure.code else ""
            return failure
        if answer is Unreadable:
            return self.FAILURE(f"{status}, unreadable")
        response.json = lambda **_: answer  # type: ignore[method-assign]
        return None

    def _log(self, sent: datetime, method: str, url: str, outcome: str) -> None:
        took = max(self._clock.now() - sent, timedelta(0))
        action = ApiAction(
            at=sent, broker=self.NAME, method=method, endpoint=urlsplit(url).path, outcome=outcome,
            duration_ms=took // timedelta(milliseconds=1),
        )  # fmt: skip
        with suppress(Exception):  # a log that cannot be written never stops trading
            self._tell(action)

    # --- reading ----------------------------------------------------------------------------

    def read(self, what: str, ask: Callable[[], Found]) -> Found:
        """What ``ask`` gives, tried again as often as allowed. Only for what changes nothing.

        Raises KeysRefused, Refused at once when the broker clearly says no, else BrokerUnavailable.
        """
        for tried in range(self._retries + 1):
            found = attempt(ask)
            if not isinstance(found, Failed):
                return found
            failure = found.why
            if failure.keys_refused:
                self.refuse_keys()
            if not failure.may_pass:
                said = failure.message
                raise Refused(f"{self.BROKER} refuses to tell {what}: {said}. Nothing was changed.")
            pause = self._pause(failure, tried)
            if tried == self._retries or pause > LONGEST_PAUSE:
                break
            self._clock.wait_until(self._clock.now() + pause)
        raise BrokerUnavailable(
            f"{self.BROKER} did not give {what}: {failure.said}, after {tried + 1} tries. Nothing "
            "is known and nothing was changed; it will be asked again."
        )

    def find(self, what: str, ask: Callable[[], Found]) -> Found | None:
        """The same, and None when the broker itself says that it has no such thing."""

        def ask_or_none() -> Found | None:
            found = attempt(ask)
            if not isinstance(found, Failed):
                return found
            if found.why.absent:
                return None
            raise found.why

        return self.read(what, ask_or_none)

    def _pause(self, failure: WireFailure, tried: int) -> timedelta:
        """Until the limit of requests is reset, else longer with every try."""
        growing = min(FIRST_PAUSE * (1 << tried), LONGEST_GROWN)
        if failure.status == 429 and failure.reset_at is not None:
            return max(failure.reset_at - self._clock.now(), growing)
        return growing

    def refuse_keys(self) -> NoReturn:
        raise KeysRefused(self.KEYS_REFUSED)


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
