"""The settings: looked at as of any moment, changed in two steps, with the history of changes.

Everybody who is signed in reads what is no secret; an admin changes. First the difference is
shown, and only what is confirmed there becomes an event and rotates the vault.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.configuration import FIXED, Change, merged
from config.setting_check import Finding
from config.setting_model import KEYS
from runtime.settings_change import (
    SettingsMoved,
    SettingsRefused,
    carried_out,
    change_settings,
    faults_of,
    in_force,
    proposed,
)
from runtime.settings_history import Revision
from web.access import actor, may
from web.forms import command_id, notice
from web.frame import BadInput, NotThere, frame, number
from web.names import names
from web.setting_drafts import drafts
from web.setting_fields import faults_by_key, field_groups
from web.setting_form import (
    Asked,
    conflicts,
    events_of,
    hidden_of,
    read_asked,
    values_of,
    worded,
)
from web.shared import shared

pages = Blueprint("settings", __name__, url_prefix="/settings")
Answer = str | tuple[str, int] | Response
RESTART = frozenset(name for name, key in KEYS.items() if key.restart)
AT_ONCE = frozenset(name for name in KEYS if name.startswith(("SMTP_", "NOTIFY_ON_")))
SAVED = "The settings are saved; all keys and encrypted secrets were renewed with them."


@pages.get("")
def show() -> Answer:
    """The settings in force at the moment of the page; a form for those who may change them."""
    around = frame()
    history = shared().queries.settings(around.clocks)
    if not history:
        return render_template("settings.html", groups=[], history=[])
    older = number("from", 0)
    if may_change():
        return _form(_opened(history, older), history, older=older)
    newest = history[-1]
    return render_template(
        "settings.html",
        groups=field_groups(
            values_of(history, newest.number), events=events_of(history), fixed=FIXED
        ),
        history=history,
    )


@pages.get("/history")
def revisions() -> str:
    """Who changed what, when and why; newest first."""
    history = shared().queries.settings(frame().clocks)
    listed = [(r, [worded(c) for c in r.changes]) for r in reversed(history)]
    return render_template(
        "settings_history.html",
        revisions=listed,
        may_change=may_change(),
        keys=KEYS,
        names=names(),
    )


@pages.post("/check")
def check() -> str:
    """While one types: what is wrong, to be put beside the fields."""
    asked = read_asked(_present(), keep=False)
    settings = in_force(shared().custody()).settings
    found = asked.found + faults_of(settings, asked.touched)
    return render_template(
        "settings_check.html",
        found=found,
        said=faults_by_key(found),
        touched=sorted(asked.touched),
        keys=KEYS,
        known_settings=KEYS,
    )


@pages.post("/review")
def review() -> Answer:
    """The first step: the difference, or the form again with what is wrong."""
    history, custody = _present(), shared().custody()
    asked = read_asked(history)
    if asked.seen != history[-1].number:
        return _moved(asked, history)
    try:
        proposal = proposed(custody, asked.touched)
    except SettingsRefused as e:
        return _form(asked, history, found=asked.found + e.found), 422
    if asked.found:
        return _form(asked, history, found=asked.found), 422
    if not proposal.changes:
        return _form(asked, history, unchanged=True)
    return _difference(asked, proposal.changes)


@pages.post("/edit")
def edit() -> Answer:
    """From the difference back to the form, with everything that was typed."""
    return _form(read_asked(_present()), _present())


@pages.post("")
def save() -> Answer:
    """The second step: record and rotate, then show what is in force."""
    history, custody = _present(), shared().custody()
    token = command_id("settings")
    if carried_out(custody, token):  # sent twice
        return redirect(url_for("settings.show"), 303)
    asked = read_asked(history)
    if asked.found:
        return _form(asked, history, found=asked.found), 422
    reason = request.form.get("reason", "")
    try:
        change_settings(
            custody,
            asked.touched,
            seen=asked.seen,
            actor=actor(),
            reason=reason,
            command_id=token,
        )
    except SettingsMoved:
        return _moved(asked, _present())
    except SettingsRefused as e:
        return _refused(e, asked, history, reason)
    for kept in (asked.draft, request.form.get("draft", "")):
        drafts().drop(kept)
    notice(SAVED)
    return redirect(url_for("settings.show"), 303)


def may_change() -> bool:
    """An admin may, now, and not in a demo: it has no vault that could keep the change."""
    return may("settings.save") and frame().present


def _present() -> list[Revision]:
    """Every revision, for who is about to change something. Raises BadInput where nobody may."""
    if not may_change():
        raise BadInput(
            "Settings are changed in the present, and not in a demo. Nothing was changed; go back "
            "to now."
        )
    return shared().queries.settings()


def _opened(history: list[Revision], older: int) -> Asked:
    """The form as it is opened; ``older`` is the revision to go back to, or 0."""
    newest = history[-1].number
    if older > newest:
        raise NotThere(f"There is no revision {older}; the newest is {newest}.")
    now, then = values_of(history, newest), values_of(history, older or newest)
    touched = {n: t for n, t in then.items() if t != now[n] and n not in FIXED}
    return Asked(newest, touched)


def _form(
    asked: Asked, history: list[Revision], *, found: list[Finding] | None = None, **more: Any
) -> str:
    """The form over the newest revision, with what is asked for in its fields."""
    held = in_force(shared().custody()).settings
    newest, found = history[-1].number, found or []
    groups = field_groups(
        values_of(history, newest),
        asked.plain,
        found=found,
        events=events_of(history),
        fixed=FIXED,
        given={name: bool(getattr(held, name)) for name, key in KEYS.items() if key.secret},
        kept=asked.secrets,
        cleared=asked.cleared,
    )
    return render_template(
        "settings.html",
        groups=groups,
        history=history,
        form=True,
        seen=newest,
        draft=asked.draft,
        found=found,
        known_settings=KEYS,
        typed=asked.plain,
        names=names(),
        **more,
    )


def _moved(asked: Asked, history: list[Revision]) -> Answer:
    """Somebody saved first: their changes are shown, and nothing that was typed is lost."""
    since = [r for r in history if r.number > asked.seen]
    changes = merged(r.changes for r in since)
    page = _form(
        asked,
        history,
        found=asked.found,
        moved=[worded(c) for c in changes],
        since=since,
        both=conflicts(asked, changes),
        seen_before=asked.seen,
    )
    return page, 409


def _difference(
    asked: Asked, changes: tuple[Change, ...], *, reason: str = "", fault: str = ""
) -> str:
    return render_template(
        "settings_review.html",
        changes=[worded(c) for c in changes],
        keys=KEYS,
        restart_keys=RESTART,
        at_once=AT_ONCE,
        hidden=hidden_of(asked),
        reason=reason,
        fault=fault,
    )


def _refused(e: SettingsRefused, asked: Asked, history: list[Revision], reason: str) -> Answer:
    """What is wrong with the note belongs to the difference, anything else to the form."""
    note = [each.text for each in e.found if each.keys == ("reason",)]
    if not note:
        return _form(asked, history, found=e.found), 422
    changes = proposed(shared().custody(), asked.touched).changes
    return _difference(asked, changes, reason=reason, fault=note[0]), 422
