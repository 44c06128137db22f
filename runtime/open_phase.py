"""A strategy's phase: minute by minute, reports in, exits, then entries; each decision an event."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

import msgspec

from aggregates.base import Command
from aggregates.errors import DomainError
from aggregates.market import MINUTE, Bar
from aggregates.order_messages import IntendOrder, RecordSubmission
from aggregates.session import Decide, Decided, Outcome, Session, Verdict, session_stream
from brokers.port import BrokerUnavailable, OutcomeUnknown
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.entries import Entries
from runtime.flatten import Flatten
from runtime.guard import Guard, KillAsked, KillOrder
from runtime.health import Health
from runtime.instruments import id_of
from runtime.loss_limit import loss_breached
from runtime.marks import mark_prices
from runtime.outbox import Outbox
from runtime.reconciliation import Reconciler
from strategies.protocol import Holding, Signal, Strategy, minute_of

LISTEN = timedelta(seconds=1)  # how often news of open orders is looked at between two minutes
OVERDUE = timedelta(minutes=5)  # after the end of monitoring: what is held still is escalated
MARK_EVERY_MINUTES = 15  # how often open positions are valued for the equity curve
# An order waits for the ledger alone. Pages read by themselves what the views on disk lack.
VIEWS_EVERY_MINUTES = 60


class OpenPhase:
    """Runs one strategy over one session. ``step`` can be repeated: what is done stays done."""

    def __init__(
        self,
        bot: Bot,
        desk: Desk,
        outbox: Outbox,
        strategy: Strategy,
        symbols: tuple[str, ...],
        guard: Guard,
        reconciler: Reconciler,
    ) -> None:
        self._bot, self._desk, self._outbox, self._strategy = bot, desk, outbox, strategy
        self._symbols, self._guard = symbols, guard
        self._day = desk.hours.day
        self._session = bot.store.load(Session, session_stream(self._day.isoformat()))
        self._health = Health(bot, desk, outbox, reconciler)
        self._judge = Entries(bot, desk, strategy, self._health)
        self._flatten = Flatten(bot, desk, outbox)
        self._bars_until = dict.fromkeys(symbols, desk.hours.open)

    def run(self) -> str:
        """Trade until monitoring is over and nothing is held; returns the outcome in words.

        Raises KillAsked as soon as a kill is asked for, or the loss limit is reached.
        """
        hours = self._desk.hours
        now = max(_minute(self._bot.clock.now()), hours.open)
        while now < hours.close:
            self._wait_until(now)
            self.step(now)
            if self._strategy.finished(now) and not self._desk.symbols:
                break
            # minutes that a slow broker took are not made up for: their signals are old by now
            now = max(now + MINUTE, minute_of(self._bot.clock.now()))
        else:
            self._wait_until(hours.close)
            self.last_reports(hours.close)
        if left := self._flatten.look():  # the broker's own word, not our books
            return f"not flat: {'; '.join(map(str, left))}"
        # STRAT_OPEN_ENABLED=false: signals were judged and recorded, nothing was bought.
        return "flat" if self._bot.settings.STRAT_OPEN_ENABLED else "disabled: judged, not traded"

    def _wait_until(self, minute: datetime) -> None:
        """Until a minute's bars can be there: some brokers have them a little later. While orders
        are open, what the broker tells by itself is taken up meanwhile."""
        broker, clock = self._bot.broker, self._bot.clock
        due = minute + broker.capabilities.bars_after
        while not broker.capabilities.simulated and self._desk.open_orders():
            if (soon := clock.now() + LISTEN) >= due:
                break
            self._wait(soon)
            if broker.news().orders:
                self._reports()
        self._wait(due)

    def _wait(self, moment: datetime) -> None:
        if (kill := self._guard.wait_until(moment)) is not None:
            raise KillAsked(kill)

    def _reports(self) -> None:
        """Fills and states of open orders, and another try at what has no answer."""
        if self._outbox.read_fills():
            self._bot.views.catch_up_ledger()
        self._outbox.settle_open()
        self._outbox.read_states()

    def block_entries(self, reason: str) -> None:
        """For the rest of this process; exits go on."""
        self._health.failed_check = reason

    def last_reports(self, close: datetime) -> None:
        """After the close: fills and expiries of the last minutes, the last bars."""
        self._outbox.read_fills()
        self._outbox.settle_open()
        self._outbox.read_states()
        self._fold_bars(close)

    def step(self, now: datetime) -> None:
        """One minute: reports, bars, exits, entries, marks. Raises KillAsked."""
        self._reports()
        self._health.look(now)
        self._fold_bars(now)
        if breach := loss_breached(self._desk, self._bot.settings):
            raise KillAsked(KillOrder("loss", breach))
        self._exits(now)
        if now >= self._strategy.window.monitoring_end + OVERDUE and self._desk.symbols:
            self._flatten.ask("end of monitoring")  # exits that nothing fills are asked for anew
        self._entries(now)
        if self._desk.symbols and now.minute % MARK_EVERY_MINUTES == 0:
            mark_prices(self._bot, self._desk, now, "interval")
        if now.minute % VIEWS_EVERY_MINUTES == 0:
            self._bot.views.catch_up()
        self._guard.tell("open", self._desk)

    def _fold_bars(self, now: datetime) -> None:
        """What a broker that does not answer has not told comes with its next answer."""
        bars: list[Bar] = []
        ask, until = self._bot.broker.bars, self._bars_until
        for symbol in self._symbols:
            try:
                found = ask(symbol, until[symbol], now)
            except BrokerUnavailable:
                continue
            if found:  # a bar that comes late is asked for again until it is there
                until[symbol] = found[-1].end
                bars += found
        self._desk.bars_read_at = now
        for bar in sorted(bars, key=attrgetter("start", "symbol")):
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
            if self._nothing_fills(signal.symbol):
                self._sell(signal, now)

    def _nothing_fills(self, symbol: str) -> bool:
        """Whether no order of it can fill any more. An entry that has ended at the broker stays
        open here until its executions are told; what is held already is sold without them."""
        ended = self._outbox.reports.ended_there
        return all(
            order.terms.side == "buy" and order.terms.order_id in ended
            for order in self._desk.open_orders(symbol)
        )

    def _cancel_entries(self, symbol: str | None, reason: str) -> None:
        """An entry that is still open must not buy once its time is over."""
        for order in self._desk.open_orders(symbol):
            if order.terms.side == "buy" and not order.cancel_requested:
                self._outbox.cancel(order, reason)

    def _sell(self, signal: Signal, now: datetime) -> None:
        """What both sides know of: units that the broker does not hold for trading would be sold
        short, or out of the long-term holdings. Not known is not sold: a minute later it is asked
        for again, and the difference stands open meanwhile."""
        try:
            there = self._flatten.held_at_broker().get(signal.symbol, Decimal(0))
        except (BrokerUnavailable, OutcomeUnknown):
            return
        quantity = min(self._desk.holdings()[signal.symbol].quantity, there)
        if quantity > 0:
            inputs = signal.inputs | {"quantity": f"{quantity:f}"}
            exit_ = msgspec.structs.replace(signal, inputs=inputs)
            self._decide(exit_, now, self._bot.clock.now(), "taken", quantity=quantity)

    # -- entries ---------------------------------------------------------------------------

    def _entries(self, now: datetime) -> None:
        # a symbol that was carried over is sold today and not bought again
        signals = self._strategy.entries(now, self._judged() | self._desk.carried)
        if signals:
            self._decisions()  # what others decided meanwhile counts
            judged = self._judged()
            signals = [signal for signal in signals if signal.symbol not in judged]
        for signal in signals:
            if signal.kind == "entry":
                self._enter(signal, now)
            else:
                # weakness without an instrument, or no range: judged and said, nothing is ordered
                outcome: Outcome = "no_instrument" if signal.kind == "bearish" else "no_trade"
                self._decide(signal, now, self._bot.clock.now(), outcome)

    def _enter(self, signal: Signal, now: datetime) -> None:
        try:
            self._judge_and_decide(signal, now)
        except DomainError:  # a stop, a kill or a difference came between verdict and intent
            self._judge_and_decide(signal, now)

    def _judge_and_decide(self, signal: Signal, now: datetime) -> None:
        decisions = self._decisions()
        entered = sum(d.kind == "entry" and d.outcome == "taken" for d in decisions)
        judged = self._judge.judge(signal, entered)
        self._decide(
            msgspec.structs.replace(signal, inputs=signal.inputs | judged.inputs),
            now,
            judged.at,
            "taken" if judged.taken else "refused",
            quantity=judged.quantity,
            verdicts=judged.verdicts,
            decided_before=len(decisions),
        )

    # -- recording -------------------------------------------------------------------------

    def _judged(self) -> set[str]:
        """Symbols whose first signal was judged, as far as the session was read."""
        decided = self._session.decided.values()
        return {d.symbol for d in decided if d.kind not in ("exit", "disabled")}

    def _decisions(self) -> Collection[Decided]:
        """All of the session, other strategies' among them."""
        self._bot.store.follow(self._session)
        return self._session.decided.values()

    def _decide(
        self,
        signal: Signal,
        now: datetime,
        at: datetime,
        outcome: Outcome,
        *,
        quantity: Decimal = Decimal(0),
        verdicts: tuple[Verdict, ...] = (),
        decided_before: int | None = None,
    ) -> None:
        """Record the decision and, when taken, the order's intent in the same batch; then send.

        An order that the pace admits is recorded as submitted with it: nothing waits between."""
        decision_id = f"{self._day}-{signal.strategy}-{signal.symbol}-{signal.kind}-{now:%H%M}"
        taken = outcome == "taken"
        commands: list[Command] = [
            Decide(
                at=at,
                effective_date=self._day,
                decision_id=decision_id,
                strategy=signal.strategy,
                symbol=signal.symbol,
                kind=signal.kind,
                outcome=outcome,
                reason=signal.reason,
                inputs=signal.inputs,
                verdicts=verdicts,
                order_id=decision_id if taken else None,
                decided_before=decided_before,
            )
        ]
        admitted = False
        if taken:
            intent = self._intent(signal, at, decision_id, quantity)
            commands.append(intent)
            if admitted := self._outbox.admits(intent.side):
                submission = RecordSubmission(at=at, effective_date=self._day, order_id=decision_id)
                commands.append(submission)
        self._bot.dispatch(*commands, command_id=f"decide:{decision_id}", correlation=decision_id)
        if taken:
            self._outbox.send(decision_id, admitted=admitted)

    def _intent(
        self, signal: Signal, at: datetime, order_id: str, quantity: Decimal
    ) -> IntendOrder:
        return IntendOrder(
            at=at,
            effective_date=self._day,
            order_id=order_id,
            bot_identity=self._bot.identity,
            instrument_id=id_of(self._bot, signal.symbol),
            symbol=signal.symbol,
            sleeve="trading",
            side="sell" if signal.kind == "exit" else "buy",
            order_type="market",
            quantity=quantity,
            strategy=signal.strategy,
            reason=signal.reason,
        )


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


def _minute(moment: datetime) -> datetime:
    """The next whole minute at or after the moment: bars are complete then."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + MINUTE
