"""What a plan will do by itself, and when: said beside its fields before it is saved, and after."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from runtime.status import Status, read_status
from web import live
from web.door import folder
from web.formatting import short_day
from web.frame import frame
from web.holdings_shown import Shown
from web.shared import shared

BEFORE = ("", "open")  # phases of a session before that of the holdings


class Ahead(NamedTuple):
    """``when`` the next holdings phase is, and when the next ``rebalance``, in words. ``over`` is
    the cash above the float target, ``moved`` about what a rebalance would sell or buy now; None
    where a price is missing or the form is faulty."""

    when: str
    rebalance: str
    overdue: bool
    over: Decimal | None
    moved: Decimal | None


def when_next() -> str:
    """The next holdings phase, as far as the bot has said what it does."""
    told, now = read_status(folder()), shared().clock.now()
    if told is None or not live.runs(told, now):
        return _next_session(told)
    if told.phase in BEFORE:
        return "in the session that runs, soon after its open phase"
    if told.phase == "holdings":
        return "in the holdings phase that runs now"
    return "in the holdings phase of the next session"


def _next_session(told: Status | None) -> str:
    due = told.next_phase.at if told and told.next_phase else None
    return f"in the next session{f', {short_day(due.date())}' if due else ''}"


def taken_up() -> str:
    """When a request that waits is taken up, in words."""
    told, now = read_status(folder()), shared().clock.now()
    if told is None or not live.runs(told, now):
        return f"{_next_session(told)}, after its open phase"
    if told.phase in BEFORE:
        return "in the session that runs, after its open phase"
    return "in the session that runs, within minutes, after what is under way"


def rebalance_due(shown: Shown, months: int) -> tuple[str, bool]:
    """When the next rebalance is due if one is made every so many months; whether that is over."""
    due = shown.due
    if due is None:
        return f"{months} months after the plan's first version", False
    if due.months != months:
        return f"{months} months after {short_day(due.last)}", False
    today = frame().effective or shared().clock.now().date()
    return f"on {short_day(due.on)}", due.on <= today


def above_target(shown: Shown, float_target: Decimal) -> Decimal | None:
    """Cash above the float target of so many percent; 0 where there is none, None: not known."""
    value = shown.state.account_value
    if value is None:
        return None
    over: Decimal = shown.state.reserves.float - value * float_target / 100
    return max(over, Decimal(0)).quantize(Decimal(1).scaleb(-frame().exponent))
