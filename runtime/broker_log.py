"""Every request to a broker as a line of broker_api.log (M15): its time, outcome and duration."""

from __future__ import annotations

from collections.abc import Callable

from brokers.port import ApiAction
from config.paths import DataFolder
from runtime.log_files import log_path
from runtime.logs import append_line


def broker_log(folder: DataFolder) -> Callable[[ApiAction], None]:
    """What a broker is given to tell its requests to. It never raises."""
    path = log_path(folder, "broker_api")

    def tell(action: ApiAction) -> None:
        answered = action.outcome.startswith("2") and action.outcome.isdecimal()
        append_line(
            path, action.at, "INFO" if answered else "WARNING",
            f"{action.method} {action.endpoint}: {action.outcome}, {action.duration_ms} ms",
            broker=action.broker, error_code="" if answered else action.outcome,
            method=action.method, endpoint=action.endpoint, outcome=action.outcome,
            duration_ms=action.duration_ms,
        )  # fmt: skip

    return tell
