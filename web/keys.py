"""The keys: what is in force, the line of signers, and the three ways to have new ones.

Nothing here is a secret: places and public halves alone. Each change is asked for with a reason.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Sent

from aggregates.errors import DomainError
from runtime.custody import Custody
from runtime.key_facts import KeyFacts, carried_out, key_facts
from runtime.key_renewal import renew_keys
from runtime.signers import introduce_signer
from security.keyfile import KeyFileError
from web.access import actor
from web.forms import command_id, notice
from web.frame import NotThere, frame
from web.shared import shared

pages = Blueprint("keys", __name__, url_prefix="/keys")
Answer = Sent | str | tuple[str, int]
Change = Callable[[Custody, str, str], object]  # with reason and command id
LONGEST = 500  # characters of a reason
WORDS = {
    "signer": "introduce",
    "root": "change",
    "renew": "",
}  # to be typed, so that none is a slip


@pages.get("")
def show() -> str:
    return _page("")


@pages.get("/introductions/<int:number>.json")
def introduction(number: int) -> Response:
    """The published proof of one new signing key, for who verifies checkpoints."""
    line = {each.number: each for each in key_facts(shared().custody()).line}
    if number not in line or (path := line[number].proof) is None:
        raise NotThere("There is no proof of that number yet; the next checkpoint makes it.")
    return Response(path.read_bytes(), mimetype="application/json")


@pages.post("/signer")
def signer() -> Answer:
    """A new key that signs checkpoints."""

    def introduce(custody: Custody, reason: str, token: str) -> object:
        return introduce_signer(custody, reason=reason, actor=actor(), command_id=token)

    said = (
        "A new signing key is in force. The next checkpoint is signed by it and by the one before."
    )
    return _changed("signer", introduce, said)


@pages.post("/root")
def root() -> Answer:
    """Another root key: of the vault, everything is wrapped under it from now on."""

    def change(custody: Custody, reason: str, token: str) -> object:
        return renew_keys(custody, root_key=True, reason=reason, actor=actor(), command_id=token)

    said = "A new root key is in use. Copy it from its new place to where you keep the old one."
    return _changed("root", change, said)


@pages.post("/renew")
def renew() -> Answer:
    """All keys but the root key, without another change."""

    def change(custody: Custody, reason: str, token: str) -> object:
        return renew_keys(custody, root_key=False, reason=reason, actor=actor(), command_id=token)

    return _changed("renew", change, "All keys and encrypted secrets were renewed.")


def _changed(form: str, change: Callable[[Custody, str, str], object], said: str) -> Answer:
    """Carry out one form: done, or the page again with what is wrong and what was typed."""
    custody, token = shared().custody(), command_id(f"keys-{form}")
    if carried_out(custody, token):  # sent twice
        return redirect(url_for("keys.show"), 303)
    reason, typed = _typed(f"{form}-reason"), _typed(f"{form}-confirm")
    if request.form.get("seen", "") != seen(form, key_facts(custody)):
        return _page(form, reason=reason, stale=True), 409
    if faults := _faults(form, reason, typed):
        return _page(form, faults, reason, typed), 422
    try:
        change(custody, reason, token)
    except DomainError as e:
        return _page(form, reason=reason, failed=str(e)), 422
    except KeyFileError as e:  # no room on the disk, a folder that cannot be written
        return _page(form, reason=reason, failed=str(e)), 503
    notice(said)
    return redirect(url_for("keys.show"), 303)


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()[: LONGEST + 1]


def _faults(form: str, reason: str, typed: str) -> dict[str, str]:
    found = {}
    if not reason:
        found["reason"] = "A reason is needed; it is kept with the change for good"
    elif len(reason) > LONGEST:
        found["reason"] = f"At most {LONGEST} characters"
    if typed.casefold() != WORDS[form]:
        found["confirm"] = f"Type the word {WORDS[form]} to confirm"
    return found


@pages.app_template_global("seen_of_keys")
def seen(form: str, facts: KeyFacts) -> str:
    """What a form was made for: stale when somebody else has changed just that."""
    if form == "signer":
        return facts.vkey
    return facts.root_key.name if form == "root" else "any"


def _page(
    form: str,
    faults: dict[str, str] | None = None,
    reason: str = "",
    typed: str = "",
    *,
    failed: str = "",
    stale: bool = False,
) -> str:
    custody = shared().custody()
    return render_template(
        "keys.html",
        facts=key_facts(custody),
        folder=custody.folder.root,
        words=WORDS,
        longest=LONGEST,
        form=form,
        faults={f"{form}-{name}": text for name, text in (faults or {}).items()},
        reason=reason,
        typed=typed,
        failed=failed,
        stale=stale,
        may_change=not frame().fixed,
    )
