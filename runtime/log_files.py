"""Every log file there is, with its fields (M24), and where it lies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from config.paths import DataFolder

FIELDS = (
    "timestamp", "level", "strategy_name", "ticker", "side", "size", "entry_price", "exit_price",
    "PnL", "broker", "error_code", "event", "message", "position",
)  # fmt: skip
WIRE = ("method", "endpoint", "outcome", "duration_ms")


class LogFile(NamedTuple):
    """``of_people``: has names and addresses, so it is for whom the page of activity is for.

    A log that nothing is written to has no file.
    """

    name: str
    about: str
    of_people: bool = False
    more: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        return FIELDS + self.more


GLOBAL = (
    LogFile("main_bot", "everything in short, but people"),
    LogFile("heartbeat", "that the bot is alive, and in which state"),
    LogFile("router", "phases, and which strategy they run"),
    LogFile("screener", "which symbols were chosen and why"),
    LogFile("kill_switch", "kills: who asked, every step, the reset"),
    LogFile("provisioning", "how the bot was set up"),
    LogFile("system_users", "users made, changed and taken away", of_people=True),
    LogFile("user_activity_monitoring", "sign-ins, failures, denials", of_people=True),
    LogFile("test_mode", "runs in test mode"),
    LogFile("password_reset", "links to set a password, passwords set", of_people=True),
    LogFile("start_log", "sessions opened, starts asked for and answered"),
    LogFile("stop_log", "sessions closed, stops asked for and answered"),
    LogFile("broker_api", "every request to a broker: time, endpoint, outcome", more=WIRE),
)
OF_IDENTITY = (
    LogFile("open", "the strategy OPEN: decisions, orders, fills"),
    LogFile("mid", "the strategy MID: decisions, orders, fills"),
    LogFile("close", "the strategy CLOSE: decisions, orders, fills"),
    LogFile("unresolved_orders", "orders whose outcome was not known, and differences"),
    LogFile("error_tracebacks", "errors that nobody foresaw, with where they arose"),
)
STRATEGIES = ("open", "mid", "close")
LOGS = {log.name: log for log in (*GLOBAL, *OF_IDENTITY)}
END = ".log"
_STAMP = "%Y%m%dT%H%M%SZ"
# whatever follows ".log" is what became of a closed file: a log may be encrypted once it is closed
_CLOSED = re.compile(r"([a-z_]+)\.(\d{8}T\d{6}Z)(?:-(\d+))?\.log(\.[a-z.]+)?", re.ASCII)


class ClosedLog(NamedTuple):
    """A log file that nothing is added to any more. ``at``: when the next one was begun (UTC)."""

    path: Path
    name: str
    at: datetime
    number: int


def log_path(folder: DataFolder, name: str, identity: str = "") -> Path:
    """The file that is written to now."""
    own = LOGS[name] in OF_IDENTITY
    return (folder.logs(identity) if own else folder.global_logs) / f"{name}{END}"


def fields_of(path: Path) -> tuple[str, ...]:
    """The columns of a log file, by its name."""
    name = path.name.partition(".")[0]
    return LOGS[name].fields if name in LOGS else FIELDS


def folders_here(folder: DataFolder) -> list[Path]:
    """The folders of logs that are there: the global one, and that of each identity."""
    found = [folder.global_logs, *sorted(folder.root.glob("output/*/logs"))]
    return [place for place in found if place.is_dir()]


def closed_name(path: Path, at: datetime, number: int) -> Path:
    """What a log file is called once it is closed: main_bot.20260302T143000Z.log, then …Z-2.log."""
    more = f"-{number}" if number > 1 else ""
    return path.with_name(f"{path.stem}.{at.astimezone(UTC):{_STAMP}}{more}{END}")


def closed_logs(place: Path, name: str = "") -> Iterator[ClosedLog]:
    """The closed files in a folder, oldest first; of all logs, or of one."""
    found = []
    for path in place.iterdir() if place.is_dir() else ():
        match = _CLOSED.fullmatch(path.name)
        if match and match[1] in LOGS and name in ("", match[1]):
            at = datetime.strptime(match[2], _STAMP).replace(tzinfo=UTC)
            found.append(ClosedLog(path, match[1], at, int(match[3] or 1)))
    yield from sorted(found, key=lambda log: (log.at, log.number, log.path))
