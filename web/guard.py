"""What every answer says to the browser, whom we answer at all, and which forms we take."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, abort, request

from config.this_machine import NAMES
from web.door import door
from web.forms import csrf_holds

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

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
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with  # nosec B104


def guard(app: Flask, host: str) -> None:
    """Refuse foreign names and forged forms; put the headers on every answer."""
    is_ours = host_rule(host)
    app.wsgi_app = head_as_get(app.wsgi_app)  # type: ignore[method-assign, assignment]

    @app.before_request
    def check_request() -> None:
        # TRUSTED_HOSTS: further names under which the pages are asked for, as that of the proxy.
        if not is_ours(request.host) and _name_of(request.host) not in door().trusted().hosts:
            abort(400, f"These pages do not answer to the name {request.host[:80]!r}.")
        _check_proxy(door().trusted().proxy)
        if request.method != "GET":
            _check_form()

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        # static files are asked for again with their ETag; pages and errors are never kept
        kept = is_static(request) and response.status_code < 400
        response.headers["Cache-Control"] = "no-cache" if kept else "no-store"
        return response


def head_as_get(app: WSGIApplication) -> WSGIApplication:
    """A HEAD is answered as the GET that it asks about, without the body (RFC 9110, 9.3.2).

    No page sees a HEAD: where a page asks "is it a GET?", everything else is a change.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "HEAD":
            return app(environ, start_response)
        body = app({**environ, "REQUEST_METHOD": "GET"}, start_response)
        if hasattr(body, "close"):
            body.close()
        return []

    return answer


def _check_proxy(proxy: str) -> None:
    """Where there is a proxy, nobody is answered but through its TLS, or on this machine itself.

    waitress has put the client's address in place of the proxy's, and believes nobody else's
    X-Forwarded headers (web.serve). A proxy that does not name its client is refused: everybody
    would wait for whoever tries passwords, and the history would name the proxy.
    """
    # TRUSTED_PROXY empty: the pages are bound to this machine.
    if not proxy:
        return
    address = request.remote_addr or ""
    told = request.is_secure and "X-Forwarded-For" in request.headers and _is_address(address)
    local = not request.is_secure and address in NAMES and address != proxy
    if not (told or local):
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
    names = {*NAMES, host.lower()}

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
