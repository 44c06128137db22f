"""`python -m web`: the pages of one data folder, in a process of their own."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType

DEFAULT_DATA = Path(__file__).resolve().parent.parent / "data"


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 ended as asked, 2 the address cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m web", description="Show the books of one bot as pages, read-only."
    )
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA, help="the bot's data folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at")
    parser.add_argument("--port", type=int, default=6900, help="port to serve at")
    parser.add_argument(
        "--child",
        action="store_true",
        help="of `tbot run`: a line to the output says that the address is bound, and the end of "
        "the input ends the pages",
    )
    asked = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return run(asked.data_dir, asked.host, asked.port, child=asked.child)


def run(data_dir: Path, host: str, port: int, *, child: bool = False) -> int:
    from config.clock import SystemClock
    from config.paths import DataFolder
    from runtime.python_logging import log_as_set
    from runtime.queries import Queries
    from runtime.started import start_up_is_over
    from web.serve import make_server

    if child:  # by itself the pages only show what is there, and write nothing
        log_as_set(DataFolder(data_dir), SystemClock())
    queries = Queries(DataFolder(data_dir))
    try:
        server = make_server(queries, host, port)
    except (OSError, OverflowError, ValueError) as e:
        print(
            f"The pages cannot be served at {host}:{port} ({e}). Nothing was changed; end what "
            "uses the port, or name another one with --port.",
            file=sys.stderr,
        )
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    start_up_is_over()
    shown = f"[{host}]" if ":" in host else host
    # a name with several addresses gives several sockets, all at the port asked for
    bound = getattr(server, "effective_port", port)
    if child:
        with suppress(BrokenPipeError):  # the bot is gone already, and so is the input
            print("serving", flush=True)
        Thread(target=_end_with_parent, daemon=True).start()
    else:
        print(f"Pages at http://{shown}:{bound} (Ctrl-C ends them)", file=sys.stderr)
    server.run()
    queries.close()
    return 0


def _end_with_parent() -> None:
    """The input ends when the parent is gone, however it went: no page outlives its bot."""
    while os.read(0, 1024):  # not sys.stdin: its lock would be held while Python ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(_number: int, _frame: FrameType | None) -> None:
    from web.live_stream import end_all

    end_all()
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
