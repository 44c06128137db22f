"""Books and broker brought together: at the start, after a reconnect, on schedule, after the close.

What is missing here and known there is recorded by commands: fills, ends of orders, money that
moved. What cannot be explained stays open, and trading buys nothing meanwhile. No statement is not
an empty statement: then nothing is repaired, and nothing is bought either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from aggregates.base import Command
from aggregates.capital import CapitalEntry, RecordDeposit, capital_stream
from aggregates.reconciliation import (
    ALWAYS_RECORDED,
    STREAM,
    Difference,
    Occasion,
    Reconciliation,
    RecordComparison,
    RecordDifferences,
    RecordNotKnown,
)
from brokers.port import Activity, BrokerOrder, BrokerUnavailable, OutcomeUnknown
from runtime.bootstrap import OPENING_DEPOSIT, Bot
from runtime.broker_activities import Activities
from runtime.broker_reports import Reports
from runtime.by_hand import book_accepted
from runtime.cash_rounding import in_minor_units, settle_rounding
from runtime.desk import Desk
from runtime.differences import (
    cash_differences,
    differences,
    position_differences,
    stranger_order,
    units_of,
)
from runtime.option_expiry import OptionChanges

__all__ = ["Reconciled", "Reconciler", "differences", "reconcile"]

LATE = timedelta(days=10)  # an activity may be told so long after its day
TRIES = 3  # a statement is read while trading goes on: what differs is looked at again
PAUSE = timedelta(seconds=2)
IN_MOTION = ("cash", "missing_position", "stranger_position")  # what an order under way may explain


class Reconciled(NamedTuple):
    """``known`` is False when the broker gave no statement; ``why`` says in words what forbids
    entries, empty when nothing does. ``repaired`` says what was recorded."""

    known: bool
    open_differences: tuple[Difference, ...]
    repaired: tuple[str, ...]
    why: str


class Statement(NamedTuple):
    """What the broker said, all of it at about one time."""

    cash: Decimal
    positions: dict[str, Decimal]
    open_orders: Sequence[BrokerOrder]
    activities: Sequence[Activity]


_Seen = tuple[Statement, int, int]


def reconcile(bot: Bot, desk: Desk | None, occasion: Occasion) -> Reconciled:
    """One comparison; a session that makes many keeps a ``Reconciler``, which reads less."""
    return Reconciler(bot).run(desk, occasion)


class Reconciler:
    """Of one bot. It remembers which executions it has looked at, and what it has said."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._reports = Reports(bot)
        self._opened: date | None = None
        self._since = date.min, date.min  # the day, and from when on its activities are asked for
        self._agreed: _Seen | None = None  # what was looked at when nothing was open or repaired
        self._said: set[str] = set()
        self._options = OptionChanges(bot)

    def run(self, desk: Desk | None, occasion: Occasion) -> Reconciled:
        """Repair, compare, record. Raises KeysRefused; a silent broker is an outcome.

        ``desk`` is that of the running session: its outbox settles its orders, and here only
        fills of them are recorded. The books are caught up afterwards.
        """
        day = desk.hours.day if desk else self._bot.today()
        if self._agreed is None or self._since[0] != day:  # else nothing was open since
            self._since = day, self._first_day()
        since = self._since[1]
        self._reports.begin(desk, since)
        repaired: list[str] = []
        try:
            for tries_left in reversed(range(TRIES)):
                statement = self._read(since)
                if occasion == "schedule" and self._agreed == self._seen(statement):
                    return Reconciled(True, (), (), "")
                found = self._compare(occasion, statement, repaired)
                if not tries_left or not self._in_motion(found, statement):
                    break
                self._bot.clock.wait_until(self._bot.clock.now() + PAUSE)
        except (BrokerUnavailable, OutcomeUnknown) as e:
            return self._not_known(occasion, day, str(e), repaired)
        result = self._record(occasion, day, statement.cash, found, repaired)
        agreed = not (found or repaired or result.open_differences or result.why)
        self._agreed = self._seen(statement) if agreed else None
        return result

    # -- reading ---------------------------------------------------------------------------

    def _read(self, since: date) -> Statement:
        """Reports first, so that what they tell is in the books before they are compared."""
        self._bot.views.catch_up_ledger()
        broker = self._bot.broker
        self._reports.read()
        statement = Statement(
            cash=in_minor_units(self._bot, broker.account().cash),
            positions={p.symbol: p.quantity for p in broker.positions()},
            open_orders=broker.open_orders(),
            activities=broker.activities(since),
        )
        self._reports.read()  # what was filled meanwhile is in that statement, or soon will be
        return statement

    def _first_day(self) -> date:
        """From which day on activities are asked for: all, while anything was ever open."""
        views = self._bot.views
        if self._opened is None:
            views.catch_up_ledger()
            opened = views.feed.at(1)
            self._opened = views.feed.event(opened).effective_date if opened else date.min
        last = views.feed.page(topics=("Reconciliation.Compared",), newest_first=True, limit=1)
        if not last or self._state().found:
            return self._opened
        return max(self._opened, views.feed.event(last[0]).effective_date - LATE)

    def _seen(self, statement: Statement) -> _Seen:
        """All that a comparison rests on: the statement, our books and the executions so far."""
        return statement, self._bot.views.books.newest_entry(), self._reports.cursor

    # -- comparing -------------------------------------------------------------------------

    def _compare(
        self, occasion: Occasion, statement: Statement, repaired: list[str]
    ) -> list[Difference]:
        bot, reports = self._bot, self._reports
        self._take_opening(statement, repaired)
        activities = Activities(bot)
        activities.book(statement.activities)
        ended = reports.settle_others(again=occasion != "schedule")
        bot.views.catch_up_ledger()
        by_hand = book_accepted(
            bot, reports.desk, self._state(), reports.strangers, statement.positions
        )
        repaired += [*reports.taken_words(), *ended, *activities.repaired, *by_hand.booked]
        repaired += self._news(by_hand.left)
        if repaired:
            bot.views.catch_up()
        books, held = bot.views.books, units_of(bot.views.books)
        others = [
            *position_differences(
                held, statement.positions, reports.strangers, activities.actions, bot.today()
            ),
            *(stranger_order(o) for o in statement.open_orders if not reports.is_ours(o)),
            *reports.missing,
            *activities.open,
            *self._options.differences(),
        ]
        if not others:  # only then nothing but rounding is left
            repaired += settle_rounding(bot, statement.cash, reports)
        return [*cash_differences(books, statement.cash, bot.settings.CURRENCY_CODE), *others]

    def _news(self, words: Sequence[str]) -> list[str]:
        """What was not said before: an accepted sale that cannot be booked is said once."""
        news = [text for text in words if text not in self._said]
        self._said.update(news)
        return news

    def _in_motion(self, found: Sequence[Difference], statement: Statement) -> bool:
        """Whether orders under way may explain it, so that another look is worth its while."""
        moving = bool(statement.open_orders) or self._reports.fresh
        return moving and any(d.kind in IN_MOTION for d in found)

    def _take_opening(self, statement: Statement, repaired: list[str]) -> None:
        """The account of a new bot at a real broker: what lies there is its opening balance.

        Activities since the books were opened are booked one by one, so they are left out of it.
        """
        bot = self._bot
        told = (a.net_amount or 0 for a in statement.activities if not a.cancelled)
        opening = statement.cash - sum(told)
        if (
            opening <= 0
            or bot.views.books.count_entries()
            or bot.store.load(CapitalEntry, capital_stream(OPENING_DEPOSIT)).version
        ):
            return
        bot.dispatch(
            RecordDeposit(
                at=bot.clock.now(),
                effective_date=bot.today(),
                reference=OPENING_DEPOSIT,
                currency=bot.settings.CURRENCY_CODE,
                amount=opening,
                reason="opening balance at the broker",
            ),
            command_id="provision:deposit",
        )
        repaired.append(f"opening balance {opening} at the broker")

    # -- recording -------------------------------------------------------------------------

    def _state(self) -> Reconciliation:
        return self._bot.store.load(Reconciliation, STREAM)

    def _record(
        self,
        occasion: Occasion,
        day: date,
        cash: Decimal,
        found: Sequence[Difference],
        repaired: list[str],
    ) -> Reconciled:
        now = self._bot.clock.now()
        news = RecordDifferences(
            at=now, effective_date=day, occasion=occasion, differences=tuple(found)
        )
        state = self._state()
        state.record_differences(news)  # in memory: what will be open then
        compared = RecordComparison(
            at=now,
            effective_date=day,
            occasion=occasion,
            our_cash=self._bot.views.books.broker_cash(),
            broker_cash=cash,
            repaired=tuple(repaired),
            still_open=tuple(d.difference_id for d in state.open),
        )
        # on schedule a comparison without news leaves nothing, and need not ask for it
        if state.collect_events() or repaired or occasion in ALWAYS_RECORDED:
            self._send(occasion, news, compared)
        return Reconciled(True, state.open, tuple(repaired), state.entries_blocked)

    def _not_known(
        self, occasion: Occasion, day: date, reason: str, repaired: list[str]
    ) -> Reconciled:
        now = self._bot.clock.now()
        self._send(
            occasion, RecordNotKnown(at=now, effective_date=day, occasion=occasion, reason=reason)
        )
        state = self._state()
        return Reconciled(False, state.open, tuple(repaired), state.entries_blocked)

    def _send(self, occasion: Occasion, *commands: Command) -> None:
        """Nothing is recorded where nothing changed; what is recorded takes its place's id."""
        place = self._bot.store.head().position + 1
        self._bot.dispatch(
            *commands, command_id=f"reconcile:{occasion}:{place}", correlation=STREAM
        )
        self._bot.views.catch_up()
