"""Who people are: names beside the ids that events carry, and everybody as of a page's moment."""

from __future__ import annotations

from flask import Flask

from aggregates.users import Person
from web.access import guarded, people
from web.frame import frame
from web.shared import shared


def everybody() -> dict[str, Person]:
    """By id, as known at the moment that the page shows."""
    around = frame()
    if around.fixed:
        return shared().queries.users(around.clocks).people
    return people().users.people


def names() -> dict[str, str]:
    """Every name that was ever given, by id: they never change. A demo has nobody."""
    known = people().users.people if guarded() else {}
    return {each.id: each.name for each in known.values()}


def who(actor: str) -> str:
    """An event's actor as people know him; a part of the bot is named by what it is."""
    return names().get(actor, actor)


def add_names(app: Flask) -> None:
    app.add_template_filter(who)
