"""A rebalance before it is done, a cash top-up, and what came of each: asked for here, carried out
by whoever trades.

The preview that is confirmed is named by its digest and its position, so nothing else than what was
seen is asked for. A request waits, visibly, until the supervisor has answered (decision 0032).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aggregates.errors import DomainError
from aggregates.holdings_requests import REASON_LONGEST
from runtime.holdings_requests import (
    Asked,
    PreviewMoved,
    ask_rebalance,
    ask_top_up,
    requests_of,
    withdraw,
)
from runtime.holdings_view import top_up_sales
from runtime.rebalance_preview import NoPlan, Shown, preview_now
from web.access import actor, may
from web.forms import command_id, notice
from web.frame import BadInput, NotThere, frame, whole
from web.holdings_ahead import taken_up
from web.holdings_shown import before_the_books, shown, why_it_waits
from web.shared import shared

pages = Blueprint("rebalancing", __name__, url_prefix="/holdings")
pages.before_request(before_the_books)
Answer = str | tuple[str, int] | Response
ASKED = "{} is asked for. It waits below until it is taken up: {}."


@pages.get("/rebalance")
def preview() -> str:
    """What a rebalance would do by the newest prices that were known at the page's moment."""
    return _preview_page({})


@pages.post("/rebalance")
def ask() -> Answer:
    """Ask for the rebalance that was previewed, or say why it cannot be asked for."""
    if fault := _reason_fault():
        return _preview_page({"reason": fault}), 422
    try:
        ask_rebalance(
            shared().custody(), shared().queries, digest=request.form.get("digest", ""),
            position=_position(), actor=actor(), reason=_reason(),
            command_id=command_id("holdings-rebalance"),
        )  # fmt: skip
    except PreviewMoved as e:
        return _preview_page({"preview": str(e)}), 409
    except DomainError as e:
        return _preview_page({"preview": str(e)}), 422
    notice(ASKED.format("The rebalance", taken_up()))
    return redirect(url_for("holdings.grid"), 303)


@pages.get("/top-up")
def top_up() -> str:
    """What the float lacks, and what a top-up does."""
    return _top_up_page({})


@pages.post("/top-up")
def ask_for_top_up() -> Answer:
    """Ask to sell what the float lacks."""
    if fault := _reason_fault():
        return _top_up_page({"reason": fault}), 422
    try:
        ask_top_up(
            shared().custody(), actor=actor(), reason=_reason(),
            command_id=command_id("holdings-top-up"),
        )  # fmt: skip
    except DomainError as e:
        return _top_up_page({"asked": str(e)}), 422
    notice(ASKED.format("The cash top-up", taken_up()))
    return redirect(url_for("holdings.grid"), 303)


@pages.get("/requests/<name>")
def outcome(name: str) -> str:
    """One request: what was asked, by whom, and the result against the preview."""
    asked = _asked(name)
    return render_template(
        "holdings_outcome.html", asked=asked, may_ask=may_ask(), why=why_it_waits(asked)
    )


@pages.post("/requests/<name>/withdraw")
def take_back(name: str) -> Answer:
    """Take back what still waits."""
    asked = _asked(name)
    try:
        withdraw(
            shared().custody(), asked.request_id, actor=actor(), reason=_reason(),
            command_id=command_id("holdings-withdraw"),
        )  # fmt: skip
    except DomainError as e:
        notice(str(e), "warn")
        return redirect(url_for("rebalancing.outcome", name=name), 303)
    notice("The request is taken back (withdrawn); nothing is bought or sold for it.")
    return redirect(url_for("holdings.grid"), 303)


def may_ask() -> bool:
    """Operators may, now, and not in a demo."""
    return may("rebalancing.ask") and frame().present


def _asked(name: str) -> Asked:
    """Raises NotThere."""
    known = shared().queries.of_history(requests_of, frame().clocks)
    found = next((each for each in known if each.request_id == name), None)
    if found is None:
        raise NotThere("No request is called so, or it was not made yet at this moment.")
    return found


def _reason() -> str:
    return request.form.get("reason", "").strip()


def _reason_fault() -> str:
    """It is kept for good, with what is bought and sold."""
    if not _reason():
        return "A reason is needed; it is kept for good"
    if len(_reason()) > REASON_LONGEST or not _reason().isprintable():
        return f"At most {REASON_LONGEST} characters that can be printed"
    return ""


def _position() -> int:
    if (position := whole(request.form.get("position", ""))) is None:
        raise BadInput(
            "The form does not say which preview it is about. Nothing was asked; look at the "
            "preview again."
        )
    return position


def _preview_page(faults: dict[str, str]) -> str:
    """Always the newest preview; with what an older one was refused for."""
    found = _previewed()
    return _page("holdings_rebalance.html", faults, found=found)


def _previewed() -> Shown | None:
    """None while no plan is saved."""
    clocks = frame().clocks if frame().fixed else shared().queries.moment(None, None)
    try:
        return preview_now(shared().queries, clocks)
    except NoPlan:
        return None


def _top_up_page(faults: dict[str, str]) -> str:
    return _page("holdings_top_up.html", faults, sales_of=top_up_sales)


def _page(template: str, faults: dict[str, str], **more: Any) -> str:
    h = shown(present=not frame().fixed)
    return render_template(
        template, h=h, faults=faults, may_ask=may_ask(), reason=request.form.get("reason", ""),
        longest=REASON_LONGEST, **more,
    )  # fmt: skip
