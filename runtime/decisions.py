"""What a strategy decides in a session: each decision an event, with the order that follows.

The intent is in one batch with the decision. An order that the pace admits is recorded as submitted
with it: nothing waits between.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from aggregates.base import Command
from aggregates.order_messages import IntendOrder, RecordSubmission
from aggregates.session import Decide, Decided, Outcome, Session, Verdict, session_stream
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.instruments import id_of
from runtime.outbox import Outbox
from strategies.bearish import Instrument
from strategies.protocol import Signal


class Decisions:
    """Of one strategy in one session."""

    def __init__(self, bot: Bot, desk: Desk, outbox: Outbox, strategy: str) -> None:
        self._bot, self._desk, self._outbox, self._strategy = bot, desk, outbox, strategy
        self._day = desk.hours.day
        self._session = bot.store.load(Session, session_stream(self._day.isoformat()))

    def judged(self) -> set[str]:
        """Symbols whose first signal was judged, as far as the session was read."""
        return {
            d.symbol
            for d in self._session.decided.values()
            if d.strategy == self._strategy and d.kind not in ("exit", "disabled")
        }

    def all(self) -> Collection[Decided]:
        """All of the session, other strategies' among them."""
        self._bot.store.follow(self._session)
        return self._session.decided.values()

    def record(
        self,
        signal: Signal,
        now: datetime,
        at: datetime,
        outcome: Outcome,
        *,
        quantity: Decimal = Decimal(0),
        verdicts: tuple[Verdict, ...] = (),
        decided_before: int | None = None,
        instrument: Instrument | None = None,
    ) -> None:
        """Record the decision of the minute ``now`` and, when taken, send its order.

        ``instrument`` is what is ordered in the place of the signal's own symbol.
        """
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
            intent = self._intent(signal, at, decision_id, quantity, instrument)
            commands.append(intent)
            if admitted := self._outbox.admits(intent.side):
                submission = RecordSubmission(at=at, effective_date=self._day, order_id=decision_id)
                commands.append(submission)
        self._bot.dispatch(*commands, command_id=f"decide:{decision_id}", correlation=decision_id)
        if taken:
            if instrument is not None:
                bought = instrument.symbol, signal.symbol, instrument.multiplier
                self._desk.bought_on_weakness(*bought)
            self._outbox.send(decision_id, admitted=admitted)

    def _intent(
        self,
        signal: Signal,
        at: datetime,
        order_id: str,
        quantity: Decimal,
        instrument: Instrument | None,
    ) -> IntendOrder:
        """A put is bought at its ask or not at all: options are quoted wide, and move fast. A sale
        is of the strategy that bought: a fill that is told late may be another phase's."""
        symbol = instrument.symbol if instrument else signal.symbol
        limit = instrument.ask if instrument and instrument.kind == "option" else None
        held = self._desk.holdings().get(symbol)
        sells = signal.kind == "exit"
        return IntendOrder(
            at=at,
            effective_date=self._day,
            order_id=order_id,
            bot_identity=self._bot.identity,
            instrument_id=id_of(self._bot, symbol),
            symbol=symbol,
            sleeve="trading",
            side="sell" if sells else "buy",
            order_type="market" if limit is None else "limit",
            quantity=quantity,
            limit_price=limit,
            strategy=(self._desk.bought_by(symbol) if sells else "") or signal.strategy,
            reason=signal.reason,
            held=held.quantity if held else None,
        )
