"""The kill switch: entries blocked, orders cancelled, trading sold, then nothing sent (M14).

Each step is recorded, so a process that is killed meanwhile goes on where it stood. Whatever could
not be done is recorded too, and the switch latches all the same: a person resets it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from aggregates.base import Command
from aggregates.control import (
    STREAM,
    Control,
    KillStep,
    LatchKill,
    RecordKillStep,
    Source,
    StartKill,
)
from aggregates.errors import DomainError
from aggregates.order import Order
from aggregates.session import Session, session_stream
from brokers.port import BrokerError, KeysRefused
from config.calendar import SessionHours, TradingCalendar
from config.failpoints import reach
from eventstore.errors import StoreUnreadable
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.flatten import Flatten, Flattened, Wait, take_reports, trading_orders
from runtime.outbox import Outbox

# Between looks at what became of the cancellations: longer than a lost request may still arrive.
CANCEL_PAUSES_S = (1, 2, 4, 8, 16)
SHORT = timedelta(seconds=5)
WHY = "kill switch"  # the reason of its cancellations and sales
LOOK_BACK_DAYS = 14  # in which there was a session


class KillSwitch:
    """Of one bot. ``wait`` is given the moment to wait for, and may keep a watchdog content."""

    def __init__(self, bot: Bot, desk: Desk, outbox: Outbox, wait: Wait | None = None) -> None:
        self._bot, self._desk, self._outbox = bot, desk, outbox
        self._wait = wait or bot.clock.wait_until
        self._number = 0

    def run(self, source: Source, reason: str) -> bool:
        """Carry the kill out to its end; True when the broker said that trading is flat.

        Latched already: nothing is asked of the broker. Raises StoreUnreadable when nothing can be
        recorded: then orders are still cancelled, but what is not on disk is never sold.
        """
        control = self._control()
        if control.killed:
            return control.flat
        self._start(source, reason)
        self._cancel_orders()
        sold = self._sell()
        self._do("latch", LatchKill, flat=sold.flat, left=sold.left)
        reach("kill.latched")
        return sold.flat

    # -- the steps -------------------------------------------------------------------------

    def _start(self, source: Source, reason: str) -> None:
        """From this event on the dispatcher refuses every purchase of trading."""
        control = self._control()
        self._number = control.kills + (not control.killing)
        if control.killing:
            return
        said = "trading buys nothing more; what is under way is cancelled next"
        start = self._made(StartKill, source=source, reason=reason)
        step = self._made(RecordKillStep, step="entries_blocked", detail=said)
        try:
            self._bot.dispatch(start, step, command_id=f"kill:{self._number}", correlation=STREAM)
        except StoreUnreadable:
            self._cancel_unrecorded()
            raise
        reach("kill.started")

    def _cancel_unrecorded(self) -> None:
        """The disk is full or gone. A cancellation can only lower the risk, so it needs no event;
        the broker's word on it is read when there is room again."""
        for order in trading_orders(self._desk):
            with suppress(BrokerError):
                self._bot.broker.cancel(order.terms.client_order_id)

    def _cancel_orders(self) -> None:
        """Cancellations first; only then is anything read, at the broker or in the books."""
        if "orders_cancelled" in self._control().steps:
            return
        orders, refused = trading_orders(self._desk), ""
        try:
            self._cancel(orders)
            reach("kill.cancels_sent")
            others = self._others()
            self._cancel(others)
            orders += others
            self._settle()
        except KeysRefused as e:
            refused = f"orders: {e}"
        left = tuple(
            f"{o.terms.symbol}: order {o.terms.order_id} is {o.state}"
            for o in trading_orders(self._desk)
        )
        said = f"{len(orders)} open orders of trading, {len(left)} of them not over yet"
        left = (refused, *left) if refused else left
        self._step("orders_cancelled", said if orders else "no order of trading was open", left)
        reach("kill.cancels_recorded")

    def _cancel(self, orders: list[Order]) -> None:
        """Those that the broker has are first: about the others it has to be asked."""
        for order in sorted(orders, key=lambda o: o.state != "accepted"):
            if not order.cancel_requested:
                self._outbox.cancel(order, WHY)

    def _others(self) -> list[Order]:
        """Open orders of trading that the session does not name, such as those of the day before.

        One that counts as over here and is open at the broker is cancelled there and no more.
        """
        self._bot.views.catch_up()
        view = self._bot.views.orders
        own = view.order_ids()
        with suppress(BrokerError):
            for found in self._bot.broker.open_orders():
                order = view.order(own.get(found.client_order_id, ""))
                if order is not None and order.sleeve == "trading" and not order.open:
                    self._bot.broker.cancel(found.client_order_id)
        return [
            self._desk.refresh(order.order_id)
            for order in view.unfinished()
            if order.sleeve == "trading" and order.order_id not in self._desk.orders
        ]

    def _settle(self) -> None:
        """Until the broker has said of each what became of it, or for long enough.

        While it is silent that is not counted: an order that nobody cancelled may still buy. It
        ends with the session, as all of them are day orders.
        """
        take_reports(self._outbox)
        pauses = list(CANCEL_PAUSES_S)
        while pauses and trading_orders(self._desk):
            self._pause(self._bot.clock.now() + timedelta(seconds=pauses[0]))
            take_reports(self._outbox)
            silent = self._outbox.unreachable_since is not None
            if not silent or self._bot.clock.now() >= self._desk.hours.close:
                pauses.pop(0)

    def _sell(self) -> Flattened:
        """Trading's positions, until the broker says that they are gone. Holdings stay."""
        done = self._control().steps.get("positions_sold")
        if done is not None:
            return Flattened(not done.left, done.left)
        try:
            sold = Flatten(self._bot, self._desk, self._outbox, self._pause).run(WHY)
        except KeysRefused as e:
            sold = Flattened(False, (f"positions: not known. {e}",))
        reach("kill.sold")
        said = "the broker holds nothing for trading" if sold.flat else "not everything was sold"
        self._step("positions_sold", said, sold.left)
        reach("kill.sale_recorded")
        return sold

    def _pause(self, moment: datetime) -> None:
        """In short waits, so that a watchdog is told; one that another kill ends is waited out."""
        clock = self._bot.clock
        while (now := clock.now()) < moment:
            until = min(moment, now + SHORT)
            self._wait(until)
            clock.wait_until(until)

    # -- recording -------------------------------------------------------------------------

    def _control(self) -> Control:
        return self._bot.store.load(Control, STREAM)

    def _step(self, step: KillStep, detail: str, left: tuple[str, ...]) -> None:
        self._do(step, RecordKillStep, step=step, detail=detail, left=left)

    def _do(self, name: str, kind: type[Command], **fields: object) -> None:
        command = self._made(kind, **fields)
        self._bot.dispatch(command, command_id=f"kill:{self._number}:{name}", correlation=STREAM)

    def _made(self, kind: type[Command], **fields: object) -> Command:
        return kind(at=self._bot.clock.now(), effective_date=self._bot.today(), **fields)


def kill_without_session(bot: Bot, source: Source, reason: str) -> bool:
    """The kill switch outside a running session, or in place of one that hangs.

    Goes on with the last session there was, if need be. Raises what ``KillSwitch.run`` raises.
    """
    hours = last_session(bot.calendar, bot.clock.now())
    bot.views.catch_up()
    desk = Desk(bot.store, bot.views.books, hours)
    desk.load(bot.store.load(Session, session_stream(hours.day.isoformat())))
    outbox = Outbox(bot.dispatch, bot.broker, bot.clock, desk, hours.day)
    return KillSwitch(bot, desk, outbox).run(source, reason)


def last_session(calendar: TradingCalendar, now: datetime) -> SessionHours:
    """The session that is open now, or the last one before."""
    days = calendar.sessions(now.date() - timedelta(days=LOOK_BACK_DAYS), now.date())
    begun = [hours for hours in days if hours.open <= now]
    if not begun:
        raise DomainError(
            f"There was no session in the {LOOK_BACK_DAYS} days before {now:%Y-%m-%d}."
        )
    return begun[-1]
