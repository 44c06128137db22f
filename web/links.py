"""One-time links to set a password: mailed where that is possible, else shown once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import url_for

from aggregates.user_activity import RecordResetLink
from aggregates.users import Person
from runtime.mail import MailNotSent, can_send, send
from web.access import actor, still_in
from web.door import door, people
from web.forms import command_id, forms, notice, show_once
from web.shared import shared


def make_link(person: Person, before: str) -> None:
    """A one-time link: mailed where that is possible, else shown once to the admin who asked."""
    minutes, token = people().settings.RESET_LINK_MINUTES, secrets.token_urlsafe(32)
    number = command_id("link")
    if not forms().first(number):  # sent twice: the link that was made stands
        return
    until = shared().clock.now() + timedelta(minutes=minutes)
    still_in()  # a link gives more than most changes do
    door().sessions().keep_link(token, person.id, person.era, until)
    address = url_for("sign_in.reset", token=token, _external=True)
    mailed, said, tone = _mailed(person, address, minutes)
    people().record(
        RecordResetLink, actor=actor(), command_id=number, user_id=person.id,
        sent="mail" if mailed else "shown", minutes=minutes,
    )  # fmt: skip
    if not mailed:
        show_once("link", {"address": address, "minutes": minutes, "user": person.id})
    notice(f"{before} {said}".strip(), tone)


def _mailed(person: Person, address: str, minutes: int) -> tuple[bool, str, str]:
    """Whether the link went out by mail, what to say, and its tone."""
    settings = people().settings
    if not person.email or not can_send(settings):
        return False, "The link is below; it is shown once.", "good"
    text = (
        f"Set your password for TradeBot ({settings.identity}) here:\n\n{address}\n\n"
        f"The link holds for {minutes} minutes and works once. Your user name is {person.name}.\n"
    )
    try:
        send(settings, person.email, "Set your password", text)
    except MailNotSent as e:
        return False, f"{e} The link is below instead; it is shown once.", "warn"
    return True, f"A link to set a password was mailed to {person.email}.", "good"
