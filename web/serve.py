"""The pages on a socket, through waitress."""

from __future__ import annotations

from typing import Any

from config.this_machine import is_this_machine
from runtime.queries import Queries
from web.app import create_app
from web.door import door

THREADS = 32  # event streams hold up to 12 of them (web.live_stream); the others are for pages
LARGEST_REQUEST = 64 * 1024  # bytes; the pages take no uploads
# Whoever opens connections and sends nothing keeps the others out when there are as many as this;
# each is closed after so many seconds of silence, which no browser minds. Below 1024, the files
# that a process may usually hold open.
CONNECTIONS, SILENCE_S, LOOKED_AT_EVERY_S = 800, 15, 5


def make_server(queries: Queries, host: str, port: int) -> Any:
    """A waitress server that is bound but not running. Port 0: any free one (effective_port).

    Raises OSError when the address cannot be bound, ValueError when it must not be.
    """
    from waitress import create_server

    app = create_app(queries, host=host)
    with app.app_context():
        proxy = door().trusted().proxy
    # TRUSTED_PROXY empty: nothing encrypts in front of the pages, so no other machine may ask.
    if not proxy and not is_this_machine(host):
        raise ValueError(
            "other machines may ask only through a proxy that encrypts; set TRUSTED_PROXY, or "
            "serve at 127.0.0.1"
        )
    return create_server(
        app,
        host=host,
        port=port,
        threads=THREADS,
        ident=None,
        max_request_body_size=LARGEST_REQUEST,
        connection_limit=CONNECTIONS,
        channel_timeout=SILENCE_S,
        cleanup_interval=LOOKED_AT_EVERY_S,
        channel_request_lookahead=1,  # else a stream whose browser went away is noticed late
        asyncore_use_poll=True,  # select() fails on a file whose number is beyond 1023
        clear_untrusted_proxy_headers=True,
        **(_behind(proxy) if proxy else {}),
    )


def _behind(proxy: str) -> dict[str, Any]:
    """What the proxy says of its client is believed, from its own hop alone."""
    headers = {"x-forwarded-for", "x-forwarded-proto"}
    return {"trusted_proxy": proxy, "trusted_proxy_count": 1, "trusted_proxy_headers": headers}


def serve(queries: Queries, host: str, port: int) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM)."""
    make_server(queries, host, port).run()
