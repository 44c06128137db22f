"""What `tbot run` makes of its supervisor's ends, of a loop that hangs, of flags between days."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.control import STREAM, Control, Killed, KillStarted, StartKill
from aggregates.session import OpenSession
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from eventstore.feed import Feed
from runtime import logs
from runtime.custody import Custody
from runtime.guard import KillOrder
from runtime.keys import key_ring
from runtime.log_files import log_path
from runtime.settings_change import current_settings
from runtime.status import read_status
from runtime.trading import Trading, Wiring
from runtime.waits import Waits
from runtime.watchdog import KillFlag, hung_after

DAY = date(2025, 7, 3)
IN_SESSION = datetime(2025, 7, 3, 15, 0, tzinfo=UTC)
HANGS, FAILS, REFUSES = "import time; time.sleep(60)", "raise SystemExit(4)", "raise SystemExit(3)"


fast: Any = beside("crash/fast_day")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield fast.set_up(tmp_path / "data", IN_SESSION - timedelta(days=1))
    logs.use(DataFolder(tmp_path / "none"), None)


@pytest.fixture
def trading(folder: DataFolder) -> Iterator[Callable[..., Any]]:
    """`trading(program)`: its supervisor is that Python program; ``said`` is what it tells, and
    ``alert`` gets what it alerts of."""
    made: list[Trading] = []

    def make(
        program: str, now: datetime = IN_SESSION, alert: Callable[[str], None] = lambda _text: None
    ) -> tuple[Trading, list[str]]:
        clock, said = VirtualClock(now), list[str]()
        with closing(Custody.open(folder, clock)) as custody:
            settings = current_settings(custody)
        wiring = Wiring(supervisor=(sys.executable, "-c", program))
        made.append(
            Trading(
                folder,
                settings,
                clock,
                lambda _level, text: said.append(text),
                wiring,
                alert,
            )
        )
        return made[-1], said

    yield make
    for one in made:
        one.stop()


def tick(one: Trading, what: Callable[[], object], longest_s: float = 10.0) -> None:
    """As its thread would, until something is so."""
    end = time.monotonic() + longest_s
    while not what():
        assert time.monotonic() < end, "it did not come"
        one.tick()
        time.sleep(0.01)


def events(folder: DataFolder, kind: type) -> list[Any]:
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        return [e for row in feed.all() if isinstance(e := feed.event(row), kind)]


def control(folder: DataFolder) -> Control:
    with closing(Custody.open(folder, VirtualClock(IN_SESSION))) as custody:
        return custody.store.load(Control, STREAM)


def test_one_that_fails_is_started_again_after_longer_and_longer_waits(trading: Any) -> None:
    one, said = trading(FAILS)
    tick(one, lambda: len(said) == 2)
    assert said == [
        "The supervisor has ended (code 4); it is started again in 0.5 s.",
        "The supervisor has ended (code 4); it is started again in 1 s.",
    ]


def test_one_that_refuses_is_not_started_again_that_day(folder: DataFolder, trading: Any) -> None:
    logs.append_line(
        log_path(folder, "main_bot"), IN_SESSION, "FATAL", "Nothing is traded today. No key."
    )
    alerts: list[str] = []
    ran = f"import sys; open(sys.argv[2] + '/ran', 'a').write('x'); {REFUSES}"
    one, said = trading(ran, alert=alerts.append)
    tick(one, lambda: folder.bot_state.exists() and folder.bot_state.read_text() == "error\n")
    for _ in range(20):
        one.tick()
    assert (folder.root / "ran").read_text() == "x"
    assert said == []
    assert alerts == ["2025-07-03 is not traded: No key."]
    told = read_status(folder)
    assert told is not None
    assert told.refused == "No key."
    assert told.next_phase is not None
    assert f"{told.next_phase.at:%Y-%m-%d %H:%M}" == "2025-07-07 06:00"  # after the 4th of July
    folder.flag("start").touch()  # somebody says that it was mended
    tick(one, lambda: (folder.root / "ran").read_text() == "xx")


def test_on_another_day_nothing_is_said_of_a_start_that_was_refused(
    folder: DataFolder, trading: Any
) -> None:
    one, _ = trading(REFUSES)
    tick(one, lambda: bool(one._given_up))
    one._clock.wait_until(IN_SESSION + timedelta(days=1))  # a holiday
    tick(one, lambda: not one._given_up)
    told = read_status(folder)
    assert told is not None
    assert told.refused == ""


def test_a_loop_that_hangs_is_ended_and_the_kill_carried_out(
    folder: DataFolder, trading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.trading.hung_after", lambda _settings: 0.3)
    one, said = trading(HANGS)
    tick(one, lambda: events(folder, Killed))
    assert [e.source for e in events(folder, KillStarted)] == ["watchdog"]
    assert "the trading loop did not go on" in said[0]
    tick(one, lambda: folder.bot_state.read_text() == "killed\n")
    told = read_status(folder)
    assert told is not None
    assert told.next_phase is None  # until an admin resets it, no session is begun


def test_a_kill_is_not_kept_waiting_by_a_pause_after_a_failure(
    folder: DataFolder, trading: Any
) -> None:
    one, said = trading(FAILS)
    tick(one, lambda: said)
    one._not_before = time.monotonic() + 3600
    folder.flag("kill").touch()
    tick(one, lambda: events(folder, Killed))


def test_a_take_over_is_sound_while_it_beats_and_not_for_ever(
    folder: DataFolder, trading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = trading(HANGS)
    monkeypatch.setattr("runtime.trading.hung_after", lambda _settings: 0.3)
    heard: list[bool] = []

    def hanging(*_given: object) -> bool:
        heard.append(one.sound(60.0))
        time.sleep(0.4)
        heard.append(one.sound(60.0))
        folder.pulse.parent.mkdir(exist_ok=True, parents=True)
        folder.pulse.touch()
        heard.append(one.sound(60.0))
        return True

    monkeypatch.setattr("runtime.trading.take_over", hanging)
    one._carry_out(KillOrder("flag", "test"))
    assert heard == [True, False, True]


def opened(folder: DataFolder, *days: date) -> None:
    with closing(Custody.open(folder, VirtualClock(IN_SESSION))) as custody:
        for day in days:
            at = datetime.combine(day, IN_SESSION.time(), UTC)
            session = OpenSession(
                at=at, effective_date=day, label=day.isoformat(), opens_at=at,
                closes_at=at + timedelta(hours=1), symbols=("ALFA",), settings_position=1,
            )  # fmt: skip
            custody.record(session, actor="test", command_id=f"open:{day}")


def test_every_session_that_was_left_is_ended_the_newest_first_however_old(
    folder: DataFolder, trading: Any
) -> None:
    """One is older than the two months that the schedule looks at."""
    opened(folder, date(2025, 3, 3), date(2025, 6, 30))
    one, _ = trading(f"import sys; open(sys.argv[2] + '/ran', 'a').write(sys.argv[4]); {REFUSES}")
    tick(one, lambda: len(one._given_up) == 3)
    assert (folder.root / "ran").read_text() == "2025-06-302025-03-032025-07-03"


def test_a_second_kill_does_not_end_the_one_that_is_under_way(
    folder: DataFolder, trading: Any
) -> None:
    one, said = trading(HANGS)
    tick(one, lambda: one._child.running)
    with closing(Custody.open(folder, VirtualClock(IN_SESSION))) as custody:
        kill = StartKill(at=IN_SESSION, effective_date=DAY, source="page", reason="first")
        custody.record(kill, actor="test", command_id="kill")
    folder.flag("kill").touch()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        one.tick()
        time.sleep(0.05)
    assert one._child.running
    assert said == []


def test_a_log_that_cannot_be_written_is_said_in_the_status(
    folder: DataFolder, trading: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log_path(folder, "heartbeat")
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    one, _said = trading(HANGS, IN_SESSION + timedelta(days=1))  # a holiday
    tick(one, folder.status.exists)
    folder.flag("stop").touch()
    tick(one, lambda: read_status(folder).logs)  # type: ignore[union-attr]
    told = read_status(folder)
    assert told is not None
    assert told.logs == "heartbeat.log cannot be written: Is a directory"
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_flags_are_answered_while_nobody_trades(folder: DataFolder, trading: Any) -> None:
    one, said = trading(HANGS, IN_SESSION + timedelta(days=1))  # a holiday
    folder.flag("stop").write_text("away\n")
    tick(one, lambda: not folder.flag("stop").exists())
    assert control(folder).stopped
    assert folder.bot_state.read_text() == "stopped\n"
    folder.flag("start").touch()
    tick(one, lambda: folder.bot_state.read_text() == "idle\n")
    folder.flag("kill").touch()
    tick(one, lambda: events(folder, Killed))
    assert [e.source for e in events(folder, KillStarted)] == ["flag"]
    assert said[-1] == "The kill switch is latched: trading is flat."


def test_waits_grow_and_begin_anew_after_a_sound_life() -> None:
    now = [0.0]
    waits = Waits(lambda: now[0])
    waits.started()
    assert [waits.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    now[0] = 61.0
    assert waits.next() == 0.5


def test_a_flag_is_ignored_after_a_second_and_not_after_it_was_taken_away(tmp_path: Path) -> None:
    now, folder = [0.0], DataFolder(tmp_path)
    folder.control.mkdir()
    flag = KillFlag(folder, lambda: now[0])
    folder.flag("kill").touch()
    assert not flag.ignored()
    now[0] = 1.0
    assert not flag.ignored()
    folder.flag("kill").unlink()
    now[0] = 2.0
    assert not flag.ignored()
    folder.flag("kill").touch()
    assert not flag.ignored()
    now[0] = 3.1
    assert flag.ignored()


def test_a_step_may_take_as_long_as_a_broker_that_limits_requests() -> None:
    """Each try of a question may time out, and wait for the reset of the limit before the next."""
    tries = {"API_RETRY_LIMIT": "1", "API_TIMEOUT": "20"}
    assert hung_after(demo_settings(tries)) == 60 + 2 * (20 + 65)
