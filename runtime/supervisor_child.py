"""The supervisor as a child of `tbot run`: started, watched, ended. One that was left behind by a
`tbot run` that was killed goes on trading, and is watched in the same way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date

from config.paths import DataFolder
from runtime.run_lock import trader
from runtime.supervisor_process import FAILED

COMMAND = (sys.executable, "-m", "runtime.supervisor_process")
END_S = 20.0  # for a step to be finished; then it is killed, and goes on from there another time
POLL_S = 0.02


class SupervisorChild:
    """At most one. It outlives this process: positions are not left without a watch."""

    def __init__(self, folder: DataFolder, command: Sequence[str] = COMMAND) -> None:
        self._folder, self._command = folder, command
        self._child: subprocess.Popen[bytes] | None = None
        self._adopted = 0
        self._pulse = 0
        self._seen = 0.0

    @property
    def running(self) -> bool:
        return self._child is not None or self._adopted != 0

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else self._adopted

    def start(self, day: date) -> None:
        arguments = ["--data-dir", str(self._folder.root.absolute()), "--day", day.isoformat()]
        # a session of its own: Ctrl-C reaches this process alone, which then ends the child
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.alive()

    def adopt(self) -> int:
        """The process that trades already, if there is one; 0 otherwise."""
        self._adopted = trader(self._folder)
        self.alive()
        return self._adopted

    def ended(self) -> int | None:
        """The exit code once it is gone; None while it lives. An adopted one tells none: FAILED."""
        code: int | None = None
        if self._child is not None:
            code = self._child.poll()
            if code is not None:
                self._child = None
        elif self._adopted and trader(self._folder) != self._adopted:
            self._adopted, code = 0, FAILED
        return code

    def silent_for(self) -> float:
        """Seconds since its pulse was seen last; by this process's own clock, whatever the time."""
        with suppress(OSError):
            pulse = self._folder.pulse.stat().st_mtime_ns
            if pulse != self._pulse:
                self._pulse, self._seen = pulse, time.monotonic()
        return time.monotonic() - self._seen

    def alive(self) -> None:
        """From now on it is waited for the next pulse."""
        self._seen = time.monotonic()

    def stop(self) -> None:
        """Asked first, killed when it does not go."""
        self._signal(signal.SIGTERM)
        if not self._gone(END_S):
            self.kill()

    def kill(self) -> None:
        """Nothing is lost: every step is on disk before it counts."""
        self._signal(signal.SIGKILL)
        self._gone(END_S)

    def _signal(self, number: int) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _gone(self, longest_s: float) -> bool:
        end = time.monotonic() + longest_s
        while self.running and self.ended() is None:
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True
