"""Whole lines to the end of a log file, beside other processes that write to the same one.

A file is locked while a line is added. What a kill or a full disk left of a line is taken off
before the next one; a file that is full is closed under a name with the time, and a new one begun.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from runtime.log_files import closed_logs, closed_name

Form = Literal["CSV", "JSON"]
Line = dict[str, str]
LONGEST_WAIT_S, POLL_S = 0.2, 0.002  # for another process that adds a line
BLOCK = 65_536
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@")
# what ends a line or moves a cursor, in some program or other
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Shape(NamedTuple):
    """How files are written. ``form`` None: as the file is, JSON for a new one.

    ``longest`` in bytes. ``closed`` is told each file that was closed: who encrypts closed logs
    begins there.
    """

    form: Form | None = None
    longest: int = 50 * 2**20
    closed: Callable[[Path], None] = lambda _path: None


def append(
    path: Path, fields: Sequence[str], lines: Sequence[Line], shape: Shape, *, durable: bool = False
) -> None:
    """Add all lines. ``durable``: they are on the disk afterwards.

    Raises OSError when one cannot be written; those before it may be there, never a part of one.
    """
    rest = list(lines)
    while rest:
        with _locked(path) as handle:
            size, form = _mended(handle), _form(handle)
            wanted = shape.form or ("CSV" if form.startswith("timestamp,") else "JSON")
            write = _csv_line if wanted == "CSV" else _json_line
            head = ",".join(fields) if wanted == "CSV" else "{"
            text = write(fields, rest[0])
            other_form = form not in ("", head)  # LOG_FORMAT was changed, or a version's fields
            if size and (other_form or size + len(text) > shape.longest):
                _close(path, rest[0]["timestamp"], shape.closed)
                continue
            begun = f"{head}\n".encode() if wanted == "CSV" and not size else b""
            data = begun + text
            rest.pop(0)
            while rest and size + len(data) + len(more := write(fields, rest[0])) <= shape.longest:
                data += more
                rest.pop(0)
            _write(handle, data, size)
            if durable:
                os.fsync(handle)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, made where it is missing (0600), for this process alone. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    end = time.monotonic() + LONGEST_WAIT_S
    while True:
        # never through a link that somebody laid there, and never waiting for a pipe's reader
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags, 0o600)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            if found.st_mode & 0o077:
                os.fchmod(handle, 0o600)
            if _lock(handle) and _is_at(path, found):
                yield handle
                return
        finally:
            os.close(handle)
        if time.monotonic() > end:
            raise OSError(errno.EAGAIN, "another process holds it")
        time.sleep(POLL_S)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, found: os.stat_result) -> bool:
    """Whether it is still that file: another process may just have closed it."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino)


def _mended(handle: int) -> int:
    """The size of the file, after what is left of a torn last line was taken off."""
    size = os.fstat(handle).st_size
    if not size or os.pread(handle, 1, size - 1) == b"\n":
        return size
    whole, at = 0, size
    while at:
        start = max(0, at - BLOCK)
        newline = os.pread(handle, at - start, start).rfind(b"\n")
        if newline >= 0:
            whole = start + newline + 1
            break
        at = start
    os.ftruncate(handle, whole)
    return whole


def _form(handle: int) -> str:
    """What a file begins with: "{" of JSON, the head of CSV, nothing when it is empty."""
    first = os.pread(handle, 1024, 0).partition(b"\n")[0].decode("utf-8", "replace")
    return "{" if first.startswith("{") else first


def _write(handle: int, data: bytes, size: int) -> None:
    """All of it, or the file is as it was."""
    written = 0
    try:
        while written < len(data):
            written += os.write(handle, data[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, size)
        raise


def _close(path: Path, timestamp: str, closed: Callable[[Path], None]) -> None:
    at = datetime.strptime(timestamp, TIME).replace(tzinfo=UTC)
    number = 1
    while (target := closed_name(path, at, number)).exists():
        number += 1
    path.rename(target)
    closed(target)


def drop_closed(place: Path, now: datetime, keep: timedelta) -> None:
    """Delete the closed files that were closed longer ago than they are kept. Raises OSError."""
    for log in closed_logs(place):
        if log.at + keep < now:
            log.path.unlink(missing_ok=True)


# -- forms -----------------------------------------------------------------------------------


def _json_line(fields: Sequence[str], line: Line) -> bytes:
    return json.dumps({name: line.get(name, "") for name in fields}).encode() + b"\n"


def _csv_line(fields: Sequence[str], line: Line) -> bytes:
    out = io.StringIO()
    values = [_cell(line.get(name, "")) for name in fields]
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    """One line of the file for each record, and no text that a spreadsheet would compute."""
    text = _CONTROL.sub(lambda found: _SHORT.get(found[0], f"\\x{ord(found[0]):02x}"), text)
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
