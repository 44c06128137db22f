"""The forms that change the chart of accounts: what was typed becomes an edit, or faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import request

from aggregates.chart_edits import (
    CreateAccount,
    DeactivateAccount,
    MapRole,
    MoveAccount,
    ReactivateAccount,
    RenameAccount,
)
from aggregates.chart_of_accounts import AccountChange, ChartEdit
from config.clock import local_date
from runtime.chart_change import with_books
from web.access import may
from web.frame import BadInput, NotThere, frame, whole
from web.shared import shared

KINDS: dict[str, type[ChartEdit]] = {
    "new": CreateAccount,
    "rename": RenameAccount,
    "move": MoveAccount,
    "deactivate": DeactivateAccount,
    "reactivate": ReactivateAccount,
    "map": MapRole,
}
# The fields that a person sees in each form; the others are hidden in it.
FIELDS = {
    "new": ("code", "name", "type", "parent", "per_instrument", "reason"),
    "rename": ("name", "reason"),
    "move": ("parent", "reason"),
    "deactivate": ("reason",),
    "reactivate": ("reason",),
    "map": ("code", "reason"),
}
DONE = {
    "new": "Account {code} was created.",
    "rename": "Account {code} was renamed.",
    "move": "Account {code} was moved.",
    "deactivate": "Account {code} was deactivated; its postings stay.",
    "reactivate": "Account {code} is active again.",
    "map": "From now on the role {role} posts to {code}; what was posted stays where it is.",
}
LONGEST = 2000  # characters of a field that are looked at and shown again


@dataclass
class Typed:
    """One form as it was sent, with what is wrong; empty for a form that nobody sent yet."""

    what: str = ""
    values: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    moved: tuple[AccountChange, ...] = ()

    def value(self, what: str, name: str, otherwise: str = "") -> str:
        return self.values.get(name, otherwise) if what == self.what else otherwise

    def fault(self, what: str, name: str) -> str:
        return self.faults.get(name, "") if what == self.what else ""


def may_change() -> bool:
    """Accountant and admin may, now, and not in a demo: it has no vault that keeps the change."""
    return may("accounts.edit") and frame().present


def check_may_change() -> None:
    if not may_change():
        raise BadInput(
            "The chart of accounts is changed in the present, and not in a demo. Nothing was "
            "changed; go back to now."
        )


def typed(what: str) -> Typed:
    """What was sent. Raises NotThere for a form that there is not."""
    if what not in KINDS:
        raise NotThere(f"There is no form {what[:20]!r} of the chart of accounts.")
    sent = {name: text[:LONGEST] for name, text in request.form.items()}
    # a browser sends line ends and spaces as they were pasted: at the ends they mean nothing
    values = {name: text.strip(" ") for name, text in sent.items()}
    return Typed(what, values, seen=_number(values.get("seen", "")))


def edit_of(sent: Typed) -> ChartEdit:
    """The edit that a form asks for, with what the books say now."""
    kind, now = KINDS[sent.what], shared().clock.now()
    given: dict[str, Any] = {
        name: sent.values.get(name, "")
        for name in kind.__struct_fields__
        if name in ("code", "name", "type", "parent", "role", "reason")
    }
    if kind is CreateAccount:
        given["per_instrument"] = sent.values.get("per_instrument") == "yes"
    if kind in (DeactivateAccount, MapRole):
        given |= {"books_at": 0, "held": ()}
    zone = frame().zone
    edit = kind(at=now, effective_date=local_date(now, zone), seen=sent.seen, **given)
    return with_books(shared().queries, edit)


def done(sent: Typed) -> str:
    words = {"code": sent.values.get("code", ""), "role": sent.values.get("role", "")}
    return DONE[sent.what].format(**words).replace("_", " ")


def _number(text: str) -> int:
    if (found := whole(text, digits=9)) is None:
        raise BadInput(
            "The form does not say which version of the chart it was opened on. Nothing was "
            "changed; load the page again."
        )
    return found
