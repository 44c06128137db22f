"""What all requests share: the questions, asked by one thread at a time, and the verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from threading import Lock
from typing import Any, cast

import msgspec
from flask import current_app

from aggregates.errors import TradeBotError
from config.clock import Clock
from runtime.queries import Queries
from security.keyfile import KeyFileError

NAME = "tradebot"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a verification of the whole chain. ``bad_position`` is None when it holds.

    ``failed`` says why nothing could be checked; then the other fields say nothing.
    """

    head: int
    position: int
    head_hash: str
    bad_position: int | None
    reason: str
    checked_at: datetime
    failed: str = ""

    @property
    def intact(self) -> bool:
        return self.bad_position is None and not self.failed


class Verifier:
    """Verifies once for each head of the store, beside the pages and never in their way."""

    def __init__(self, queries: Queries, clock: Clock) -> None:
        self._queries, self._clock = queries, clock
        self._lock = Lock()
        self._last: Check | None = None

    def known(self, head: int) -> Check | None:
        """The check of this head, if it was made already. Never waits."""
        last = self._last
        return last if last is not None and last.head == head else None

    def check(self, head: int, *, again: bool = False) -> Check:
        """The check of this head, made now when there is none or ``again`` is asked."""
        before = self._last
        with self._lock:  # who comes while one is running takes over its result
            fresh = self._last is not before
            if self._last is None or self._last.head != head or (again and not fresh):
                self._last = self._verify(head)
            return self._last

    def _verify(self, head: int) -> Check:
        now = self._clock.now()
        try:
            # reads the store over a connection of its own, so it needs no turn among the questions
            found = self._queries.verify_now()
        except (TradeBotError, KeyFileError) as e:
            return Check(
                head=head, position=0, head_hash="", bad_position=None, reason="",
                checked_at=now, failed=str(e),
            )  # fmt: skip
        return Check(
            head=head,
            position=found.position,
            head_hash=found.head_hash.hex(),
            bad_position=found.bad_position,
            reason=found.reason,
            checked_at=now,
        )


class _InTurn:
    """Calls one method at a time: a question may close views that another is still reading."""

    def __init__(self, queries: Queries) -> None:
        self._queries, self._lock = queries, Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._queries, name)
        if not callable(found):
            return found

        @wraps(found)
        def ask(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return found(*args, **kwargs)

        return ask


@dataclass(frozen=True)
class Shared:
    """What the pages are handed. ``dispatch`` carries commands out; read-only pages never call it.

    ``reference`` gives the number under which an unexpected error is logged.
    """

    queries: Queries
    verifier: Verifier
    dispatch: Callable[..., Any] | None
    reference: Callable[[], str]


def share(
    queries: Queries,
    dispatch: Callable[..., Any] | None,
    clock: Clock,
    reference: Callable[[], str],
) -> Shared:
    in_turn = cast(Queries, _InTurn(queries))
    return Shared(in_turn, Verifier(queries, clock), dispatch, reference)


def shared() -> Shared:
    """That of the application which answers this request."""
    return cast(Shared, current_app.extensions[NAME])
