"""Small changes that are one command: recorded at once, and what the person sees then."""

from __future__ import annotations

from collections.abc import Callable

from flask import redirect, url_for
from werkzeug.wrappers import Response

from aggregates.base import Command
from aggregates.errors import DomainError
from web.access import actor
from web.forms import command_id, notice
from web.shared import shared

Answer = Response | str | tuple[str, int]


def recorded(
    command: Command,
    page: Callable[..., str],
    *,
    of: str,
    form: str,
    field: str,
    moved: type[DomainError],
    said: str,
) -> Answer:
    """Carry it out and go to the page of the blueprint ``of``, which says ``said``.

    ``moved`` is raised when somebody else was faster: 409. What the domain refuses stands next to
    ``field``, 422. ``page`` shows the form again with (form, faults, moved=…).
    """
    try:
        shared().custody().record(
            command, actor=actor(), command_id=command_id(f"{of}-{form}"), correlation=of
        )
    except moved:
        return page(form, {}, moved=True), 409
    except DomainError as e:
        return page(form, {field: str(e)}), 422
    notice(said)
    return redirect(url_for(f"{of}.show"), 303)


def reason_fault(field: str, reason: str, longest: int) -> dict[str, str]:
    if not reason:
        return {field: "A reason is needed; it is kept for good"}
    if len(reason) > longest or not reason.isprintable():
        return {field: f"At most {longest} characters, on one line"}
    return {}
