"""The ledger and a broker behind a socket, brought together by reconciliation: equal to the cent.

Purchases and sales with lost answers, partial fills, late fills, silence and restarts, from a seed.
PROGRAMME=full runs 300 for each broker, by default the first few; `SEED=17` runs one.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.errors import DomainError
from aggregates.order_messages import (
    IntendOrder,
    RecordRejection,
    RecordSubmission,
    RecordUnknownOutcome,
)
from brokers.port import BrokerError, Execution, OrderRefused, OutcomeUnknown
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.reconciliation import reconcile

D = Decimal
SHARE, ALL, STEPS = 3, 300, 30
SYMBOLS = ("ALFA", "BRVO")
CENT = D("0.01")


def recorded(bot: Bot) -> list[Execution]:
    """What the bot has of executions, as a broker would tell them."""
    feed, found, orders = bot.views.feed, list[Execution](), dict[str, Any]()
    accepted: dict[str, str] = {}
    for event in (feed.event(row) for row in feed.page(limit=10_000)):
        if event.topic == "Order.Intended":
            orders[event.order_id] = event
        elif event.topic == "Order.Filled":
            order = orders[event.order_id]
            accepted.setdefault(event.order_id, event.execution_id.partition(":")[0])
            found.append(
                Execution(
                    sequence=len(found) + 1, execution_id=event.execution_id,
                    client_order_id=order.client_order_id,
                    broker_order_id=accepted[event.order_id], symbol=order.symbol,
                    side=order.side, quantity=event.quantity, price=event.price,
                    currency="USD", commission=event.commission, fees=event.fees,
                    net_amount=event.net_amount, executed_at=datetime.now(UTC),
                    settles_on=event.settles_on,
                )
            )  # fmt: skip
    return found


class Account:
    """A bot and a broker; ``bot`` is another one after each restart, on the same folder."""

    def __init__(self, rig: Any, calendar: Any, folder: Path, seed: int) -> None:
        self.rig, self.calendar, self.folder = rig, calendar, DataFolder(folder)
        self.rng, self.orders = random.Random(f"books {seed}"), 0
        self.bot = self._open(rig.broker)
        opening = opening_commands(
            self.bot.settings, symbols=SYMBOLS, deposit=None, at=self.bot.clock.now(), demo=True
        )
        for command_id, commands in opening.items():
            self.bot.dispatch(*commands, command_id=command_id)
        assert reconcile(self.bot, None, "start").open_differences == ()

    def _open(self, broker: Any) -> Bot:
        return Bot(
            self.folder, demo_settings(), clock=self.rig.clock, broker=broker,
            calendar=self.calendar, fresh_blind_key=bytes(32),
        )  # fmt: skip

    def run(self) -> None:
        for _ in range(STEPS):
            do = (self.order, self.trade, self.compare, self.cancel, self.restart, self.move)
            self.rng.choices(do, (6, 8, 3, 1, 1, 1))[0]()
        self.rig.settle()
        self.restart()
        reconcile(self.bot, None, "start")
        self.check()

    def order(self) -> None:
        self.orders += 1
        order_id, symbol = f"o-{self.orders}", self.rng.choice(SYMBOLS)
        self.bot.views.catch_up()
        held = {p.symbol: p.quantity for p in self.bot.views.books.positions()}.get(symbol, D(0))
        quantity = D(self.rig.units(self.rng.choice(("1", "3.123456789", "12", "40"))))
        side: Any = "buy"
        if held >= quantity and self.rng.random() < 0.4:
            side = "sell"
        when: dict[str, Any] = {
            "at": self.bot.clock.now(), "effective_date": self.bot.today(), "order_id": order_id
        }  # fmt: skip
        intend = IntendOrder(
            **when, bot_identity=self.bot.identity, instrument_id=f"XNYS:{symbol}", symbol=symbol,
            sleeve="trading", side=side, order_type="market", quantity=quantity, strategy="OPEN",
            reason="test", held=held,
        )  # fmt: skip
        try:
            self.bot.dispatch(intend, RecordSubmission(**when), command_id=f"decide:{order_id}")
        except DomainError:  # nothing is bought while something is not explained
            self.orders -= 1
            return
        self.bot.views.catch_up()
        (view,) = [o for o in self.bot.views.orders.orders() if o.order_id == order_id]
        if self.rng.random() < 0.3:
            self.rig.fault_order(self.rng.choice(self.rig.ON_ORDERS))
        request = self.rig.ask(view.client_order_id, side, f"{quantity:f}", symbol)
        try:
            self.bot.broker.submit(request)
        except OrderRefused as no:
            rejected = RecordRejection(**when, error_code=no.error_code, reason=no.reason)
            self.bot.dispatch(rejected, command_id=f"rejected:{order_id}")
        except OutcomeUnknown as e:
            unknown = RecordUnknownOutcome(**when, reason=str(e))
            self.bot.dispatch(unknown, command_id=f"unknown:{order_id}")

    def trade(self) -> None:
        self.rig.trade(self.rng.choice(SYMBOLS), str(self.rng.choice((1, 3, 10, 60))))

    def move(self) -> None:
        self.rig.move(self.rng.choice(SYMBOLS), self.rng.choice(("99.37", "100", "101.13")))

    def cancel(self) -> None:
        """Some shares are filled all the same."""
        self.bot.views.catch_up()
        names = [o.client_order_id for o in self.bot.views.orders.unfinished()]
        if names:
            with suppress(BrokerError):
                self.bot.broker.cancel(self.rng.choice(names))
        if name := self.rig.cancelled_buy():
            self.rig.fill_late(name, "1")

    def compare(self) -> None:
        """While things move, in silence too; what it finds then may be open."""
        if self.rng.random() < 0.4:
            self.rig.fault_reads(self.rng.choice(self.rig.ON_READS), self.rng.choice((1, 2, 9)))
        reconcile(self.bot, None, self.rng.choice(("schedule", "reconnect")))
        self.rig.calm_reads()

    def restart(self) -> None:
        known = recorded(self.bot)
        self.bot.close()
        self.bot.broker.close()
        self.bot = self._open(self.rig.restarted(known))

    def check(self) -> None:
        done = reconcile(self.bot, None, "start")
        assert done.known, done.why
        assert done.open_differences == ()
        books = self.bot.views.books
        assert books.broker_cash() == self.rig.books.cash.quantize(CENT)
        held = {p.symbol: p.quantity for p in books.positions()}
        assert held == {p.symbol: p.quantity for p in self.bot.broker.positions()}


def test_the_books_come_to_what_the_broker_has(
    over_sockets: str,
    make_rig: Callable[..., Any],
    sessions: Any,
    full: bool,
    count: Callable[..., None],
    tmp_path: Path,
) -> None:
    one = os.environ.get("SEED")
    seeds = range(int(one), int(one) + 1) if one else range(ALL if full else SHARE)
    for seed in seeds:
        rig = make_rig(over_sockets, settle_s=5, timeout_s=0.06)
        account = Account(rig, sessions, tmp_path / str(seed), seed)
        try:
            account.run()
        except Exception as e:
            pytest.fail(f"seed {seed}: {type(e).__name__}: {e}")
        finally:
            account.bot.close()
            rig.close()
        count(f"{over_sockets}: ledgers that came to what the broker has")
        count(f"{over_sockets}: orders in those ledgers", account.orders)
