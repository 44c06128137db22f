"""The long-term holdings: what is held against what is wanted, and the plan, saved as one types.

Everybody who is signed in reads, as of both clocks; an admin edits the plan, in the present. What a
page shows is asked in web/holdings_shown.py, what is typed is looked at in web/holdings_asked.py.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.holdings_plan import (
    DEFAULT_PLAN,
    INTERVALS,
    PlanMoved,
    PlanRefused,
    plan_changes,
)
from runtime.holdings_plan import roll_back_plan, save_plan
from runtime.holdings_typed import RulesBroken
from runtime.holdings_versions import PlanVersion
from web.access import actor, may
from web.door import folder
from web.forms import command_id, notice
from web.frame import BadInput, NotThere, frame, whole
from web.holdings_ahead import taken_up, when_next
from web.holdings_asked import Asked, difference_to, looked_at, refused
from web.holdings_form import Typed, read_typed, typed_of
from web.holdings_reserves import reserves
from web.holdings_shown import Shown, before_the_books, shown
from web.holdings_words import add_words
from web.live_stream import mark_of
from web.shared import shared

pages = Blueprint("holdings", __name__, url_prefix="/holdings")
pages.before_request(before_the_books)
add_words(pages)
Answer = str | tuple[str, int] | Response


@pages.get("")
def grid() -> str:
    """Status, securities, settings and controls; a form for who may edit."""
    now = shown()
    asked = looked_at(opened(now).with_room(), now) if may_edit() else None
    return _page(now, asked)


@pages.get("/now")
def now() -> str:
    """The part that follows the bot, asked for anew whenever something has changed."""
    return render_template("holdings_now.html", **_context(shown()))


@pages.post("/check")
def check() -> str:
    """While one types: what is wrong, beside the fields. Nothing is saved."""
    return _said(looked_at(read_typed(), shown(present=True)))


@pages.post("/plan")
def save() -> Answer:
    """Save what is valid: as one types, by the button, or with a row more or less."""
    typed, does = read_typed(), request.form.get("do", "")
    if does == "add":
        return _form(_with_row(typed), 200)
    if does.startswith("delete-"):
        typed = typed.without(_row_of(does))
    asked = _saved(typed)
    if does.startswith("delete-") and asked.typed.rows:
        asked.focus = min(_row_of(does), len(asked.typed.rows) - 1)
    if not does and _by_script():
        return _said(asked)
    if asked.moved:
        return _form(difference_to(asked), 409)
    if asked.faults:
        return _form(asked, 422)
    if _by_script():
        return _form(asked, 200)
    if asked.saved:
        notice(f"The plan is saved as version {asked.shown.number}.")
    return redirect(url_for("holdings.grid"), 303)


@pages.get("/versions")
def versions() -> str:
    """Who changed what of the plan, when and why; newest first."""
    listed = list(reversed(shared().queries.plan_versions(frame().clocks)))
    return render_template("holdings_versions.html", versions=listed, may_edit=may_edit())


@pages.get("/versions/<int:number>/back")
def back(number: int) -> Answer:
    """What would be put back, before it is."""
    known, then = _version(number)
    return _back_page(known, then)


@pages.post("/versions/<int:number>/back")
def put_back(number: int) -> Answer:
    """An earlier version again, as a new one."""
    known, then = _version(number)
    seen = whole(request.form.get("seen", "")) or 0
    try:
        done = roll_back_plan(
            shared().custody(), number, seen=seen, actor=actor(),
            reason=request.form.get("reason", ""), command_id=command_id("holdings-back"),
            state=shown(present=True).state,
        )  # fmt: skip
    except PlanMoved:
        known, then = _version(number)
        return _back_page(known, then, moved=True), 409
    except (RulesBroken, PlanRefused) as e:
        return _back_page(known, then, fault=str(e)), 422
    if not done.repeated:
        notice(f"Version {number} of the plan is in force again, as a new version.")
    return redirect(url_for("holdings.grid"), 303)


def may_edit() -> bool:
    """An admin may, now, and not in a demo: it has no vault that could keep the plan."""
    return may("holdings.save") and frame().present


def opened(now: Shown) -> Typed:
    """The form as it is opened: on the plan in force, or on the defaults."""
    return typed_of(now.plan or DEFAULT_PLAN, now.number)


# -- saving ----------------------------------------------------------------------------------


def _saved(typed: Typed) -> Asked:
    """The form after its save; where it could not be saved, with what is wrong."""
    asked = looked_at(typed, shown(present=True))
    if asked.faults or asked.moved or not asked.changed:
        # sent twice: what it changed is in force by now
        return asked if asked.changed else looked_at(_seen_now(asked), asked.shown)
    try:
        save_plan(
            shared().custody(), asked.plan, seen=typed.seen, actor=actor(),
            reason=request.form.get("reason", ""), command_id=command_id("holdings-plan"),
            state=asked.shown.state,
        )  # fmt: skip
    except RulesBroken as e:
        return refused(asked, e.breaches)
    except PlanMoved:
        return looked_at(typed, shown(present=True))
    now = shown(present=True)
    asked = looked_at(typed_of(now.plan or DEFAULT_PLAN, now.number), now)
    asked.saved = True
    return asked


def _with_row(typed: Typed) -> Asked:
    """The form with a row more. Where it saves as one types, what was typed last is saved, too."""
    longer, now = typed.with_row(), shown(present=True)
    edited = longer.plan != (now.plan or DEFAULT_PLAN)
    asked = _saved(longer) if edited and _by_script() else looked_at(longer, now)
    if asked.saved:  # what is saved has no blank row
        asked = looked_at(asked.typed.with_row(), asked.shown)
        asked.saved = True
    asked.focus = len(asked.typed.rows) - 1
    return asked


def _seen_now(asked: Asked) -> Typed:
    return Typed(asked.shown.number, asked.typed.rows, asked.typed.texts)


def _row_of(does: str) -> int:
    if (row := whole(does.removeprefix("delete-"), digits=3)) is None:
        raise BadInput("The form does not say which row to delete. Nothing was changed.")
    return row


def _version(number: int) -> tuple[list[PlanVersion], PlanVersion]:
    """All versions, and the one asked for. Raises BadInput where nobody may edit, NotThere."""
    if not may_edit():
        raise BadInput(
            "The plan is changed in the present, and not in a demo. Nothing was changed; go back "
            "to now."
        )
    known = shared().queries.plan_versions()
    then = next((v for v in known if v.number == number), None)
    if then is None:
        raise NotThere(f"There is no version {number} of the holdings plan.")
    return known, then


# -- pages -----------------------------------------------------------------------------------


def _by_script() -> bool:
    return request.headers.get("HX-Request") == "true"


def _context(now: Shown) -> dict[str, Any]:
    return {
        "h": now,
        "editing": may_edit(),
        "intervals": INTERVALS,
        "taken_up": taken_up,
        "when_next": when_next,
        "mark": mark_of(folder(), frame().position),
    }


def _page(now: Shown, asked: Asked | None) -> str:
    return render_template("holdings.html", asked=asked, reserves=reserves(), **_context(now))


def _said(asked: Asked) -> str:
    """Beside the fields: what is wrong, whether it is saved, and the figures that follow."""
    return render_template("holdings_said.html", asked=asked, **_context(asked.shown))


def _form(asked: Asked, code: int) -> Answer:
    """The form anew: alone for the script, which shows nothing of a refusal's code."""
    if _by_script():
        return render_template("holdings_form_alone.html", asked=asked, **_context(asked.shown))
    return _page(asked.shown, asked), code


def _back_page(
    known: list[PlanVersion], then: PlanVersion, *, fault: str = "", moved: bool = False
) -> str:
    return render_template(
        "holdings_back.html", newest=known[-1], then=then,
        changes=plan_changes(known[-1].plan, then.plan), fault=fault, moved=moved,
        reason=request.form.get("reason", ""),
    )  # fmt: skip
