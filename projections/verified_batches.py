"""History for a rebuild: a second process reads it, checks the chain and finds the facts.

``python -m projections.verified_batches STORE UNTIL MODULE:CLASS`` writes batches to its standard
output, each an 8-byte length and marshalled fields of projections.base.Batch. Reading and checking
the chain need about as much time as folding and inserting, so two cores rebuild twice as fast.
"""

from __future__ import annotations

import gc
import marshal
import os
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import apsw

from eventstore.envelope import GENESIS
from eventstore.errors import HistoryBroken, StoreUnreadable
from eventstore.schema import BUSY_TIMEOUT_S, open_reader
from eventstore.verification import BrokenChain, Verification, chained, check_end, claimed_head
from projections.base import FOLD_ERRORS, Batch, Projection

ROWS_A_BATCH = 10_000  # of history, passed over ones included
FACTS_EVERY = 2  # batches: facts are found here for every second one, which evens out the work
PIPE_BYTES = 1 << 20
MESSAGE_MAX = 1 << 32  # bytes; a batch has some 2 MB
_LENGTH = struct.Struct(">Q")


def verified_batches(
    store: Path, kind: type[Projection], until: int | None = None
) -> Generator[Batch, None, None]:
    """What ``kind`` folds of the history up to ``until``, its chain checked by another process.

    Raises HistoryBroken at the first event that does not hold, StoreUnreadable.
    """
    open_reader(store).close()  # what is wrong with the file is said here
    view = f"{kind.__module__}:{kind.__qualname__}"
    last = 2**62 if until is None else until
    # -P: nothing that lies in the folder where it is started is taken for a module
    command = [sys.executable, "-P", "-m", __spec__.name, str(store), str(last), view]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdout is not None  # noqa: S101 - it was asked for
        _widen(process.stdout)
        try:
            yield from _received(process.stdout, store)
        finally:
            process.kill()  # it has ended, unless the fold failed before


def _received(pipe: IO[bytes], store: Path) -> Iterator[Batch]:
    while len(head := pipe.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(head)
        if size > MESSAGE_MAX or len(body := pipe.read(size)) < size:
            break
        message = marshal.loads(body)  # noqa: S302 - our own process
        if message == "end":
            return
        if isinstance(message, str):
            raise HistoryBroken(
                f"{store}: {message}. Nothing was built; run `tbot verify` and compare the store "
                "with a backup."
            )
        yield Batch._make(message)
    raise StoreUnreadable(
        f"The process that reads {store} ended before the end of history. Nothing was built; "
        "see its message above and try again."
    )


def _widen(pipe: IO[bytes]) -> None:
    """Let the reader run ahead while the other process inserts. Only Linux can; others wait."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


# -- the other process -----------------------------------------------------------------------


def batches(store: Path, kind: type[Projection], until: int) -> Iterator[Batch]:
    """The same in this process, which must not have the store open in another way."""
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_TIMEOUT_S * 1000)
    connection.execute("BEGIN")  # one snapshot, also beside a writer
    head = claimed_head(connection)
    # to the end: rows behind the noted end are a fault too
    last, stop = (head[0], 2**62) if until >= head[0] else (until, until)
    passed_over, readers = kind.passed_over, kind.readers
    runs: list[tuple[str, list[tuple[Any, ...]]]] = []
    current, items = "", list[tuple[Any, ...]]()
    row: tuple[Any, ...] = ()
    for row in chained(connection, until=stop):
        topic = row[3]
        if topic not in passed_over:
            facts, found = row, ""
            if reader := readers.get(topic):
                # what cannot be read is handed over as it is: the fold says what is wrong
                with suppress(*FOLD_ERRORS):
                    facts, found = reader(row), topic
            if found != current or not runs:
                current, items = found, []
                runs.append((current, items))
            items.append(facts)
        if row[0] % ROWS_A_BATCH == 0:
            yield Batch(row[0], row[-1], last, runs)
            runs = []
            readers = kind.readers if row[0] // ROWS_A_BATCH % FACTS_EVERY == 0 else {}
    if row and (runs or row[0] % ROWS_A_BATCH):
        yield Batch(row[0], row[-1], last, runs)
    if stop > last:
        position, digest = (row[0], row[-1]) if row else (0, GENESIS)
        ended = check_end(Verification(position, digest, None, ""), *head)
        if ended.bad_position is not None:
            raise BrokenChain(ended.bad_position, b"", ended.reason)


def main(store: str, until: str, view: str) -> None:
    gc.disable()  # nothing here is cyclic; memory stays flat
    module, _, name = view.partition(":")
    kind: type[Projection] = getattr(import_module(module), name)
    out = sys.stdout.buffer

    def send(message: Any) -> None:
        data = marshal.dumps(message)
        out.write(_LENGTH.pack(len(data)) + data)

    try:
        for batch in batches(Path(store), kind, int(until)):
            send(tuple(batch))
        send("end")
    except BrokenChain as e:
        send(str(e))
    except BrokenPipeError:  # the rebuild was ended: nobody wants the rest
        os._exit(1)
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
