"""What libraries and pages say through Python's own logging goes the way of all other lines."""

from __future__ import annotations

import logging
from contextlib import closing, suppress

from aggregates.errors import TradeBotError
from config.clock import Clock, from_micros
from config.errors import ConfigError
from config.paths import DataFolder
from runtime import logs
from runtime.bot_state import has_vault
from runtime.custody import Custody
from runtime.log_files import log_path
from runtime.settings_change import current_settings
from security.keyfile import KeyFileError


def log_as_set(folder: DataFolder, clock: Clock) -> None:
    """From now on this process logs by the bot's settings, as far as there are any, and what is
    said through Python's logging goes to main_bot.log or error_tracebacks.log, and the terminal.
    """
    settings = None
    if has_vault(folder):
        # what is wrong with them, whoever starts the bot says
        with (
            suppress(TradeBotError, ConfigError, KeyFileError, OSError),
            closing(Custody.open(folder, clock)) as custody,
        ):
            settings = current_settings(custody)
    logs.use(folder, settings)
    terminal = logging.StreamHandler()
    terminal.setFormatter(CleanFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[terminal, FileHandler(folder)], force=True)


class CleanFormatter(logging.Formatter):
    """A line for the terminal, without known secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return logs.pipeline().known.now().hide(super().format(record))


class FileHandler(logging.Handler):
    """To the log files of one bot."""

    def __init__(self, folder: DataFolder) -> None:
        super().__init__()
        self._folder = folder

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = f"{record.name}: {record.getMessage()}"
        except (TypeError, ValueError):  # a library's own mistake in what it says
            message = f"{record.name}: {record.msg}"
        now = from_micros(int(record.created * 1_000_000))
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            logs.log_error(self._folder, now, error, message)
            return
        level = "FATAL" if record.levelno >= logging.CRITICAL else record.levelname
        logs.append_line(log_path(self._folder, "main_bot"), now, level, message)
