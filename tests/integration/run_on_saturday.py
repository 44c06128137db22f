"""`tbot run` on the machine's time, moved on to the next Saturday but one: no session is due, on
whatever day the tests run. `python tests/integration/run_on_saturday.py FOLDER PORT`"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

from config.clock import SystemClock
from runtime.cli_options import with_errors
from runtime.main import run


class Saturday(SystemClock):
    def __init__(self) -> None:
        self._shift = timedelta(days=12 - super().now().weekday())

    def now(self) -> datetime:
        return super().now() + self._shift


if __name__ == "__main__":
    sys.exit(with_errors(run)(Path(sys.argv[1]), int(sys.argv[2]), Saturday()))
