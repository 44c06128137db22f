"""The pages as a child of `tbot run`: started, watched, ended. The bot goes on without them."""

from __future__ import annotations

import selectors
import subprocess
import sys
from pathlib import Path

from runtime.waits import Waits

READY_S = 30.0  # for a child to bind its address
END_S = 5.0  # for a child to end in peace; then it is killed
ADDRESS_UNUSABLE = 2  # what `python -m web` ends with then


class WebProcess:
    """One child at a time. It ends by itself when this process is gone."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._child: subprocess.Popen[bytes] | None = None
        self._waits = Waits()

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    def start(self, host: str, port: int) -> int | None:
        """Start a child and wait until it serves: None. One that does not gives its exit code."""
        command = [sys.executable, "-m", "web", "--data-dir", str(self._data_dir)]
        command += ["--host", host, "--port", str(port), "--child"]
        self._waits.started()
        # a session of its own: Ctrl-C reaches this process alone, which then ends the child
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        if self._serves():
            return None
        self._child.terminate()  # it has ended, or hangs
        try:
            return self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def _serves(self) -> bool:
        """Whether the child says so: it writes one line when its address is bound."""
        assert self._child is not None  # noqa: S101 - called by start alone
        assert self._child.stdout is not None  # noqa: S101
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._child.stdout, selectors.EVENT_READ)
            return bool(waiting.select(READY_S)) and bool(self._child.stdout.readline())

    def ended(self) -> int | None:
        """The exit code of a child that is gone; None while it lives."""
        return self._child.poll() if self._child else 0

    def next_wait(self) -> float:
        """Seconds until the next start: longer each time, until a child has lived for a while."""
        return self._waits.next()

    def stop(self) -> None:
        """End the child: asked first, killed when it does not go."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
