"""The events themselves, in order: the list with its filters, and one event with its proof."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request

from web.event_access import check_topic, hidden
from web.formatting import count
from web.frame import BadInput, NotThere, frame, link, number, whole
from web.ledger import is_reversed, mark_of
from web.shared import shared

pages = Blueprint("history", __name__, url_prefix="/history")
ROWS = 50  # on one page
THREAD = 15  # of one thread, before a place and after it
NO_EVENT = 2**60


@pages.get("")
def events() -> str:
    """A page of events in their order; without a place asked for, the newest ones."""
    around, queries = frame(), shared().queries
    left_out = hidden()
    topics = [t for t in queries.topics() if t.partition(".")[0] != left_out]
    asked = {name: request.args.get(name, "").strip() for name in ("type", "stream", "text")}
    filters = {name: text for name, text in asked.items() if text}
    check_topic(asked["type"])
    families = sorted({topic.partition(".")[0] for topic in topics})
    if "type" in filters and filters["type"] not in (*topics, *families):
        raise BadInput(
            f"type={filters['type'][:40]!r} is no type of event; choose a family "
            f"({', '.join(families)}) or one of their types."
        )
    ask = partial(
        queries.events,
        topics=(filters["type"],) if "type" in filters else (),
        stream=asked["stream"],
        text=asked["text"],
        known_at=around.position,
        without=left_out,
    )
    rows = _rows(ask)
    first, last = (rows[0].position, rows[-1].position) if rows else (NO_EVENT, 0)
    return render_template(
        "history.html",
        rows=rows,
        topics=topics,
        filters=filters,
        families={f: [t for t in topics if t.startswith(f"{f}.")] for f in families},
        earlier=bool(rows and ask(before=first, limit=1)),
        later=bool(rows and ask(after=last, limit=1)),
        left_out=left_out,
        first=first,
        last=last,
    )


def _rows(ask: Callable[..., list[Any]]) -> list[Any]:
    if "after" in request.args:
        return ask(after=number("after", 0), limit=ROWS)
    return ask(before=number("before", NO_EVENT, 1), limit=ROWS, newest_first=True)[::-1]


@pages.get("/<position>")
def event(position: str) -> str:
    around, queries = frame(), shared().queries
    place = _place(position)
    found = queries.event(place)
    if found is None or place > around.position:
        raise NotThere(_no_event(place))
    check_topic(found.topic)
    before = queries.event(place - 1) if place > 1 else None
    entries = [] if around.no_books else _entries(place)
    ask = partial(queries.events, limit=1, known_at=around.position, without=hidden())
    around.previous = _link_to(ask(before=place, newest_first=True))
    around.next = _link_to(ask(after=place))
    return render_template(
        "event.html",
        event=found,
        first=_link_to(ask()) if around.previous else "",
        last=_link_to(ask(newest_first=True)) if around.next else "",
        previous_hash=before.hash if before else "",
        posted=[e for e in entries if e[0].position == place],
        about=[e for e in entries if e[0].position != place],
        reversed=is_reversed([e for e, _ in entries], place),
        thread=_thread(found.correlation, place),
        stream=_thread(found.stream, place),
    )


def _link_to(found: list[Any]) -> str:
    return link("history.event", position=found[0].position) if found else ""


def _entries(place: int) -> list[Any]:
    """What the event posted, and what later ones posted about it, each with its mark."""
    queries = shared().queries
    moment = queries.moment(None, str(frame().position))
    return [(entry, mark_of(entry)) for entry in queries.journal(moment, position=place)]


def _place(text: str) -> int:
    if (place := whole(text)) is None:
        raise BadInput(
            f"{text[:40]!r} is not the number of an event; events are numbered from 1 to "
            f"{count(frame().position)}."
        )
    return place


def _no_event(place: int) -> str:
    around = frame()
    newest = around.status.position if around.status else 0
    if around.position < place <= newest:
        return (
            f"Event {count(place)} was recorded after the moment that this page shows (event "
            f"{count(around.position)}). Set “known at” to a later one to see it."
        )
    return f"There is no event {count(place)}; they are numbered 1 to {count(around.position)}."


def _thread(name: str, place: int) -> list[Any]:
    """Events of one correlation or stream around a place, oldest first."""
    if not name:
        return []
    ask = partial(shared().queries.events, stream=name, known_at=frame().position, without=hidden())
    before = ask(before=place + 1, limit=THREAD, newest_first=True)
    return before[::-1] + ask(after=place, limit=THREAD)
