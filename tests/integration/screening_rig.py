"""A bot's store and calendar under a virtual clock, with a screener that asks a fake Finnhub."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from beside import beside

from config.calendar import SessionHours
from config.clock import VirtualClock
from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import demo_settings
from runtime.bootstrap import Bot
from runtime.schedule import calendar_around
from runtime.screening import Screening
from screeners.finnhub_screener import FinnhubScreener
from screeners.finnhub_wire import Line

fakes = beside("fakes/finnhub_server")
TUESDAY = date(2026, 3, 3)
SETTINGS = {"BROKER_NAME": "ALPACA", "SCREENER_NAME": "FINNHUB", "MAX_OPEN_POSITIONS": "2"}
CALENDAR = calendar_around("XNYS", TUESDAY)


def hours_of(day: date) -> SessionHours:
    found = CALENDAR.session(day)
    assert found is not None
    return found


class Rig:
    """One bot beside one fake; ``start`` makes the screening of a session, as after a restart."""

    def __init__(self, root: Path, **settings: str) -> None:
        self.folder = DataFolder(root)
        self.settings = demo_settings(SETTINGS | settings)
        self.clock = VirtualClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
        self.market = fakes.Market(self.clock.now)
        self.server = fakes.FinnhubServer(self.market)
        self.stop_after: int | None = None
        self.bot = self._bot()
        self.screener: FinnhubScreener | None = None

    def _bot(self) -> Bot:
        return Bot(
            self.folder, self.settings, clock=self.clock, broker=cast(Any, None),
            calendar=CALENDAR, fresh_blind_key=bytes(32),
        )  # fmt: skip

    def change(self, **settings: str) -> None:
        self.settings = self.bot.settings = demo_settings(SETTINGS | settings)

    def start(
        self, day: date = TUESDAY, key: str = fakes.KEY, retries: int = 3,
        wait: Callable[[datetime], object] | None = None,
    ) -> Screening:  # fmt: skip
        """As a process that has just begun: nothing of an earlier one is in memory."""
        if self.screener is not None:
            self.screener.close()
            self.bot.store.close()
            self.bot = self._bot()
        line = Line(Secret(key), 2, retries, self.clock, self.server.base)
        answers = self.folder.screens / "answers.jsonl"
        self.screener = FinnhubScreener(line, self.clock, answers)
        return Screening(self.bot, self.screener, hours_of(day), wait or self.wait)

    def wait(self, moment: datetime) -> None:
        if self.stop_after is not None and len(self.server.calls) >= self.stop_after:
            self.stop_after = None
            raise Killed
        self.clock.wait_until(moment)

    def close_of(self, day: date = TUESDAY) -> None:
        """It is a minute after that session's close, and prices are of its last minute."""
        self.market.at = hours_of(day).close - timedelta(seconds=30)
        self.clock.wait_until(hours_of(day).close + timedelta(minutes=1))

    def before(self, day: date, minutes: int = 30) -> None:
        """So long before that session's open, and prices are of now."""
        self.market.at = None
        self.clock.wait_until(hours_of(day).open - timedelta(minutes=minutes))

    def asked(self, what: str = "") -> list[str]:
        """The symbols of the calls so far, of one kind."""
        return [c.split()[1] for c in self.server.calls if c.startswith(what)]

    def close(self) -> None:
        if self.screener is not None:
            self.screener.close()
        self.bot.close()
        self.server.close()


class Killed(Exception):
    """The process was killed in between."""
