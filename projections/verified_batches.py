"""History for a rebuild: a second process reads it and checks the chain; either opens payloads.

``python -m projections.verified_batches STORE UNTIL MODULE:CLASS`` reads the data keys from its
standard input and writes batches to its standard output, each an 8-byte length and marshalled
fields of projections.base.Batch. Reading and checking need about as much time as folding and
inserting, so two cores rebuild twice as fast.
"""

from __future__ import annotations

import gc
import marshal
import os
import struct
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, Any

import apsw

from aggregates.catalog import TOPICS
from eventstore.envelope import COLUMNS, GENESIS
from eventstore.errors import ConcurrentChange, HistoryBroken, StoreUnreadable
from eventstore.schema import BUSY_TIMEOUT_S, open_reader
from eventstore.verification import (
    BrokenChain,
    Row,
    Verification,
    chained,
    check_end,
    claimed_head,
    is_sealed,
    run_opener,
)
from projections.base import FOLD_ERRORS, Batch, Projection
from security.data_keys import DataKey, KeyRing, MissingKey

ROWS_A_BATCH = 500  # of history, passed over ones included: they stay in the processor's cache
PIPE_BYTES = 1 << 20
LITTLE = 0.25  # of the pipe
MESSAGE_MAX = 1 << 32  # bytes; a batch has half a megabyte at most, unless payloads are long
# used by one thread from its opening on: locking it for every value is a quarter of the reading
READ_ALONE = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_NOMUTEX
_LENGTH = struct.Struct(">Q")
_INT = struct.calcsize("i")
_NONE = ("", None)  # topic and form of an event that no reader is for
_LEFT = 1  # values of what stands for a run of rows that was left sealed
Taker = Callable[[list[Row]], list[Row]]
_TOPIC, _SCHEMA, _STATE = map(COLUMNS.index, ("topic", "schema_version", "state"))


def verified_batches(
    store: Path, kind: type[Projection], keys: KeyRing, until: int | None = None
) -> Generator[Batch, None, None]:
    """What ``kind`` folds of the history up to ``until``, its chain and every seal checked, most of
    it by another process.

    Raises HistoryBroken at the first event that does not hold, StoreUnreadable, MissingKey.
    """
    open_reader(store).close()  # what is wrong with the file is said here
    view = f"{kind.__module__}:{kind.__qualname__}"
    last = 2**62 if until is None else until
    # -P: nothing that lies in the folder where it is started is taken for a module
    command = [sys.executable, "-P", "-m", __spec__.name, str(store), str(last), view]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:  # noqa: S603 - ours
        assert process.stdin is not None  # noqa: S101 - it was asked for
        assert process.stdout is not None  # noqa: S101 - it was asked for
        _widen(process.stdout)
        try:
            _hand_over(keys, process.stdin)
            yield from _received(process.stdout, store, taker(kind, keys), keys)
        finally:
            process.kill()  # it has ended, unless the fold failed before


def _hand_over(keys: KeyRing, pipe: IO[bytes]) -> None:
    """Through a pipe: arguments, environment and files can be seen by others."""
    keys.refresh()  # the other process cannot: it knows no vault
    with suppress(BrokenPipeError), pipe:  # it ended early, which is told where it is read
        pipe.write(marshal.dumps([(epoch, *key) for epoch, key in keys.items()]))


def _received(pipe: IO[bytes], store: Path, taken: Taker, keys: KeyRing) -> Iterator[Batch]:
    while len(head := pipe.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(head)
        if size > MESSAGE_MAX or len(body := pipe.read(size)) < size:
            break
        message = marshal.loads(body)  # our own process  # noqa: S302  # nosec B302
        if message == "end":
            return
        if isinstance(message, int):
            keys.of(message)  # raises MissingKey, unless it came since
            raise ConcurrentChange(
                f"The keys of {store} were changed while it was read; nothing was built. Try again."
            )
        if isinstance(message, str):
            raise _broken(store, message)
        try:
            yield all_opened(Batch._make(message), taken)
        except BrokenChain as e:
            raise _broken(store, str(e)) from None
    raise StoreUnreadable(
        f"The process that reads {store} ended before the end of history. Nothing was built; "
        "see its message above and try again."
    )


def all_opened(batch: Batch, taken: Taker) -> Batch:
    """The batch with the runs in it that the other process left sealed."""
    if not any(len(row) == _LEFT for row in batch.rows):
        return batch
    rows = list[tuple[Any, ...]]()
    for row in batch.rows:
        rows += taken(row[0]) if len(row) == _LEFT else (row,)
    return batch._replace(rows=rows)


def _broken(store: Path, why: str) -> HistoryBroken:
    return HistoryBroken(
        f"{store}: {why}. Nothing was built; run `tbot verify` and compare the store with a backup."
    )


def _widen(pipe: IO[bytes]) -> None:
    """Let the reader run ahead while the other process inserts. Only Linux can; others wait."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _fullness(pipe: int) -> float:
    """How much of the pipe waits to be read, 0 to 1; a half where the system does not tell."""
    try:
        import fcntl
        import termios

        waiting = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(_INT)), sys.byteorder)
        return waiting / fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    except (ImportError, AttributeError, OSError):
        return 0.5


# -- the other process -----------------------------------------------------------------------


def batches(
    store: Path,
    kind: type[Projection],
    keys: KeyRing,
    until: int,
    leave_sealed: Callable[[], bool] = lambda: False,
) -> Iterator[Batch]:
    """The same in this process, which must not have the store open in another way. A run of rows
    that is left sealed stands in its place as (run,)."""
    connection = apsw.Connection(str(store), flags=READ_ALONE)
    connection.set_busy_timeout(BUSY_TIMEOUT_S * 1000)
    connection.execute("BEGIN")  # one snapshot, also beside a writer
    head = claimed_head(connection)
    # to the end: rows behind the noted end are a fault too
    last, stop = (head[0], 2**62) if until >= head[0] else (until, until)
    taken = taker(kind, keys)
    rows, begun = list[tuple[Any, ...]](), 0
    position, digest = 0, GENESIS
    try:
        for run in chained(connection, stop):
            rows += [(run,)] if is_sealed(run) and leave_sealed() else taken(run)
            position, digest = run[-1][0], run[-1][-1]
            if position - begun >= ROWS_A_BATCH:
                yield Batch(position, digest, last, rows)
                rows, begun = [], position
    except (BrokenChain, MissingKey):
        if position > begun:  # in what was left sealed before it there may be an earlier fault
            yield Batch(position, digest, last, rows)
        raise
    if position > begun:
        yield Batch(position, digest, last, rows)
    if stop > last:
        ended = check_end(Verification(position, digest, None, ""), *head)
        if ended.bad_position is not None:
            raise BrokenChain(ended.bad_position, b"", ended.reason)
    elif position < last:
        raise BrokenChain(position + 1, digest, "it is missing")


def taker(kind: type[Projection], keys: KeyRing) -> Taker:
    """What gives the rows of a run that ``kind`` folds, their payloads open. It opens the others
    too: a seal that does not hold is a fault wherever it is. Raises BrokenChain, MissingKey."""
    present = {topic: (topic, TOPICS[topic].schema_version) for topic in kind.readers}
    passed_over = kind.passed_over - present.keys()  # most rows: asked first
    open_run = run_opener(keys)

    def needed(row: Row) -> Row:
        topic, schema = present.get(row[_TOPIC], _NONE)
        if row[_SCHEMA] != schema:
            return row
        # a reader of the present form needs no more; one text for all: marshal writes it once
        return row[0], None, None, topic, schema, row[_STATE]

    def taken(run: list[Row]) -> list[Row]:
        if not is_sealed(run):
            return [needed(row) for row in run if row[_TOPIC] not in passed_over]
        return [
            needed((*row[:_STATE], payload, *row[_STATE + 1 :]))
            for row, payload in zip(run, open_run(run), strict=True)
            if row[_TOPIC] not in passed_over
        ]

    return taken


def find_facts(kind: type[Projection], rows: list[tuple[Any, ...]], share: float = 1) -> None:
    """Put what the readers of ``kind`` find into the place of the first rows, as (topic, facts).

    What cannot be read is handed over as it is: the fold says what is wrong.
    """
    reader_of = {topic: (topic, reader) for topic, reader in kind.readers.items()}.get
    for place, row in enumerate(rows[: int(share * len(rows))]):
        if len(row) != _LEFT and (found := reader_of(row[_TOPIC])):
            topic, reader = found  # one text for all: marshal writes it once
            try:  # not `suppress`: a fifth of the whole
                rows[place] = (topic, reader(row, row[_STATE]))
            except FOLD_ERRORS:
                continue


def main(store: str, until: str, view: str) -> None:
    gc.disable()  # nothing here is cyclic; memory stays flat
    module, _, name = view.partition(":")
    kind: type[Projection] = getattr(import_module(module), name)
    out = sys.stdout.buffer

    def send(message: Any) -> None:
        data = marshal.dumps(message)
        out.write(_LENGTH.pack(len(data)) + data)
        out.flush()

    handed = marshal.load(sys.stdin.buffer)  # our own process  # noqa: S302  # nosec B302
    keys = {epoch: DataKey(*key) for epoch, *key in handed}
    # the more waits to be folded, the more of the fold's work is done here; when little does, seals
    # are opened there
    fullness = partial(_fullness, out.fileno())
    try:
        for batch in batches(
            Path(store), kind, KeyRing(keys), int(until), lambda: fullness() < LITTLE
        ):
            find_facts(kind, batch.rows, fullness())
            send(tuple(batch))
        send("end")
    except BrokenChain as e:
        send(str(e))
    except MissingKey as e:
        send(e.epoch)
    except BrokenPipeError:  # the rebuild was ended: nobody wants the rest
        os._exit(1)
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
