"""Verification of the chain: the badge in the header, and the page that says all about it."""

from __future__ import annotations

import logging

from flask import Blueprint, render_template, request

from web.frame import BadInput, NoBooks, frame, read_frame
from web.shared import shared

pages = Blueprint("proof", __name__)
log = logging.getLogger("web")


@pages.get("/badge")
def badge() -> str:
    """Only the badge: pages ask for it when they are there already, so that none has to wait."""
    around = frame()
    assert around.status is not None  # noqa: S101 - read_frame ran
    check = shared().verifier.check(around.status.position)
    return render_template("badge.html", check=check)


@pages.get("/verify")
def verify() -> str:
    """The whole chain, verified now unless this head was verified already."""
    try:
        read_frame()
    except (NoBooks, BadInput):
        raise
    except Exception:
        # books that cannot be shown are the very reason to verify: go on without a header
        log.exception("The books cannot be shown; the history is verified nevertheless")
        frame().status = None
    status, again = frame().status, bool(request.args.get("again"))
    result = shared().verifier.check(status.position if status else 0, again=again or not status)
    return render_template("verify.html", result=result)


@pages.get("/help")
def show_help() -> str:
    """The keys and the clocks in words; the same that ``?`` opens."""
    return render_template("help.html")
