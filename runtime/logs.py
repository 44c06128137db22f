"""One way for everything that is logged (M24): weighed, cleaned of secrets, shaped, written.

Redaction has three layers. A secret setting shows itself to nobody (config.setting_forms.Secret);
known values, those of the vault, are replaced wherever they occur in a line; a traceback names
places and errors, and no variable. A log that cannot be written never stops anything: that is told
once on the terminal, and by ``trouble`` in the status, until it can be written again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from structlog.processors import format_exc_info
from structlog.typing import EventDict, WrappedLogger

from config.paths import DataFolder
from config.settings import Settings
from runtime.log_files import FIELDS, OF_IDENTITY, fields_of
from runtime.log_secrets import Known, NothingKnown, VaultValues
from runtime.log_writing import TIME, Line, Shape, append

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "FATAL": 50}
HELD = 100  # lines that wait for the settings at most
MIB = 2**20


class Rules(NamedTuple):
    """What the settings say. Before they are read: everything from INFO on, as the files are."""

    least: int = LEVELS["INFO"]
    shape: Shape = Shape()
    keep: timedelta = timedelta(days=365)

    @classmethod
    def of(cls, s: Settings) -> Rules:
        # ENABLE_LOGGING=false: nothing but errors is logged; events are recorded all the same
        least = LEVELS[s.DEBUG_LOG_LEVEL] if s.ENABLE_LOGGING else LEVELS["ERROR"]
        # LOG_FORMAT: CSV for spreadsheets, JSON for everything else
        form = "CSV" if s.LOG_FORMAT == "CSV" else "JSON"
        shape = Shape(form=form, longest=s.LOG_MAX_MB * MIB)  # type: ignore[arg-type]
        return cls(least, shape, timedelta(days=s.LOG_RETENTION_DAYS))


class _Line(structlog.BoundLoggerBase):
    """Gives the line back instead of writing it."""

    def of(self, level: str, message: str, **fields: Any) -> Line | None:
        found: Line | None = self._proxy_to_logger("msg", message, level=level, **fields)
        return found


class Pipeline:
    """Rules and known secrets of one process."""

    def __init__(self, rules: Rules = Rules(), known: Known | None = None) -> None:  # noqa: B008
        self.rules, self.known = rules, known or NothingKnown()
        self._line: _Line = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[self._weigh, _texts, format_exc_info, _message, self._clean, _give],
            wrapper_class=_Line,
            context_class=dict,
        )
        self.troubles: dict[Path, str] = {}
        self._told = False

    def line(self, level: str, message: str, fields: Mapping[str, object]) -> Line | None:
        """A line as it would be written, None where it is too light."""
        # structlog calls the message "event"; our field of that name is the topic until then
        named = {"topic" if name == "event" else name: value for name, value in fields.items()}
        return self._line.of(level, message, **named)

    def write(self, path: Path, lines: Sequence[Line], *, durable: bool = False) -> bool:
        """Add lines to a file; whether that was done. Never raises."""
        try:
            append(path, fields_of(path), lines, self.rules.shape, durable=durable)
        except Exception as e:  # whatever it is: a log stops nothing
            self.cannot(path, e)
            return False
        self.troubles.pop(path, None)
        return True

    def cannot(self, path: Path, error: Exception) -> None:
        """Say that a file of the logs cannot be written: in the status, and once in words."""
        why = getattr(error, "strerror", None) or str(error)
        self.troubles[path] = why
        if not self._told:
            self._told = True
            print(
                f"The log {path} cannot be written: {why}. Events are recorded all the same and "
                "trading goes on. Make room or set the folder's permissions.",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    # -- the steps of one line, in their order -------------------------------------------------

    def _weigh(self, _logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
        # a level that nobody knows is not lost
        if LEVELS.get(line["level"], LEVELS["FATAL"]) < self.rules.least:
            raise structlog.DropEvent
        return line

    def _clean(self, _logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
        known = self.known.now()
        return {name: known.hide(text) for name, text in line.items()}


def _texts(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Values as texts; of bytes only how many. A Secret's text is "Secret(***)"."""
    kept = ("exc_info",)
    return {name: value if name in kept else _text(value) for name, value in line.items()}


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    return "" if value is None else str(value)


def _message(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """What is no field of any log, the traceback among it, is said in the message."""
    message = line.pop("event")
    if "topic" in line:
        line["event"] = line.pop("topic")
    traceback = line.pop("exception", "")
    others = [name for name in line if name not in _NAMES]
    said = ", ".join(f"{name} {line.pop(name)}" for name in others)
    message += f" ({said})" if said else ""
    line["message"] = f"{message}\n{traceback}" if traceback else message
    return line


def _give(_logger: WrappedLogger, _name: str, line: EventDict) -> Any:
    return (line,), {}


_NAMES = {*FIELDS, "method", "endpoint", "outcome", "duration_ms", "exc_info", "exception"}

# -- of this process -------------------------------------------------------------------------


class _Process:
    """What this process logs with. ``held``: lines that wait for the settings, None: none do."""

    pipeline = Pipeline()
    held: list[tuple[Path, Line]] | None = None


def use(folder: DataFolder, settings: Settings | None) -> None:
    """From now on log by these settings, None: there are none yet. Held lines are judged by them.

    To be called by each process once its settings are read.
    """
    rules = Rules() if settings is None else Rules.of(settings)
    _Process.pipeline = Pipeline(rules, VaultValues(folder))
    release()


def hold() -> None:
    """Until ``use``, keep lines below ERROR in memory: ENABLE_LOGGING is not known yet.

    The first error writes them, so that what led to it is seen.
    """
    _Process.held = []


def release() -> None:
    """Write what was held, as far as the rules allow."""
    held, _Process.held = _Process.held, None
    pipeline = _Process.pipeline
    for path, line in held or ():
        if LEVELS.get(line["level"], LEVELS["FATAL"]) >= pipeline.rules.least:
            pipeline.write(path, [{**line, "message": pipeline.known.now().hide(line["message"])}])


def pipeline() -> Pipeline:
    """That of this process."""
    return _Process.pipeline


def trouble() -> str:
    """Which log cannot be written and why, for the status; empty while all can."""
    found = sorted((path.name, why) for path, why in _Process.pipeline.troubles.items())
    return "; ".join(f"{name} cannot be written: {why}" for name, why in found)


def append_line(path: Path, now: datetime, level: str, message: str, **fields: object) -> None:
    """Add one line to a log file, which is made with mode 0600 where it is missing.

    Fields that the file has no column for are said in the message. Never raises.
    """
    try:
        line = _Process.pipeline.line(level, message, fields | {"timestamp": f"{now:{TIME}}"})
    except Exception as e:  # a value that cannot be told, say: no log stops anything
        said = f"(a line that could not be told: {type(e).__name__})"
        line = {"timestamp": f"{now:{TIME}}", "level": level, "message": said}
    if line is None:
        return
    if _Process.held is not None:
        if LEVELS.get(level, LEVELS["FATAL"]) < LEVELS["ERROR"] and len(_Process.held) < HELD:
            _Process.held.append((path, line))
            return
        release()
    _Process.pipeline.write(path, [line])


def log_error(folder: DataFolder, now: datetime, error: BaseException, doing: str) -> None:
    """An error that nobody foresaw, with its traceback, for error_tracebacks.log.

    ``doing`` says in words what could not be done. Where no bot is provisioned yet, it goes to
    main_bot.log.
    """
    own = sorted(folder.root.glob("output/*/logs"))
    name = OF_IDENTITY[-1].name if own else "main_bot"
    path = (own[0] if own else folder.global_logs) / f"{name}.log"
    append_line(path, now, "ERROR", doing, error_code=type(error).__name__, exc_info=error)
