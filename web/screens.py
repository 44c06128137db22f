"""Which securities were looked at, chosen and rejected, and the universe they come from (M16)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from config.clock import local_date
from runtime.connection_tests import try_market_data
from runtime.screen_files import UNIVERSE, Progress, read_facts, read_progress
from runtime.screen_view import (
    Chosen,
    DayScreens,
    Universe,
    age_of,
    newest_universe,
    screens_of,
)
from runtime.settings_change import current_settings
from screeners.filters import Looked
from web.access import may
from web.door import folder
from web.forms import notice
from web.frame import NotThere, day_of, frame, link, number
from web.setting_form import values_of
from web.shared import shared

pages = Blueprint("screens", __name__, url_prefix="/screens")
Answer = Response | str | tuple[str, int]
ROWS = 100  # securities of the universe on a page
LOOKED_BACK = 60  # sessions in which a universe is looked for; none may be used for so long
STALE_S = 300  # seconds after which a rebuild that told nothing more has ended


class Row(NamedTuple):
    """A security with its facts. ``gap`` is a share of the close before, with its sign."""

    looked: Looked
    gap: Decimal | None


class Screen(NamedTuple):
    """One choice. ``rows`` are None where the file of facts is gone or was changed."""

    chosen: Chosen
    rows: list[Row] | None
    rejected: list[Row]


@pages.get("")
def show() -> str:
    """The candidates of a session: ``day``, or the newest one that the page knows."""
    days = _days()
    day = _wanted(days)
    found = _screens(day) if day else None
    universe = _newest(days)
    return render_template(
        "screens.html",
        day=day,
        screens=[_screen(day, each) for each in found.chosen] if day and found else [],
        made=found,
        universe=universe,
        age=_age(universe),
        longest=values().get("SCREENER_UNIVERSE_MAX_AGE_DAYS", ""),
        source=values().get("SCREENER_NAME", ""),
        broker=values().get("BROKER_NAME", ""),
        progress=_progress(),
        may_test=frame().present and may("screens.test"),
    )


@pages.get("/universe")
def universe() -> str:
    """The universe of ``day``, else the newest: its securities in the order of preference."""
    days = _days()
    typed = request.args.get("day", "").strip()
    found = _screens(day_of(typed, "Day")).universe if typed else _newest(days)
    if found is None and typed:
        raise NotThere(f"No universe was made after the session of {typed}.")
    first = number("after", 0)
    return render_template(
        "screens_universe.html",
        universe=found,
        age=_age(found),
        longest=values().get("SCREENER_UNIVERSE_MAX_AGE_DAYS", ""),
        rows=_rows(found.day, UNIVERSE, found.made.symbols, found.made.facts) if found else None,
        first=first,
        size=ROWS,
    )


@pages.post("/test")
def test() -> Response:
    """Ask the screener of the settings in force once, whether it would answer. Nothing is changed.

    SCREENER_NAME=FILE: whether the files can be read."""
    with_key = current_settings(shared().custody())
    result = try_market_data(folder(), with_key)
    notice(f"{result.what}: {result.said}", "bad" if result.passed is False else "good")
    return redirect(url_for("screens.show"), 303)


# -- what is shown -----------------------------------------------------------------------------


def _days() -> list[date]:
    """Sessions, newest first; today is among them once something was chosen for it."""
    around = frame()
    days = list(reversed(shared().queries.session_days(around.clocks)))
    today = local_date(shared().clock.now(), around.zone)
    if not around.effective and today not in days and _screens(today).chosen:
        days.insert(0, today)
    return days


def _wanted(days: list[date]) -> date | None:
    typed = request.args.get("day", "").strip()
    day = day_of(typed, "Day") if typed else next(iter(days), None)
    if day is None:
        return None
    if typed and day not in days:
        raise NotThere(f"There is no session on {day}: none is known at this moment.")
    place, around = days.index(day), frame()
    if place + 1 < len(days):
        around.previous = link("screens.show", day=days[place + 1].isoformat())
    if place:
        around.next = link("screens.show", day=days[place - 1].isoformat())
    return day


def _screens(day: date) -> DayScreens:
    return shared().queries.of_history(
        lambda feed, as_of: screens_of(feed, day, as_of), frame().clocks
    )


def _newest(days: list[date]) -> Universe | None:
    near = days[:LOOKED_BACK]
    return shared().queries.of_history(
        lambda feed, as_of: newest_universe(feed, near, as_of), frame().clocks
    )


def _age(found: Universe | None) -> int | None:
    """In sessions, at the moment of the page."""
    if found is None:
        return None
    around = frame()
    moment = around.recorded_at if around.known_at else None
    if around.effective:
        moment = datetime.combine(around.effective, time(23, 59), UTC)
    return age_of(found, values().get("EXCHANGE_CALENDAR", ""), moment or shared().clock.now())


def values() -> dict[str, str]:
    """The settings in force at the moment of the page; none before there were any."""
    history = shared().queries.settings(frame().clocks)
    return values_of(history, history[-1].number) if history else {}


def _progress() -> Progress | None:
    """Of a rebuild that is under way; only the present has one."""
    told = None if frame().fixed else read_progress(folder())
    if told is None or (shared().clock.now() - told.at).total_seconds() > STALE_S:
        return None
    return told


def _screen(day: date, chosen: Chosen) -> Screen:
    made = chosen.made
    looked = read_facts(folder(), day, made.strategy, made.facts)
    if looked is None:
        return Screen(chosen, None, [])
    rejected = (each for each in looked if each.why)
    return Screen(chosen, _in_order(looked, made.symbols), [_row(each) for each in rejected][:ROWS])


def _rows(day: date, name: str, symbols: Iterable[str], digest: str) -> list[Row] | None:
    looked = read_facts(folder(), day, name, digest)
    return None if looked is None else _in_order(looked, symbols)


def _in_order(looked: list[Looked], symbols: Iterable[str]) -> list[Row]:
    by_symbol = {each.facts.symbol: each for each in looked}
    return [_row(by_symbol[symbol]) for symbol in symbols if symbol in by_symbol]


def _row(looked: Looked) -> Row:
    """The open against the close before; where there was none yet, the newest price."""
    facts = looked.facts
    now, before = facts.opening or facts.price, facts.previous_close
    gap = (now - before) / before if now is not None and before else None
    return Row(looked, gap)
