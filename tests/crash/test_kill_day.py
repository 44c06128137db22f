"""SIGKILL for main, supervisor and pages in any order, at random moments of a day that real
processes trade under a clock that jumps: no phase twice, no order twice, books as the broker's.
"""

import os
import random
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.control import Killed, KillStarted
from aggregates.order_messages import OrderFilled, OrderIntended
from aggregates.session import Decided, PhaseEnded, PhaseStarted, SessionReconciled
from config.calendar import TradingCalendar
from config.paths import DataFolder
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime import status
from runtime.keys import key_ring

PHASES = ["open", "holdings", "mid", "close", "universe"]
HALF = date(2025, 11, 28)  # a half day: to 18:00 UTC
LONGEST_S = 90.0
SETTINGS = {"MIN_VOLUME_THRESHOLD": "0", "BOT_ID": "06"}  # whose invented days are lively
fast: Any = beside("crash/fast_day")


def test_kills_at_random_moments_of_days(
    full: bool,
    count: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    rng = random.Random(20260302)
    days = sessions(21) if full else [HALF]
    before = datetime.combine(days[0], time_of_day(), UTC)
    folder = fast.set_up(tmp_path / "data", before, WEB_PORT=str(free_port()), **SETTINGS)
    running = fast.Days(folder)
    try:
        for day in days:
            killed = play(running, day, rng, kills=10 if full else 5)
            for what, number in killed.items():
                count(f"kills of {what}", number)
    finally:
        running.close()
    check_history(folder, days, count)


def test_a_kill_that_a_hanging_supervisor_does_not_take_up_is_carried_out_by_main(
    count: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stands still with shares in hand; within two seconds of the flag the kill has begun."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before = datetime.combine(HALF, time_of_day(), UTC)
    folder = fast.set_up(tmp_path / "data", before, WEB_ENABLED="false", **SETTINGS)
    running = fast.Days(folder)
    try:
        running.begin(datetime.combine(HALF, time_of_day(14, 20), UTC))
        until(lambda: running.pid("supervisor"))
        running.go()
        until(lambda: topics(folder)["Order.Filled"] > 0)
        hanging = running.pid("supervisor")
        os.kill(hanging, signal.SIGSTOP)
        folder.flag("kill").touch()
        laid = time.monotonic()
        until(lambda: topics(folder)["Control.KillStarted"])
        took = time.monotonic() - laid
        count("ms from the flag to the kill, one second of it the supervisor's", int(took * 1000))
        assert took < 2.0
        assert running.pid("supervisor") != hanging
        until(lambda: topics(folder)["Control.Killed"])
        until(lambda: read_status(folder).state == "killed")
        check_killed(folder)
        sent = len(broker_rows(folder, "SELECT number FROM orders"))
        # another `tbot run`, later that day: the phases are gone through, and nothing more is sent
        assert running.end() == 0
        running.start()
        until(lambda: topics(folder)["Session.PhaseEnded"] == 4)
        assert len(broker_rows(folder, "SELECT number FROM orders")) == sent
        assert read_status(folder).state == "killed"
        assert running.end() == 0
    finally:
        running.close()
    assert "Traceback" not in running.errors(), running.errors()


def check_killed(folder: DataFolder) -> None:
    """Latched, flat by the broker's own books, and under the name of the file."""
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        rows = feed.page(topics=("Control",), limit=20)
        events = [feed.event(row) for row in rows]
    assert [e.flat for e in events if isinstance(e, Killed)] == [True]
    assert [e.source for e in events if isinstance(e, KillStarted)] == ["flag"]
    sides = "SELECT sum(CASE side WHEN 'buy' THEN filled ELSE -filled END) FROM orders"
    assert broker_rows(folder, f"{sides} GROUP BY symbol HAVING sum(filled) > 0") == [0]
    assert not folder.flag("kill").exists()


def read_status(folder: DataFolder) -> Any:
    found = status.read_status(folder)
    assert found is not None
    return found


def topics(folder: DataFolder) -> Counter[str]:
    with closing(Feed(folder.events)) as feed:
        return Counter(row.topic for row in feed.all())


def until(what: Callable[[], Any], longest_s: float = 30.0) -> None:
    end = time.monotonic() + longest_s
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def sessions(number: int) -> list[date]:
    calendar = TradingCalendar("XNYS", date(2026, 3, 2), date(2026, 4, 30))
    return [s.day for s in calendar.sessions(date(2026, 3, 2), date(2026, 4, 30))[:number]]


def play(running: Any, day: date, rng: random.Random, kills: int) -> Counter[str]:
    """One day with so many kills, until its checkpoint is there.

    The clock stands still while a process is started again, so that a slow machine has the same
    day as a fast one.
    """
    killed: Counter[str] = Counter()
    running.begin(datetime.combine(day, time_of_day(13, 45), UTC))
    until(lambda: running.pid("supervisor"))
    running.go()
    order = (["supervisor", "main", "web"] * kills)[:kills]
    rng.shuffle(order)
    close = time_of_day(18) if day == HALF else time_of_day(20)
    minutes = 60 * (close.hour - 14)
    moments = sorted(
        datetime.combine(day, time_of_day(14), UTC) + timedelta(minutes=rng.uniform(0, minutes))
        for _ in range(kills)
    )
    begun = time.monotonic()
    while not closed(running.folder, day):
        assert time.monotonic() - begun < LONGEST_S, "the day did not come to its end"
        assert running.process.poll() is None, running.errors()
        if moments and running.clock.now() >= moments[0]:
            moments.pop(0)
            kill(running, order[0], day)
            killed[order.pop(0)] += 1
        time.sleep(0.01)
    until(lambda: running.pid("web"))  # started again, it takes a while before it can be told
    assert running.end() == 0
    assert "Traceback" not in running.errors(), running.errors()
    return killed


def kill(running: Any, what: str, day: date) -> None:
    """Wherever it is just now; then wait for the next one, unless the day is over."""
    until(lambda: running.pid(what))
    with suppress(ProcessLookupError):
        os.kill(gone := running.pid(what), signal.SIGKILL)
    running.pause()
    if what == "main":
        running.process.wait()
        running.start()
    until(lambda: running.pid(what) not in (0, gone) or closed(running.folder, day))
    running.go()


def closed(folder: DataFolder, day: date) -> bool:
    """Nobody trades, and the files of the day are written."""
    return any(folder.root.glob(f"output/*/summaries/*{day}*")) and any(
        day.isoformat() in str(event) for event in closings(folder)
    )


def closings(folder: DataFolder) -> list[str]:
    with closing(Feed(folder.events)) as feed:
        rows = feed.page(topics=("Session.Closed",), limit=100)
        return [r.originator_id for r in rows if folder.checkpoint(r.position).exists()]


def check_history(folder: DataFolder, days: list[date], count: Callable[..., None]) -> None:
    keys = key_ring(folder)
    assert verify(folder.events, keys).intact
    with closing(Feed(folder.events, keys)) as feed:
        events = [feed.event(row) for row in feed.all()]
    for day in days:
        own = [e for e in events if e.effective_date == day]
        assert [e.phase for e in own if isinstance(e, PhaseStarted)] == PHASES
        assert [e.phase for e in own if isinstance(e, PhaseEnded)] == PHASES
        reconciled = [e for e in own if isinstance(e, SessionReconciled)]
        assert [e.differences for e in reconciled] == [()]
        entries = [e.symbol for e in own if isinstance(e, Decided) and e.kind == "entry"]
        assert len(entries) == len(set(entries))
    intended = [e.order_id for e in events if isinstance(e, OrderIntended)]
    assert len(intended) == len(set(intended))
    fills = Counter(e.execution_id for e in events if isinstance(e, OrderFilled))
    assert set(fills.values()) <= {1}
    there = broker_rows(folder, "SELECT sequence FROM executions")
    assert set(fills) == {f"SIM-X-{number:06d}" for number in there}
    sent = broker_rows(folder, "SELECT client_order_id FROM orders")
    assert len(sent) == len(set(sent)) <= len(intended)
    assert not list(folder.root.glob("output/*/logs/error_tracebacks*"))
    assert there, "nothing was traded, so nothing was tried"
    count("days with kills", len(days))
    count("orders sent once", len(sent))
    count("fills booked once", len(there))


def broker_rows(folder: DataFolder, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{folder.simulated_broker}?mode=ro", uri=True)) as file:
        return [value for (value,) in file.execute(sql)]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
