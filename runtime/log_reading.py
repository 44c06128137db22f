"""Log files for people: newest lines first, filtered, a page at a time. Nothing is changed."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from config.paths import DataFolder
from runtime.log_files import LOGS, LogFile, closed_logs, folders_here, log_path
from runtime.log_writing import BLOCK, Line

LAST = 50  # lines that are looked at for the newest of a level
LOOKED_AT = 50_000  # lines that one page looks at, when few fit
LONGEST_LINE = 2**20  # bytes


class LogPart(NamedTuple):
    """One file that is there. ``key`` names it in addresses: "main_bot", "ACME/open",
    "main_bot.20260302T143000Z"."""

    key: str
    log: LogFile
    path: Path
    closed: bool

    @property
    def name(self) -> str:
        """The same for people; a folder has one identity, so it need not be said."""
        name, _, stamp = self.key.rpartition("/")[2].partition(".")
        return f"{name}, until {stamp}" if stamp else name


class Wanted(NamedTuple):
    """What lines must have: empty fits all. ``level``: at least that weight; ``until``: lines up to
    this time (text, UTC) alone."""

    levels: frozenset[str] = frozenset()
    text: str = ""
    strategy: str = ""
    day: date | None = None
    until: str = ""

    def fits(self, line: Line) -> bool:
        when = line.get("timestamp", "")
        return (
            (not self.levels or line.get("level", "INFO") in self.levels)
            and (not self.strategy or line.get("strategy_name", "") == self.strategy)
            and (self.day is None or when[:10] == self.day.isoformat())
            and (not self.until or when <= self.until)
            and (not self.text or self.text in " ".join(line.values()).lower())
        )


class LogPage(NamedTuple):
    """``before`` is where the next page begins (bytes), 0 when nothing is older. ``looked_at``
    counts the lines that were looked at for it."""

    lines: list[Line]
    before: int
    looked_at: int


def logs_here(folder: DataFolder) -> list[LogPart]:
    """Every log file that is there, those in use first, then closed ones, newest first."""
    open_now, closed = [], []
    for place in folders_here(folder):
        own = f"{place.parent.name}/" if place != folder.global_logs else ""
        for log in LOGS.values():
            path = place / f"{log.name}.log"
            if path.is_file() and path == log_path(folder, log.name, place.parent.name):
                open_now.append(LogPart(f"{own}{log.name}", log, path, False))
        for old in closed_logs(place):
            if old.path.suffix == ".log":  # what is encrypted since cannot be shown here
                key = f"{own}{old.path.name.removesuffix('.log')}"
                closed.append((old.at, LogPart(key, LOGS[old.name], old.path, True)))
    closed.sort(key=lambda found: found[0], reverse=True)
    return open_now + [part for _, part in closed]


def page_of(path: Path, wanted: Wanted, rows: int, before: int | None = None) -> LogPage:
    """Up to ``rows`` lines that fit, newest first, from ``before`` on (bytes of the file).

    Raises OSError.
    """
    found: list[Line] = []
    looked_at, reached = 0, 0
    for start, line in _numbered(path, before):
        if len(found) == rows or looked_at == LOOKED_AT:
            return LogPage(found, reached, looked_at)
        looked_at, reached = looked_at + 1, start
        if wanted.fits(line):
            found.append(line)
    return LogPage(found, 0, looked_at)


def lines_backwards(path: Path) -> Iterator[Line]:
    """Every whole line of a log file, the last one first; none of what is no file."""
    if path.is_file():  # a pipe would be waited for
        for _, line in _numbered(path, None):
            yield line


def last_message(path: Path, level: str) -> str:
    """What the newest line of that level says, among the last of a log; empty without one."""
    with suppress(OSError):
        for line in islice(lines_backwards(path), LAST):
            if line.get("level") == level:
                return line.get("message", "")
    return ""


def _numbered(path: Path, before: int | None) -> Iterator[tuple[int, Line]]:
    """Lines with the byte that each begins at. What is no line of a log is left out."""
    with path.open("rb") as file:
        head = file.readline().rstrip(b"\n").decode("utf-8", "replace")
        columns = [] if head.startswith("{") else next(csv.reader([head]), [])
        for start, raw in _raw_lines(file.fileno(), before):
            if columns and not start:
                return  # the head of CSV
            line = _parsed(raw.decode("utf-8", "replace"), columns)
            if line is not None:
                yield start, line


def _raw_lines(handle: int, before: int | None) -> Iterator[tuple[int, bytes]]:
    """Whole lines backwards, block by block; what comes after the last newline is none."""
    size = os.fstat(handle).st_size
    end = size if before is None else min(before, size)
    rest, whole = b"", False  # the beginning of a line, and whether its end was read
    while end > 0:
        start = max(0, end - BLOCK)
        block = os.pread(handle, end - start, start) + rest
        at = start + len(block)
        rest, *lines = block.split(b"\n")
        for line in reversed(lines):
            at -= len(line)
            if whole and line:
                yield at, line
            whole, at = True, at - 1
        if len(rest) > LONGEST_LINE:  # no log of ours: look for the next newline
            rest, whole = b"", False
        end = start
    if rest and whole:
        yield 0, rest


def _parsed(text: str, columns: list[str]) -> Line | None:
    if columns:
        cells = next(csv.reader([text]), [])
        return dict(zip(columns, cells, strict=True)) if len(cells) == len(columns) else None
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    return None
