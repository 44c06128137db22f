"""The history as lines of log files: a projection that follows the store (M24).

A position is kept beside the views: up to it, all lines are in their files. It is moved after they
are on disk, so a kill in between leaves lines behind it; each line bears its event's position, and
what a file's last lines have already is not written again. (The last line of main_bot.log would
not do as the position: that file is closed, encrypted, thinned by DEBUG_LOG_LEVEL, and shared.)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import msgspec

from config.clock import from_micros
from config.failpoints import reach
from config.paths import DataFolder
from eventstore.envelope import Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from eventstore.head import Head
from exporters.errors import ExportError
from exporters.files import write_atomically
from runtime.log_facts import FactsOf, NotYetKnown, Result, ResultOnDisk, result_of
from runtime.log_files import FIELDS, closed_logs, folders_here, log_path
from runtime.log_reading import lines_backwards
from runtime.log_topics import QUIET, ROUTES, Route, files_of
from runtime.log_writing import TIME, Line, drop_closed
from runtime.logs import append_line, pipeline

__all__ = ["EventLog", "ResultOnDisk", "result_of"]

BATCH = 2000  # events at a time
NOT_READ = Route(("main_bot",), "ERROR", lambda _e, _f: {})


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which event everything is logged; the hash tells another history apart."""

    position: int = 0
    hash: str = ""


class EventLog:
    """Follows one store. ``result`` gives the P/L of the round trip that the fill at a position
    closed, an empty text where it closed none, and None where that is not known yet: the fill is
    logged when it is."""

    def __init__(
        self,
        folder: DataFolder,
        identity: str,
        feed: Feed,
        broker: str,
        result: Result,
    ) -> None:
        self._folder, self._identity, self._feed = folder, identity, feed
        self._broker = broker
        self._kept = _Kept()
        self._facts = FactsOf(feed, result)
        self._cleared: date | None = None

    def follow(self) -> int:
        """Log up to 2,000 further events; how many were looked at, 0 when there are no more.

        A log that cannot be written is tried again by the next call, and nothing is lost. Raises
        what reading the store raises; never because of a log.
        """
        try:
            with self._alone() as mine:
                return self._follow() if mine else 0
        except (OSError, ExportError) as e:
            pipeline().cannot(self._folder.log_position, e)
            return 0

    def follow_all(self) -> None:
        """Log everything that is there."""
        while self.follow():
            pass

    def _follow(self) -> int:
        kept, head = self._position(), self._feed.head()
        rows = self._feed.read(kept.position, BATCH, head.position, without=QUIET)
        if head.position == kept.position:
            return 0
        lines: dict[Path, list[Line]] = {}
        last: Envelope | Head = rows[-1] if len(rows) == BATCH else head
        for number, row in enumerate(rows):
            try:
                found = list(self._lines(row))
            except NotYetKnown:
                if not number:
                    return 0
                last = rows[number - 1]
                break
            for path, line in found:
                lines.setdefault(path, []).append(line)
        whole = [self._add(path, found) for path, found in lines.items()]
        if not all(whole):
            return 0
        reach("logs.written")
        self._keep(_Kept(last.position, last.hash.hex()))
        self._drop_old(last.position)
        return last.position - kept.position

    # -- the position ----------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process follows at this moment; it does the same then."""
        path = self._folder.log_position.with_suffix(".lock")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            yield _lock(handle)
        finally:
            os.close(handle)

    def _position(self) -> _Kept:
        """Where to go on; another process may have gone on meanwhile."""
        found = _Kept()
        with suppress(FileNotFoundError, msgspec.MsgspecError):
            found = msgspec.json.decode(self._folder.log_position.read_bytes(), type=_Kept)
        if found == self._kept:
            return found
        self._kept = found
        if not self._is_ours(found):
            head = self._feed.head()
            append_line(
                log_path(self._folder, "main_bot"), from_micros(head.recorded_at), "WARNING",
                f"The history is another one than that which was logged up to event "
                f"{found.position}: it is logged on from event {head.position}.",
            )  # fmt: skip
            self._keep(_Kept(head.position, head.hash.hex()))
        return self._kept

    def _is_ours(self, kept: _Kept) -> bool:
        row = self._feed.at(kept.position)
        return not kept.position or (row is not None and row.hash.hex() == kept.hash)

    def _keep(self, kept: _Kept) -> None:
        write_atomically(self._folder.log_position, msgspec.json.encode(kept) + b"\n")
        self._kept = kept
        pipeline().troubles.pop(self._folder.log_position, None)

    def _add(self, path: Path, lines: Sequence[Line]) -> bool:
        """Those that are not there yet: after a kill, of this process or of another that follows,
        between the lines and the position."""
        try:
            last = _last_position(path)
        except OSError as e:
            pipeline().cannot(path, e)
            return False
        new = [line for line in lines if int(line["position"]) > last]
        done = not new or pipeline().write(path, new, durable=True)
        reach("logs.file_written")
        return done

    def _drop_old(self, position: int) -> None:
        """LOG_RETENTION_DAYS: what was closed earlier is deleted, looked at once a day."""
        row = self._feed.at(position)
        now = from_micros(row.recorded_at if row else 0)
        if now.date() == self._cleared:
            return
        self._cleared = now.date()
        for place in folders_here(self._folder):
            with suppress(OSError):
                drop_closed(place, now, pipeline().rules.keep)

    # -- one event -------------------------------------------------------------------------------

    def _lines(self, row: Envelope) -> Iterator[tuple[Path, Line]]:
        try:
            event = self._feed.event(row)
            route = ROUTES.get(type(event))
            if route is None:
                return
            said = route.words(event, self._facts.at(row))
        except UnknownEvent as e:  # a newer version's, or damaged: said here, and gone on
            route, said = NOT_READ, {"message": str(e), "error_code": "unreadable"}
        fields = {name: text for name, text in said.items() if name in FIELDS}
        line = pipeline().line(
            fields.pop("level", route.level), fields.pop("message"),
            fields | {
                "timestamp": f"{from_micros(row.recorded_at):{TIME}}", "broker": self._broker,
                "event": row.topic, "position": row.position,
            },
        )  # fmt: skip
        if line is not None:
            for name in files_of(route, said):
                yield log_path(self._folder, name, self._identity), line


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _last_position(path: Path) -> int:
    """The newest event whose line is in a log file or, while it has none, in the last closed one.

    Raises OSError.
    """
    for place in (path, *_closed_last(path)):
        for line in lines_backwards(place):
            if line.get("position", ""):
                return int(line["position"])
    return 0


def _closed_last(path: Path) -> Iterator[Path]:
    closed = list(closed_logs(path.parent, path.stem))
    yield from (log.path for log in closed[-1:])
