"""What a screener told, on disk before the next question goes out: asked once, not again.

A file of lines, one an answer, in the order in which they came; the newest of a key counts. What a
kill or a damage makes unreadable is a line less: that question is asked anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from screeners.port import Facts, ScreenerError
from security.durable import not_reached, put_whole

KEPT_FOR = timedelta(days=30)


class Answer(msgspec.Struct, frozen=True):
    """``at`` is when it came (UTC); ``facts`` what was told, of one security or of a list."""

    kind: str
    key: str
    at: datetime
    facts: tuple[Facts, ...]


class KeptAnswers:
    """The answers of one file, which is made with mode 0600 where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[tuple[str, str], Answer] = {}
        self._handle: int | None = None
        self._encode = msgspec.json.Encoder().encode

    def find(self, kind: str, key: str, since: datetime) -> tuple[Facts, ...] | None:
        """The newest answer of that key, unless it came before ``since``."""
        self._open()
        found = self._answers.get((kind, key))
        return found.facts if found is not None and found.at >= since else None

    def keep(self, answer: Answer) -> None:
        """On disk when this returns. Raises ScreenerError where it cannot be."""
        handle = self._open()
        try:
            _append(handle, self._encode(answer) + b"\n")
        except OSError as e:
            raise self._not_written(e) from None
        self._answers[answer.kind, answer.key] = answer

    def forget_old(self, now: datetime) -> None:
        """Write the file anew with what still counts; as it was when that fails."""
        self._open()
        kept = {k: a for k, a in self._answers.items() if a.at >= now - KEPT_FOR}
        lines = b"".join(self._encode(answer) + b"\n" for answer in kept.values())
        try:
            put_whole(self._path, lines, not_reached)
        except OSError as e:
            raise self._not_written(e) from None
        self.close()

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None

    def _open(self) -> int:
        if self._handle is None:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
                self._handle = os.open(self._path, flags, 0o600)
                data = self._path.read_bytes()
                if not data.endswith(b"\n") and data:  # a torn line must not take the next with it
                    os.write(self._handle, b"\n")
            except OSError as e:
                raise self._not_written(e) from None
            self._answers = {(a.kind, a.key): a for a in _readable(data.splitlines())}
        return self._handle

    def _not_written(self, error: OSError) -> ScreenerError:
        return ScreenerError(
            f"{self._path} cannot be used: {error.strerror or error}. Nothing more was asked; make "
            "room or set the folder's permissions."
        )


def _append(handle: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(handle, left) :]
    os.fdatasync(handle) if hasattr(os, "fdatasync") else os.fsync(handle)


def _readable(lines: Iterable[bytes]) -> Iterable[Answer]:
    decode = msgspec.json.Decoder(Answer).decode
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield decode(line)
