"""The program of a trading day on a fake Alpaca: what it is given, what it leaves, and a clock for
one that runs as a process of its own, so that it can be killed."""

import json
import random
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from brokers.alpaca import Access
from config.calendar import TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import settings_from
from eventstore.feed import Feed
from runtime.brokers import connect
from runtime.connected import Connected
from runtime.keys import key_ring
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key
from runtime.supervisor_process import SupervisorProcess

DAY = date(2025, 7, 3)  # a half day, from 13:30 to 17:00 UTC
NAP = timedelta(minutes=1)
KEYS = ("canary-key-id-0001", "canary-secret-0002")  # those of the fake server


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"{DAY}T{clock}+00:00")


def until(good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not good():
        assert time.monotonic() < deadline, "it did not come within 10 seconds"
        time.sleep(0.002)


def provision(folder: DataFolder, world: Any) -> None:
    """A bot at Alpaca, on the day before its first, with the symbols of small_world."""
    texts = dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME") | {
        "BOT_ID": "01", "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern",
        "EXCHANGE_CALENDAR": "XNYS", "BROKER_NAME": "ALPACA", "ALPACA_ENABLED": "true",
        "ALPACA_API_KEY": KEYS[0], "ALPACA_SECRET_KEY": KEYS[1],
    }  # fmt: skip
    provision_bot(
        folder, settings_from(texts | world.SETTINGS), new_recovery_key().recipient,
        clock=VirtualClock(at("13:00") - timedelta(days=1)), deposit=None,
        progress=lambda _step: None,
    )  # fmt: skip
    folder.market_data.mkdir(exist_ok=True)
    names = "\n".join(f"{symbol} # by hand" for symbol in world.SYMBOLS)
    (folder.market_data / "candidates.txt").write_text(names)


class Market:
    """The fake Alpaca on that day. ``broker`` is the adapter of a process that runs here."""

    def __init__(self, fakes: Any, world: Any, day_market: Any, folder: DataFolder) -> None:
        self.world, self._day_market, self.folder = world, day_market, folder
        self.books, self.broker = fakes.books.Books(), SimpleNamespace()
        self.server = fakes.server.AlpacaServer(self.books)
        self.clock = day_market.PlayedClock(at("13:00"), lambda: None)
        self.books.clock = self.clock.now
        for symbol in world.SYMBOLS:
            self.books.list_asset(symbol)

    def play(self, seed: int) -> None:
        hours = TradingCalendar("XNYS", DAY, DAY).session(DAY)
        assert hours is not None
        rng = random.Random(seed)
        played = self._day_market.PlayedMarket(self.clock, self.books, self.server, rng)
        played.play(self.world.SmallMarket(seed, hours.open), hours)

    def run(self, clock: Any = None) -> int:
        """The program, from its start to its end: its exit code."""
        clock = clock or self.clock
        return SupervisorProcess(self.folder, clock, connect=self._connect, nap=NAP).run(DAY)

    def _connect(self, *given: Any) -> Connected:
        key_id, secret = map(Secret, KEYS)
        access = Access(
            key_id=key_id, secret=secret, paper=True, timeout_s=3, retries=1,
            trading_url=self.server.url, data_url=self.server.url,
            stream_url=self.server.stream_url,
        )  # fmt: skip
        connected = connect(*given, access=access)
        self.broker = connected.broker
        return connected

    def status(self, symbol: str, code: str, halted: bool) -> None:
        """Told by the data stream alone, and heard before time goes on."""
        until(lambda: any(stream.listening for stream in self.server.data_streams))
        self.server.status(symbol, code)
        until(lambda: self.broker._halts.halted(symbol) is halted)

    def events(self, kind: Any = object) -> list[Any]:
        with closing(Feed(self.folder.events, key_ring(self.folder))) as feed:
            return [e for row in feed.all() if isinstance(e := feed.event(row), kind)]

    def log(self, file: str, **fields: str) -> list[str]:
        """Messages of the lines with these fields."""
        text = (self.folder.global_logs / file).read_text()
        lines = map(json.loads, text.splitlines())
        return [line["message"] for line in lines if fields.items() <= line.items()]


class AskedClock:
    """The clock of a process of its own: whoever started it says how late it is."""

    def __init__(self, line: Connection, now: datetime) -> None:
        self._line, self._now = line, now

    def now(self) -> datetime:
        return self._now

    def wait_until(self, moment: datetime) -> None:
        self._line.send(moment)
        self._now = self._line.recv()
