"""What every answer says to the browser, whom we answer at all, and which forms we take."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from flask import Flask, Request, Response, abort, request

from web.door import door
from web.forms import csrf_holds

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
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with  # nosec B104


def guard(app: Flask, host: str) -> None:
    """Refuse foreign names and forged forms; put the headers on every answer."""
    is_ours = host_rule(host)

    @app.before_request
    def check_request() -> None:
        # TRUSTED_HOSTS: further names under which the pages are asked for, as that of the proxy.
        if not is_ours(request.host) and _name_of(request.host) not in door().trusted().hosts:
            abort(400, f"These pages do not answer to the name {request.host[:80]!r}.")
        _check_proxy(door().trusted().proxy)
        if request.method not in READING:
            _check_form()

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        # static files are asked for again with their ETag; pages and errors are never kept
        kept = is_static(request) and response.status_code < 400
        response.headers["Cache-Control"] = "no-cache" if kept else "no-store"
        return response


def _check_proxy(proxy: str) -> None:
    """Where there is a proxy, nobody is answered but through its TLS, or on this machine itself.

    waitress has put the client's address in place of the proxy's, and believes nobody else's
    X-Forwarded headers (web.serve).
    """
    # TRUSTED_PROXY empty: the pages are bound to this machine.
    if not proxy or request.is_secure:
        return
    local = request.remote_addr in LOOPBACK and request.remote_addr != proxy
    if not local:
        abort(
            403,
            "These pages are served over TLS, through their proxy (TRUSTED_PROXY). If this did "
            "come through it, it must send X-Forwarded-For and X-Forwarded-Proto.",
        )


def _check_form() -> None:
    """Changes come by POST, to routes that say so, from a form that this browser was given."""
    taken = request.url_rule.methods if request.url_rule else None
    if request.method != "POST" or "POST" not in (taken or ()):
        abort(405)
    if not csrf_holds():
        abort(
            403,
            "The form is not one that this browser was given, or it was open for too long. "
            "Load the page again and send it anew.",
        )


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
