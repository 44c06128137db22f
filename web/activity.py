"""Who did what: sign-ins, failures, denials and changes, from the events alone."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from runtime.query_records import EventView
from web.frame import BadInput, frame, number
from web.names import everybody
from web.shared import shared

pages = Blueprint("activity", __name__)
ROWS = 50
RECOVERY = "recovery"  # who rotates after a restore (runtime.restoring)
READ = 200  # events at a time
LOOKED_AT = 20_000  # events that one page looks at, when few fit
KINDS = {
    "sign-ins": ("User.SignedIn", "User.SignedOut", "User.SignedOutEverywhere"),
    "failures": ("User.SignInFailed",),
    "denials": ("User.Denied",),
    "users": (
        "User.Registered", "User.RoleChanged", "User.Deactivated", "User.Reactivated",
        "User.PasswordChanged", "User.SecondFactorEnrolled", "User.SecondFactorRemoved",
        "User.RecoveryCodeUsed", "User.ResetLinkMade",
    ),
    "settings": ("Configuration",),
    "accounts": ("ChartOfAccounts", "Chart"),
    "holdings plan": ("HoldingsPlan",),
    "keys": ("Keys",),
}  # fmt: skip


class Row(NamedTuple):
    event: EventView
    who: str
    whom: str
    what: str


@pages.get("/activity")
def show() -> str:
    kind, person = request.args.get("kind", "").strip(), request.args.get("user", "").strip()
    known = everybody()
    if kind and kind not in KINDS:
        raise BadInput(f"kind={kind[:40]!r} is not one of {', '.join(KINDS)}.")
    if person and person not in known:
        raise BadInput("There is no such user; choose one from the list.")
    before = number("before", frame().position + 1, 1)
    found = list(islice(_matching(kind, person, before), ROWS + 1))
    names = {each.id: each.name for each in known.values()}
    return render_template(
        "activity.html",
        rows=[_row(event, names) for event in found[:ROWS]],
        older=found[ROWS - 1].position if len(found) > ROWS else 0,
        newest="before" not in request.args,
        kinds=KINDS, kind=kind, person=person, people=sorted(names.items(), key=lambda n: n[1]),
    )  # fmt: skip


def _matching(kind: str, person: str, before: int) -> Any:
    """Events newest first, up to the moment that the page shows."""
    topics = KINDS[kind] if kind else tuple(each for some in KINDS.values() for each in some)
    for _ in range(LOOKED_AT // READ):
        batch = shared().queries.events(
            before=before, limit=READ, newest_first=True, topics=topics,
            known_at=frame().position,
        )  # fmt: skip
        yield from (e for e in batch if not person or person in (e.actor, e.payload.get("user_id")))
        if len(batch) < READ:
            return
        before = batch[-1].position


def _row(event: EventView, names: dict[str, str]) -> Row:
    subject = event.payload.get("user_id", "")
    whom = names.get(subject, "") if subject != event.actor else ""
    said = "cannot be read by this version"
    if not event.unreadable:
        said = _said(event)
    return Row(event, names.get(event.actor, event.actor), whom, said)


def _said(event: EventView) -> str:
    """One event in words."""
    topic, p = event.topic, event.payload
    match topic:
        case "User.SignedIn":
            factor = " with a second factor" if p["second_factor"] else ""
            return f"signed in{factor} from {p['address']}"
        case "User.SignInFailed":
            waits = f"; waits {-(-p['waits_s'] // 60)} min" if p["waits_s"] else ""
            return f"failed to sign in from {p['address']}: {p['cause']}{waits}"
        case "User.Denied":
            return f"was refused {p['method']} {p['route']} as {p['role']}"
        case "User.Registered":
            return f"registered {p['name']} as {p['role']}"
        case "User.RoleChanged":
            return f"role {p['before']} → {p['role']}: {p['reason']}"
        case "User.PasswordChanged":
            return "set a password by link" if p["way"] == "link" else "changed the password"
        case "User.ResetLinkMade":
            return f"one-time link, {'mailed' if p['sent'] == 'mail' else 'shown once'}"
        case "Keys.Rotated" | "Keys.Renewed":
            return _renewed(event)
        case "Configuration.Changed":
            return f"changed {', '.join(change['key'] for change in p['changes'])}"
    reason = f": {p['reason']}" if p.get("reason") else ""
    return _WORDS.get(topic, topic) + reason


def _renewed(event: EventView) -> str:
    if event.topic == "Keys.Rotated":
        restored = event.actor == RECOVERY
        return "keys restored with the recovery key" if restored else "all keys rotated"
    what = "root key changed" if event.payload["root_key"] else "all keys renewed by hand"
    return f"{what}: {event.payload['reason']}"


_WORDS = {
    "User.SignedOut": "signed out",
    "User.SignedOutEverywhere": "signed out everywhere",
    "User.Deactivated": "deactivated",
    "User.Reactivated": "reactivated",
    "User.SecondFactorEnrolled": "enrolled a second factor",
    "User.SecondFactorRemoved": "removed the second factor",
    "User.RecoveryCodeUsed": "used a recovery code",
    "Configuration.Adopted": "settings adopted",
    "ChartOfAccounts.Adopted": "chart of accounts adopted",
    "ChartOfAccounts.Changed": "chart of accounts changed",
    "HoldingsPlan.Saved": "holdings plan saved",
    "Keys.SignerIntroduced": "a key to sign checkpoints introduced",
}
