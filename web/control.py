"""Start, stop, kill, and the reset of a kill: asked for here, taken up by whoever trades. Defense
mode by hand, and the word of an admin on a difference between books and broker.

A page only asks (runtime/control.py): the request is an event, and entries are blocked from it on.
Whether anything came of it, the events that answer say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.base import Command
from aggregates.control import Action, ResetKill, SwitchDefense
from aggregates.errors import DomainError
from aggregates.reconciliation import AcceptDifference, Difference
from runtime import control
from runtime.live_queries import ours_now
from web import live
from web.access import actor
from web.forms import command_id, notice
from web.frame import NotThere, entered, frame, stamped
from web.setting_form import values_of
from web.shared import shared

pages = Blueprint("control", __name__, url_prefix="/control")
Answer = Response | str | tuple[str, int]
LONGEST = 200  # characters of a reason
WITHOUT_REASON = "asked for on the page"


@pages.post("/start")
def start() -> Answer:
    """Lift a stop. A kill is not lifted by it."""
    said = "The start is asked for; it is taken up between two steps, within seconds."
    return _asked("start", said)


@pages.post("/stop")
def stop() -> Answer:
    """No new entries; exits and stops go on."""
    return _asked("stop", "Stopped: nothing more is bought for trading. Exits and stops go on.")


def _asked(action: Action, said: str) -> Answer:
    """Raises DomainError for what is refused, such as a start after a kill."""
    reason = entered("reason") or WITHOUT_REASON
    _ask(action, reason[:LONGEST])
    notice(said)
    return redirect(url_for("day.today"), 303)


def _ask(action: Action, reason: str) -> None:
    control.ask(
        shared().custody(),
        action,
        source="page",
        reason=reason,
        actor=actor(),
        command_id=command_id(f"control-{action}"),
    )


@pages.route("/kill", methods=["GET", "POST"])
def kill() -> Answer:
    """What a kill does and to what; carried out when its words are typed."""
    if request.method == "GET":
        return _kill_page({})
    now = shared().queries.control()
    if now.killing or now.killed:
        return redirect(url_for("day.today"), 303)  # it cannot be killed twice
    reason = entered("reason")
    if faults := _faults("KILL", reason, needed=False):
        return _kill_page(faults), 422
    _ask("kill", reason or WITHOUT_REASON)
    notice("The kill is asked for. Below is how far it is.", "warn")
    return redirect(url_for("day.today"), 303)


@pages.route("/reset", methods=["GET", "POST"])
def reset() -> Answer:
    """Take back a latched kill. Entries stay stopped until somebody starts them."""
    if request.method == "GET":
        return _page("control_reset.html", {})
    reason = entered("reason")
    if faults := _faults("RESET", reason, needed=True):
        return _page("control_reset.html", faults), 422
    try:
        _record("reset", ResetKill, reason=reason)
    except DomainError as e:
        return _page("control_reset.html", {"reason": str(e)}), 422
    notice("The kill is reset. Entries stay stopped until somebody starts them.")
    return redirect(url_for("day.today"), 303)


@pages.route("/defense", methods=["GET", "POST"])
def defense() -> Answer:
    """Defense mode by hand: it holds from the next entry on, until it is switched off here."""
    if request.method == "GET":
        return _defense_page({})
    active, reason = entered("active") == "on", entered("reason")
    faults = {} if reason else {"reason": "A reason is needed; it is kept for good"}
    if len(reason) > LONGEST:
        faults = {"reason": f"At most {LONGEST} characters"}
    if faults:
        return _defense_page(faults), 422
    _record("defense", SwitchDefense, active=active, reason=reason)
    now = "on" if active else "off"
    notice(f"Defense mode is switched {now}; that holds from the next entry on.")
    return redirect(url_for("day.today"), 303)


@pages.route("/difference", methods=["GET", "POST"])
def difference() -> Answer:
    """An open difference between books and broker, accepted by who knows why it is right.

    The books stay as they are; only that it blocks entries ends, for as long as its amount stays.
    """
    form = request.form if request.method == "POST" else request.args
    wanted = form.get("id", "")
    found = next((d for d in _open_differences() if d.difference_id == wanted), None)
    if found is None:
        raise NotThere("No open difference is called so: it is gone, or was accepted already.")
    if request.method == "GET":
        return _difference_page(found, {})
    if _moved(found) is not None:
        return _difference_page(found, {}), 409  # accepted, it would be another one at once
    reason = entered("reason")
    faults = {} if reason else {"reason": "A reason is needed; it is kept for good"}
    if len(reason) > LONGEST:
        faults = {"reason": f"At most {LONGEST} characters"}
    if faults:
        return _difference_page(found, faults), 422
    _record(
        "difference",
        AcceptDifference,
        difference_id=wanted,
        amount=entered("amount"),
        reason=reason,
    )
    notice("The difference is accepted, and blocks nothing for as long as its amount stays.")
    return redirect(url_for("day.today"), 303)


def _open_differences() -> tuple[Difference, ...]:
    return shared().queries.agreement().open


def _moved(found: Difference) -> Decimal | None:
    """What the books say now, where that is not what was compared; else None."""
    ours = shared().queries.together(lambda q: ours_now(q.sources()[0], found))
    return ours if ours is not None and ours != Decimal(found.ours) else None


def _difference_page(found: Difference, faults: dict[str, str]) -> str:
    return render_template(
        "control_difference.html", difference=found, faults=faults, reason=entered("reason"),
        longest=LONGEST, moved=_moved(found),
    )  # fmt: skip


def _record(form: str, kind: type[Command], **fields: Any) -> None:
    """Carry out at once what changes no trade and nothing that the vault guards."""
    shared().custody().record(
        kind(**stamped(), **fields),
        actor=actor(),
        command_id=command_id(f"control-{form}"),
        correlation="reconciliation" if form == "difference" else "control",
    )


def confirmation(word: str) -> str:
    """What is to be typed: the word and whose bot it is, so that it is never the wrong one."""
    status = frame().status
    return f"{word} {status.identity if status else ''}".strip()


def _faults(word: str, reason: str, *, needed: bool) -> dict[str, str]:
    """By field. Spaces and small letters are no fault: it may have to go fast."""
    found, wanted = {}, confirmation(word)
    if " ".join(entered("confirm").split()).casefold() != wanted.casefold():
        found["confirm"] = f"Type {wanted} to confirm"
    if needed and not reason:
        found["reason"] = "A reason is needed; it is kept for good"
    elif len(reason) > LONGEST:
        found["reason"] = f"At most {LONGEST} characters"
    return found


def _kill_page(faults: dict[str, str]) -> str:
    return _page("control_kill.html", faults)


def _defense_page(faults: dict[str, str]) -> str:
    history = shared().queries.settings(frame().clocks)
    values = values_of(history, history[-1].number) if history else {}
    return _page("control_defense.html", faults, values=values)


def _page(template: str, faults: dict[str, str], **more: Any) -> str:
    more |= {name: entered(name) for name in ("reason", "confirm")}
    report = shared().queries.live()
    now = shared().clock.now()
    return render_template(
        template,
        live=report,
        faults=faults,
        longest=LONGEST,
        wanted=confirmation,
        runs=live.runs(report.told, now),
        **more,
    )
