"""What main does when nobody else can: a kill that is not taken up, a loop that hangs (rule 3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from config.clock import Clock
from config.paths import DataFolder
from config.settings import Settings
from runtime.connected import Connect
from runtime.guard import KillOrder
from runtime.kill_switch import kill_without_session
from runtime.run_lock import trading_alone
from runtime.trading_bot import open_trading

ACKNOWLEDGED_S = 1.0  # rule 3: a kill that is not taken up by then is main's
LIMIT_S = 65.0  # the longest wait for the reset of a limit of requests (0022)
STEP_S = 60.0  # the longest a step takes without asking the broker: a pause of the kill switch


def hung_after(settings: Settings) -> float:
    """Seconds without a pulse after which a loop hangs.

    Every answer of the broker is a pulse. Until one comes, a question may be tried
    API_RETRY_LIMIT times more, and each try may wait for the reset of a limit of requests.
    """
    return STEP_S + (settings.API_RETRY_LIMIT + 1) * (settings.API_TIMEOUT + LIMIT_S)


class KillFlag:
    """How long the flag of a kill has been lying there."""

    def __init__(self, folder: DataFolder, ticks: Callable[[], float] = time.monotonic) -> None:
        self._flag, self._ticks = folder.flag("kill"), ticks
        self._since: float | None = None

    def ignored(self) -> bool:
        """Whether it was there for longer than a running supervisor needs to take it up."""
        if not self._flag.exists():
            self._since = None
            return False
        if self._since is None:
            self._since = self._ticks()
        return self._ticks() - self._since > ACKNOWLEDGED_S


def take_over(folder: DataFolder, clock: Clock, connect: Connect, order: KillOrder) -> bool:
    """Be the one process that trades, and carry the kill switch out; whether trading is flat.

    The supervisor must be gone. A kill that somebody asked for goes under their name. Latched
    already: nothing is asked of the broker. Raises whatever keeps a bot from trading.
    """
    with trading_alone(folder), ExitStack() as stack:
        opened = open_trading(folder, None, clock, connect, stack)
        asked = opened.flags.look()  # records a flag that was laid by hand, and takes it away
        order = asked or order
        return kill_without_session(opened.bot, order.source, order.reason)
