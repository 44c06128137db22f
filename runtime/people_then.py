"""Everybody who could sign in as of both clocks, from the one stream that all users share."""

from __future__ import annotations

from datetime import date

from aggregates.users import STREAM, Users
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf


def people_then(feed: Feed, as_of: AsOf = NOW) -> Users:
    """The users that both clocks know; nobody before the first was registered.

    Raises MissingKey when the key of an event is not here.
    """
    until = as_of.date or date.max
    position = FOREVER if as_of.position is None else as_of.position
    users = Users(STREAM)
    for row in feed.stream(STREAM):
        if row.position > position:
            break
        event = feed.event(row)
        # up to the first that is later: nobody is changed here who was not registered before
        if event.effective_date > until:
            break
        users.fold(event)
    return users
