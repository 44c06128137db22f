"""The trading day: figures, curve, trades, decisions and why not, orders. And all days at once."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, render_template

from web import live
from web.chart import daily_curve, session_curve
from web.formatting import long_day, short_day
from web.frame import NotThere, day_of, frame, link
from web.shared import shared

pages = Blueprint("day", __name__)


@pages.get("/")
def today() -> str:
    """The bot as it stands now; in the past the newest session that both clocks know."""
    around = frame()
    if around.fixed:
        return _page(None)
    found = live.context()
    if day := found["report"]:
        around.previous = link("day.one", day=day.previous) if day.previous else ""
    return render_template("today.html", **found)


@pages.get("/day/<day>")
def one(day: str) -> str:
    return _page(day)


def _page(text: str | None) -> str:
    around, queries = frame(), shared().queries
    wanted = day_of(text, "Day") if text is not None else None
    report = queries.day(wanted, around.clocks)
    if report is None:
        if wanted is not None:
            raise NotThere(_no_session(wanted.isoformat()))
        return render_template("day_empty.html")
    around.previous = link("day.one", day=report.previous) if report.previous else ""
    around.next = link("day.one", day=report.next) if report.next else ""
    return render_template(
        "day.html",
        report=report,
        title=long_day(report.day),
        curve=session_curve(report.equity, live.closed_at(report), around.exponent),
        latest=wanted is None,
    )


def _no_session(day: str) -> str:
    days = shared().queries.session_days(frame().clocks)
    if not days:
        return f"There is no session on {day}: none is known at this moment of both clocks."
    return (
        f"There is no session on {day}. {len(days)} are known at this moment of both clocks, "
        f"from {short_day(days[0])} to {short_day(days[-1])}."
    )


@pages.get("/days")
def every() -> str:
    """All sessions, newest first, with the curve of their closes."""
    around = frame()
    sessions = shared().queries.sessions(around.clocks)
    zero = Decimal(0)
    return render_template(
        "days.html",
        sessions=sessions[::-1],
        curve=daily_curve(sessions, around.exponent),
        pnl=sum((s.pnl for s in sessions), zero),
        costs=sum((s.costs for s in sessions), zero),
    )
