"""Selling everything that trading holds, until the broker itself says that it is gone (M14).

What trading holds at the broker is the broker's position less what the long-term holdings hold.
Sold is what both sides know of: units that our books do not hold could not be booked as sold, and
are left to a person. A new order is intended only when no order of the symbol can fill any more, so
nothing is sold twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from aggregates.chart_rules import TRADING_ROLES
from aggregates.occ import occ_terms
from aggregates.order import Order, order_stream
from brokers.port import BrokerError, BrokerUnavailable, OutcomeUnknown
from projections.ledger_queries import LedgerQueries
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.exits import exit_commands
from runtime.outbox import Outbox

PAUSES_S = (2, 4, 8, 15, 30, 60, 60, 60, 60, 60)  # between attempts: some six minutes in all
PATIENCE = timedelta(seconds=150)  # an exit that fills nothing for so long is asked for anew
QUOTE_LIVES = timedelta(minutes=5)
_ZERO = Decimal(0)

Wait = Callable[[datetime], object]


class Left(NamedTuple):
    """What is not gone yet, and why in words. ``quantity`` is what the broker says, if it does."""

    symbol: str
    quantity: Decimal | None
    why: str

    def __str__(self) -> str:
        held = "" if self.quantity is None else f" {self.quantity:f}"
        option = occ_terms(self.symbol)
        expires = f" (expires on {option.expiry})" if option else ""
        return f"{self.symbol}{held}{expires}: {self.why}"


class Flattened(NamedTuple):
    """``flat``: the broker said that trading holds nothing, and none of its orders is open.

    ``left`` says in words what there still is, a line for each symbol or order.
    """

    flat: bool
    left: tuple[str, ...]


def units_by_sleeve(books: LedgerQueries) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Units in our books by symbol: of trading, and of the long-term holdings."""
    mapping = books.chart().mapping
    accounts = {mapping[role] for role in TRADING_ROLES}
    trading: defaultdict[str, Decimal] = defaultdict(Decimal)
    holdings: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in books.positions():
        sleeve = trading if position.code.partition(".")[0] in accounts else holdings
        sleeve[position.symbol] += position.quantity
    return trading, holdings


def trading_orders(desk: Desk) -> list[Order]:
    """Trading's orders that can still change; those of the holdings are never touched."""
    return [order for order in desk.open_orders() if order.terms.sleeve == "trading"]


def take_reports(outbox: Outbox) -> None:
    """What became of open orders, and another try at what the broker has not confirmed."""
    outbox.read_fills()
    outbox.settle_open()
    outbox.read_states()


def only_in_books(desk: Desk) -> str:
    """Asked when the broker holds nothing for trading: what our books hold all the same, in words;
    empty when they hold nothing either."""
    held = sorted(desk.holdings())
    return f"our books hold {', '.join(held)}, and the broker holds none of it" if held else ""


class Flatten:
    """One undertaking to sell. ``run`` goes on until flat; ``ask`` is one attempt of it.

    ``wait`` is given the moment to wait for; what it returns, unless None, ends ``run`` early.
    """

    def __init__(self, bot: Bot, desk: Desk, outbox: Outbox, wait: Wait | None = None) -> None:
        self._bot, self._desk, self._outbox = bot, desk, outbox
        self._wait: Wait = wait or bot.clock.wait_until
        self._progress: dict[str, tuple[Decimal, datetime]] = {}

    def run(self, reason: str) -> Flattened:
        """Ask, wait and look. Raises KeysRefused.

        An attempt counts only when nothing moved and the broker did answer: for as long as it
        fills, or is silent, this goes on, to the close at the latest.
        """
        pauses, before = list(PAUSES_S), self._standing()
        while pauses and self.ask(reason) and self.market_open():
            pause = timedelta(seconds=pauses[0])
            if self._wait(self._bot.clock.now() + pause) is not None:
                break
            standing = self._standing()
            if standing == before and self._outbox.unreachable_since is None:
                pauses.pop(0)
            before = standing
        left = self.look()
        return Flattened(not left, tuple(map(str, left)))

    def _standing(self) -> Decimal:
        """What all of the session's exits have sold: as long as it grows, something moves."""
        orders = self._desk.orders.values()
        return sum((o.filled.decimal for o in orders if o.terms.side == "sell"), _ZERO)

    def market_open(self) -> bool:
        return self._desk.hours.open <= self._bot.clock.now() < self._desk.hours.close

    # -- one attempt -----------------------------------------------------------------------

    def ask(self, reason: str) -> list[Left]:
        """Buys cancelled, reports in, exits sent for what is left; returns what was left before.

        Does not wait. Empty: flat.
        """
        self._take_up()
        for order in trading_orders(self._desk):
            if order.terms.side == "buy" and not order.cancel_requested:
                self._outbox.cancel(order, reason)
        take_reports(self._outbox)
        left = self.look()
        if self.market_open():
            for one in left:
                if one.quantity is not None and one.quantity > 0:
                    self._exit(one.symbol, one.quantity, reason)
        return left

    def look(self) -> list[Left]:
        """What is left now, by the broker's own word; nothing is sent."""
        self._outbox.read_fills()
        self._bot.views.catch_up()
        orders = [
            Left(o.terms.symbol, None, f"order {o.terms.order_id} is still open ({o.state})")
            for o in trading_orders(self._desk)
        ]
        try:
            held = self.held_at_broker()
            positions = [Left(s, held[s], self._why(s, held[s])) for s in sorted(held)]
        except (BrokerUnavailable, OutcomeUnknown) as e:
            return [*orders, Left("positions", None, f"not known: the broker does not answer. {e}")]
        return positions + [o for o in orders if o.symbol not in held]

    def held_at_broker(self) -> dict[str, Decimal]:
        """Trading's units by symbol: the broker's position less that of the holdings.

        Less there than the holdings hold is nothing to sell: a difference to reconcile.
        """
        _, holdings = units_by_sleeve(self._bot.views.books)
        said = {p.symbol: p.quantity for p in self._bot.broker.positions()}
        held = {symbol: units - holdings.get(symbol, _ZERO) for symbol, units in said.items()}
        return {s: units for s, units in held.items() if units > 0 or said[s] < 0}

    # -- exits -----------------------------------------------------------------------------

    def _exit(self, symbol: str, at_broker: Decimal, reason: str) -> None:
        """Sell what both sides know of, unless an order that may still fill is at work."""
        reports, orders = self._outbox.reports, self._desk.open_orders(symbol)
        # of those that have ended at the broker only executions are still to be told
        at_work = [o for o in orders if o.terms.order_id not in reports.ended_there]
        if at_work:
            for order in filter(self._is_stuck, at_work):
                self._outbox.cancel(order, "nothing was filled")
            return
        ours = self._desk.holdings().get(symbol)
        sold = [o.terms.order_id for o in orders if o.terms.side == "sell"]
        known = ours.quantity if ours else _ZERO
        quantity = min(at_broker, known - sum((reports.owed.get(i, _ZERO) for i in sold), _ZERO))
        if quantity > 0:
            self._sell(symbol, quantity, known, at_broker, reason)

    def _is_stuck(self, order: Order) -> bool:
        """Whether an exit of trading has filled nothing for longer than is waited for, though the
        symbol traded meanwhile (or nobody knows whether it did). In a halt a new one is no better.
        """
        now, filled = self._bot.clock.now(), order.filled.decimal
        was, since = self._progress.get(order.terms.order_id, (None, now))
        if was != filled:
            since = now
        self._progress[order.terms.order_id] = (filled, since)
        symbol, read_at = order.terms.symbol, self._desk.bars_read_at
        # what is worth its bid has no bars: a bid says that it could be sold
        seen = self._desk.bars.get(symbol), self._desk.quotes.get(symbol)
        unwatched = read_at is None or now - read_at > PATIENCE  # a kill reads no bars
        return (
            (unwatched or any(one is not None and one.start >= since for one in seen))
            and order.terms.sleeve == "trading"
            and order.state == "accepted"
            and not order.cancel_requested
            and now - since > PATIENCE
        )

    def _sell(
        self, symbol: str, quantity: Decimal, held: Decimal, at_broker: Decimal, reason: str
    ) -> None:
        order_id = self._next_id(symbol)
        commands = exit_commands(
            self._bot,
            order_id=order_id,
            day=self._desk.hours.day,
            at=self._bot.clock.now(),
            symbol=symbol,
            quantity=quantity,
            held=held,
            reason=reason,
            inputs={"quantity": f"{quantity:f}", "at_broker": f"{at_broker:f}"},
        )
        self._bot.dispatch(*commands, command_id=f"decide:{order_id}", correlation=order_id)
        self._outbox.send(order_id)

    def _next_id(self, symbol: str) -> str:
        """The first id of a flattening order that was not used; the desk takes up those that were.

        The session names its orders, but an order without one is found by nothing else.
        """
        number = 1
        while True:
            order_id = f"{self._desk.hours.day}-{symbol}-flatten-{number}"
            if self._bot.store.load(Order, order_stream(order_id)).intent is None:
                return order_id
            self._desk.refresh(order_id)
            number += 1

    def _take_up(self) -> None:
        for symbol in self._desk.holdings():
            self._next_id(symbol)

    # -- why it is not gone ----------------------------------------------------------------

    def _why(self, symbol: str, at_broker: Decimal) -> str:
        if at_broker < 0:
            return "sold short; the bot never does that, so a person must look at the account"
        ours = self._desk.holdings().get(symbol)
        if ours is None:
            return "our books do not hold it for trading; it is left to a person"
        now = self._bot.clock.now()
        if not self.market_open():
            return f"the market is closed since {self._desk.hours.close:%Y-%m-%d %H:%M} UTC"
        try:
            asset, quote = self._bot.broker.asset(symbol), self._bot.broker.quote(symbol)
        except BrokerError as e:  # only the words are lost: it is sold all the same
            return self._what_became(symbol) or f"not sold yet; no quote can be had: {e}"
        if asset is not None and asset.halted:
            return "halted"
        if asset is None or not asset.tradable:
            return "the broker does not trade it now"
        if quote is None or now - quote.end > QUOTE_LIVES:
            return "no quote for more than five minutes"
        return self._what_became(symbol) or "not sold yet"

    def _what_became(self, symbol: str) -> str:
        """The last exit: open, or refused and why."""
        exits = [
            order
            for order in self._desk.orders.values()
            if order.terms.symbol == symbol and order.terms.side == "sell"
        ]
        if not exits:
            return ""
        last = self._bot.views.orders.order(exits[-1].terms.order_id)
        if last is None or last.state == "filled":
            return ""
        return f"order {last.order_id} is {last.state}" + (
            f": {last.reason}" if last.reason else ""
        )
