"""Log files of what the machine does: one JSON object a line, UTC, its owner's alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path


def append_line(path: Path, now: datetime, level: str, message: str, **more: str) -> None:
    """Add one line to a log file, which is made with mode 0600 where it is missing.

    A log that cannot be written (the disk is full) stops nothing: whoever logs says the same
    elsewhere too.
    """
    line = {"timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": level, **more}
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"message": message}) + "\n")
