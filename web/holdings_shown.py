"""What the holdings page shows of one moment of both clocks: plan, money, securities, requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from flask import render_template

from aggregates.holdings_plan import DEFAULT_PLAN, Plan, weights
from runtime.holdings_requests import Asked, requests_of
from runtime.holdings_unpriced import Unpriced, unpriced_of
from runtime.holdings_versions import PlanVersion
from runtime.holdings_view import HoldingsView, NextRebalance
from runtime.rebalance_preview import named_as_rows
from runtime.settings_history import Revision
from runtime.status import read_status
from runtime.why_waiting import why_waiting
from web.door import folder
from web.frame import frame
from web.holdings_words import Bar, bars
from web.live import runs
from web.shared import shared

REQUESTS = 10  # newest ones that are listed


class Line(NamedTuple):
    """One security: what is known of it (``row``), what is wanted of it (``target``: its weight).

    ``deviation`` in percentage points; ``beyond`` the tolerance band.
    """

    symbol: str
    row: Any
    target: Fraction | None
    deviation: Decimal | None
    beyond: bool


@dataclass(frozen=True)
class Shown:
    """``version`` is None while no plan is saved. ``state`` is the money of that moment, with a
    row for every security that is planned or held; ``requests`` are the newest, newest first."""

    version: PlanVersion | None
    state: Any
    currency: str
    enabled: bool
    session_has: bool  # HOLDINGS_ENABLED as the session that runs began with; else as it is
    requests: tuple[Asked, ...]
    due: NextRebalance | None
    unpriced: Unpriced | None  # what had no price when the float was checked last
    why: Mapping[str, str]  # what open requests wait for, by id, as far as it is known

    @property
    def plan(self) -> Plan | None:
        return self.version.plan if self.version else None

    @property
    def number(self) -> int:
        return self.version.number if self.version else 0

    @property
    def band(self) -> Decimal:
        return (self.plan or DEFAULT_PLAN).drift_band

    @property
    def rows(self) -> dict[str, Any]:
        return {row.symbol: row for row in self.state.rows}

    @cached_property
    def lines(self) -> list[Line]:
        """The plan's securities in its order, then what is held besides."""
        wanted = weights(self.plan) if self.plan else {}
        return lines_of(self.rows, wanted, self.band)

    @property
    def unplanned(self) -> list[Line]:
        """Held, and not in the plan: the next rebalance sells it."""
        planned = {s.symbol for s in self.plan.securities} if self.plan else set()
        return [line for line in self.lines if line.symbol not in planned and line.row.units]

    @property
    def planned(self) -> list[Line]:
        known = {s.symbol for s in self.plan.securities} if self.plan else set()
        return [line for line in self.lines if line.symbol in known]

    @property
    def waiting(self) -> list[Asked]:
        return [each for each in self.requests if each.open]

    @cached_property
    def orders(self) -> list[Any]:
        """Of the long-term holdings, open at the broker now; none in a page of the past."""
        if not frame().present:
            return []
        found = shared().queries.live(frame().clocks).open_orders
        return [order for order in found if order.sleeve == "holdings"]

    @property
    def held(self) -> bool:
        """Whether anything is held for the long term; else nothing is on or off target."""
        return any(row.units for row in self.state.rows)

    @property
    def beyond(self) -> list[Line]:
        return [line for line in self.lines if line.beyond]

    @property
    def bars(self) -> list[Bar]:
        """Target against actual, drawn."""
        drawn = (
            (line.symbol, line.target, line.row.actual if line.row else None) for line in self.lines
        )
        return bars(drawn, self.band)

    @property
    def float_short(self) -> Decimal | None:
        """What the float lacks to its target; None when it lacks nothing, or nobody can say."""
        target = self.state.float_target
        short = None if target is None else target - self.state.reserves.float
        return short if short is not None and short > 0 else None


def before_the_books() -> str | None:
    """In the place of a page: at that moment the books were not open yet."""
    if frame().clocks is None or shared().queries.chart_versions(frame().clocks):
        return None
    return render_template("holdings_before.html")


def shown(*, present: bool = False) -> Shown:
    """At the moment of this request's page; ``present``: now, whatever was recorded meanwhile."""
    around, queries = frame(), shared().queries
    clocks = queries.moment(None, None) if present else around.clocks
    versions = queries.plan_versions(clocks)
    version = versions[-1] if versions else None
    state = queries.holdings(clocks, version.plan if version else None)
    revisions = queries.settings(clocks)
    requests = tuple(queries.of_history(requests_of, clocks)[: -REQUESTS - 1 : -1])
    return Shown(
        version._replace(plan=named_as_rows(version.plan, state)) if version else None,
        state,
        around.status.currency if around.status else "",
        _enabled(revisions),
        _session_has(revisions),
        requests,
        queries.together(lambda q: HoldingsView(q).next_rebalance(clocks)),
        queries.of_history(unpriced_of, clocks),
        {each.request_id: why_it_waits(each) for each in requests if each.open},
    )


def why_it_waits(asked: Asked) -> str:
    """What it waits for now; empty in the past, and when nothing is known to stand in its way."""
    if frame().fixed:
        return ""
    now = shared().clock.now()
    return shared().queries.together(lambda q: why_waiting(q, asked, now))


def _enabled(revisions: Sequence[Revision]) -> bool:
    """HOLDINGS_ENABLED as it was in force then."""
    return bool(revisions) and revisions[-1].values.get("HOLDINGS_ENABLED") == "true"


def _session_has(revisions: Sequence[Revision]) -> bool:
    """The same as it was when the session that runs was opened; no session: as it is."""
    told, now = read_status(folder()), shared().clock.now()
    if frame().fixed or not runs(told, now):
        return _enabled(revisions)
    opened = shared().queries.events(topics=("Session.Opened",), newest_first=True, limit=1)
    since = opened[0].position if opened else 0
    return _enabled([each for each in revisions if each.position <= since])


def lines_of(rows: Mapping[str, Any], wanted: Mapping[str, Fraction], band: Decimal) -> list[Line]:
    """A line for each security that is wanted, in that order, then for each that has a row."""
    return [_line(symbol, rows.get(symbol), wanted, band) for symbol in _once([*wanted, *rows])]


def _line(symbol: str, row: Any, wanted: Mapping[str, Fraction], band: Decimal) -> Line:
    target = wanted.get(symbol, Fraction(0)) if wanted else None
    actual = row.actual if row else None
    if target is None or actual is None:
        return Line(symbol, row, target, None, False)
    off = (actual - target) * 100
    return Line(symbol, row, target, Decimal(off.numerator) / off.denominator, abs(off) > band)


def _once(symbols: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(symbols)
