"""How fast the broker is asked: a token bucket in which exits are never last (M15).

A broker that counts requests refuses those above its limit, an exit as readily as a question. So
what can wait is held back while enough is left for what cannot.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum

from aggregates.errors import DomainError
from config.clock import Clock

MINUTE_US = 60_000_000
LEAST_PER_MINUTE = 16
SHARES = 8  # of the bucket: each step down in urgency leaves one more of them untouched


class Urgency(IntEnum):
    """The first is the most urgent."""

    EXIT = 0
    CANCEL = 1
    ENTRY = 2
    DATA = 3


class Pace:
    """Tokens of one broker account, at most ``per_minute`` in any 60 seconds; None: no limit.

    Half of them may be used at once, the other half comes evenly within a minute: together never
    more than the limit. Cancels leave a share of the bucket to exits, entries one more to cancels,
    questions one more to entries. Raises DomainError for a limit too small to be shared.
    """

    def __init__(self, per_minute: int | None, clock: Clock) -> None:
        if per_minute is not None and per_minute < LEAST_PER_MINUTE:
            raise DomainError(
                f"{per_minute} requests a minute are too few to trade with; {LEAST_PER_MINUTE} are "
                "the least. Nothing was asked; use a broker or a plan that allows more."
            )
        self._clock = clock
        self._half = per_minute // 2 if per_minute is not None else None
        # one token is a minute's microseconds; so much of it comes back with each microsecond
        self._full = (self._half or 0) * MINUTE_US
        self._left, self._at = self._full, clock.now()

    def take(self, urgency: Urgency) -> bool:
        """Whether a request may go now; if so, it is counted."""
        if self._half is None:
            return True
        self._refill(self._clock.now())
        reserve = urgency * (self._half // SHARES) * MINUTE_US
        if self._left - MINUTE_US < reserve:
            return False
        self._left -= MINUTE_US
        return True

    def _refill(self, now: datetime) -> None:
        """A clock that goes back brings nothing and takes nothing."""
        passed = max((now - self._at) // timedelta(microseconds=1), 0)
        self._left = min(self._full, self._left + passed * (self._half or 0))
        self._at = now
