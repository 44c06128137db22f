"""The history as log files: every line once, whatever happens in between, and the same bytes."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates import control
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
)
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from eventstore.feed import Feed
from runtime import event_log, logs
from runtime.demo import plan_of, play
from runtime.event_log import EventLog
from runtime.log_files import log_path
from runtime.log_follower import LogFollower
from runtime.queries import Queries

IDENTITY = "DEMO_USA_SIM_01"
Follow = Callable[..., EventLog]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A demo of five days, with its logs; to be read only."""
    folder = DataFolder(tmp_path_factory.mktemp("played"))
    play(folder, plan_of(None, None, None, (), seed=1), lambda *_: None)
    return folder


@pytest.fixture
def unlogged(played: DataFolder, tmp_path: Path) -> DataFolder:
    """The same bot before anything was logged."""
    folder = DataFolder(tmp_path / "bot")
    shutil.copytree(played.root, folder.root)
    shutil.rmtree(folder.global_logs)
    shutil.rmtree(folder.logs(IDENTITY))
    folder.log_position.unlink()
    return folder


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    """Opens a log as a fresh process would, with settings as told."""
    opened: list[Any] = []
    monkeypatch.setattr(logs._Process, "pipeline", logs.Pipeline())

    def follow(folder: DataFolder, **texts: str) -> EventLog:
        logs.use(folder, demo_settings(texts))
        feed, results = Feed(folder.events), event_log.ResultOnDisk(folder, "USD")
        opened.extend((feed, results))
        return EventLog(folder, IDENTITY, feed, "SIM", results)

    yield follow
    for each in opened:
        each.close()


def files(folder: DataFolder) -> dict[str, bytes]:
    """Every log file there is, by its place."""
    return {
        str(path.relative_to(folder.root)): path.read_bytes()
        for path in sorted(folder.root.glob("output/**/*.log"))
    }


def lines(folder: DataFolder, name: str) -> list[dict[str, str]]:
    path = log_path(folder, name, IDENTITY)
    text = path.read_text() if path.exists() else ""
    if text.startswith("{"):
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text)))


# -- what is logged --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_fills_and_results_are_those_of_the_books(
    played: DataFolder, unlogged: DataFolder, follower: Follow, form: str
) -> None:
    follower(unlogged, LOG_FORMAT=form).follow_all()
    found = lines(unlogged, "open")
    fills = [line for line in found if line["event"] == "Order.Filled"]
    with closing(Queries(played)) as queries:
        assert len(fills) == len(queries.events(topics=("Order.Filled",), limit=10_000))
    assert all((x["entry_price"] != "") == (x["side"] == "buy") for x in fills)
    assert all((x["exit_price"] != "") == (x["side"] == "sell") for x in fills)
    # the files of trades are made from the views by another part of the program
    trades = [
        trade
        for path in sorted(played.trades(IDENTITY).glob("*.json"))
        for trade in json.loads(path.read_text())
    ]
    assert len(trades) > 5
    results = {line["position"]: line["PnL"] for line in fills if line["PnL"]}
    assert results == {trade["position"]: trade["PnL"] for trade in trades}


def test_each_line_is_in_the_files_that_it_belongs_to(
    unlogged: DataFolder, follower: Follow
) -> None:
    follower(unlogged).follow_all()
    main = [line["position"] for line in lines(unlogged, "main_bot")]
    assert main == sorted(main, key=int)
    for name in ("open", "router", "start_log", "stop_log", "provisioning"):
        assert {line["position"] for line in lines(unlogged, name)} <= set(main)
    assert [line["message"] for line in lines(unlogged, "start_log")] == [
        f"session 2026-03-0{day} opened" for day in range(2, 7)
    ]
    here = {Path(name).name for name in files(unlogged)}
    assert here == {"main_bot.log", "open.log", "router.log", "start_log.log", "stop_log.log",
                    "provisioning.log"}  # fmt: skip  # nothing to say in the others: no file


def test_an_order_whose_outcome_was_not_known_is_followed_to_its_end(
    keeper: Any, follower: Follow
) -> None:
    own = {"order_id": "o1"}
    keeper.do(
        IntendOrder, **own, bot_identity=IDENTITY, instrument_id="XNYS:SPY", symbol="SPY",
        sleeve="trading", side="buy", order_type="limit", quantity=Decimal(3),
        limit_price=Decimal("9.50"), strategy="OPEN", reason="signal",
    )  # fmt: skip
    keeper.do(RecordSubmission, **own)
    keeper.do(RecordUnknownOutcome, **own, reason="no answer in time")
    keeper.do(RecordAcceptance, **own, broker_order_id="B1")
    keeper.do(RecordRejection, **own, error_code="halted", reason="SPY is halted")
    follower(keeper.folder).follow_all()
    first, second = lines(keeper.folder, "unresolved_orders")
    assert "outcome not known: no answer in time, order o1" in first["message"]
    assert first["level"] == "WARNING"
    assert "accepted as B1" in second["message"]
    for line in (first, second):
        assert (line["ticker"], line["side"], line["size"]) == ("SPY", "buy", "3")
        assert line["strategy_name"] == "OPEN"
    # sent and accepted without a question is for DEBUG alone
    assert [x["event"] for x in lines(keeper.folder, "open")] == [
        "Order.OutcomeUnknown", "Order.Accepted", "Order.Rejected",
    ]  # fmt: skip
    rejected = lines(keeper.folder, "open")[-1]
    assert (rejected["error_code"], rejected["ticker"]) == ("halted", "SPY")


def test_a_kill_is_in_its_log_also_where_logging_is_switched_off(
    keeper: Any, follower: Follow
) -> None:
    keeper.do(control.RequestControl, action="stop", source="page", reason="lunch")
    keeper.do(control.AnswerControl, action="stop", effect="entries are stopped")
    keeper.do(control.StartKill, source="loss", reason="DAILY_LOSS_LIMIT")
    keeper.do(control.RecordKillStep, step="positions_sold", detail="two sold", left=("SPY",))
    keeper.do(control.LatchKill, flat=False, left=("SPY",))
    follower(keeper.folder, ENABLE_LOGGING="false").follow_all()
    assert [line["message"] for line in lines(keeper.folder, "kill_switch")] == [
        "kill begun (loss): DAILY_LOSS_LIMIT", "kill, positions sold: two sold; left: SPY",
        "killed and latched: NOT flat; left: SPY",
    ]  # fmt: skip
    assert not lines(keeper.folder, "stop_log")
    keeper.folder.log_position.unlink()
    shutil.rmtree(keeper.folder.global_logs)
    follower(keeper.folder).follow_all()
    assert [line["message"] for line in lines(keeper.folder, "stop_log")] == [
        "stop asked for (page): lunch, by tester", "stop answered: entries are stopped",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "events"),
    [
        ({"DEBUG_LOG_LEVEL": "DEBUG"}, {"Order.Intended", "Order.Accepted", "Order.Filled"}),
        ({"DEBUG_LOG_LEVEL": "WARNING"}, set()),
        ({"ENABLE_LOGGING": "false"}, set()),
    ],
)
def test_lighter_events_are_left_out_and_the_history_is_followed_all_the_same(
    unlogged: DataFolder, follower: Follow, texts: dict[str, str], events: set[str]
) -> None:
    follower(unlogged, **texts).follow_all()
    found = {line["event"] for line in lines(unlogged, "open")}
    assert found >= events
    assert events or not found & {"Order.Filled", "Session.Decided"}
    with closing(Feed(unlogged.events)) as feed:
        kept = json.loads(unlogged.log_position.read_text())
        assert kept == {"position": feed.head().position, "hash": feed.head().hash.hex()}


# -- nothing twice, nothing lost -------------------------------------------------------------


def test_followed_again_nothing_is_added(
    played: DataFolder, unlogged: DataFolder, follower: Follow
) -> None:
    follower(unlogged).follow_all()
    assert files(unlogged) == files(played)
    again = follower(unlogged)
    again.follow_all()
    assert again.follow() == 0
    assert files(unlogged) == files(played)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("torn", ["", "half a li"])
def test_ended_between_any_two_files_the_next_start_completes_them(
    played: DataFolder, unlogged: DataFolder, follower: Follow, monkeypatch: pytest.MonkeyPatch,
    torn: str,
) -> None:  # fmt: skip
    """The first process ends at its first step, the next at its second, and so on in turns."""
    monkeypatch.setattr(event_log, "BATCH", 30)
    ends = 0
    for process in range(200):
        left = iter(range(process % 9))

        def act(name: str, left: Iterator[int] = left) -> None:
            if name.startswith("logs.") and next(left, None) is None:
                raise Killed

        failpoints.arm(act)
        try:
            follower(unlogged).follow_all()
            break
        except Killed:
            ends += 1
        finally:
            failpoints.arm(None)
        if torn and log_path(unlogged, "main_bot").exists():
            with log_path(unlogged, "main_bot").open("a") as file:
                file.write(torn)
    assert ends > 10
    found, main = files(unlogged), "output/logs/main_bot.log"
    # what was torn off after the last line stays until there is another one
    found[main] = found[main].removesuffix(torn.encode())
    assert found == files(played)


def test_small_files_are_closed_at_the_same_lines_after_any_end(
    unlogged: DataFolder, follower: Follow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calm = DataFolder(tmp_path / "calm")
    shutil.copytree(unlogged.root, calm.root)
    monkeypatch.setattr(logs, "MIB", 6000)  # LOG_MAX_MB of six kilobytes
    follower(calm, LOG_MAX_MB="1").follow_all()
    assert sum("main_bot." in name for name in files(calm)) > 3
    monkeypatch.setattr(event_log, "BATCH", 25)
    for step in (3, 5, 1, 2, 4, 3, 2, 5):
        left = iter(range(step))

        def act(name: str, left: Iterator[int] = left) -> None:
            if name.startswith("logs.") and next(left, None) is None:
                raise Killed

        failpoints.arm(act)
        with pytest.raises(Killed):
            follower(unlogged, LOG_MAX_MB="1").follow_all()
        failpoints.arm(None)
    follower(unlogged, LOG_MAX_MB="1").follow_all()
    assert files(unlogged) == files(calm)


def test_a_log_that_cannot_be_written_is_completed_when_it_can(
    played: DataFolder, unlogged: DataFolder, follower: Follow, capfd: pytest.CaptureFixture[str]
) -> None:
    router = log_path(unlogged, "router")
    router.mkdir(parents=True)
    log = follower(unlogged)
    for _ in range(3):
        log.follow_all()
    assert capfd.readouterr().err.count("cannot be written") == 1
    assert "router.log cannot be written" in logs.trouble()
    router.rmdir()
    log.follow_all()
    assert logs.trouble() == ""
    assert files(unlogged) == files(played)


def test_where_the_position_cannot_be_kept_nothing_is_doubled(
    played: DataFolder, unlogged: DataFolder, follower: Follow
) -> None:
    unlogged.log_position.mkdir()
    log = follower(unlogged)
    log.follow_all()
    log.follow_all()
    assert "logs.json cannot be written" in logs.trouble()
    unlogged.log_position.rmdir()
    log.follow_all()
    assert logs.trouble() == ""
    assert files(unlogged) == files(played)


def test_a_fill_waits_until_its_result_is_known(
    played: DataFolder, unlogged: DataFolder, follower: Follow
) -> None:
    log = follower(unlogged)
    known, last = log._facts.result, 0
    log._facts.result = lambda position: known(position) if position <= last else None
    with closing(Feed(unlogged.events)) as feed:
        for last in range(0, feed.head().position + 1, 30):  # noqa: B007 - the views go on
            log.follow_all()
    log._facts.result = known
    log.follow_all()
    assert files(unlogged) == files(played)


def test_two_at_once_log_each_event_once(
    played: DataFolder, unlogged: DataFolder, follower: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "BATCH", 50)
    one, other = follower(unlogged), follower(unlogged)
    with one._alone() as mine:
        assert mine
        assert other.follow() == 0
    while one.follow() + other.follow():
        pass
    assert files(unlogged) == files(played)


def test_one_that_followed_before_knows_what_another_left_when_it_was_killed(
    played: DataFolder, unlogged: DataFolder, follower: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "BATCH", 50)
    living, other = follower(unlogged), follower(unlogged)
    assert living.follow()

    def act(name: str) -> None:
        if name == "logs.written":
            raise Killed

    failpoints.arm(act)
    with pytest.raises(Killed):
        other.follow()
    failpoints.arm(None)
    living.follow_all()
    assert files(unlogged) == files(played)


def test_another_history_is_said_and_logged_on_from_its_end(
    unlogged: DataFolder, follower: Follow
) -> None:
    unlogged.log_position.write_text('{"position": 999999, "hash": "00"}')
    log = follower(unlogged)
    log.follow_all()
    (line,) = lines(unlogged, "main_bot")
    assert line["level"] == "WARNING"
    assert "another one than that which was logged up to event 999999" in line["message"]
    assert log.follow() == 0


def test_main_logs_the_history_and_is_stopped_by_no_fault_of_it(
    played: DataFolder, unlogged: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "BATCH", 100)
    clock = VirtualClock(datetime(2026, 3, 9, tzinfo=UTC))
    follower = LogFollower(unlogged, demo_settings(), clock)
    follower.tick()
    first = len(lines(unlogged, "main_bot"))
    away = unlogged.events.rename(unlogged.root / "away")
    follower.close()  # as if another start
    for _ in range(3):
        follower.tick()
        clock.wait_until(clock.now() + timedelta(minutes=2))
    (fault,) = lines(unlogged, "main_bot")[first:]
    assert fault["level"] == "ERROR"
    assert "cannot be logged" in fault["message"]
    away.rename(unlogged.events)
    for _ in range(10):
        follower.tick()
    follower.close()
    assert lines(unlogged, "open") == lines(played, "open")
    whole = [line for line in lines(unlogged, "main_bot") if line != fault]
    assert whole == lines(played, "main_bot")


def test_a_lost_position_is_found_again_in_the_files(
    played: DataFolder, unlogged: DataFolder, follower: Follow
) -> None:
    follower(unlogged).follow_all()
    unlogged.log_position.write_text("{")
    follower(unlogged).follow_all()
    assert files(unlogged) == files(played)


def test_closed_logs_are_kept_for_as_long_as_the_settings_say(
    unlogged: DataFolder, follower: Follow
) -> None:
    unlogged.global_logs.mkdir(parents=True)
    old = unlogged.global_logs / "router.20250101T000000Z.log"
    young = unlogged.global_logs / "router.20260301T000000Z.log"
    for path in (old, young):
        path.touch()
    follower(unlogged, LOG_RETENTION_DAYS="30").follow_all()
    assert not old.exists()
    assert young.exists()
