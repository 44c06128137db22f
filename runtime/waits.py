"""How long to wait before a child process is started again."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_S, LONGEST_S = 0.5, 30.0
SOUND_S = 60.0  # a child that lived that long starts the waits anew


class Waits:
    """Longer each time, until a child has lived for a while. ``ticks`` counts seconds."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._started = 0.0
        self._wait = 0.0

    def started(self) -> None:
        self._started = self._ticks()

    def next(self) -> float:
        """Seconds."""
        if self._ticks() - self._started > SOUND_S:
            self._wait = 0.0
        self._wait = min(self._wait * 2 or FIRST_S, LONGEST_S)
        return self._wait
