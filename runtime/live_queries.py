"""What the live page asks: the present, from the events, and from what the session last told.

Positions and their costs are the ledger's, orders and decisions the views'. The session's status
file adds newer prices and says what no event does: the phase, the feed, whether the broker answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from aggregates.chart_rules import HOLDINGS_ROLES
from aggregates.reconciliation import Difference
from aggregates.session import Decided
from config.paths import DataFolder
from eventstore.feed import Feed
from projections.charts import adoptions
from projections.holdings_queries import HoldingsQueries, HoldingsState
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf, Position
from projections.orders import OrderView
from projections.performance_queries import Decision, Trade
from runtime.alert_status import read_alerts
from runtime.control_queries import agreement, control_view
from runtime.differences import units_of
from runtime.live_records import Held, Judged, LiveReport, OfStrategy
from runtime.query_records import DayReport
from runtime.settings_history import revisions
from runtime.status import Status, read_status
from runtime.views import Views

DECISIONS = 40  # the newest ones are shown; the page of the day has them all


class Live:
    """Asks again and again what is now. ``views`` are at the newest event when it is asked."""

    def __init__(self) -> None:
        self._open_since = 0  # no order before this position can be open any more

    def report(
        self, views: Views, folder: DataFolder, day: DayReport | None, as_of: AsOf
    ) -> LiveReport:
        told = read_status(folder)
        held = _held(views, told, as_of)
        risked = [each.unrealized for each in held if not each.long_term]
        known = [each for each in risked if each is not None]
        state = HoldingsQueries(views.books, views.trading).state(as_of)
        equity, equity_at = _equity(state, day, told)
        days = (day.day, day.previous) if day else ()
        return LiveReport(
            told=told,
            day=day,
            control=control_view(views.feed, as_of),
            defense_set=_defense_set(views.feed, as_of),
            alerts=read_alerts(folder),
            agreement=agreement(views.feed, as_of, [d for d in days if d]),
            held=held,
            unrealized=sum(known, Decimal(0)) if len(known) == len(risked) else None,
            orders=self._orders(views, day),
            decisions=_judged(views.feed, day.decisions if day else ()),
            strategies=_by_strategy(day.trades if day else ()),
            equity=equity,
            equity_at=equity_at,
            account=state.account_value,
        )

    def _orders(self, views: Views, day: DayReport | None) -> tuple[OrderView, ...]:
        """Open ones first, whatever day they are of; then those of the day, the newest first."""
        positions = views.orders.still_open(self._open_since)
        self._open_since = positions[0] if positions else views.reached + 1
        found = views.orders.intended_at(positions)
        ids = {order.order_id for order in found}
        # one that was rejected and then filled after all is open again
        rest = [order for order in (day.orders if day else ()) if order.order_id not in ids]
        over = sorted((o for o in rest if not o.open), key=attrgetter("position"), reverse=True)
        return (*found, *(order for order in rest if order.open), *over)


def _defense_set(feed: Feed, as_of: AsOf) -> bool:
    """Whether the settings that both clocks know switch defense mode on."""
    known = revisions(feed, as_of)
    return bool(known) and known[-1].values.get("DEFENSE_MODE_ACTIVE") == "true"


def ours_now(books: LedgerQueries, difference: Difference) -> Decimal | None:
    """What the books say now of what differed at the last comparison; None: not one amount."""
    match difference.kind:
        case "cash":
            return books.broker_cash()
        case "suspense":
            return books.balance_of(books.chart().mapping["suspense"])
        case (
            "stranger_position" | "missing_position" | "closed_by_hand" | "split_overnight"
            | "option_expired" | "option_changed"
        ):  # fmt: skip
            return units_of(books).get(difference.subject, Decimal(0))
    return None


def _held(views: Views, told: Status | None, as_of: AsOf) -> tuple[Held, ...]:
    """By symbol. Each at the newest price that is known: the session's or the last that was marked.

    Unrealized: what the units would bring at that price, less their cost in the ledger.
    """
    charts = [adoption.chart for adoption in adoptions(views.feed, as_of)]
    long_term = {chart.mapping.get(role) for chart in charts for role in HOLDINGS_ROLES}
    newer = {p.symbol: (p.price_at, p.price) for p in told.positions} if told else {}
    return tuple(
        _valued(
            position,
            _price(views, position, newer.get(position.symbol, (None, None)), as_of),
            long_term=position.code.partition(".")[0] in long_term,
        )
        for position in sorted(views.books.positions(as_of), key=attrgetter("symbol", "code"))
    )


Price = tuple[datetime | None, Decimal | None]


def _price(views: Views, position: Position, told: Price, as_of: AsOf) -> Price:
    mark = views.trading.last_mark(position.instrument_id, as_of)
    if mark is None:
        return told
    marked = datetime.fromisoformat(mark.at)
    return told if told[1] is not None and told[0] and told[0] > marked else (marked, mark.price)


def _valued(position: Position, at_price: Price, *, long_term: bool) -> Held:
    at, price = at_price
    worth = None if price is None else price * position.quantity * position.multiplier
    return Held(
        symbol=position.symbol,
        name=position.name,
        code=position.code,
        long_term=long_term,
        quantity=position.quantity,
        cost=position.cost,
        price=price,
        price_at=at,
        unrealized=None if worth is None else worth - position.cost,
    )


def _equity(
    state: HoldingsState, day: DayReport | None, told: Status | None
) -> tuple[Decimal | None, datetime | None]:
    """All cash and trading's positions: as the session told it after the last valuation in the
    events, and when; without such a word, at the newest prices in the books."""
    last = day.equity[-1].at if day and day.equity else None
    if told and told.equity is not None and (not last or told.at > datetime.fromisoformat(last)):
        return told.equity, told.at
    value = state.trading_value
    return (None if value is None else state.reserves.cash + value), None


def _judged(feed: Feed, decisions: Sequence[Decision]) -> tuple[Judged, ...]:
    """The newest ones, newest first; only of refused ones the event is read for its verdicts."""
    found = []
    for decision in decisions[: -DECISIONS - 1 : -1]:
        row = feed.at(decision.position) if decision.refused_by else None
        event = feed.event(row) if row else None
        verdicts = event.verdicts if isinstance(event, Decided) else ()
        refusals = tuple(verdict for verdict in verdicts if not verdict.passed)
        found.append(Judged(decision=decision, refusals=refusals))
    return tuple(found)


def _by_strategy(trades: Sequence[Trade]) -> tuple[OfStrategy, ...]:
    by_name = groupby(sorted(trades, key=attrgetter("strategy")), key=attrgetter("strategy"))
    return tuple(_of_strategy(name, list(group)) for name, group in by_name)


def _of_strategy(name: str, trades: list[Trade]) -> OfStrategy:
    zero = Decimal(0)
    return OfStrategy(
        strategy=name,
        trades=len(trades),
        wins=sum(trade.pnl > 0 for trade in trades),
        costs=sum((trade.costs for trade in trades), zero),
        pnl=sum((trade.pnl for trade in trades), zero),
    )
