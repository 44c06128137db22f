"""Orders of the long-term holdings on their way: planned once, sent once, seen to their end.

A batch is intended with all its orders before the first of them leaves, so a process that starts
anew goes on with that batch and never plans it a second time. Trading's orders are none of these:
their book is another one, and a kill of trading touches nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from aggregates.base import Command
from aggregates.holdings import BatchIntended, HoldingsDay, IntendBatch, day_stream
from aggregates.money import plain
from aggregates.order import FINAL, Order, order_stream
from aggregates.order_messages import IntendOrder, OrderFilled, Side
from config.calendar import SessionHours
from config.failpoints import reach
from runtime.bootstrap import Bot
from runtime.flatten import take_reports, units_by_sleeve
from runtime.guard import KillAsked
from runtime.holdings_sizes import HoldingsSizes
from runtime.instruments import id_of
from runtime.order_book import OrderBook
from runtime.outbox import Outbox
from strategies.planned_order import PlannedOrder

__all__ = ["Executed", "HoldingsOrders", "PlannedOrder", "Wait", "in_words"]

STRATEGY = "HOLDINGS"
LOOK_EVERY = timedelta(seconds=15)
PATIENCE = timedelta(minutes=5)  # an order that is not filled by then is cancelled
CANCEL_PAUSES_S = (1, 2, 4, 8, 16)  # between looks at what became of the cancellations
_ZERO = Decimal(0)

Wait = Callable[[datetime], object]


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a planned order. ``value`` is gross, ``costs`` commission and fees.

    ``state`` is the order's, or "skipped" for one that was never intended; ``reason`` says why it
    was, or why the order was not filled.
    """

    order_id: str
    symbol: str
    side: Side
    wanted: Decimal
    filled: Decimal
    value: Decimal
    costs: Decimal
    state: str
    reason: str
    sent: bool = False  # whether it was ever on its way to the broker

    @property
    def over(self) -> bool:
        """Whether nothing of it can be filled any more, as far as is known."""
        return self.state == "skipped" or self.state in FINAL

    @property
    def refused(self) -> bool:
        """Whether it was tried and not wholly filled, or could not be. One that was dropped before
        it left was not tried."""
        return self.state == "skipped" or (self.sent and self.filled < self.wanted)


class HoldingsOrders:
    """Of one session. ``wait`` returns when the moment has come; a kill may end it by KillAsked."""

    def __init__(self, bot: Bot, hours: SessionHours, wait: Wait) -> None:
        self._bot, self._hours, self._wait = bot, hours, wait

    def carry_out(self, batch: str, orders: Sequence[PlannedOrder]) -> tuple[Executed, ...]:
        """Sales first, purchases when they are over; what is not filled in time is cancelled.

        A batch that was begun before an interruption goes on as it was planned then, whatever
        ``orders`` says now. ``batch`` names it within the day. Raises KeysRefused, and what
        ``wait`` raises.
        """
        done: list[Executed] = []
        for side in ("sell", "buy"):
            done += self._carry_out(batch, side, [o for o in orders if o.side == side])
        return tuple(done)

    def begun(self, batch: str, side: Side) -> bool:
        """Whether these orders were intended before; then ``carry_out`` goes on with them."""
        return (batch, side) in self._day().batches

    def _carry_out(self, batch: str, side: Side, orders: Sequence[PlannedOrder]) -> list[Executed]:
        book = OrderBook(self._bot.store, self._hours)
        outbox = Outbox(
            self._bot.dispatch, self._bot.broker, self._bot.clock, book, self._hours.day
        )
        intended = self._day().batches.get((batch, side))
        if intended is None:
            if not orders:
                return []
            if not self._market_open():
                return [
                    _skipped(o.symbol, side, "the market is closed", o.quantity) for o in orders
                ]
            self._wait(self._bot.clock.now())  # a kill that is asked for by now ends it here
            intended = self._intend(batch, side, orders)
            for order_id in intended.order_ids:
                outbox.send(order_id)
        for order_id in intended.order_ids:
            book.refresh(order_id)
        self._see_through(book, outbox)
        reach("holdings.batch_ended")
        self._bot.views.catch_up()
        skipped = [_skipped(s, side, why) for s, why in intended.skipped.items()]
        return [self._executed(order_id) for order_id in intended.order_ids] + skipped

    def _day(self) -> HoldingsDay:
        return self._bot.store.load(HoldingsDay, day_stream(self._hours.day))

    def _market_open(self) -> bool:
        return self._hours.open <= self._bot.clock.now() < self._hours.close

    # -- intending -------------------------------------------------------------------------

    def _intend(self, batch: str, side: Side, orders: Sequence[PlannedOrder]) -> BatchIntended:
        """All orders in one batch of events, each cut to what can be sold or paid for."""
        self._bot.views.catch_up()
        sizes = HoldingsSizes(self._bot, self._day())
        sized = sizes.of_sales(orders) if side == "sell" else sizes.of_purchases(orders)
        at, day = self._bot.clock.now(), self._hours.day
        intents: list[IntendOrder] = []
        skipped: dict[str, str] = {}
        ids = {p.symbol: p.instrument_id for p in self._bot.views.books.positions()}
        _, held = units_by_sleeve(self._bot.views.books)
        for order, found in zip(orders, sized, strict=True):
            if isinstance(found, str):
                skipped[order.symbol] = found
            else:
                intents.append(self._intent(batch, found, at, ids, held.get(found.symbol)))
        planned = IntendBatch(
            at=at, effective_date=day, batch=batch, side=side,
            order_ids=tuple(intent.order_id for intent in intents), skipped=skipped,
        )  # fmt: skip
        commands: list[Command] = [planned, *intents]
        stream = day_stream(day)
        self._bot.dispatch(*commands, command_id=f"{stream}:{batch}:{side}", correlation=stream)
        reach("holdings.batch_intended")
        return self._day().batches[batch, side]

    def _intent(
        self,
        batch: str,
        order: PlannedOrder,
        at: datetime,
        ids: Mapping[str, str],
        held: Decimal | None,
    ) -> IntendOrder:
        symbol = order.symbol
        return IntendOrder(
            at=at,
            effective_date=self._hours.day,
            order_id=f"{self._hours.day}-{batch}-{symbol}-{order.side}",
            bot_identity=self._bot.identity,
            # a renamed security keeps its own
            instrument_id=ids.get(symbol) or id_of(self._bot, symbol),
            symbol=symbol,
            sleeve="holdings",
            side=order.side,
            order_type="market" if order.limit_price is None else "limit",
            quantity=order.quantity,
            limit_price=order.limit_price,
            strategy=STRATEGY,
            context=order.context,
            reason=order.reason,
            held=held,
        )

    # -- seeing it through -----------------------------------------------------------------

    def _see_through(self, book: OrderBook, outbox: Outbox) -> None:
        """Until every order has ended, or for long enough; then the rest is cancelled."""
        clock = self._bot.clock
        until = min(clock.now() + PATIENCE, self._hours.close)
        while book.open_orders() and clock.now() < until:
            self._look(outbox, clock.now() + LOOK_EVERY)
        for order in book.open_orders():
            outbox.cancel(order, f"not filled within {PATIENCE.seconds // 60} minutes")
        for pause in CANCEL_PAUSES_S:
            if not book.open_orders():
                return
            self._look(outbox, clock.now() + timedelta(seconds=pause))

    def _look(self, outbox: Outbox, moment: datetime) -> None:
        try:
            self._wait(moment)
        except KillAsked:
            # what is filled by now is ours to record; nothing is cancelled, and nothing is sent
            outbox.read_fills()
            outbox.read_states()
            raise
        take_reports(outbox)

    def _executed(self, order_id: str) -> Executed:
        order = self._bot.store.load(Order, order_stream(order_id))
        feed = self._bot.views.feed
        events = [feed.event(row) for row in feed.stream(order_stream(order_id))]
        fills = [e for e in events if isinstance(e, OrderFilled)]
        reasons = [r for e in events[1:] if (r := getattr(e, "reason", ""))]
        return Executed(
            order_id=order_id,
            symbol=order.terms.symbol,
            side=order.terms.side,
            wanted=order.terms.quantity,
            filled=order.filled.decimal,
            value=order.filled_value,
            costs=sum((f.commission + f.fees for f in fills), _ZERO),
            state=order.state,
            reason=reasons[-1] if reasons else "",
            sent=order.sent_at is not None,
        )


def in_words(done: Sequence[Executed]) -> str:
    """What became of orders; empty for none."""
    return "; ".join(map(_one_in_words, done))


def _one_in_words(one: Executed) -> str:
    verb = "bought" if one.side == "buy" else "sold"
    if not one.filled:
        return f"{one.symbol} not {verb}: {one.reason or one.state}"
    part = "" if one.filled == one.wanted else f" of {plain(one.wanted):f} ({one.reason})"
    return f"{verb} {plain(one.filled):f} {one.symbol}{part} for {one.value:,.2f}"


def _skipped(symbol: str, side: Side, why: str, wanted: Decimal = _ZERO) -> Executed:
    return Executed(
        order_id="", symbol=symbol, side=side, wanted=wanted, filled=_ZERO, value=_ZERO,
        costs=_ZERO, state="skipped", reason=why,
    )  # fmt: skip
