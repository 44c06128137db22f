"""One form of settings on its way: what was in force when it was opened, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import request

from aggregates.configuration import Change
from config.setting_check import Finding
from config.setting_model import KEYS
from runtime.settings_history import Revision
from web.access import actor
from web.frame import BadInput
from web.setting_drafts import drafts
from web.setting_fields import Sent, read_form

GONE = (
    "the new secrets that you typed were not kept (they are forgotten after 15 minutes, or when "
    "the pages are started again); type them again"
)


@dataclass
class Asked:
    """``touched`` are the texts that differ from what the person saw, typed secrets among them.

    ``seen`` is the revision that was looked at; ``found`` what could not even be read.
    """

    seen: int
    touched: dict[str, str]
    cleared: set[str] = field(default_factory=set)
    found: list[Finding] = field(default_factory=list)
    draft: str = ""  # the token of the typed secrets

    @property
    def plain(self) -> dict[str, str]:
        """What a page may send back."""
        return {n: text for n, text in self.touched.items() if not _secret(n)}

    @property
    def secrets(self) -> dict[str, str]:
        return {n: text for n, text in self.touched.items() if text and _secret(n)}


def read_asked(history: list[Revision], *, keep: bool = True) -> Asked:
    """The form of this request. ``keep``: typed secrets are kept for the next page.

    Raises BadInput when it does not say which revision it was opened on.
    """
    sent = read_form(request.form)
    seen = _seen(history)
    was = values_of(history, seen)
    touched = {n: t for n, t in sent.texts.items() if n in sent.cleared or t != was.get(n)}
    asked = Asked(seen, touched, sent.cleared, list(sent.faults))
    _add_kept(asked, sent)
    if keep:
        asked.draft = drafts().keep(actor(), asked.secrets)
    return asked


def _add_kept(asked: Asked, sent: Sent) -> None:
    """Secrets that were typed on an earlier page, unless they are typed anew or cleared."""
    kept = drafts().find(actor(), request.form.get("draft", ""))
    if kept is None:
        asked.found.append(Finding((), GONE))
    asked.touched |= {n: t for n, t in (kept or {}).items() if n not in sent.texts}


def _seen(history: list[Revision]) -> int:
    text = request.form.get("seen", "")
    numbers = {str(revision.number): revision.number for revision in history}
    if text not in numbers:
        raise BadInput(
            "The form does not say which revision of the settings it was opened on. Nothing was "
            "changed; load the settings again."
        )
    return numbers[text]


def values_of(history: list[Revision], number: int) -> dict[str, str]:
    """Every setting that is no secret, as it was in force in that revision."""
    recorded = next(r.values for r in history if r.number == number)
    return {
        name: recorded.get(name, key.default_text) for name, key in KEYS.items() if not key.secret
    }


def events_of(history: list[Revision]) -> dict[str, int]:
    """The position of the event that set each key last."""
    return {c.key: revision.position for revision in history for c in revision.changes}


def hidden_of(asked: Asked) -> list[tuple[str, str]]:
    """The form again as hidden fields: what changes, and never a secret."""
    fields = [*asked.plain.items(), *(("clear", name) for name in sorted(asked.cleared))]
    return [("seen", str(asked.seen)), ("draft", asked.draft), *fields]


def worded(change: Change) -> Change:
    """A change as people read it; of a secret only whether there was one."""
    if not _secret(change.key):
        return change
    after = "cleared" if not change.after else "a new secret" if change.before else "set"
    return Change(key=change.key, before="set" if change.before else "not set", after=after)


def conflicts(asked: Asked, changes: tuple[Change, ...]) -> Mapping[str, Change]:
    """What somebody else changed meanwhile and is asked for otherwise here."""
    return {
        c.key: c
        for c in changes
        if c.key in asked.touched and (_secret(c.key) or asked.touched[c.key] != c.after)
    }


def _secret(name: str) -> bool:
    return name in KEYS and KEYS[name].secret
