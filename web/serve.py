"""The pages on a socket, through waitress."""

from __future__ import annotations

from typing import Any

from runtime.queries import Queries
from web.app import create_app

THREADS = 32  # later parts hold event streams open; four threads starve under them
LARGEST_REQUEST = 64 * 1024  # bytes; the pages take no uploads


def make_server(queries: Queries, host: str, port: int) -> Any:
    """A waitress server that is bound but not running. Port 0: any free one (effective_port).

    Raises OSError when the address cannot be bound.
    """
    from waitress import create_server

    return create_server(
        create_app(queries, host=host),
        host=host,
        port=port,
        threads=THREADS,
        ident=None,
        max_request_body_size=LARGEST_REQUEST,
    )


def serve(queries: Queries, host: str, port: int) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM)."""
    make_server(queries, host, port).run()
