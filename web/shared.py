"""What all requests share: the questions, asked by one thread at a time, and the verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from threading import Lock
from typing import Any, cast

from flask import current_app

from config.clock import Clock
from config.paths import DataFolder
from runtime.custody import Custody
from runtime.queries import Queries
from web.jobs import Jobs
from web.verifier import Verifier

NAME = "tradebot"


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
    """What the pages are handed. Only pages that change something ask for ``custody``.

    ``reference`` gives the number under which an unexpected error is logged.
    """

    queries: Queries
    verifier: Verifier
    jobs: Jobs
    clock: Clock
    custody: Callable[[], Custody]
    reference: Callable[[], str]


def share(
    queries: Queries,
    clock: Clock,
    reference: Callable[[], str],
    before_change: Callable[[], None],
) -> Shared:
    """``before_change`` refuses a change whose right ended while it waited for another one."""

    def opened() -> Custody:
        custody = Custody.open(DataFolder(queries.data_dir), clock)
        custody.before_change = before_change
        return custody

    in_turn, jobs = cast(Queries, _InTurn(queries)), Jobs(clock)
    # opened when a page first changes something: before set-up there is nothing to open
    return Shared(in_turn, Verifier(queries, clock, jobs), jobs, clock, cache(opened), reference)


def shared() -> Shared:
    """That of the application which answers this request."""
    return cast(Shared, current_app.extensions[NAME])
