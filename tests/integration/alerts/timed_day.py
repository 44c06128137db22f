"""`tbot run` under a clock that jumps, whose supervisor writes down how long every order took on
its way: from the intent on disk to the broker's answer on disk, in the machine's own time.

    python tests/integration/alerts/timed_day.py main|supervisor FOLDER CLOCK [options]
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

FAST = Path(__file__).parents[2] / "crash" / "fast_day.py"
TAKEN = "orders.txt"  # beside the data folder: microseconds, one line an order


def fast_day() -> Any:
    spec = importlib.util.spec_from_file_location("fast_day", FAST)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def days(folder: Any) -> Any:
    """fast_day's Days, of this program."""
    fast = fast_day()

    class Timed(fast.Days):  # type: ignore[misc, name-defined]
        def start(self) -> None:
            with self._errors.open("a") as errors:
                self.process = subprocess.Popen(
                    [sys.executable, __file__, "main", str(self.folder.root), self._clock_file],
                    stdout=subprocess.DEVNULL, stderr=errors,
                )  # fmt: skip

    return Timed(folder)


def main() -> int:
    what, root, clock_file, *given = sys.argv[1:]
    fast = fast_day()
    clock = fast.SharedClock(Path(clock_file))
    if what == "main":
        from runtime import main as runtime_main
        from runtime.trading import Wiring

        own = (sys.executable, __file__, "supervisor", root, clock_file)
        return runtime_main.run(Path(root), None, clock, Wiring(supervisor=own))
    from config import failpoints
    from config.paths import DataFolder
    from runtime.supervisor_process import SupervisorProcess

    begun = 0
    with Path(root).with_name(TAKEN).open("a") as file:

        def reached(step: str) -> None:
            nonlocal begun
            if step == "outbox.submission_recorded":
                begun = time.perf_counter_ns()
            elif step == "outbox.answer_recorded" and begun:
                file.write(f"{(time.perf_counter_ns() - begun) // 1000}\n")
                begun = 0

        failpoints.arm(reached)
        day = date.fromisoformat(given[given.index("--day") + 1])
        return int(SupervisorProcess(DataFolder(Path(root)), clock, nap=fast.NAP).run(day))


if __name__ == "__main__":
    sys.exit(main())
