"""Verification of the chain: the badge in the header, and the page that says all about it."""

from __future__ import annotations

import logging

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from web.frame import BadInput, NoBooks, frame, link, read_frame
from web.shared import shared

pages = Blueprint("proof", __name__)
log = logging.getLogger("web")
PATIENCE_S = 0.05  # a short history is verified while the page waits


@pages.get("/badge")
def badge() -> str:
    """Only the badge: pages ask for it when they are there already, so that none has to wait."""
    around, verifier = frame(), shared().verifier
    assert around.status is not None  # noqa: S101 - read_frame ran
    if verifier.due(around.status.position):
        verifier.start(around.status.position).wait(PATIENCE_S)
    return render_template("badge.html", check=verifier.last, job=verifier.job, due=False)


@pages.get("/verify")
def verify() -> str | Response:
    """The whole chain: what is known of it, and the verification while it runs."""
    try:
        read_frame()
    except (NoBooks, BadInput):
        raise
    except Exception:
        # books that cannot be shown are the very reason to verify: go on without a header
        log.exception("The books cannot be shown; the history is verified nevertheless")
        frame().status = None
    status, verifier = frame().status, shared().verifier
    head, again = status.position if status else 0, bool(request.args.get("again"))
    if again or verifier.wanted(head):
        verifier.start(head).wait(PATIENCE_S)
    if again:  # an address that begins anew must not stay in the browser's line
        return redirect(link("proof.verify"), 303)
    return render_template(
        "verify.html", result=verifier.last, job=verifier.job, stopped=verifier.stopped
    )


@pages.get("/help")
def show_help() -> str:
    """The keys and the clocks in words; the same that ``?`` opens."""
    return render_template("help.html")
