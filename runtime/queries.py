"""What pages and the command line may ask. Everything is answered from views and the store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from aggregates.chart_of_accounts import Account, Chart
from aggregates.errors import DomainError
from aggregates.period import period_of, span_of
from config.clock import from_micros, to_micros
from config.paths import DataFolder
from eventstore.envelope import GENESIS, Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed, event_of
from eventstore.recorder import Head
from eventstore.verification import Verification, verify
from projections import difference as differences
from projections.charts import adoptions
from projections.difference_records import Difference
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
from runtime.query_records import DayReport, EventView, Status
from runtime.views import Views
from security.keyfile import read_key


class Queries:
    """The read side of one data folder. Cheap to keep: follows the store as it grows.

    For one thread at a time: a question may close views that an earlier one was given.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._views: Views | None = None
        self._store: Feed | None = None
        self._seen = -1

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

    def _history(self) -> Feed:
        """The events alone: they can be shown also where no view can be made of them."""
        if self._store is None:
            self._store = Feed(self._folder.events)
        return self._store

    def _current(self) -> Views:
        """Views at the newest event; opened again when the store has grown."""
        if self._views is not None and self._views.feed.head().position != self._seen:
            self.close()
        if self._views is None:
            self._views = Views.for_reading(self._folder)
            self._seen = self._views.feed.head().position
        return self._views

    def sources(self) -> tuple[LedgerQueries, PerformanceQueries]:
        """What exporters read."""
        views = self._current()
        return views.books, views.trading

    # -- the two clocks --------------------------------------------------------------------

    def moment(self, as_of: str | None, known_at: str | None) -> AsOf:
        """Both clocks from text: a date, or a period for its last day; an event number or a UTC
        time. Empty text: no limit.

        Raises DomainError that says what is allowed.
        """
        return AsOf(
            date=span_of(as_of).last if as_of else None, position=self._parse_known_at(known_at)
        )

    def _parse_known_at(self, text: str | None) -> int | None:
        if not text:
            return None
        head = self.newest()
        if text.isascii() and text.isdigit() and len(text) <= 18:
            position = int(text)
            if not 1 <= position <= head:
                raise DomainError(f"There is no event {position}; the store holds 1 to {head}.")
            return position
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise DomainError(
                f"{text!r} is neither an event number (1 to {head}) nor a time such as "
                "2013-10-07T20:00:00Z."
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)  # times without a zone are UTC here, as everywhere
        return self._history().position_at(to_micros(moment))

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
        return Status(
            identity=books.identity,
            demo=books.demo,
            position=head.position,
            head_hash=head.hash.hex(),
            recorded_at=from_micros(head.recorded_at) if head.position else None,
            currency=books.currency,
            timezone=books.timezone,
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

    def balances(self, as_of: AsOf = NOW) -> list[Balance]:
        return self._current().books.balances(as_of)

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
        span, then = period_of(period), self._parse_known_at(since)
        now = self._parse_known_at(known_at)
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

    # -- trading days ----------------------------------------------------------------------

    def orders(self, as_of: AsOf = NOW, *, only_open: bool = False) -> list[OrderView]:
        """Orders as of both clocks in the order of intent, those that are over included."""
        found = self._current().orders.orders(as_of)
        return [o for o in found if o.open] if only_open else found

    def sessions(self, as_of: AsOf = NOW) -> list[SessionSummary]:
        return self._current().trading.sessions(as_of)

    def equity(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[EquityPoint]:
        return self._current().trading.equity(as_of, day=day)

    def day(self, day: date | None = None, as_of: AsOf = NOW) -> DayReport | None:
        """The report of one session, the last one when ``day`` is None; None when there is none."""
        views = self._current()
        sessions = views.trading.sessions(as_of)
        labels = [s.day for s in sessions]
        wanted = labels[-1] if day is None and labels else day
        if wanted not in labels:
            return None
        i = labels.index(wanted)
        end = AsOf(date=wanted, position=as_of.position)
        trading = views.trading
        return DayReport(
            day=wanted,
            previous=labels[i - 1] if i else None,
            next=labels[i + 1] if i + 1 < len(labels) else None,
            summary=sessions[i],
            equity=tuple(trading.equity(as_of, day=wanted)),
            trades=tuple(trading.trades(as_of, day=wanted)),
            decisions=tuple(trading.decisions(as_of, day=wanted)),
            orders=tuple(views.orders.orders(as_of, day=wanted)),
            phases=tuple(trading.phases(as_of, day=wanted)),
            positions=tuple(views.books.positions(end)),
            differences=trading.differences(wanted, as_of),
        )

    # -- history ---------------------------------------------------------------------------

    def newest(self) -> int:
        """Position of the newest event; 0 in an empty store."""
        return self._history().head().position

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
    ) -> list[EventView]:
        """Events with ``after < position < before``, filtered, never later than ``known_at``.

        ``topics`` are full topics or families ("Order"); ``stream`` a stream or a correlation id;
        ``text`` occurs in the payload.
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
        )
        return [_event_view(row) for row in rows]

    def event(self, position: int) -> EventView | None:
        row = self._history().at(position)
        return _event_view(row) if row else None

    def topics(self) -> list[str]:
        """Every topic that a store of this version may hold."""
        from aggregates.catalog import TOPICS

        return sorted(TOPICS)

    def verify_now(self, progress: Any = lambda *_: None) -> Verification:
        """Recompute every hash, and every commitment when the blind key is here."""
        key_file = self._folder.blind_key
        key = read_key(key_file) if key_file.exists() else None
        return verify(self._folder.events, key, progress)


def _event_view(row: Envelope) -> EventView:
    payload = _payload(row.state)
    return EventView(
        position=row.position,
        recorded_at=from_micros(row.recorded_at),
        topic=row.topic,
        schema_version=row.schema_version,
        stream=row.originator_id,
        version=row.originator_version,
        actor=row.actor,
        command_id=row.command_id,
        correlation=row.correlation_id,
        causation=row.causation_id,
        software=row.software_version,
        key_epoch=row.key_epoch,
        effective_date=str(payload.get("effective_date", "")),
        payload=payload,
        commitment=row.commitment.hex(),
        hash=row.hash.hex(),
        unreadable=_fault(row),
    )


def _payload(state: bytes) -> dict[str, Any]:
    """As stored; what is no JSON object is given as its text."""
    try:
        return msgspec.json.decode(state, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {"as_stored": state.decode(errors="backslashreplace")}


def _fault(row: Envelope) -> str:
    try:
        event_of(row)
    except UnknownEvent as e:
        return str(e)
    return ""
