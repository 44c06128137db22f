"""Long work beside the pages: done of total, time left, an end on request. Leaving a page ends
nothing; ending the process ends the work, which therefore must be safe to cut off anywhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from aggregates.errors import TradeBotError
from config.clock import Clock
from security.keyfile import KeyFileError

KEPT = 20  # jobs that have ended and can still be asked about
log = logging.getLogger("web")


class Cancelled(Exception):
    """Somebody asked the job to end. Raised inside it, at its next word about progress."""


class Job:
    """``name`` is what people read, ``page`` an endpoint that shows what comes of it.

    ``state`` is running, done, failed or cancelled; ``fault`` says why it failed.
    """

    def __init__(self, number: int, name: str, page: str, clock: Clock) -> None:
        self.number, self.name, self.page = number, name, page
        self.done = self.total = 0
        self.state, self.fault = "running", ""
        self._clock, self._started = clock, clock.now()
        self._cancel, self._ended = threading.Event(), threading.Event()

    def progress(self, done: int, total: int) -> None:
        """Called by the work itself, every second or more often. Raises Cancelled."""
        self.done, self.total = done, total
        if self._cancel.is_set():
            raise Cancelled

    def cancel(self) -> None:
        self._cancel.set()

    @property
    def ending(self) -> bool:
        """Whether it was told to end and has not yet."""
        return self.running and self._cancel.is_set()

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def left(self) -> timedelta | None:
        """How long it will take from here on, at the pace so far; None while that is unknown."""
        if not self.done or self.total <= self.done:
            return None
        return (self._clock.now() - self._started) * (self.total - self.done) / self.done

    @property
    def started(self) -> datetime:
        return self._started

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        return self._ended.wait(seconds)

    def run(self, work: Callable[[Job], None]) -> None:
        try:
            work(self)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except (TradeBotError, KeyFileError) as e:
            self.state, self.fault = "failed", str(e)
        except Exception as e:
            # nobody waits for a thread: what is not told here would be lost
            log.error("%s failed", self.name, exc_info=e)
            self.state, self.fault = "failed", "It failed for a reason that was not foreseen."
        finally:
            self._ended.set()


class Jobs:
    """All jobs of this process. One of each name runs at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._numbers, self._jobs = count(1), dict[int, Job]()

    def start(self, name: str, work: Callable[[Job], None], *, page: str = "") -> Job:
        """Begin it, or join the one of that name that is running already."""
        with self._lock:
            for job in self.running():
                if job.name == name:
                    return job
            job = Job(next(self._numbers), name, page, self._clock)
            self._jobs[job.number] = job
            self._drop_old()
        threading.Thread(target=job.run, args=(work,), name=name, daemon=True).start()
        return job

    def every(self) -> list[Job]:
        """In the order in which they were begun; of those that ended, the last ones."""
        return list(self._jobs.values())

    def running(self) -> list[Job]:
        return [job for job in self.every() if job.running]

    def of(self, number: int) -> Job | None:
        return self._jobs.get(number)

    def _drop_old(self) -> None:
        ended = [number for number, job in self._jobs.items() if not job.running]
        for number in ended[:-KEPT]:
            del self._jobs[number]
