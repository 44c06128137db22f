"""A strategy's phase: minute by minute, reports in, exits, then entries; each decision an event."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

import msgspec

from aggregates.errors import DomainError
from aggregates.market import MINUTE, Bar
from aggregates.occ import occ_terms
from aggregates.session import Outcome
from brokers.port import BrokerUnavailable, OutcomeUnknown
from runtime.bearish_choice import BearishChoice
from runtime.bootstrap import Bot
from runtime.decisions import Decisions
from runtime.desk import Desk
from runtime.entries import Entries
from runtime.exits import strategy_of
from runtime.flatten import Flatten, only_in_books
from runtime.guard import Guard, KillAsked, KillOrder, wait_or_raise
from runtime.health import Health
from runtime.loss_limit import loss_breached
from runtime.marks import mark_prices, quote_held
from runtime.outbox import Outbox
from strategies.bearish import Instrument, NoInstrument
from strategies.protocol import Holding, Signal, Strategy, minute_of, next_minute

LISTEN = timedelta(seconds=1)  # how often news of open orders is looked at between two minutes
OVERDUE = timedelta(minutes=5)  # after the end of monitoring: what is held still is escalated
MARK_EVERY_MINUTES = 15  # how often open positions are valued for the equity curve
# An order waits for the ledger alone. Pages read by themselves what the views on disk lack.
VIEWS_EVERY_MINUTES = 60
LIMIT_LIVES = timedelta(minutes=3)  # an entry with a limit that nobody sold at is taken back
ENTRIES = ("entry", "bearish")


class StrategyPhase:
    """Runs one strategy over its part of a session; ``name`` is the phase's.

    ``step`` can be repeated: what is done stays done. ``health`` is the session's own.
    """

    def __init__(
        self,
        name: str,
        bot: Bot,
        desk: Desk,
        outbox: Outbox,
        strategy: Strategy,
        symbols: tuple[str, ...],
        guard: Guard,
        health: Health,
    ) -> None:
        self._name = name
        self._bot, self._desk, self._outbox, self._strategy = bot, desk, outbox, strategy
        self._symbols, self._guard, self._health = tuple(sorted(symbols)), guard, health
        self._decisions = Decisions(bot, desk, outbox, strategy.name)
        self._bearish = BearishChoice(bot, desk, strategy.name)
        self._judge = Entries(bot, desk, strategy, self._health)
        self._flatten = Flatten(bot, desk, outbox)
        self._bars_until = dict.fromkeys(self._symbols, desk.hours.open)
        self._gone = False  # the broker holds nothing for trading, though our books do

    def run(self) -> str:
        """Trade until monitoring is over and nothing is held; returns the outcome in words.

        Raises KillAsked as soon as a kill is asked for, or the loss limit is reached.
        """
        hours = self._desk.hours
        now = max(next_minute(self._bot.clock.now()), hours.open)
        while now < hours.close:
            self._wait_until(now)
            self.step(now)
            if self._strategy.finished(now) and (self._gone or not self._desk.symbols):
                break
            # minutes that a slow broker took are not made up for: their signals are old by now
            now = max(now + MINUTE, minute_of(self._bot.clock.now()))
        else:
            self._wait_until(hours.close)
            self._reports()
        if left := self._flatten.look():  # the broker's own word, not our books
            return f"not flat: {'; '.join(map(str, left))}"
        if why := only_in_books(self._desk):
            return why
        # STRAT_…_ENABLED=false: signals were judged and recorded, nothing was bought.
        on = getattr(self._bot.settings, f"STRAT_{self._strategy.name}_ENABLED")
        return "flat" if on else "disabled: judged, not traded"

    def _wait_until(self, minute: datetime) -> None:
        """Until a minute's bars can be there: some brokers have them a little later. While orders
        are open, what the broker tells by itself is taken up meanwhile."""
        broker, clock = self._bot.broker, self._bot.clock
        due = minute + broker.capabilities.bars_after
        while not broker.capabilities.simulated and self._desk.open_orders():
            if (soon := clock.now() + LISTEN) >= due:
                break
            wait_or_raise(self._guard, soon)
            if broker.news().orders:
                self._reports()
        wait_or_raise(self._guard, due)

    def _reports(self) -> None:
        """Fills and states of open orders, and another try at what has no answer."""
        if self._outbox.read_fills():
            self._bot.views.catch_up_ledger()
        self._outbox.settle_open()
        self._outbox.read_states()

    def step(self, now: datetime) -> None:
        """One minute: reports, bars, exits, entries, marks. Raises KillAsked."""
        self._reports()
        self._health.look(now)
        self._fold_bars(now)
        if self._desk.underlyings or self._desk.carried:
            quote_held(self._bot.broker, self._desk)
        if breach := loss_breached(self._desk, self._bot.settings):
            raise KillAsked(KillOrder("loss", breach))
        self._exits(now)
        if now >= self._strategy.window.monitoring_end + OVERDUE and self._desk.symbols:
            # exits that nothing fills are asked for anew
            self._gone = not self._flatten.ask("end of monitoring")
        self._entries(now)
        if self._desk.symbols and now.minute % MARK_EVERY_MINUTES == 0:
            mark_prices(self._bot, self._desk, now, "interval")
        if now.minute % VIEWS_EVERY_MINUTES == 0:
            self._bot.views.catch_up()
        self._guard.tell(self._name, self._desk)

    def _fold_bars(self, now: datetime) -> None:
        """What a broker that does not answer has not told comes with its next answer."""
        self._watch_held()
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
        # as a rule each symbol has told of the same minute, and they are in order as they are
        if any(bar.start != bars[0].start for bar in bars):
            bars.sort(key=attrgetter("start", "symbol"))
        for bar in bars:
            self._strategy.on_bar(bar)
            self._desk.bars[bar.symbol] = bar

    def _watch_held(self) -> None:
        """Whoever's candidate it was: what was carried over, or bought by a fill that came late.
        Options are watched by their underlying, and quoted."""
        held = self._desk.holdings()
        new = {h.underlying or s for s, h in held.items()} - self._bars_until.keys()
        if new := {symbol for symbol in new if occ_terms(symbol) is None}:
            self._bars_until |= dict.fromkeys(new, self._desk.hours.open)
            self._symbols = tuple(sorted(self._bars_until))

    # -- exits -----------------------------------------------------------------------------

    def _exits(self, now: datetime) -> None:
        if self._strategy.finished(now):
            self._cancel_entries(None, "end of monitoring")
        self._take_back_limits(now)
        holdings, carried = self._desk.holdings(), self._desk.carried
        watched = {s: h for s, h in holdings.items() if s not in carried}
        left_over = [
            _left_over(strategy_of(self._bot, s), holdings[s])
            for s in sorted(carried & holdings.keys())
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

    def _take_back_limits(self, now: datetime) -> None:
        for order in self._desk.open_orders() if self._desk.underlyings else ():
            is_entry = order.terms.order_type == "limit" and order.terms.side == "buy"
            late = now - order.terms.occurred_at > LIMIT_LIVES
            if is_entry and late and not order.cancel_requested:
                self._outbox.cancel(order, "not filled at its limit")

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
            at = self._bot.clock.now()
            self._decisions.record(exit_, now, at, "taken", quantity=quantity)

    # -- entries ---------------------------------------------------------------------------

    def _entries(self, now: datetime) -> None:
        # a symbol that was carried over, or stands for another's weakness, is not bought as well
        taken_up = self._desk.carried | self._desk.underlyings.keys()
        signals = self._strategy.entries(now, self._decisions.judged() | taken_up)
        if signals:
            self._decisions.all()  # what others decided meanwhile counts
            judged = self._decisions.judged()
            signals = [signal for signal in signals if signal.symbol not in judged]
        for signal in signals:
            if signal.symbol in self._desk.underlyings:
                continue  # ordered a moment ago, on another's weakness
            if signal.kind == "entry":
                self._enter(signal, now)
            elif signal.kind == "bearish" and not self._bearish.disabled:
                self._enter_on_weakness(signal, now)
            else:
                # weakness on which nothing is bought, or no range: judged and said
                outcome: Outcome = "no_instrument" if signal.kind == "bearish" else "no_trade"
                self._decisions.record(signal, now, self._bot.clock.now(), outcome)

    def _enter_on_weakness(self, signal: Signal, now: datetime) -> None:
        chosen = self._bearish.choose(signal, self._bot.clock.now())
        signal = msgspec.structs.replace(signal, inputs=signal.inputs | chosen.inputs)
        if isinstance(chosen, NoInstrument):
            signal = msgspec.structs.replace(signal, reason=f"bearish, {chosen.reason}")
            self._decisions.record(signal, now, self._bot.clock.now(), "no_instrument")
            return
        self._bot.views.catch_up_ledger()  # it may have been registered just now
        self._enter(signal, now, chosen)

    def _enter(self, signal: Signal, now: datetime, instrument: Instrument | None = None) -> None:
        try:
            self._judge_and_decide(signal, now, instrument)
        except DomainError:  # a stop, a kill or a difference came between verdict and intent
            self._judge_and_decide(signal, now, instrument)

    def _judge_and_decide(
        self, signal: Signal, now: datetime, instrument: Instrument | None
    ) -> None:
        decisions = self._decisions.all()
        entered = sum(d.kind in ENTRIES and d.outcome == "taken" for d in decisions)
        judged = self._judge.judge(signal, entered, instrument)
        self._decisions.record(
            msgspec.structs.replace(signal, inputs=signal.inputs | judged.inputs),
            now,
            judged.at,
            "taken" if judged.taken else "refused",
            quantity=judged.quantity,
            verdicts=judged.verdicts,
            decided_before=len(decisions),
            instrument=instrument,
        )


def _left_over(strategy: str, held: Holding) -> Signal:
    """The exit of what an earlier session could not sell: due from the open on. Of an option it
    says on which day it expires."""
    option = occ_terms(held.symbol)
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
            **({"expires": option.expiry.isoformat()} if option else {}),
        },
    )
