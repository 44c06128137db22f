"""Writing a file so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from config.failpoints import reach
from exporters.errors import ExportError


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, as ``writing_atomically`` does."""
    with writing_atomically(path) as file:
        file.write(data)


@contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """Replace ``path``: temporary file, fsync, rename, fsync of the folder; mode 0600.

    Makes missing folders (0700). Raises ExportError; then, and when the caller's block raises, the
    old file is as it was.
    """
    # The name is the process's own, so that two writers never share a temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        # O_EXCL: never writes through a link that somebody else laid in its place
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            yield file
            file.flush()
            reach("file.written")
            os.fsync(handle)
        reach("file.synced")
        temporary.replace(path)
        reach("file.renamed")
    except BaseException as e:
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(e, OSError):
            raise
        raise ExportError(
            f"{path} could not be written: {e.strerror or e}. The file that was there before is "
            "unchanged. Make room or set the folder's permissions, then export again."
        ) from None
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
