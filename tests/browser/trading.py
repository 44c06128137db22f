"""A session on a provisioned bot, by the real commands: positions, orders, refusals, a kill.

Loaded by conftest.py, whose fixture ``trading`` tests ask for.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.capital import Earmark
from aggregates.control import LatchKill, RecordKillStep, StartKill
from aggregates.instrument import RegisterInstrument
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordFill,
    RecordSubmission,
    RecordUnknownOutcome,
)
from aggregates.session import Decide, Mark, MarkPrices, OpenSession, StartPhase, Verdict
from runtime.custody import Custody
from runtime.dispatch import Dispatcher
from runtime.status import BrokerStatus, FeedStatus, NextPhase, Status, write_status

DAY = date(2026, 3, 2)
D = Decimal


class Trading:
    """Writes to the bot's store as its supervisor does, on the bot's clock."""

    def __init__(self, provisioned: Any) -> None:
        self.bot = provisioned
        self.custody = Custody.open(provisioned.folder, provisioned.clock)
        self.dispatch = Dispatcher(self.custody.store, "supervisor")
        self.count = 0

    def close(self) -> None:
        self.custody.close()

    @property
    def now(self) -> datetime:
        found: datetime = self.bot.clock.now()
        return found

    def do(self, kind: type[Command], /, **fields: Any) -> int:
        self.count += 1
        command = kind(at=self.now, effective_date=DAY, **fields)
        return self.dispatch(command, command_id=f"trading:{self.count}").positions[-1]

    def open(self) -> None:
        for symbol in ("ALFA", "BRVO", "LONG"):
            self.do(
                RegisterInstrument, symbol=symbol, name=f"{symbol} Corp", kind="stock",
                currency="USD", exchange="XNYS",
            )  # fmt: skip
        self.do(
            OpenSession, label=DAY.isoformat(), symbols=("ALFA", "BRVO"), settings_position=1,
            opens_at=datetime(2026, 3, 2, 14, 30, tzinfo=UTC),
            closes_at=datetime(2026, 3, 2, 21, 0, tzinfo=UTC),
        )  # fmt: skip
        self.do(StartPhase, phase="open")

    def set_aside(self, tax: str, payroll: str) -> None:
        """As the allocation does: cash of the float into both reserves."""
        for purse, amount in (("tax_reserve", tax), ("payroll_reserve", payroll)):
            self.do(
                Earmark, reference=f"set-aside-{purse}", currency="USD", amount=D(amount),
                reason="of the gains", purse_from="float", purse_to=purse,
            )  # fmt: skip

    def order(self, order_id: str, symbol: str, quantity: str, sleeve: str = "trading") -> None:
        self.do(
            IntendOrder, order_id=order_id, bot_identity="ACME_USA_SIM_01",
            instrument_id=f"XNYS:{symbol}", symbol=symbol, sleeve=sleeve, side="buy",
            order_type="market", quantity=D(quantity), strategy="OPEN", reason="breakout",
        )  # fmt: skip
        self.do(RecordSubmission, order_id=order_id)

    def fill(self, order_id: str, quantity: str, price: str) -> None:
        self.do(RecordAcceptance, order_id=order_id, broker_order_id=f"B-{order_id}")
        self.do(
            RecordFill, order_id=order_id, execution_id=f"{order_id}-1", quantity=D(quantity),
            price=D(price), currency="USD", commission=D(1), fees=D(0), net_amount=None,
            settles_on=DAY + timedelta(days=1),
        )  # fmt: skip

    def unknown(self, order_id: str) -> None:
        self.do(RecordUnknownOutcome, order_id=order_id, reason="no answer in 5 s")

    def mark(self, **prices: str) -> None:
        marks = tuple(
            Mark(instrument_id=f"XNYS:{s}", symbol=s, price=D(p), at=self.now)
            for s, p in prices.items()
        )
        self.do(MarkPrices, occasion="open", marks=marks)

    def refuse(self, symbol: str) -> None:
        rules = {"max_spread": ("0.0182", "0.015"), "min_volume": ("900", "5000")}
        verdicts = tuple(
            Verdict(rule=rule, passed=False, value=value, limit=limit, unit="of price")
            for rule, (value, limit) in rules.items()
        )
        self.do(
            Decide, decision_id=f"{symbol}-{self.count}", strategy="OPEN", symbol=symbol,
            kind="entry", outcome="refused", reason="close above the range", inputs={},
            verdicts=verdicts, order_id=None,
        )  # fmt: skip

    def day(self) -> None:
        """Two positions of trading, one held long-term, an order under way and one unanswered."""
        self.open()
        self.mark(ALFA="25.00", BRVO="100.00", LONG="50.00")
        for order_id, symbol, quantity, price, sleeve in (
            ("ALFA-1", "ALFA", "100", "25.00", "trading"),
            ("BRVO-1", "BRVO", "20", "100.00", "trading"),
            ("LONG-1", "LONG", "40", "50.00", "holdings"),
        ):
            self.order(order_id, symbol, quantity, sleeve)
            self.fill(order_id, quantity, price)
        self.order("ALFA-2", "ALFA", "60")
        self.fill("ALFA-2", "10", "25.10")
        self.order("BRVO-2", "BRVO", "5")
        self.unknown("BRVO-2")
        self.refuse("BRVO")

    def tell(self, **fields: Any) -> None:
        """What the session's guard writes."""
        told: dict[str, Any] = {
            "at": self.now, "state": "trading", "session": DAY.isoformat(), "phase": "open",
            "next_phase": NextPhase(name="holdings", at=self.now + timedelta(hours=2)), "pid": 123,
            "entries_blocked": "",
            "broker": BrokerStatus(name="simulated", reachable=True, unreachable_since=None),
            "feed": (
                FeedStatus(symbol="ALFA", bar_end=self.now - timedelta(seconds=40), price=D("26")),
                FeedStatus(symbol="BRVO", bar_end=self.now - timedelta(minutes=9), price=D("99")),
            ),
        }  # fmt: skip
        write_status(self.bot.folder, Status(**(told | fields)))

    # -- a kill, as the kill switch records it ---------------------------------------------

    def start_kill(self) -> None:
        self.do(StartKill, source="page", reason="test")
        self.step("entries_blocked", "trading buys nothing more")

    def step(self, name: str, detail: str, *left: str) -> None:
        self.do(RecordKillStep, step=name, detail=detail, left=left)

    def latch(self, *left: str) -> None:
        self.do(LatchKill, flat=not left, left=left)
