"""Capital: the purses, what moved them, and the forms that book it by hand.

What a form will post is shown before it is booked: the posting rules in a dry run
(runtime/capital.py). Booked is what was shown, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.errors import DomainError
from runtime.capital import EntryRefused, NotAsShown, Outlook, book, look
from runtime.holdings_view import Entry
from runtime.purses import Reserves
from runtime.query_records import EventView
from web.access import actor
from web.capital_fields import PURPOSES, RESERVES, held, today
from web.capital_forms import FORMS, Sent, booked_under, command_of, reference, sent_form
from web.capital_remarks import remarks
from web.forms import command_id, notice
from web.frame import BadInput, NotThere, frame, number
from web.ledger import is_reversed, mark_of
from web.shared import shared

pages = Blueprint("capital", __name__, url_prefix="/capital")
Answer = Response | str | tuple[str, int]
Marked = tuple[Entry, str]
NEWEST = 25  # movements on the page
TOPICS = ("Capital", "Instrument.Split", "Instrument.Renamed", "Books.EntryReversed")
OWN = ("payout", "release", "reverse")  # forms with an address, and roles, of their own


class Movement(NamedTuple):
    """An event with its entries, and whether they are reversed by now."""

    event: EventView
    entries: list[Marked]
    reversed: bool


class Looked(NamedTuple):
    """What the outlook part of a form shows: what it would do, or why it cannot be done."""

    outlook: Outlook | None = None
    said: str = ""  # a refusal that belongs to no field
    remarks: tuple[str, ...] = ()  # not refused, but to know before it is booked


@pages.get("")
def show() -> str:
    """The purses and the newest movements, as of both clocks; ``event`` is one to look at."""
    return render_template(
        "capital.html",
        purses=_purses(),
        movements=list(islice(_movements(), NEWEST)),
        booked=_booked(number("event", 0)),
        forms={what: form for what, form in FORMS.items() if what not in OWN},
        may_book=may_book(),
    )


def _purses() -> Reserves | None:
    """None before there was a chart of accounts: then there was no purse either."""
    try:
        return shared().queries.purses(frame().clocks)
    except DomainError:
        return None


def _movements() -> Iterator[Movement]:
    """Newest events first: those with an entry that both clocks know."""
    around, before, queries = frame(), None, shared().queries
    while events := queries.events(
        topics=TOPICS, newest_first=True, limit=NEWEST, known_at=around.position, before=before
    ):
        for event in events:
            if _later(event):
                continue
            found = queries.journal(around.clocks, position=event.position)
            if own := _marked(found, event.position):
                yield Movement(event, own, is_reversed(found, event.position))
        before = events[-1].position


def _later(event: EventView) -> bool:
    """Whether its entry is of a later day than the page's; a reversal has that of what it reverses.
    Asking the ledger, which knows it anyway, takes longer."""
    until = frame().effective
    if until is None or event.topic == "Books.EntryReversed":
        return False
    return event.effective_date > str(until)


def _entries(position: int) -> list[Marked]:
    """What the event itself posted, as of both clocks."""
    return _marked(shared().queries.journal(frame().clocks, position=position), position)


def _marked(entries: list[Entry], position: int) -> list[Marked]:
    return [(entry, mark_of(entry)) for entry in entries if entry.position == position]


def _booked(position: int) -> tuple[object, list[Marked]] | None:
    event = shared().queries.event(position) if 0 < position <= frame().position else None
    if event is None or not event.topic.startswith(TOPICS):
        return None
    return event, _entries(position)


def may_book() -> bool:
    """In the present, and not in a demo: it has no vault, so nobody could be signed in."""
    return frame().present


@pages.route("/new/<what>", methods=["GET", "POST"])
def entry(what: str) -> Answer:
    """A movement of money that has happened, a split, or another symbol."""
    if what not in FORMS or what in OWN:
        raise NotThere(f"There is no form {what[:20]!r} of the capital page.")
    return _form(what)


@pages.route("/payout", methods=["GET", "POST"])
def payout() -> Answer:
    """A reserve pays what it is kept for."""
    return _form("payout")


@pages.route("/release", methods=["GET", "POST"])
def release() -> Answer:
    """The override: a reserve becomes float again."""
    return _form("release")


@pages.route("/reverse/<int:position>", methods=["GET", "POST"])
def reverse(position: int) -> Answer:
    """The entry of one event, undone at its own date."""
    event = shared().queries.event(position)
    if event is None or not _entries(position):
        raise NotThere(f"Event {position} posted no entry that could be reversed.")
    return _form("reverse", position)


def _form(what: str, position: int = 0) -> Answer:
    """Show it, check it while one types, show what it posts, and book it."""
    if not may_book():
        raise BadInput("Capital is booked in the present, and not in a demo. Nothing was changed.")
    if request.method == "GET":
        return _page(Sent(what, {"day": str(today())}, position=position), Looked())
    sent = sent_form(what, position)
    match request.form.get("step", ""):
        case "check":
            return _checked(sent)
        case "book":
            return _book(sent)
        case _:
            looked = _look(sent)
            _forget_empty(sent, "reason", "confirm")
            return _page(sent, looked), 422 if sent.faults or looked.said else 200


def _checked(sent: Sent) -> str:
    """While one types: faults of what is typed, and what it would post."""
    looked = _look(sent)
    _forget_empty(sent, *sent.form.fields)
    return render_template("capital_check.html", sent=sent, looked=looked)


def _forget_empty(sent: Sent, *names: str) -> None:
    """Nobody is told of a field that is still empty before it matters."""
    for name in names:
        if not sent.values.get(name):
            sent.faults.pop(name, None)


def _look(sent: Sent) -> Looked:
    command = command_of(sent, booking=False)
    if command is None:
        return Looked()
    try:
        outlook = look(shared().custody(), shared().queries, command)
        return Looked(outlook, remarks=remarks(command, outlook))
    except DomainError as e:
        return _refused(sent, e)


def _book(sent: Sent) -> Answer:
    command = command_of(sent, booking=True)
    if command is None:
        looked = _look(Sent(sent.what, sent.values, position=sent.position))
        return _page(sent, looked), 422
    try:
        done = book(
            shared().custody(),
            shared().queries,
            command,
            shown=request.form.get("shown", ""),
            actor=actor(),
            command_id=command_id(f"capital-{sent.what}-{sent.position}"),
        )
    except EntryRefused as e:
        return _page(sent, Looked(e.outlook)), 422
    except NotAsShown as e:
        return _page(sent, Looked(e.outlook, str(e), remarks(command, e.outlook))), 409
    except DomainError as e:
        return _page(sent, _refused(sent, e)), 422
    said = "is booked already; nothing was booked again" if done.repeated else "is booked"
    # a rename moves nothing
    below = "is its event" if sent.what == "rename" else "are its event and its entry"
    notice(f"{sent.form.title} {said}. Below {below}.")
    return redirect(url_for("capital.show", event=done.positions[0]), 303)


def _refused(sent: Sent, e: DomainError) -> Looked:
    """Beside the reference when that is taken; else said as it is."""
    if "reference" in sent.values and (taken := booked_under(reference(sent))):
        sent.faults["reference"] = f"Event {taken} is booked under it already"
        return Looked()
    return Looked(said=str(e))


def _page(sent: Sent, looked: Looked) -> str:
    return render_template(
        "capital_entry.html",
        sent=sent,
        looked=looked,
        reserves=RESERVES,
        purposes=PURPOSES,
        held=held() if sent.what in ("split", "rename", "dividend", "withholding") else [],
        purses=shared().queries.purses(),
        original=_entries(sent.position) if sent.position else [],
    )
