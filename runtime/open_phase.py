"""The open phase: minute by minute, reports in, exits, then entries; every decision an event."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from aggregates.market import MINUTE, Bar
from aggregates.order_messages import IntendOrder
from aggregates.session import Decide, Outcome, Session, Verdict, session_stream
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.marks import mark_prices
from runtime.outbox import Outbox
from strategies.opening_range import OpeningRangeBreakout
from strategies.protocol import Holding, Signal
from strategies.risk import RiskContext, check_entry
from strategies.sizing import Sizing, size

MARK_EVERY_MINUTES = 5  # how often open positions are valued for the equity curve


class OpenPhase:
    """Runs one strategy over one session. ``step`` can be repeated: what is done stays done."""

    def __init__(
        self,
        bot: Bot,
        desk: Desk,
        outbox: Outbox,
        strategy: OpeningRangeBreakout,
        symbols: tuple[str, ...],
    ) -> None:
        self._bot, self._desk, self._outbox, self._strategy = bot, desk, outbox, strategy
        self._symbols = symbols
        self._day = desk.hours.day
        self._bars_until = desk.hours.open

    def run(self) -> str:
        """Trade until monitoring is over and nothing is held; returns the outcome in words."""
        clock, hours = self._bot.clock, self._desk.hours
        now = max(_minute(clock.now()), hours.open)
        while now < hours.close:
            clock.wait_until(now)
            self.step(now)
            if self._strategy.finished(now) and not self._desk.symbols:
                break
            now += MINUTE
        else:
            clock.wait_until(hours.close)
            self.last_reports(hours.close)
        held = ", ".join(sorted(self._desk.holdings()))
        if held:
            return f"still held at the close: {held}"
        # STRAT_OPEN_ENABLED=false: signals were judged and recorded, nothing was bought.
        return "flat" if self._bot.settings.STRAT_OPEN_ENABLED else "disabled: judged, not traded"

    def last_reports(self, close: datetime) -> None:
        """After the close: fills and expiries of the last minutes, the last bars."""
        self._outbox.read_fills()
        self._outbox.read_states()
        self._fold_bars(close)

    def step(self, now: datetime) -> None:
        """One minute: reports, bars, exits, entries, marks."""
        if self._outbox.read_fills():
            self._bot.views.catch_up()
        self._outbox.settle_open()
        self._outbox.read_states()
        self._fold_bars(now)
        head = self._bot.store.head().position
        self._exits(now)
        self._entries(now)
        if self._desk.symbols and now.minute % MARK_EVERY_MINUTES == 0:
            mark_prices(self._bot, self._desk, now, "interval")
        if self._bot.store.head().position != head:
            self._bot.views.catch_up()

    def _fold_bars(self, now: datetime) -> None:
        bars: list[Bar] = []
        for symbol in self._symbols:
            bars += self._bot.broker.bars(symbol, self._bars_until, now)
        self._bars_until = now
        for bar in sorted(bars, key=lambda b: (b.start, b.symbol)):
            self._strategy.on_bar(bar)
            self._desk.bars[bar.symbol] = bar

    # -- exits -----------------------------------------------------------------------------

    def _exits(self, now: datetime) -> None:
        if self._strategy.finished(now):
            self._cancel_entries(None, "end of monitoring")
        holdings, carried = self._desk.holdings(), self._desk.carried
        watched = {s: h for s, h in holdings.items() if s not in carried}
        left_over = [
            _left_over(self._strategy.name, holdings[s]) for s in sorted(carried & holdings.keys())
        ]
        for signal in [*left_over, *self._strategy.exits(now, watched)]:
            self._cancel_entries(signal.symbol, "an exit is due")
            if not self._desk.open_orders(signal.symbol):
                self._sell(signal, now)

    def _cancel_entries(self, symbol: str | None, reason: str) -> None:
        """An entry that is still open must not buy once its time is over."""
        for order in self._desk.open_orders(symbol):
            if order.terms.side == "buy" and not order.cancel_requested:
                self._outbox.cancel(order, reason)

    def _sell(self, signal: Signal, now: datetime) -> None:
        quantity = self._desk.holdings()[signal.symbol].quantity
        self._decide(signal, now, "taken", quantity, "sell", ())

    # -- entries ---------------------------------------------------------------------------

    def _entries(self, now: datetime) -> None:
        decided = {
            d.symbol for d in self._session().decided.values() if d.kind not in ("exit", "disabled")
        }
        # a symbol that was carried over is sold today and not bought again
        for signal in self._strategy.entries(now, decided | self._desk.carried):
            if signal.kind == "entry":
                self._enter(signal, now)
            else:
                # weakness without an instrument, or no range: judged and said, nothing is ordered
                outcome: Outcome = "no_instrument" if signal.kind == "bearish" else "no_trade"
                self._decide(signal, now, outcome, Decimal(0), "buy", ())

    def _enter(self, signal: Signal, now: datetime) -> None:
        desk, price, stop = self._desk, signal.price, signal.stop
        equity, cash = desk.equity(), desk.cash_float()
        sizing: Sizing | None = None
        if price is not None and stop is not None:
            sizing = size(
                self._bot.settings,
                equity=equity,
                cash_float=cash,
                price=price,
                stop=stop,
                step=self._bot.broker.capabilities.quantity_step,
                weight=self._bot.settings.WEIGHT_OPEN,
            )
        quantity = sizing.quantity if sizing else Decimal(0)
        verdicts = check_entry(self._context(signal, now, equity, cash, quantity))
        refused = [v.rule for v in verdicts if not v.passed]
        sized = {} if sizing is None else _sizing_inputs(sizing, equity, cash)
        outcome: Outcome = "refused" if refused else "taken"
        self._decide(signal, now, outcome, quantity, "buy", verdicts, sized)

    def _context(
        self, signal: Signal, now: datetime, equity: Decimal, cash: Decimal, quantity: Decimal
    ) -> RiskContext:
        desk, strategy = self._desk, self._strategy
        return RiskContext(
            settings=self._bot.settings,
            strategy=strategy.name,
            now=now,
            hours=desk.hours,
            entry_deadline=strategy.window.breakout_end,
            equity=equity,
            equity_at_open=desk.equity_at_open(),
            realized_today=desk.realized_today(),
            unrealized_today=desk.unrealized(),
            open_exposure=desk.exposure(),
            open_positions=desk.open_positions(),
            trades_today=sum(
                d.kind == "entry" and d.outcome == "taken" for d in self._session().decided.values()
            ),
            quote=self._bot.broker.quote(signal.symbol),
            price=signal.price,
            quantity=quantity,
            stop=signal.stop,
            analysis_volume=strategy.analysis_volume(signal.symbol),
            cash_float=cash,
        )

    # -- recording -------------------------------------------------------------------------

    def _decide(
        self,
        signal: Signal,
        now: datetime,
        outcome: Outcome,
        quantity: Decimal,
        side: str,
        verdicts: tuple[Verdict, ...],
        more_inputs: dict[str, str] | None = None,
    ) -> None:
        """Record the decision and, when taken, the order's intent in the same batch; then send."""
        decision_id = f"{self._day}-{signal.strategy}-{signal.symbol}-{signal.kind}-{now:%H%M}"
        taken = outcome == "taken"
        commands: list[Decide | IntendOrder] = [
            Decide(
                at=now,
                effective_date=self._day,
                decision_id=decision_id,
                strategy=signal.strategy,
                symbol=signal.symbol,
                kind=signal.kind,
                outcome=outcome,
                reason=signal.reason,
                inputs=signal.inputs | (more_inputs or {}),
                verdicts=verdicts,
                order_id=decision_id if taken else None,
            )
        ]
        if taken:
            commands.append(self._intent(signal, now, decision_id, quantity, side))
        self._bot.dispatch(*commands, command_id=f"decide:{decision_id}", correlation=decision_id)
        if taken:
            self._outbox.send(decision_id)

    def _intent(
        self, signal: Signal, now: datetime, order_id: str, quantity: Decimal, side: str
    ) -> IntendOrder:
        return IntendOrder(
            at=now,
            effective_date=self._day,
            order_id=order_id,
            bot_identity=self._bot.identity,
            instrument_id=f"{self._bot.settings.EXCHANGE_CALENDAR}:{signal.symbol}",
            symbol=signal.symbol,
            sleeve="trading",
            side="buy" if side == "buy" else "sell",
            order_type="market",
            quantity=quantity,
            strategy=signal.strategy,
            reason=signal.reason,
        )

    def _session(self) -> Session:
        return self._bot.store.load(Session, session_stream(self._day.isoformat()))


def _left_over(strategy: str, held: Holding) -> Signal:
    """The exit of what an earlier session could not sell: due from the open on."""
    return Signal(
        strategy=strategy,
        symbol=held.symbol,
        kind="exit",
        reason="carried over",
        price=None,
        stop=None,
        inputs={
            "quantity": format(held.quantity, "f"),
            "average_price": format(held.average_price, "f"),
        },
    )


def _sizing_inputs(sizing: Sizing, equity: Decimal, cash: Decimal) -> dict[str, str]:
    return {
        "equity": format(equity, "f"),
        "cash_float": format(cash, "f"),
        "risk_per_share": format(sizing.risk_per_share, "f"),
        "quantity_by_risk": format(sizing.by_risk, "f"),
        "quantity_by_allocation": format(sizing.by_allocation, "f"),
        "quantity_by_cash": format(sizing.by_cash, "f"),
        "quantity": format(sizing.quantity, "f"),
    }


def _minute(moment: datetime) -> datetime:
    """The next whole minute at or after the moment: bars are complete then."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + MINUTE
