"""Work beside the pages: progress, time left, an end on request, failures that are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aggregates.errors import DomainError
from config.clock import VirtualClock
from web.jobs import KEPT, Job, Jobs

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PATIENCE_S = 10


class Bench:
    """Jobs whose work waits at every step until the test lets it go on."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.jobs = Jobs(self.clock)
        self.stepped, self.go_on = threading.Event(), threading.Event()

    def work(self, job: Job) -> None:
        job.progress(25, 100)
        self.stepped.set()
        assert self.go_on.wait(PATIENCE_S)
        job.progress(100, 100)

    def begin(self) -> Job:
        job = self.jobs.start("Verification", self.work)
        assert self.stepped.wait(PATIENCE_S)
        return job


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    found.go_on.set()


def test_a_job_tells_how_far_it_is_and_how_long_it_will_take(bench: Bench) -> None:
    job = bench.begin()
    bench.clock.wait_until(START + timedelta(seconds=10))
    assert (job.state, job.done, job.total) == ("running", 25, 100)
    assert job.left == timedelta(seconds=30)
    assert bench.jobs.running() == [job]
    bench.go_on.set()
    assert job.wait(PATIENCE_S)
    assert (job.state, job.left, bench.jobs.running()) == ("done", None, [])
    assert bench.jobs.of(job.number) is job


def test_the_same_work_is_joined_and_not_begun_twice(bench: Bench) -> None:
    assert bench.begin() is bench.jobs.start("Verification", lambda _: pytest.fail("begun twice"))


def test_a_job_ends_on_request_at_its_next_step(bench: Bench) -> None:
    job = bench.begin()
    job.cancel()
    assert job.ending
    bench.go_on.set()
    assert job.wait(PATIENCE_S)
    assert (job.state, job.ending) == ("cancelled", False)


def test_a_failure_is_told_and_an_unforeseen_one_is_in_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_job: Job) -> None:
        raise DomainError("The disk is full. Nothing was changed.")

    def surprise(_job: Job) -> None:
        raise ZeroDivisionError("a secret of the inside")

    told, kept = bench.jobs.start("Export", fail), bench.jobs.start("Report", surprise)
    assert told.wait(PATIENCE_S)
    assert kept.wait(PATIENCE_S)
    assert (told.state, told.fault) == ("failed", "The disk is full. Nothing was changed.")
    assert kept.fault == "It failed for a reason that was not foreseen."
    assert "a secret of the inside" in caplog.text


def test_only_the_last_ones_that_ended_are_kept(bench: Bench) -> None:
    for number in range(KEPT + 5):
        assert bench.jobs.start(f"job {number}", lambda _: None).wait(PATIENCE_S)
    assert len(bench.jobs.every()) <= KEPT + 1
    assert bench.jobs.every()[-1].name == f"job {KEPT + 4}"
