"""Log files in the browser: newest lines first, filtered. They are cleaned of secrets on disk."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request

from config.paths import DataFolder
from runtime.log_reading import LogPart, Wanted, logs_here, page_of
from runtime.logs import LEVELS
from web.access import may
from web.event_access import WHOSE_PAGE
from web.frame import BadInput, NotThere, day_of, frame, number
from web.shared import shared

pages = Blueprint("logs", __name__, url_prefix="/logs")
ROWS = 100
LONGEST = 200  # characters of a text that is looked for


@pages.get("")
def show() -> str:
    parts = _parts()
    part = _chosen(parts)
    wanted, filters = _wanted()
    found = None
    if part is not None:
        try:
            found = page_of(part.path, wanted, ROWS, number("before", 0) or None)
        except OSError:  # deleted this moment, as old as it was
            raise NotThere(f"The log {part.key} is not there any more.") from None
    return render_template(
        "logs.html", parts=parts, part=part, found=found, filters=filters, levels=LEVELS,
        strategies=("OPEN", "MID", "CLOSE"), newest="before" not in request.args,
        older=_older(parts, part),
    )  # fmt: skip


def _parts() -> list[LogPart]:
    """Those that the present user may read: logs about people are for whom Activity is for."""
    here = logs_here(DataFolder(shared().queries.data_dir))
    return [part for part in here if may(WHOSE_PAGE) or not part.log.of_people]


def _chosen(parts: list[LogPart]) -> LogPart | None:
    key = request.args.get("file", "").strip()
    if not key:
        return parts[0] if parts else None
    for part in parts:
        if part.key == key:
            return part
    raise NotThere("There is no such log, or it is not for your role; choose one from the list.")


def _older(parts: list[LogPart], part: LogPart | None) -> LogPart | None:
    """The file that was closed before this one was begun."""
    if part is None:
        return None
    same = [p for p in parts if p.log == part.log and p.path.parent == part.path.parent]
    after = same[same.index(part) + 1 :]  # in use first, then the newest of the closed
    return after[0] if after else None


def _wanted() -> tuple[Wanted, dict[str, str]]:
    """What lines are looked for, and the filters as the address carries them on."""
    asked = {
        name: request.args.get(name, "").strip() for name in ("level", "text", "strategy", "day")
    }
    filters = {name: text for name, text in asked.items() if text}
    level, text = asked["level"], asked["text"]
    if level and level not in LEVELS:
        raise BadInput(f"level={level[:40]!r} is not one of {', '.join(LEVELS)}.")
    if len(text) > LONGEST:
        raise BadInput(f"A text that is looked for has at most {LONGEST} characters.")
    levels = [name for name, weight in LEVELS.items() if level and weight >= LEVELS[level]]
    day = day_of(asked["day"], "day") if asked["day"] else None
    wanted = Wanted(frozenset(levels), text.lower(), asked["strategy"], day, _until())
    return wanted, filters


def _until() -> str:
    """In the past, what was logged up to then; empty for now."""
    around = frame()
    times = []
    if around.known_at and around.recorded_at:
        times.append(f"{around.recorded_at:%Y-%m-%dT%H:%M:%S.%fZ}")
    if around.as_of and around.effective:
        times.append(f"{around.effective + timedelta(days=1):%Y-%m-%dT}")
    return min(times, default="")
