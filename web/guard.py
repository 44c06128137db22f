"""What every answer says to the browser, and whom we answer at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from flask import Flask, Request, Response, abort, request

# Everything comes from here and nothing runs or is styled inline. Data URLs: Pico's form icons.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
READING = ("GET", "HEAD")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to


def guard(app: Flask, host: str) -> None:
    """Refuse foreign names and anything but reading; put the headers on every answer."""
    is_ours = host_rule(host)

    @app.before_request
    def check_request() -> None:
        if not is_ours(request.host):
            abort(400, f"These pages do not answer to the name {request.host[:80]!r}.")
        if request.method not in READING:
            abort(405)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        # static files are asked for again with their ETag; pages and errors are never kept
        kept = is_static(request) and response.status_code < 400
        response.headers["Cache-Control"] = "no-cache" if kept else "no-store"
        return response


def host_rule(host: str) -> Callable[[str], bool]:
    """Whether a Host header names this server (against DNS rebinding); the port is left alone.

    A tunnel such as ``ssh -L 8000:localhost:6900`` changes the port, never the name.
    """
    names = {*LOOPBACK, host.lower()}

    def is_ours(header: str) -> bool:
        name = _name_of(header)
        if name in names:
            return True
        # bound to every address: any address literal is ours, as rebinding needs a name
        return host in ANY_ADDRESS and _is_address(name)

    return is_ours


def _name_of(header: str) -> str:
    """The name in ``name``, ``name:port`` or ``[v6]:port``, in lower case."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_static(of: Request) -> bool:
    return of.endpoint == "static"
