"""Jobs in progress: the line in the header, which asks anew by itself, and the page of all."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from web.frame import NotThere
from web.jobs import Job
from web.shared import shared

pages = Blueprint("jobs", __name__, url_prefix="/jobs")


@pages.get("")
def every() -> str:
    """All jobs of this process; to a header that asks, only the line of those it shows."""
    if request.headers.get("HX-Request"):
        return render_template("jobs_line.html", jobs=_shown())
    return render_template("jobs.html", jobs=shared().jobs.every()[::-1])


@pages.post("/<int:number>/cancel")
def cancel(number: int) -> Response:
    _job(number).cancel()
    return redirect(url_for("jobs.every"), 303)


def _shown() -> list[Job]:
    """Those that run, and those that ended since the header was last told of them."""
    told = {int(text) for text in request.args.getlist("shown") if text.isdecimal()}
    return [job for job in shared().jobs.every() if job.running or job.number in told]


def _job(number: int) -> Job:
    job = shared().jobs.of(number)
    if job is None:
        raise NotThere(f"There is no job {number}: it ended long ago, or the pages were restarted.")
    return job
