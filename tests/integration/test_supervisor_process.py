"""The process of a trading day, run here under a virtual clock: what it leaves, and how it ends."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.control import Killed, KillStarted
from aggregates.inverse_etfs import MapInverseEtf
from aggregates.session import SessionOpened, SessionReconciled
from brokers.port import BrokerUnavailable, KeysRefused
from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore.errors import StoreUnreadable
from eventstore.feed import Feed
from runtime import logs
from runtime.brokers import connect
from runtime.custody import Custody
from runtime.keys import key_ring
from runtime.status import read_status
from runtime.supervisor_process import FAILED, OVER, REFUSED, TOLD, SupervisorProcess

DAY = date(2025, 7, 3)  # a half day, from 13:30 to 17:00 UTC
BEFORE = datetime.combine(DAY, time(13), UTC)
# its invented day: ALFA is bought at 14:02, DLTA at 14:11, both are sold at 16:00
SETTINGS = {"MIN_VOLUME_THRESHOLD": "0", "BOT_ID": "14"}


fast: Any = beside("crash/fast_day")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What the process changes of its own is put back: signals, logs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    yield fast.set_up(tmp_path / "data", BEFORE - timedelta(days=1), **SETTINGS)
    for number, handler in before:
        signal.signal(number, handler)
    logs.use(DataFolder(tmp_path / "none"), None)


@dataclass
class Faulty:
    """The simulated broker, whose questions are made to fail: ``fail`` is asked before each."""

    fail: Any
    asked: list[str] = field(default_factory=list)

    def connect(self, *given: Any) -> Any:
        connected = connect(*given)
        return connected._replace(broker=_Asked(connected.broker, self))


class _Asked:
    def __init__(self, broker: Any, faulty: Faulty) -> None:
        self._broker, self._faulty = broker, faulty

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._broker, name)
        return partial(self._ask, name, found) if callable(found) else found

    def _ask(self, name: str, found: Any, *given: Any) -> Any:
        self._faulty.asked.append(name)
        self._faulty.fail(name, self._broker._clock.now())
        return found(*given)


def run(folder: DataFolder, clock: VirtualClock | None = None, **given: Any) -> int:
    clock = clock or VirtualClock(BEFORE)
    return SupervisorProcess(folder, clock, nap=timedelta(minutes=1), **given).run(DAY)


def events(folder: DataFolder, kind: type) -> list[Any]:
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        return [e for row in feed.all() if isinstance(e := feed.event(row), kind)]


def log(folder: DataFolder, level: str) -> list[str]:
    text = (folder.global_logs / "main_bot.log").read_text()
    lines = map(json.loads, text.splitlines())
    return [line["message"] for line in lines if line["level"] == level]


def test_a_day_leaves_its_files_and_is_not_done_twice(folder: DataFolder) -> None:
    assert run(folder) == OVER
    told = read_status(folder)
    assert told is not None
    assert (told.state, told.session, told.entries_blocked) == ("idle", "2025-07-03", "")
    assert told.broker is not None
    assert "synthetic" in told.broker.market
    assert any(folder.root.glob(f"output/*/trades/*{DAY}*"))
    assert any(folder.root.glob(f"output/*/summaries/*{DAY}*"))
    assert len(list(folder.checkpoints.glob("*.checkpoint"))) == 1
    head = folder.events.stat().st_size
    assert run(folder, VirtualClock(BEFORE + timedelta(hours=6))) == OVER
    assert folder.events.stat().st_size == head
    assert len(events(folder, SessionOpened)) == 1


def test_an_account_that_is_gone_is_not_made_anew(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.simulated_broker.unlink()
    assert run(folder) == REFUSED
    assert not folder.simulated_broker.exists()
    said = capsys.readouterr().err
    assert "Nothing is traded today" in said
    assert "restore it from a backup" in said
    assert log(folder, "FATAL") == [said.strip()]


def test_keys_that_are_refused_end_the_day_before_it_begins(folder: DataFolder) -> None:
    def fail(_name: str, _now: datetime) -> None:
        raise KeysRefused("The broker does not accept the keys.")

    broker = Faulty(fail)
    assert run(folder, connect=broker.connect) == REFUSED
    assert broker.asked == ["account"]
    assert not events(folder, SessionOpened)


def test_a_fund_that_the_broker_does_not_trade_is_said_before_the_open(folder: DataFolder) -> None:
    asking = SETTINGS | {"SHORT_TYPE_OPEN": "InverseETF"}
    bot = fast.set_up(folder.root.parent / "asking", BEFORE - timedelta(days=1), **asking)
    mapping = MapInverseEtf(
        at=BEFORE, effective_date=DAY, underlying="ALFA", etf="AFLA", leverage=Decimal(1),
        reason="a slip of the pen", seen=0,
    )  # fmt: skip
    with closing(Custody.open(bot, VirtualClock(BEFORE))) as custody:
        custody.record(mapping, actor="user:1", command_id="map")
    assert run(bot) == REFUSED
    early, refused = log(bot, "ERROR")[0], log(bot, "FATAL")[0]
    assert "The session would not start: ALFA is mapped to the inverse ETF AFLA" in early
    assert "Nothing was traded" in refused


def test_a_broker_that_comes_late_is_waited_for(folder: DataFolder) -> None:
    def fail(_name: str, now: datetime) -> None:
        if now < BEFORE + timedelta(hours=1):
            raise BrokerUnavailable("It does not answer.")

    assert run(folder, connect=Faulty(fail).connect) == OVER
    assert len(log(folder, "WARNING")) > 10
    assert len(events(folder, SessionOpened)) == 1


def test_silence_while_shares_are_held_is_a_kill(folder: DataFolder) -> None:
    """Nothing is answered from 14:20 to 14:26."""

    def fail(_name: str, now: datetime) -> None:
        if time(14, 20) <= now.time() < time(14, 26):
            raise BrokerUnavailable("It does not answer.")

    assert run(folder, connect=Faulty(fail).connect) == OVER
    (started,) = events(folder, KillStarted)
    assert started.source == "broker"
    assert "no answer from simulated since 2025-07-03 14:20" in started.reason
    assert [e.flat for e in events(folder, Killed)] == [True]


def test_an_error_that_nobody_foresaw_ends_in_the_kill_switch(folder: DataFolder) -> None:
    """The traceback names the place and no variable."""

    def fail(name: str, now: datetime) -> None:
        secret = "canary-of-the-loop"  # noqa: S105
        if name == "bars" and now.time() == time(14, 30):
            raise ZeroDivisionError(f"{len(secret)} / 0")

    assert run(folder, connect=Faulty(fail).connect) == OVER
    assert [e.source for e in events(folder, KillStarted)] == ["error"]
    assert [e.flat for e in events(folder, Killed)] == [True]
    (path,) = folder.root.glob("output/*/logs/error_tracebacks.log")
    assert "ZeroDivisionError" in path.read_text()
    assert "canary" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_that_cannot_be_written_is_tried_again_and_is_no_kill(folder: DataFolder) -> None:
    """As on a disk that is full: it must not latch what room on the disk would mend."""

    def fail(name: str, now: datetime) -> None:
        if name == "bars" and now.time() == time(14, 30):
            raise StoreUnreadable("The disk is full.")

    assert run(folder, connect=Faulty(fail).connect) == FAILED
    assert log(folder, "ERROR")[-1] == "The disk is full. It is tried again."
    assert not events(folder, KillStarted)
    assert run(folder, VirtualClock(BEFORE + timedelta(minutes=95))) == OVER
    assert events(folder, SessionReconciled)[0].differences == ()


def test_told_to_end_it_says_what_it_leaves_and_goes_on_later(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str, now: datetime) -> None:
        if name == "bars" and now.time() == time(14, 10):
            signal.raise_signal(signal.SIGTERM)

    assert run(folder, connect=Faulty(fail).connect) == TOLD
    assert "leaves ALFA" in capsys.readouterr().err
    assert run(folder, VirtualClock(BEFORE + timedelta(minutes=75))) == OVER
    assert len(events(folder, SessionOpened)) == 1


def test_flags_within_a_day(folder: DataFolder) -> None:
    """A stop lets nothing be bought; the day is gone through all the same."""

    def fail(_name: str, now: datetime) -> None:
        if now.time() == time(13, 45):
            folder.flag("stop").touch()

    assert run(folder, connect=Faulty(fail).connect) == OVER
    with closing(Feed(folder.events)) as feed:
        topics = [row.topic for row in feed.all()]
    assert "Control.Answered" in topics
    assert "Order.Intended" not in topics
    assert folder.bot_state.read_text() == "stopped\n"


def test_another_one_that_trades_is_left_alone(folder: DataFolder) -> None:
    from runtime.run_lock import trading_alone

    with trading_alone(folder):
        assert run(folder) == FAILED
    assert not events(folder, SessionOpened)
