"""A whole day by the program that trades, its symbols chosen by a fake Finnhub: candidates before
the open, the trades of one of them, the next universe after the close."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from beside import beside

from aggregates.screen import CandidatesChosen, UniverseRebuilt
from aggregates.session import PhaseEnded, SessionClosed, SessionOpened
from config.clock import Clock, VirtualClock
from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import Settings
from runtime import logs, supervisor_process
from runtime.bootstrap import Bot
from runtime.custody import Custody
from runtime.schedule import calendar_around
from runtime.screening import Screening
from runtime.settings_change import current_settings
from runtime.supervisor_process import OVER
from screeners.finnhub_screener import FinnhubScreener
from screeners.finnhub_wire import Line

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")  # nothing here is about the disk
helper, finnhub = beside("conformance/process_day"), beside("fakes/finnhub_server")
EVE = helper.DAY - timedelta(days=1)


@pytest.fixture
def screened(load: Callable[[Path], Any]) -> Any:
    """The small world of four symbols, two candidates of which are wanted."""
    world = load(HERE.parent / "faults" / "small_world.py")
    more = {
        "SCREENER_NAME": "FINNHUB", "FINNHUB_API_KEY": finnhub.KEY, "MAX_OPEN_POSITIONS": "1",
        "CANDIDATE_MULTIPLIER": "2",
    }  # fmt: skip
    names = {name: getattr(world, name) for name in dir(world) if not name.startswith("__")}
    return SimpleNamespace(**names | {"SETTINGS": world.SETTINGS | more})


@pytest.fixture
def market(
    fakes: Any, screened: Any, load: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """What the program changes of its own is put back: signals, mask, logs."""
    handlers = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    mask = os.umask(0o077)
    root = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{root}/config")
    folder = DataFolder(Path(root) / "data")
    helper.provision(folder, screened)
    (folder.market_data / "candidates.txt").unlink()
    made = helper.Market(fakes, screened, load(HERE / "day_market.py"), folder)
    yield made
    made.server.close()
    os.umask(mask)
    for number, handler in handlers:
        signal.signal(number, handler)
    logs.use(DataFolder(Path(root) / "none"), None)
    shutil.rmtree(root)


def at_fake(server: Any, clock: Clock, folder: DataFolder) -> FinnhubScreener:
    line = Line(Secret(finnhub.KEY), 2, 1, clock, server.base)
    return FinnhubScreener(line, clock, folder.screens / "answers.jsonl")


def evening_before(folder: DataFolder, market: Any) -> None:
    """The universe of the session before, as the phase after its close makes it."""
    calendar = calendar_around("XNYS", EVE)
    hours = calendar.session(EVE)
    assert hours is not None
    clock = VirtualClock(hours.close + timedelta(minutes=5))
    server = finnhub.FinnhubServer(finnhub.Market(clock.now, market.shares))
    with closing(Custody.open(folder, clock)) as custody:
        settings = current_settings(custody)
    bot = Bot(
        folder, settings, clock=clock, broker=cast(Any, None), calendar=calendar,
        fresh_blind_key=b"",
    )  # fmt: skip
    screener = at_fake(server, clock, folder)
    said = Screening(bot, screener, hours, clock.wait_until).rebuild_universe()
    assert said == "the universe has 5 of 6 securities that were looked at"
    screener.close()
    bot.close()
    server.close()


def test_a_day_whose_symbols_a_screener_chose(
    market: Any, screened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = finnhub.Market(market.clock.now)
    told.add(
        *(
            finnhub.Share(symbol, volume=9 - n, price=100, opening=100, before=99)
            for n, symbol in enumerate(screened.SYMBOLS)
        ),
        finnhub.Share("NASD", mic="XNAS", volume=1), finnhub.Share("TINY", cap=1),
    )  # fmt: skip
    evening_before(market.folder, told)
    told.shares[screened.SYMBOLS[0]].price = 150  # a gap of half its price
    server = finnhub.FinnhubServer(told)

    def screener_of(folder: DataFolder, _: Settings, clock: Clock) -> FinnhubScreener:
        return at_fake(server, clock, folder)

    monkeypatch.setattr(supervisor_process, "screener_of", screener_of)
    market.play(4)
    assert market.run() == OVER
    server.close()

    chosen = screened.SYMBOLS[1:3]
    (made,) = (e for e in market.events(CandidatesChosen) if e.strategy == "OPEN")
    (opened,) = market.events(SessionOpened)
    assert made.symbols == opened.symbols == chosen
    assert made.occurred_at < opened.opens_at
    assert (made.mode, made.universe, made.source) == ("pre-market", EVE, "FINNHUB")
    assert [(r.why, r.symbols) for r in made.rejected] == [
        ("gap above MAX_GAP_PCT_OPEN 0.1", screened.SYMBOLS[:1])
    ]
    traded = {fill["symbol"] for fill in market.books.fills}
    assert traded
    assert traded <= set(chosen)
    newest = market.events(UniverseRebuilt)[-1]
    assert newest.effective_date == helper.DAY
    outcome = next(e.outcome for e in market.events(PhaseEnded) if e.phase == "universe")
    assert outcome == f"the universe has {len(newest.symbols)} of 6 securities that were looked at"
    assert market.events(SessionClosed)
    assert not any(finnhub.KEY in p.read_text() for p in market.folder.root.rglob("*.log"))


def test_a_day_whose_screener_talks_nonsense_goes_on_and_says_so(
    market: Any, screened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = finnhub.Market(market.clock.now)
    told.add(*(finnhub.Share(symbol) for symbol in (*screened.SYMBOLS, "NASD")))
    told.shares["NASD"].mic = "XNAS"
    told.add(finnhub.Share("TINY", cap=1))
    evening_before(market.folder, told)
    server = finnhub.FinnhubServer(told)
    server.fault("deep", times=100_000)

    def screener_of(folder: DataFolder, _: Settings, clock: Clock) -> FinnhubScreener:
        return at_fake(server, clock, folder)

    monkeypatch.setattr(supervisor_process, "screener_of", screener_of)
    market.play(4)
    assert market.run() == OVER
    server.close()
    outcomes = {e.phase: e.outcome for e in market.events(PhaseEnded)}
    assert outcomes["open"] == "flat; candidates: none of 5 passes (5 × price: not known)"
    assert "no new universe, the one before stays: Finnhub" in outcomes["universe"]
    assert list(outcomes) == ["open", "holdings", "mid", "close", "universe"]
    assert market.events(SessionClosed)
    assert not market.books.fills
