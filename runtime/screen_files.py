"""The facts of a screen in a file of their own, whose SHA-256 its event holds; and its progress."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

import msgspec

from config.paths import DataFolder
from exporters.errors import ExportError
from exporters.files import write_atomically
from screeners.filters import Looked

UNIVERSE = "universe"
LONGEST = 64 * 2**20  # bytes; a universe of 20,000 has a tenth


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a screen is, for the page. ``ends`` is when it will be over at this pace."""

    at: datetime
    day: date
    doing: str
    done: int
    of: int
    ends: datetime | None


def facts_path(folder: DataFolder, day: date, name: str) -> Path:
    """screens/2026-03-02-open.json.gz: ``name`` is a strategy, or the universe."""
    return folder.screens / f"{day.isoformat()}-{name.lower()}.json.gz"


def write_facts(folder: DataFolder, day: date, name: str, looked: Sequence[Looked]) -> str:
    """Their SHA-256. Raises ExportError; then there is no new file."""
    data = gzip.compress(msgspec.json.encode(looked), mtime=0)
    write_atomically(facts_path(folder, day, name), data)
    return hashlib.sha256(data).hexdigest()


def read_facts(folder: DataFolder, day: date, name: str, digest: str) -> list[Looked] | None:
    """What was looked at; None where the file is gone, or is not the one that was recorded."""
    with suppress(OSError, EOFError, zlib.error, msgspec.MsgspecError):
        path = facts_path(folder, day, name)
        if path.stat().st_size > LONGEST:
            return None
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == digest:
            return msgspec.json.decode(gzip.decompress(data), type=list[Looked])
    return None


def tell_progress(folder: DataFolder, progress: Progress) -> None:
    """No truth: one that cannot be written is not told."""
    with suppress(ExportError, OSError):
        write_atomically(_progress(folder), msgspec.json.encode(progress))


def read_progress(folder: DataFolder) -> Progress | None:
    """None where nothing was told."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_progress(folder).read_bytes(), type=Progress)
    return None


def end_progress(folder: DataFolder) -> None:
    with suppress(OSError):
        _progress(folder).unlink(missing_ok=True)


def _progress(folder: DataFolder) -> Path:
    return folder.screens / "progress.json"
