"""`tbot run` and its supervisor under a clock that all of them read from a file: it jumps on to
whatever is waited for, and stands still while a test says so.

    python tests/crash/fast_day.py main|supervisor FOLDER CLOCK [the module's options]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.custody import Custody
from runtime.people import People
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key
from runtime.run_lock import trader

WAIT_S = 0.01
NAP = timedelta(minutes=1)


class SharedClock:
    """Implements ``config.clock.Clock``. The file says what the time is (ISO, UTC) and whether it
    goes on; each wait takes a little of the machine's time, in which processes can be killed."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        return self._read()[0]

    def _read(self) -> tuple[datetime, bool]:
        at, goes = self._file.read_text().split()
        return datetime.fromisoformat(at), goes == "goes"

    def wait_until(self, moment: datetime) -> None:
        time.sleep(WAIT_S)
        while (read := self._read())[0] < moment:
            if read[1]:
                self.set(moment, goes=True)
            else:
                time.sleep(WAIT_S)

    def set(self, at: datetime, *, goes: bool) -> None:
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        new.write_text(f"{at.isoformat()} {'goes' if goes else 'stands'}")
        new.replace(self._file)


def set_up(root: Path, at: datetime, **settings: str) -> DataFolder:
    """A bot with a vault, books of 100,000 at the simulated broker, and an admin."""
    folder, clock = DataFolder(root), VirtualClock(at)
    texts = dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME") | {
        "BOT_ID": "01", "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern",
        "EXCHANGE_CALENDAR": "XNYS",
    }  # fmt: skip
    provision_bot(
        folder,
        settings_from(texts | settings),
        new_recovery_key().recipient,
        clock=clock,
        deposit=Decimal(100_000),
        progress=lambda _step: None,
    )
    with closing(Custody.open(folder, clock)) as custody:
        People(custody, cost=4).register(
            "anna", "four unrelated words here", "admin", actor="t", command_id="anna"
        )
    return folder


class Days:
    """Runs `tbot run` on a folder with fast days; ``close`` ends what still runs."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder, self._clock_file = folder, folder.root.with_name("clock")
        self.clock = SharedClock(self._clock_file)
        self._errors = folder.root.with_name("errors.txt")
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, at: datetime) -> None:
        """It is ``at``, and time stands still until ``go``."""
        self.clock.set(at, goes=False)
        self.start()

    def pause(self) -> None:
        self.clock.set(self.clock.now(), goes=False)

    def go(self) -> None:
        self.clock.set(self.clock.now(), goes=True)

    def start(self) -> None:
        with self._errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "main", str(self.folder.root), self._clock_file],
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip

    def end(self, how: int = signal.SIGTERM) -> int:
        """The exit code of `tbot run`; a supervisor outlives a SIGKILL of it."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(timeout=40)
        self.process = None
        return code

    def errors(self) -> str:
        """What all of them have said on their standard error."""
        return self._errors.read_text()

    def pid(self, what: str) -> int:
        """Of "main", "supervisor" or "web"; 0 where there is none now."""
        if what == "supervisor":
            return trader(self.folder)
        assert self.process is not None
        if what == "main":
            return self.process.pid
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in own.read_text().split():
            with suppress(OSError):
                if b"\0web\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        return 0

    def close(self) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)
        if left := trader(self.folder):
            os.kill(left, signal.SIGKILL)


def main() -> int:
    what, folder, clock_file, *given = sys.argv[1:]
    clock = SharedClock(Path(clock_file))
    if what == "main":
        from runtime import main as runtime_main
        from runtime.trading import Wiring

        own = (sys.executable, __file__, "supervisor", folder, clock_file)
        return runtime_main.run(Path(folder), None, clock, Wiring(supervisor=own))
    from runtime.supervisor_process import SupervisorProcess

    day = date.fromisoformat(given[given.index("--day") + 1])
    return SupervisorProcess(DataFolder(Path(folder)), clock, nap=NAP).run(day)


if __name__ == "__main__":
    sys.exit(main())
