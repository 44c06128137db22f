"""What pages and the command line may ask. Everything is answered from views and the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from aggregates import chart_of_accounts, configuration
from aggregates.chart_of_accounts import Account, Chart
from aggregates.errors import DomainError
from aggregates.holdings_plan import Plan
from aggregates.period import period_of
from aggregates.users import Users
from config.clock import SystemClock, from_micros
from config.paths import DataFolder
from eventstore.envelope import GENESIS
from eventstore.feed import Feed
from eventstore.head import Head
from eventstore.verification import Verification, verify
from exporters.chart import ChartSheet
from projections import difference as differences
from projections.charts import adoptions
from projections.difference_records import Difference
from projections.holdings_queries import HoldingsQueries, HoldingsState
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import (
    NOW,
    AsOf,
    Balance,
    Books,
    Entry,
    OpenLot,
    Position,
    RegisterLine,
    TrialBalance,
)
from projections.orders import OrderView
from projections.performance_queries import (
    EquityPoint,
    PerformanceQueries,
    PriceMark,
    SessionSummary,
)
from runtime import moments
from runtime.chart_versions import ChartVersion, sheet_of, versions_of
from runtime.control_queries import agreement, bot_state, control_view
from runtime.decision_replay import Replayed, replay_decisions
from runtime.event_view import event_view
from runtime.evidence import cut_short
from runtime.holdings_versions import PlanVersion, plan_versions
from runtime.keys import key_ring, keys_at_hand
from runtime.live_queries import Live
from runtime.live_records import Agreement, ControlView, LiveReport
from runtime.people_then import people_then
from runtime.purses import Reserves, purses_of
from runtime.query_records import DayReport, EventView, Status
from runtime.settings_history import Revision, money_of, revisions
from runtime.ticks import CHANGES, Tick, ticks
from runtime.views import Views

T = TypeVar("T")


class Queries:
    """The read side of one data folder. Cheap to keep: follows the store as it grows.

    For one thread at a time: a question may close views that an earlier one was given.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._views: Views | None = None
        self._store: Feed | None = None
        self._seen = -1
        self._ticks: list[Tick] | None = None  # at the newest event that was seen
        self._live = Live()

    @property
    def data_dir(self) -> Path:
        return self._folder.root

    def close(self) -> None:
        if self._views is not None:
            self._views.close()
            self._views = None
        if self._store is not None:
            self._store.close()
            self._store = None
        self._live = Live()

    def _history(self) -> Feed:
        """The events alone: they can be shown also where no view can be made of them."""
        if self._store is None:
            self._store = Feed(self._folder.events, key_ring(self._folder))
        return self._store

    def _current(self) -> Views:
        """Views at the newest event; they follow the store as it grows."""
        if self._views is None:
            self._views = Views.for_reading(self._folder, keys=self._history().keys)
        elif (head := self._views.feed.head().position) == self._seen:
            return self._views
        elif head < self._seen:  # another history lies there now
            self.close()
            return self._current()
        else:
            self._views.follow(self._folder)
        self._seen, self._ticks = self._views.reached, None
        return self._views

    def sources(self) -> tuple[LedgerQueries, PerformanceQueries]:
        """What exporters read."""
        views = self._current()
        return views.books, views.trading

    # -- the two clocks --------------------------------------------------------------------

    def moment(self, as_of: str | None, known_at: str | None, now: datetime | None = None) -> AsOf:
        """Both clocks as people say them (runtime/moments.py). Empty text: no limit.

        Raises DomainError that says what is allowed.
        """
        of = self._sources(now)
        return AsOf(
            date=moments.effective(as_of, of) if as_of else None,
            position=moments.known(known_at, of) if known_at else None,
        )

    def _sources(self, now: datetime | None = None) -> moments.Sources:
        return moments.Sources(
            now=now or SystemClock().now(),
            zone=self._zone,
            newest=self.newest(),
            position_at=self._history().position_at,
            effective_date=self._effective_date,
            closes=self._closes,
        )

    def ticks(self) -> list[Tick]:
        """Where the as-of slider stops, up to the newest event."""
        views = self._current()
        if self._ticks is None:
            streams = {"settings": configuration.STREAM, "chart": chart_of_accounts.STREAM}
            changes = {kind: views.feed.times_of(name, CHANGES) for kind, name in streams.items()}
            zone = self._zone()
            self._ticks = ticks(views.trading.session_days(), changes, zone)
        return self._ticks

    def _values(self, as_of: AsOf = NOW) -> dict[str, str]:
        """The settings in force as texts; empty before there were any."""
        found = self.settings(as_of)
        return found[-1].values if found else {}

    def _zone(self) -> str:
        """The zone of the settings in force: that of displays and of "today"."""
        return self._values().get("TIMEZONE", self.books().timezone)

    def _closes(self) -> dict[date, int | None]:
        return self._current().trading.session_days()

    def _effective_date(self, position: int) -> date | None:
        found = self.event(position)
        text = found.effective_date if found else ""
        return date.fromisoformat(text) if text else None

    # -- state -----------------------------------------------------------------------------

    def status(self, as_of: AsOf = NOW) -> Status:
        views = self._current()
        books, head = views.books.books(), views.feed.head()
        if as_of.position is not None and as_of.position < head.position:
            then = views.feed.at(as_of.position)
            head = Head(then.position, then.hash, then.recorded_at) if then else Head(0, GENESIS, 0)
        charts = adoptions(views.feed, as_of)
        sessions = views.trading.session_days(as_of)
        last = max(sessions, default=None)
        settings = self._values(as_of)
        return Status(
            identity=books.identity,
            demo=books.demo,
            position=head.position,
            head_hash=head.hash.hex(),
            recorded_at=from_micros(head.recorded_at) if head.position else None,
            currency=books.currency,
            timezone=settings.get("TIMEZONE", books.timezone),
            money="demo" if books.demo else money_of(settings),
            broker=books.broker_code,
            coa_version=charts[-1].chart.version if charts else 0,
            sessions=len(sessions),
            last_session=last,
            state="idle" if last is None or sessions[last] is not None else "trading",
        )

    # -- the books -------------------------------------------------------------------------

    def books(self) -> Books:
        return self._current().books.books()

    def chart(self, as_of: AsOf = NOW) -> Chart:
        """The chart in force as of both clocks. Raises DomainError when there was none."""
        found = adoptions(self._current().feed, as_of)
        if not found:
            raise DomainError("No chart of accounts was in force at that time.")
        return found[-1].chart

    def chart_versions(self, as_of: AsOf = NOW) -> list[ChartVersion]:
        """Every version of the chart that both clocks know, in order."""
        return versions_of(adoptions(self._current().feed, as_of))

    def chart_sheet(self, as_of: AsOf = NOW) -> ChartSheet:
        """What files of the chart are made from. Raises DomainError when there was no chart."""
        views = self._current()
        return sheet_of(views.books.books(), adoptions(views.feed, as_of))

    def balances(self, as_of: AsOf = NOW) -> list[Balance]:
        return self._current().books.balances(as_of)

    def purses(self, as_of: AsOf = NOW) -> Reserves:
        """What the cash at the broker is kept for."""
        return purses_of(self._current().books, as_of)

    def trial_balance(self, as_of: AsOf = NOW) -> TrialBalance:
        return self._current().books.trial_balance(as_of)

    def journal(
        self,
        as_of: AsOf = NOW,
        *,
        since: date | None = None,
        account: str | None = None,
        position: int | None = None,
        newest_first: bool = False,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Entry]:
        """Entries with postings; ``position`` gives those that an event caused or concerns."""
        return list(
            self._current().books.journal(
                as_of,
                since=since,
                account=account,
                position=position,
                newest_first=newest_first,
                limit=limit,
                offset=offset,
            )
        )

    def count_entries(self, as_of: AsOf = NOW) -> int:
        return self._current().books.count_entries(as_of)

    def account(self, code: str, as_of: AsOf = NOW) -> tuple[Account, str] | None:
        """The main account of a code, and the name of the account itself; None if there is none."""
        books = self._current().books
        main = books.accounts(as_of).get(code.partition(".")[0])
        return (main, books.account_name(code, as_of)) if main else None

    def register(
        self, account: str, as_of: AsOf = NOW, *, limit: int = -1, offset: int = 0
    ) -> list[RegisterLine]:
        return self._current().books.register(account, as_of, limit=limit, offset=offset)

    def positions(self, as_of: AsOf = NOW) -> list[Position]:
        return self._current().books.positions(as_of)

    def lots(self, as_of: AsOf = NOW) -> list[OpenLot]:
        return self._current().books.lots(as_of)

    def marks(self, as_of: AsOf = NOW) -> dict[str, PriceMark]:
        return self._current().trading.marks(as_of)

    def difference(
        self,
        period: str,
        since: str,
        known_at: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> Difference:
        """What changed in a period (``FROM:TO``, 2013-10, 2013-Q4, 2013) since a known-at.

        ``known_at`` is the later moment, without it now. Raises DomainError that says what is
        allowed.
        """
        views = self._current()
        span, now = period_of(period), self.moment(None, known_at).position
        then = self.moment(None, since).position
        if then is None:
            raise DomainError(
                "Say since when: an event number, or a time such as 2013-11-05T17:00Z."
            )
        return differences.difference(
            differences.Views(views.books, views.orders, views.feed),
            span,
            then,
            views.feed.head().position if now is None else now,
            limit=limit,
            offset=offset,
        )

    # -- settings --------------------------------------------------------------------------

    def settings(self, as_of: AsOf = NOW) -> list[Revision]:
        """Every revision of the settings that both clocks know, in order; the last is in force."""
        return revisions(self._history(), as_of)

    def users(self, as_of: AsOf = NOW) -> Users:
        """Everybody whom both clocks know, with the role and state of then."""
        return people_then(self._history(), as_of)

    # -- long-term holdings ----------------------------------------------------------------

    def plan_versions(self, as_of: AsOf = NOW) -> list[PlanVersion]:
        """Every version of the holdings plan that both clocks know, in order."""
        return plan_versions(self._history(), as_of)

    def together(self, question: Callable[[Queries], T]) -> T:
        """What ``question`` finds in several steps, between which nobody else asks."""
        return question(self)

    def of_history(self, question: Callable[[Feed, AsOf], T], as_of: AsOf = NOW) -> T:
        """What ``question`` finds in the events up to both clocks."""
        return question(self._history(), as_of)

    def holdings(self, as_of: AsOf = NOW, plan: Plan | None = None) -> HoldingsState:
        """Securities, reserves and values; ``plan`` is the one in force then."""
        views = self._current()
        return HoldingsQueries(views.books, views.trading).state(as_of, plan)

    # -- trading days ----------------------------------------------------------------------

    def orders(self, as_of: AsOf = NOW, *, only_open: bool = False) -> list[OrderView]:
        """Orders as of both clocks in the order of intent, those that are over included."""
        found = self._current().orders.orders(as_of)
        return [o for o in found if o.open] if only_open else found

    def sessions(self, as_of: AsOf = NOW) -> list[SessionSummary]:
        return self._current().trading.sessions(as_of)

    def session_days(self, as_of: AsOf = NOW) -> list[date]:
        """The days alone, oldest first."""
        return list(self._current().trading.session_days(as_of))

    def equity(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[EquityPoint]:
        return self._current().trading.equity(as_of, day=day)

    def day(self, day: date | None = None, as_of: AsOf = NOW) -> DayReport | None:
        """The report of one session, the last one when ``day`` is None; None when there is none."""
        views = self._current()
        trading = views.trading
        sessions = trading.session_days(as_of)
        labels = list(sessions)
        wanted = labels[-1] if day is None and labels else day
        if wanted is None or wanted not in sessions:
            return None
        i = labels.index(wanted)
        end = AsOf(date=wanted, position=as_of.position)
        return DayReport(
            day=wanted,
            previous=labels[i - 1] if i else None,
            next=labels[i + 1] if i + 1 < len(labels) else None,
            summary=trading.session(wanted, sessions[wanted], as_of),
            equity=tuple(trading.equity(as_of, day=wanted)),
            trades=tuple(trading.trades(as_of, day=wanted)),
            decisions=tuple(trading.decisions(as_of, day=wanted)),
            orders=tuple(views.orders.orders(as_of, day=wanted)),
            phases=tuple(trading.phases(as_of, day=wanted)),
            positions=tuple(views.books.positions(end)),
            differences=trading.differences(wanted, as_of),
        )

    # -- the present -----------------------------------------------------------------------

    def bot_state(self, otherwise: str) -> str:
        """The bot's state now, in a word; ``otherwise`` where nobody tells it."""
        return bot_state(self._history(), self._folder, otherwise)

    def control(self, as_of: AsOf = NOW) -> ControlView:
        """What was asked of the bot, and what came of it."""
        return control_view(self._history(), as_of)

    def agreement(self, as_of: AsOf = NOW) -> Agreement:
        """Books against broker: what is open between them."""
        return agreement(self._history(), as_of)

    def live(self, as_of: AsOf = NOW) -> LiveReport:
        """The present of the bot. ``as_of`` holds a page still at the newest event it knows."""
        return self._live.report(self._current(), self._folder, self.day(None, as_of), as_of)

    # -- history ---------------------------------------------------------------------------

    def newest(self) -> int:
        """Position of the newest event; 0 in an empty store."""
        return self._history().head().position

    def replay_decisions(self, as_of: AsOf = NOW) -> Replayed:
        """Every decision, derived again from what was recorded with it."""
        return replay_decisions(self._history(), as_of.position)

    def events(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
        topics: tuple[str, ...] = (),
        stream: str = "",
        text: str = "",
        known_at: int | None = None,
        without: str = "",
    ) -> list[EventView]:
        """Events with ``after < position < before``, filtered, never later than ``known_at``.

        ``topics`` are full topics or families ("Order"); ``stream`` a stream or a correlation id;
        ``text`` occurs in the plain payload; ``without`` is a family that is left out. Raises
        MissingKey when a text is to be searched for where payloads are sealed and their key is
        not here.
        """
        bounds = [b for b in (before, None if known_at is None else known_at + 1) if b is not None]
        rows = self._history().page(
            after=after,
            before=min(bounds) if bounds else None,
            limit=limit,
            newest_first=newest_first,
            topics=topics,
            stream=stream,
            text=text,
            without=without,
        )
        return [event_view(self._history(), row) for row in rows]

    def event(self, position: int) -> EventView | None:
        row = self._history().at(position)
        return event_view(self._history(), row) if row else None

    def topics(self) -> list[str]:
        """Every topic that a store of this version may hold."""
        from aggregates.catalog import TOPICS

        return sorted(TOPICS)

    def verify_now(self, progress: Any = lambda *_: None) -> Verification:
        """Recompute every hash; open every payload and recompute every commitment whose key is
        here. A tail that was cut off is told by the ledger, kept checkpoints and the keys."""
        found = verify(self._folder.events, keys_at_hand(self._folder), progress)
        if not found.intact:
            return found
        missed = cut_short(self._folder)
        return found._replace(bad_position=found.position + 1, reason=missed) if missed else found
