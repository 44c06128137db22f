"""A broker that is connected, how a supervisor gets one, and what trying it came to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from aggregates.errors import TradeBotError
from brokers.port import Broker
from config.calendar import SessionHours, TradingCalendar
from config.clock import Clock
from config.paths import DataFolder
from config.settings import Settings


class NotConnected(TradeBotError):
    """The broker of the settings cannot be used as they are: nothing was sent."""


class Connected(NamedTuple):
    """``market`` says in words where prices come from; ``close`` ends every connection."""

    broker: Broker
    symbols: tuple[str, ...]
    market: str
    close: Callable[[], None]


class Connect(Protocol):
    """How a supervisor gets its broker. ``begun``: symbols of a session that is open already."""

    def __call__(
        self,
        folder: DataFolder,
        settings: Settings,
        clock: Clock,
        calendar: TradingCalendar,
        hours: SessionHours,
        begun: Collection[str],
    ) -> Connected: ...


class Result(NamedTuple):
    """``passed`` None: there was nothing to test, and ``said`` tells what that means."""

    what: str
    passed: bool | None
    said: str
