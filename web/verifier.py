"""Verification of the whole chain, as work beside the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from aggregates.errors import TradeBotError
from config.clock import Clock
from runtime.queries import Queries
from security.keyfile import KeyFileError
from web.jobs import Cancelled, Job, Jobs

# A busy bot moves the head every second; what is said of an earlier one stays true, with its time.
BY_ITSELF_EVERY = timedelta(minutes=1)


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
    """``last`` is the newest outcome; ``stopped`` says that somebody ended the one after it."""

    def __init__(self, queries: Queries, clock: Clock, jobs: Jobs) -> None:
        self._queries, self._clock, self._jobs = queries, clock, jobs
        self._job: Job | None = None
        self.last: Check | None = None
        self.stopped = False

    @property
    def job(self) -> Job | None:
        """The one that runs now."""
        return self._job if self._job is not None and self._job.running else None

    def wanted(self, head: int) -> bool:
        """Whether there is something to find out that nobody declined to."""
        return not self.stopped and (self.last is None or self.last.head != head)

    def due(self, head: int) -> bool:
        """Whether a page that is only looked at starts it."""
        last = self.last
        rested = last is None or self._clock.now() - last.checked_at >= BY_ITSELF_EVERY
        return rested and self.wanted(head)

    def start(self, head: int) -> Job:
        """Verify, unless that is being done already."""
        self.stopped = False
        self._job = self._jobs.start("Verification", lambda job: self._run(head, job),
                                     page="proof.verify")  # fmt: skip
        return self._job

    def _run(self, head: int, job: Job) -> None:
        try:
            self.last = self._verify(head, job.progress)
        except Cancelled:
            self.stopped = True
            raise

    def _verify(self, head: int, progress: Callable[[int, int], None]) -> Check:
        now = self._clock.now()
        try:
            # reads the store over a connection of its own, so it needs no turn among the questions
            found = self._queries.verify_now(progress)
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
