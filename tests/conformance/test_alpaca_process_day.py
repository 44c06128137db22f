"""A whole day at the fake Alpaca by the program that trades: its start, its fills, its files, its
end; refused keys, an account that may sell short, and kills of the process in the middle."""

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates.session import Decided, SessionOpened, SessionReconciled
from config.paths import DataFolder
from runtime import logs
from runtime.build_report import BuildReport
from runtime.differences import units_of
from runtime.status import read_status
from runtime.supervisor_process import OVER, REFUSED
from runtime.views import Views

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")  # nothing here is about the disk


@pytest.fixture(scope="module")
def helper(load: Callable[[Path], Any]) -> Any:
    return load(HERE / "process_day.py")


@pytest.fixture(scope="module")
def world(load: Callable[[Path], Any]) -> Any:
    return load(HERE.parent / "faults" / "small_world.py")


@pytest.fixture(scope="module")
def template(helper: Any, world: Any) -> Iterator[Path]:
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as root,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("XDG_CONFIG_HOME", f"{root}/config")
        folder = DataFolder(Path(root) / "template")
        helper.provision(folder, world)
        yield folder.root


@pytest.fixture
def market(
    fakes: Any, load: Callable[[Path], Any], helper: Any, world: Any, template: Path
) -> Iterator[Any]:
    """What the program changes of its own is put back: signals, mask, logs."""
    folder = DataFolder(template.with_name("data"))
    shutil.copytree(template, folder.root, symlinks=True)
    handlers = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    mask = os.umask(0o077)
    made = helper.Market(fakes, world, load(HERE / "day_market.py"), folder)
    yield made
    made.server.close()
    os.umask(mask)
    for number, handler in handlers:
        signal.signal(number, handler)
    logs.use(DataFolder(template / "none"), None)
    shutil.rmtree(folder.root)


def checked(market: Any) -> str:
    """The build check of a start: the bot's identity, when nothing is wrong."""
    settings = BuildReport(market.folder, market.clock, lambda _position: None).settings()
    assert settings is not None
    return settings.identity


def check_truth(market: Any, checks: Any, kills: int) -> None:
    """No double order, no lost fill, limits kept; the books are those of the fake Alpaca."""
    books, events = market.books, market.events()
    counts = Counter(restarts=kills)
    day = SimpleNamespace(server=market.server, world=market.world, counts=counts, late=set())
    checks.check_orders(day, events, books.orders)
    checks.check_fills(day, events, books.fills)
    checks.check_limits(day, events, books.fills)
    assert not any(books.positions.values()), "not flat"
    assert not books.open_orders()
    (said,) = (e for e in events if isinstance(e, SessionReconciled))
    cash = books.cash.quantize(Decimal("0.01"))
    assert (said.differences, said.broker_cash) == ((), cash)
    with closing(Views.open(market.folder, checked(market))) as views:
        views.catch_up()
        assert not any(units_of(views.books).values())
        assert views.books.broker_cash() == cash
        assert not views.orders.unfinished()


@pytest.fixture
def checks(load: Callable[[Path], Any]) -> Any:
    return load(HERE / "day_checks.py")


def test_a_day_from_the_build_check_to_the_day_files(market: Any, helper: Any, checks: Any) -> None:
    """ALFA is paused before it breaks out, which only the data stream tells; BRVO is traded."""
    checked(market)
    market.play(4)
    for clock, code in (("13:34:30", "P"), ("13:58:30", "T")):
        market.clock.at(
            helper.at(clock), lambda code=code: market.status("ALFA", code, code == "P")
        )
    assert market.run() == OVER
    check_truth(market, checks, kills=0)
    assert {f["symbol"] for f in market.books.fills} == {"BRVO"}
    verdicts = [(d.symbol, v) for d in market.events(Decided) for v in d.verdicts]
    denied = {(symbol, v.rule, v.value) for symbol, v in verdicts if not v.passed}
    assert ("ALFA", "TRADABLE", "halted") in denied
    told = read_status(market.folder)
    assert told is not None
    assert told.broker is not None
    assert (told.state, told.session, told.positions, told.orders) == ("idle", "2025-07-03", (), ())
    assert (told.broker.name, told.broker.market) == ("alpaca", "Alpaca, paper account")
    assert told.broker.reachable is True
    for kind in ("trades", "summaries"):
        assert any(market.folder.root.glob(f"output/*/{kind}/*{helper.DAY}*")), kind
    assert len(list(market.folder.checkpoints.glob("*.checkpoint"))) == 1
    assert market.log("broker_api.log", method="STREAM", outcome="200")
    for path in market.folder.root.rglob("*.log"):
        assert "canary" not in path.read_text(), path


def test_refused_keys_end_the_day_before_it_begins_and_are_said_once(
    market: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    market.server.keys = ("other-key-id", "other-secret")
    assert market.run() == REFUSED
    (said,) = market.log("main_bot.log", level="FATAL")
    assert said.startswith("Nothing is traded today. Alpaca refuses the keys.")
    assert capsys.readouterr().err == f"{said}\n"
    assert [a.path for a in market.server.asked] == ["/v2/account"]
    assert market.events(SessionOpened) == []


def test_an_account_that_may_sell_short_trades_nothing(
    market: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    market.play(4)
    market.books.account_extra = {"shorting_enabled": True}
    assert market.run() == REFUSED
    (said,) = market.log("main_bot.log", level="FATAL")
    assert "may sell short at Alpaca, which this bot never does. Change it there" in said
    assert said in capsys.readouterr().err
    assert market.books.orders == {}
    assert market.events(Decided) == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the fake has threads
def test_a_process_that_is_killed_again_and_again_ends_the_day_all_the_same(
    market: Any, helper: Any, checks: Any
) -> None:
    """SIGKILL as its first order is taken and not yet answered, while that is filled in parts, and
    while the shares are being sold in parts."""
    market.play(6)
    answer, kills = market.server.answer, [helper.at("13:42:30"), helper.at("13:50:30")]
    forked, running, met = multiprocessing.get_context("fork"), [], []

    def taken_unanswered(method: str, *given: Any) -> Any:
        found = answer(method, *given)
        if method == "POST" and len(running) == 1:
            kill()
        return found

    def kill() -> None:
        met.extend((order["side"], order["status"]) for order in market.books.open_orders())
        os.kill(running[-1].pid, signal.SIGKILL)

    def wait(moment: Any) -> None:
        if len(running) > 1 and kills and moment >= kills[0]:
            market.clock.wait_until(kills.pop(0))
            kill()
        market.clock.wait_until(moment)

    def process() -> int:
        """One, from its start to its end: its exit code, below 0 when it was killed."""
        here, there = forked.Pipe()
        clock = helper.AskedClock(there, market.clock.now())
        running.append(forked.Process(target=lambda: os._exit(market.run(clock))))
        running[-1].start()
        there.close()
        try:
            while True:
                wait(here.recv())
                here.send(market.clock.now())
        except (EOFError, OSError):
            running[-1].join()
        here.close()
        return int(running[-1].exitcode)

    market.server.answer = taken_unanswered
    ends = [process()]
    while ends[-1] < 0 and len(ends) < 9:
        market.clock.wait_until(market.clock.now() + timedelta(seconds=5))
        ends.append(process())
    assert ends == [-signal.SIGKILL] * 3 + [OVER]
    assert met == [("buy", "new"), ("buy", "partially_filled"), ("sell", "partially_filled")]
    check_truth(market, checks, kills=3)
    assert {f["symbol"] for f in market.books.fills} == {"BRVO"}
    assert len(market.events(SessionOpened)) == 1
    assert len(list(market.folder.checkpoints.glob("*.checkpoint"))) == 1
