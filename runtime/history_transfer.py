"""A whole history out of one data folder, and into a new one."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aggregates.errors import DomainError
from config.paths import DataFolder
from eventstore.checkpoint import SignedCheckpoint
from eventstore.envelope import Envelope
from eventstore.history_file import HistoryFile, write_history
from eventstore.history_format import Chain, HistoryMismatch, HistoryUnreadable
from eventstore.history_load import load_rows
from exporters.files import sync, write_atomically, writing_atomically
from projections.base import Progress, no_progress
from runtime.checkpoints import kept
from runtime.signers import is_signed_by
from security.signing import VerifierKey

ROOM = 1.5  # a store, its indexes and its log, in sizes of the unpacked history; measured 1.2


def export_history(folder: DataFolder, output: Path, progress: Progress = no_progress) -> Chain:
    """Write the stored rows and the kept checkpoints to one file; the caller has verified them.

    Raises HistoryMismatch, CheckpointUnreadable, KeyFileError, StoreUnreadable, ExportError.
    """
    signed = kept(folder)  # before the store is opened: what is signed later is left out
    key = VerifierKey.read(folder.checkpoint_vkey) if signed else None
    # the file names one key: of earlier ones in the line, what this one did not sign is left out
    signed = [one for one in signed if key is None or is_signed_by(one, key)]
    with writing_atomically(output) as file:
        return write_history(folder.events, signed, key, file, progress)


def import_history(
    source: Path, folder: DataFolder, progress: Progress = no_progress
) -> HistoryFile:
    """Make a data folder of a history file, whole or not at all; returns what was read.

    Raises DomainError when the folder holds something already; HistoryMismatch, HistoryUnreadable,
    StoreUnreadable.
    """
    target = folder.root.resolve()
    _check_target(target)
    with (
        source.open("rb") as file,
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch,
    ):
        history = HistoryFile(file, str(source))
        _check_room(history, target.parent)
        made = DataFolder(Path(scratch) / "made")
        _fill(made, history, progress)
        _sync_all(made.root)
        try:
            made.root.rename(target)  # an empty folder gives way, one that holds anything does not
        except OSError:
            _check_target(target)
            raise
        sync(target.parent)
    return history


def _check_target(target: Path) -> None:
    if not target.parent.is_dir():
        raise DomainError(f"There is no folder {target.parent} to make {target.name} in.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DomainError(
            f"{target} holds something already. Nothing was changed; a history is imported into a "
            "new --data-dir or an empty one."
        )


def _check_room(history: HistoryFile, place: Path) -> None:
    """Before a row is written: a full disk would stop every bot on this machine."""
    needed, free = int(history.header.size * ROOM), shutil.disk_usage(place).free
    if needed > free:
        raise HistoryUnreadable(
            f"The history needs about {needed:,} bytes, and {place} has {free:,} free. Nothing was "
            "changed; make room, or name a --data-dir on another disk."
        )


def _fill(made: DataFolder, history: HistoryFile, progress: Progress) -> None:
    for folder in (made.root, made.events.parent, made.blind_key.parent):
        folder.mkdir(mode=0o700)
    total = history.header.events
    try:
        load_rows(made.events, _rows(made, history), lambda done: progress(done, total))
    except sqlite3.IntegrityError as e:
        raise HistoryMismatch(
            f"The history does not hold: event {history.chain.position:,} is bad: the store "
            f"refuses it ({e}). Nothing was changed; it was not exported from a store of this kind."
        ) from None
    if history.header.key:
        write_atomically(made.checkpoint_vkey, f"{history.header.key}\n".encode())


def _rows(made: DataFolder, history: HistoryFile) -> Iterator[Envelope]:
    """The rows; checkpoints are kept on the way."""
    for piece in history:
        if isinstance(piece, SignedCheckpoint):
            write_atomically(made.checkpoint(piece.checkpoint.size), piece.note.encode())
        else:
            yield piece


def _sync_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        sync(path)
