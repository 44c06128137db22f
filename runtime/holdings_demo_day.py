"""One session of the demo over years: a morning's trade, the holdings phase, the close."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from random import Random

from aggregates.market import MINUTE
from aggregates.order import Order
from aggregates.order_messages import IntendOrder, Side
from aggregates.session import EndPhase, Session, StartPhase, session_stream
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.flatten import take_reports
from runtime.holdings_phase import HoldingsPhase
from runtime.outbox import Outbox
from runtime.purses import purses_of
from runtime.rebalancing import serve_requests
from runtime.reconciliation import Reconciler
from runtime.trading_day import close_day, open_day, settle_day

EDGE = "EDGE"  # listed nowhere: what the demo trades
EDGE_PRICE = 100  # at the open of every day
BOUGHT, TURN, SOLD, HOLDINGS = 1, 6, 7, 60  # minutes after the open
MINUTES = (*range(12), *range(HOLDINGS, HOLDINGS + 60))  # in which anything is traded
TRADES = 60  # percent of the sessions


class Day:
    """Begun and played once; a demo that is interrupted is played again from its beginning."""

    def __init__(self, bot: Bot, hours: SessionHours, reconciler: Reconciler, seed: int) -> None:
        self._bot, self._hours, self._reconciler = bot, hours, reconciler
        self._trades = Random(f"{seed} {hours.day}").randint(1, 100) <= TRADES  # noqa: S311 # nosec B311

    def play(self) -> None:
        bot, hours = self._bot, self._hours
        self._wait(hours.open)
        open_day(bot, hours, (EDGE,))
        desk = Desk(bot.store, bot.views.books, hours)
        desk.load(bot.store.load(Session, session_stream(str(hours.day))))
        outbox = Outbox(bot.dispatch, bot.broker, bot.clock, desk, hours.day)
        if self._trades:
            self._trade(desk, outbox)
        self._wait(hours.open + HOLDINGS * MINUTE)
        self._holdings()
        self._wait(hours.close + MINUTE)
        for position in bot.views.books.positions():
            bars = bot.broker.bars(position.symbol, hours.open, bot.clock.now())
            if bars:
                desk.bars[position.symbol] = bars[-1]
        settle_day(bot, desk, self._reconciler, desk.bars)
        close_day(bot, hours.day)

    def _wait(self, moment: datetime) -> None:
        self._bot.clock.wait_until(moment)

    def _holdings(self) -> None:
        """The phase as a supervisor records it, and what it may still be asked for."""
        bot, day = self._bot, self._hours.day
        stream = session_stream(str(day))
        started = StartPhase(at=bot.clock.now(), effective_date=day, phase="holdings")
        bot.dispatch(started, command_id=f"phase:{day}:holdings:start", correlation=stream)
        said = HoldingsPhase(bot, self._hours, self._wait).run()
        ended = EndPhase(at=bot.clock.now(), effective_date=day, phase="holdings", outcome=said)
        bot.dispatch(ended, command_id=f"phase:{day}:holdings:end", correlation=stream)
        serve_requests(bot, self._hours, self._wait)

    # -- the morning's trade ---------------------------------------------------------------

    def _trade(self, desk: Desk, outbox: Outbox) -> None:
        """Nine tenths of the float, and all of it sold again."""
        cash = purses_of(self._bot.views.books).float
        units = int(cash * 9 / 10 / EDGE_PRICE)
        bought = self._order(desk, outbox, "buy", units, BOUGHT) if units else 0
        if bought:
            self._order(desk, outbox, "sell", bought, SOLD)
        self._bot.views.catch_up()

    def _order(self, desk: Desk, outbox: Outbox, side: Side, units: int, minute: int) -> int:
        """How many were filled."""
        self._wait(self._hours.open + minute * MINUTE)
        day, order_id = self._hours.day, f"{self._hours.day}-{EDGE}-{side}"
        intent = IntendOrder(
            at=self._bot.clock.now(), effective_date=day, order_id=order_id,
            bot_identity=self._bot.identity,
            instrument_id=f"{self._bot.settings.EXCHANGE_CALENDAR}:{EDGE}", symbol=EDGE,
            sleeve="trading", side=side, order_type="market", quantity=Decimal(units),
            strategy="DEMO", reason="the demo's seeded trade",
            held=Decimal(units) if side == "sell" else None,
        )  # fmt: skip
        self._bot.dispatch(intent, command_id=f"demo:{order_id}")
        outbox.send(order_id)
        for _ in range(3):
            self._wait(self._bot.clock.now() + MINUTE)
            take_reports(outbox)
        order: Order = desk.refresh(order_id)
        return int(order.filled.decimal)
