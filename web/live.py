"""The live page: how the bot stands now, and the stream that says when that has changed.

Today's page holds a part that is asked for anew whenever the stream says so; without script it is
as it was when the page was loaded. Nothing here computes a balance: runtime/live_queries.py does.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, render_template, request

from runtime.live_records import LiveReport
from runtime.query_records import DayReport
from runtime.status import OLD_S, Status
from web.access import guarded, may, session_of, user
from web.chart import session_curve
from web.door import folder
from web.formatting import long_day
from web.frame import frame
from web.live_stream import Changes, Streams, mark_of
from web.shared import shared

pages = Blueprint("live", __name__, url_prefix="/live")
NAME = "tradebot.live"
NOBODY = "a demo"  # whom streams are counted for where there are no users
TONES = {
    "analyzing": "good", "trading": "good", "monitoring": "good", "holdings": "good",
    "updating": "calm", "closing_positions": "warn", "stopped": "warn", "shutdown": "warn",
    "killed": "bad", "error": "bad",
}  # fmt: skip


def add_live(app: Flask) -> None:
    app.extensions[NAME] = Streams()
    app.register_blueprint(pages)
    app.add_template_global(tone_of)


def tone_of(state: str) -> str:
    """How a state of the bot looks; what is neither good nor bad is calm."""
    return TONES.get(state, "calm")


def streams() -> Streams:
    return cast(Streams, current_app.extensions[NAME])


def context() -> dict[str, Any]:
    """What the templates of the live part are filled from."""
    around = frame()
    mark = mark_of(folder(), around.position)
    report: LiveReport = shared().queries.live(around.clocks)
    day = report.day
    now = shared().clock.now()
    return {
        "live": report,
        "report": day,
        "title": long_day(day.day) if day else "Today",
        "curve": session_curve(day.equity, closed_at(day), around.exponent) if day else None,
        "mark": mark,
        "now": now,
        "runs": runs(report.told, now),
        "old": _old(report.told, now),
        "asks": asks(report, now),
        "controls": controls_shown(),
    }


def closed_at(day: DayReport) -> int | None:
    """The position of the session's close; None while it is open."""
    closed = (p.position for p in day.phases if (p.phase, p.change) == ("session", "closed"))
    return next(closed, None)


def runs(told: Status | None, now: Any) -> bool:
    """Whether a session runs, as far as anybody has said."""
    return told is not None and bool(told.session) and _old(told, now) is None


def _old(told: Status | None, now: Any) -> timedelta | None:
    """How long ago the bot last said something, where that is long."""
    if told is None:
        return None
    age = cast(timedelta, now - told.at)
    return age if abs(age.total_seconds()) > OLD_S else None


def asks(report: LiveReport, now: Any) -> str:
    """Which buttons there are: they stay while a part of the page is loaded anew, unless this
    differs from what the browser shows."""
    control, told = report.control, report.told
    if control.killed:
        return "killed"
    if control.killing or control.waits("kill"):
        return "killing"
    if control.stopped or control.waits("stop"):
        return "stopped"
    # a day that was refused is begun again by a start
    return "refused" if told and told.refused and _old(told, now) is None else "free"


@pages.get("/now")
def now() -> str:
    """The live part alone; with the head's state, and the buttons when they are others now."""
    return render_template("live_now.html", **context(), shown=request.args.get("shown", ""))


@pages.get("/events")
def events() -> Response:
    """A stream; 503 when there are too many, and the page then asks by itself now and then."""
    signed_in, open_streams = user(), streams()
    who = signed_in.id if signed_in else NOBODY
    if not open_streams.enter(who):
        said = "Too many pages are being followed. This one shows what is new when it is loaded.\n"
        return Response(said, 503, {"Retry-After": "15"}, mimetype="text/plain")
    queries, here, held = shared().queries, folder(), cast(Any, current_app)._get_current_object()
    environ = request.environ
    answer = Response(
        Changes(
            lambda: mark_of(here, queries.newest()),
            partial(_still_in, held, environ) if guarded() else lambda: True,
            environ.get("waitress.client_disconnected", lambda: False),
            request.headers.get("Last-Event-ID") or request.args.get("seen", ""),
        ),
        mimetype="text/event-stream",
        headers={"X-Accel-Buffering": "no"},  # a proxy hands each event on at once
    )
    answer.call_on_close(partial(open_streams.leave, who))
    return answer


def _still_in(app: Flask, environ: dict[str, Any]) -> bool:
    """Whether the session that the stream was opened in holds: also its role and its time."""
    with app.request_context(environ):
        return session_of(whole=True) is not None


def controls_shown() -> bool:
    """Buttons are for who may use one of them; never in a demo or in the past."""
    return not frame().fixed and (may("control.stop") or may("control.reset"))
