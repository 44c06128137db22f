"""What the live page is answered with: the present of a bot, as events and its session tell it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from aggregates.control import Action, KillStep, Source
from aggregates.reconciliation import Difference
from aggregates.session import Verdict
from projections.orders import OrderView
from projections.performance_queries import Decision
from runtime.alert_status import AlertsStatus
from runtime.query_records import DayReport
from runtime.status import Status


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A start, stop or kill, and by whom. ``actor`` is an event's actor."""

    position: int
    at: datetime
    actor: str
    action: Action
    source: Source
    reason: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a kill that is done; ``left`` is what could not be: symbols or orders."""

    position: int
    at: datetime
    step: KillStep
    detail: str
    left: tuple[str, ...]


class Latched(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a kill. ``flat``: the broker itself said that trading holds nothing more."""

    position: int
    at: datetime
    flat: bool
    left: tuple[str, ...]


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """The kill that is under way or latched; ``latched`` is None while it is under way.

    ``started`` is its request, and where nobody requested it (a loss limit) its beginning.
    """

    started: Asked
    steps: tuple[Step, ...]
    latched: Latched | None

    def done(self, step: KillStep) -> Step | None:
        return next((each for each in self.steps if each.step == step), None)


class DefenseView(msgspec.Struct, frozen=True, kw_only=True):
    """Defense mode as it was last switched on by hand; ``actor`` is that event's."""

    position: int
    at: datetime
    actor: str
    reason: str


class ControlView(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the bot. ``blocked`` says why trading buys nothing; empty while it may.

    ``waiting`` are requests that nobody has taken up yet. ``defense`` is None while defense mode is
    not switched on by hand.
    """

    blocked: str
    stopped: bool
    killing: bool
    killed: bool
    waiting: tuple[Asked, ...]
    kill: Kill | None
    defense: DefenseView | None

    def waits(self, action: Action) -> Asked | None:
        return next((each for each in self.waiting if each.action == action), None)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Books against broker. ``at`` is when they were last compared, None: never; ``occasion`` why.

    ``open`` are differences that nobody has explained, ``not_known`` why the broker could not be
    asked. ``blocked`` says why that forbids entries, empty when it does not.
    """

    at: datetime | None
    occasion: str
    open: tuple[Difference, ...]
    not_known: str
    blocked: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A security held. Without a price known at that time, ``price`` and ``unrealized`` are None.

    ``long_term``: of the holdings' sleeve, which a kill never touches.
    """

    symbol: str
    name: str
    code: str
    long_term: bool
    quantity: Decimal
    cost: Decimal
    price: Decimal | None
    price_at: datetime | None
    unrealized: Decimal | None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, with the verdict of every rule that said no."""

    decision: Decision
    refusals: tuple[Verdict, ...]


class OfStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """The closed trades of one strategy on one day; ``pnl`` is after ``costs``."""

    strategy: str
    trades: int
    wins: int
    costs: Decimal
    pnl: Decimal


class LiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The present. ``told`` is what the session last said, None when nothing is to be read;
    ``day`` the newest session, None before the first; ``decisions`` the newest of it, newest
    first. ``unrealized`` is that of trading, None while a price is missing.
    ``equity`` is all cash and trading's positions, what risk is measured by; ``account`` adds the
    long-term holdings, all at the newest prices in the books, and is None while one is missing.
    ``defense_set``: the settings in force switch defense mode on, whatever was switched by hand.
    ``alerts`` is what main last said of the mails.
    """

    told: Status | None
    day: DayReport | None
    control: ControlView
    defense_set: bool
    alerts: AlertsStatus | None
    agreement: Agreement
    held: tuple[Held, ...]
    unrealized: Decimal | None
    orders: tuple[OrderView, ...]
    decisions: tuple[Judged, ...]
    strategies: tuple[OfStrategy, ...]
    equity: Decimal | None
    equity_at: datetime | None
    account: Decimal | None

    @property
    def at_risk(self) -> tuple[Held, ...]:
        """What a kill sells."""
        return tuple(each for each in self.held if not each.long_term)

    @property
    def open_orders(self) -> tuple[OrderView, ...]:
        return tuple(order for order in self.orders if order.open)

    @property
    def to_cancel(self) -> tuple[OrderView, ...]:
        """What a kill cancels."""
        return tuple(order for order in self.open_orders if order.sleeve == "trading")
