"""What stands around every page: whose books, at which moment of both clocks, and its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from flask import g, request, url_for

from aggregates.errors import DomainError, TradeBotError
from config.clock import local_date
from config.paths import DataFolder
from runtime.moments import WORDS
from runtime.query_records import Status
from runtime.ticks import Tick
from web.jobs import Job
from web.shared import shared
from web.verifier import Verifier

LONGEST = 40  # characters of a clock; a time with zone and microseconds has 32


class BadInput(Exception):
    """Something in the address cannot be used. The text says what, and what is allowed."""


class NotThere(Exception):
    """The address is well formed, but nothing is there."""


class ThePast(Exception):
    """A change was sent from a page that shows the past."""


class NoBooks(Exception):
    """The data folder holds no books yet."""


@dataclass
class Frame:
    """Header and footer of one page. ``clocks`` is handed to every question.

    ``as_of`` and ``known_at`` are the clocks as typed; without ``known_at`` the page holds still
    at the newest event of its first question, so that all its figures belong together.
    ``no_books`` says why the books cannot be shown where the events still can.
    """

    status: Status | None = None
    as_of: str = ""
    known_at: str = ""
    clocks: Any = None
    position: int = 0
    recorded_at: datetime | None = None
    exponent: int = 2
    faulty: bool = False
    no_books: str = ""
    previous: str = ""
    next: str = ""
    hidden: list[tuple[str, str]] = field(default_factory=list)

    @property
    def fixed(self) -> bool:
        """Whether the page shows the past: read only, and another address than the present."""
        return bool(self.as_of or self.known_at) and not self.faulty

    @property
    def present(self) -> bool:
        """Whether something can be changed from this page: it shows the present, and of a bot; a
        demo has no vault that could keep a change."""
        return not self.fixed and self.status is not None and not self.status.demo

    @property
    def effective(self) -> date | None:
        return self.clocks.date if self.clocks is not None else None

    @property
    def query(self) -> dict[str, str]:
        """The clocks as every link carries them on."""
        typed = {"as_of": self.as_of, "known_at": self.known_at}
        return {} if self.faulty else {name: text for name, text in typed.items() if text}

    @property
    def zone(self) -> str:
        return self.status.timezone if self.status else "UTC"

    @property
    def state(self) -> str:
        """The bot's state now, whatever moment the page shows."""
        return shared().queries.bot_state(self.status.state if self.status else "")

    @property
    def words(self) -> tuple[str, ...]:
        """What both clocks offer beside dates, times and events."""
        return WORDS

    @property
    def ticks(self) -> list[Tick]:
        """Where the slider stops; none where the books cannot be shown."""
        return shared().queries.ticks() if self.status and not self.no_books else []

    @property
    def tick(self) -> Tick | None:
        """The stop at or before the moment that the page knows; None for the present."""
        if not self.known_at:
            return None
        before = [tick for tick in self.ticks if tick.position <= self.position]
        return before[-1] if before else self.ticks[0]

    @property
    def verifier(self) -> Verifier:
        return shared().verifier

    @property
    def jobs(self) -> list[Job]:
        """What runs beside the pages right now."""
        return shared().jobs.running()


def frame() -> Frame:
    """That of the present request."""
    if "frame" not in g:
        g.frame = Frame()
    return cast(Frame, g.frame)


def read_frame() -> None:
    """Before a page: find the books and both clocks. Raises NoBooks, BadInput, TradeBotError."""
    around, queries = frame(), shared().queries
    around.as_of, around.known_at = _argument("as_of"), _argument("known_at")
    around.hidden = [
        (name, text)
        for name, text in request.args.items()
        if name not in ("as_of", "known_at", "page", "after", "before", "again")
    ]
    try:
        around.status = queries.status()
        around.exponent = queries.books().exponent
    except TradeBotError as e:
        raise _no_books(e) from e
    _read_clocks(around)


def refuse_in_the_past() -> None:
    """The past is read only: a change acts now, and its form belongs to the present."""
    clocks = any(_argument(name) for name in ("as_of", "known_at"))
    if clocks and request.method != "GET":
        raise ThePast


def without_books(reason: TradeBotError) -> None:
    """The events alone, up to the newest. Raises TradeBotError when these cannot be read either."""
    around = frame()
    around.position = shared().queries.newest()
    around.status, around.as_of, around.known_at = None, "", ""
    around.no_books = str(reason)


def _read_clocks(around: Frame) -> None:
    queries, status = shared().queries, around.status
    try:
        for text in (around.as_of, around.known_at):
            if len(text) > LONGEST:
                raise DomainError(f"{text[:LONGEST]!r}… is neither a date, a time nor an event.")
        # no limit typed: hold still at the newest event, as pages ask several questions
        newest = str(status.position) if status else ""
        now = shared().clock.now()
        around.clocks = queries.moment(around.as_of, around.known_at or newest, now)
    except (DomainError, OverflowError) as e:
        around.faulty = True
        raise BadInput(str(e)) from e
    around.position = around.clocks.position
    # what was said in words is settled: links name the same moment tomorrow
    if around.clocks.date:
        around.as_of = around.clocks.date.isoformat()
    if around.known_at and around.position:
        around.known_at = str(around.position)
    if around.known_at and around.position:
        event = queries.event(around.position)
        around.recorded_at = event.recorded_at if event else None
    elif status:
        around.recorded_at = status.recorded_at if around.position else None


def _no_books(e: TradeBotError) -> Exception:
    """Nothing there yet is no fault; anything else is."""
    if isinstance(e, DomainError) or not DataFolder(shared().queries.data_dir).events.exists():
        return NoBooks(str(e))
    return e


def _argument(name: str) -> str:
    return request.args.get(name, "").strip()


def link(endpoint: str, **values: Any) -> str:
    """The address of a page at the same moment: both clocks stay."""
    return url_for(endpoint, **{**frame().query, **values})


def number(name: str, default: int, least: int = 0) -> int:
    """A whole number of the address. Raises BadInput that says what is allowed."""
    text = _argument(name)
    if not text:
        return default
    found = whole(text)
    if found is None or found < least:
        raise BadInput(f"{name}={text[:LONGEST]!r} is not a whole number from {least} on.")
    return found


def whole(text: str, digits: int = 15) -> int | None:
    """The number that the text is; None for anything else, or one of more digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def day_of(text: str, what: str) -> date:
    """A date of the address. Raises BadInput that says what is allowed."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"{what} {text[:LONGEST]!r} is not a date; write it as 2013-10-07."
        ) from None


def step_days(days: list[date], endpoint: str, **values: Any) -> None:
    """Where ``[`` and ``]`` lead on pages of the ledger: the session before and after."""
    around = frame()
    at = around.effective or (days[-1] if days else None)
    if at is None:
        return
    before = [d for d in days if d < at]
    after = [d for d in days if d > at]
    if before:
        around.previous = link(endpoint, **values, as_of=before[-1].isoformat())
    if around.effective:
        around.next = link(endpoint, **values, as_of=after[0].isoformat() if after else None)


def entered(name: str) -> str:
    """What stands in a field of the form, without blanks around it."""
    return request.form.get(name, "").strip()


def seen() -> int:
    """The version that the page showed; -1, which nothing ever has, for what is no number."""
    found = whole(entered("seen"))
    return -1 if found is None else found


def stamped() -> dict[str, Any]:
    """When a command was given, and its date in the bot's zone."""
    now = shared().clock.now()
    return {"at": now, "effective_date": local_date(now, frame().zone)}
