"""How a running session looks up from its work: waits that notice a kill, and what it tells."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from aggregates.control import Source
from config.clock import Clock
from runtime.desk import Desk
from strategies.protocol import Window


class KillOrder(NamedTuple):
    """Somebody or something asks for the kill switch."""

    source: Source
    reason: str


class KillAsked(Exception):
    """Ends whatever the session was doing; the kill switch takes over."""

    def __init__(self, order: KillOrder) -> None:
        super().__init__(f"{order.source}: {order.reason}")
        self.order = order


class Guard(Protocol):
    """The session's way to whoever watches it."""

    def wait_until(self, moment: datetime) -> KillOrder | None:
        """Return when ``moment`` has come, or at once with a kill that was asked for.

        Looks at least once, also when the moment has passed: starts and stops are answered here.
        """

    def watch(self, window: Window) -> None:
        """The window of the strategy that runs from now on."""

    def tell(self, phase: str, desk: Desk | None) -> None:
        """What runs now, for the status file and the watchdog. Never raises, never waits."""


def wait_or_raise(guard: Guard, moment: datetime) -> None:
    """Return when the moment has come. Raises KillAsked as soon as a kill is asked for."""
    if (kill := guard.wait_until(moment)) is not None:
        raise KillAsked(kill)


class Unwatched:
    """A demo: nobody asks anything of it, and nobody watches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wait_until(self, moment: datetime) -> KillOrder | None:
        self._clock.wait_until(moment)
        return None

    def watch(self, window: Window) -> None:
        pass

    def tell(self, phase: str, desk: Desk | None) -> None:
        pass
