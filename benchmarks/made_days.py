"""One made-up trading day: the events of a session with its decisions, orders, fills and marks."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

from aggregates.base import Event, NewEvent
from aggregates.capital import (
    CapitalEarmarked,
    CapitalWithdrawn,
    DividendReceived,
    FeeCharged,
    InterestReceived,
    capital_stream,
)
from aggregates.order import client_order_id, order_stream
from aggregates.order_messages import OrderAccepted, OrderFilled, OrderIntended, OrderSubmitted
from aggregates.session import (
    Decided,
    Mark,
    PhaseEnded,
    PhaseStarted,
    PricesMarked,
    SessionClosed,
    SessionOpened,
    SessionReconciled,
    Verdict,
    session_stream,
)

CENT = Decimal("0.01")
UNIT = Decimal("0.000000001")
PHASES = ("open", "midday", "afternoon", "closing", "after")


class Position:
    """A security: its price of the moment and the units held in each sleeve."""

    def __init__(self, symbol: str, price: Decimal) -> None:
        self.symbol = symbol
        self.instrument_id = f"XNYS:{symbol}"
        self.price = price
        self.held = {"trading": Decimal(0), "holdings": Decimal(0)}

    def tick(self, draw: random.Random) -> None:
        """A random walk in steps of up to a fifth of a percent that stays above a dollar."""
        step = (self.price * draw.randrange(-20, 21) / 10_000).quantize(CENT)
        self.price = max(self.price + step, Decimal(1))


class MadeDay:
    """Gathers the day's events in order. ``orders`` counts all orders of the history."""

    def __init__(
        self, day: date, draw: random.Random, securities: list[Position], orders: int
    ) -> None:
        self.day, self.draw, self.securities, self.orders = day, draw, securities, orders
        self.events: list[NewEvent] = []
        self._stream = session_stream(day.isoformat())
        self._now = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
        self._opens = self._now
        self._version = 0

    def trade(self, fills: int) -> int:
        """A whole session with exactly ``fills`` fills; returns that number."""
        self._session(
            SessionOpened,
            label=self.day.isoformat(),
            opens_at=self._opens,
            closes_at=self._opens + timedelta(hours=6, minutes=30),
            symbols=tuple(s.symbol for s in self.securities),
            settings_position=3,
        )
        share = -(-fills // len(PHASES))
        left = fills
        for phase in PHASES:
            self._session(PhaseStarted, phase=phase)
            until = max(0, left - share)
            while left > until:
                left -= self._order(left - until)
            self._session(PhaseEnded, phase=phase, outcome="flat")
        self._capital()
        self._mark("close", self.securities)
        self._session(SessionReconciled, broker_cash=Decimal("100000.00"), differences=())
        self._session(SessionClosed, label=self.day.isoformat())
        return fills

    # -- orders ----------------------------------------------------------------------------

    def _order(self, at_most: int) -> int:
        security, sleeve, side, quantity = self._choose()
        self.orders += 1
        order_id = f"{self.day}-OPEN-{security.symbol}-{self.orders:07d}"
        if self.draw.random() < 0.4:  # decisions that led to no order
            self._decide(security, f"{order_id}-seen", None)
        self._decide(security, order_id, order_id)
        terms: dict[str, Any] = {
            "instrument_id": security.instrument_id,
            "symbol": security.symbol,
            "sleeve": sleeve,
            "side": side,
            "strategy": "OPEN" if sleeve == "trading" else "",
            "context": "trading" if sleeve == "trading" else "rebalance",
        }
        stream, parts = order_stream(order_id), self._parts(quantity, at_most)
        whole = sum(parts, Decimal(0))
        self._add(
            stream, 1, OrderIntended, order_id=order_id,
            client_order_id=client_order_id("BENCH_USA_SIM_01", order_id), order_type="market",
            quantity=whole, limit_price=None, stop_price=None,
            reason="close above the opening range", **terms,
        )  # fmt: skip
        self._add(stream, 2, OrderSubmitted, order_id=order_id)
        self._add(
            stream, 3, OrderAccepted, order_id=order_id, broker_order_id=f"SIM-{self.orders:07d}"
        )
        done = Decimal(0)
        for number, part in enumerate(parts, 1):
            done += part
            self._fill(stream, number, security, part, done, order_id, terms)
        security.held[sleeve] += whole if side == "buy" else -whole
        return len(parts)

    def _choose(self) -> tuple[Position, str, str, Decimal]:
        draw = self.draw
        security = draw.choice(self.securities)
        security.tick(draw)
        # one order in twenty is for the long-term holdings: their lots grow old
        sleeve = "holdings" if draw.random() < 0.05 else "trading"
        held = security.held[sleeve]
        if held and draw.random() < 0.6:
            part = Decimal(1) if draw.random() < 0.6 else Decimal(draw.randrange(20, 90)) / 100
            return security, sleeve, "sell", (held * part).quantize(UNIT)
        units = Decimal(draw.randrange(1_000_000, 90_000_000)) / 100_000
        quantity = units if draw.random() < 0.7 else Decimal(int(units) + 1)
        return security, sleeve, "buy", quantity

    def _parts(self, quantity: Decimal, at_most: int) -> list[Decimal]:
        """Partial fills: whole shares at first, the last takes the remainder, as brokers do."""
        count = min(self.draw.randrange(1, 13), at_most)
        part = (quantity / count).to_integral_value(ROUND_DOWN)
        parts = [part] * (count - 1) if part else []
        parts.append(quantity - sum(parts, Decimal(0)))
        return parts

    def _fill(
        self, stream: str, number: int, security: Position, part: Decimal, done: Decimal,
        order_id: str, terms: dict[str, Any],
    ) -> None:  # fmt: skip
        self._now += timedelta(seconds=self.draw.randrange(1, 60), microseconds=number)
        security.tick(self.draw)
        price = security.price + Decimal(self.draw.randrange(-99, 100)) / 10_000
        gross, commission, fees = part * price, part * Decimal("0.005"), Decimal(0)
        if terms["side"] == "sell":
            fees = gross * Decimal("0.0000278") + part * Decimal("0.000166")
        exact = (-gross if terms["side"] == "buy" else gross) - commission - fees
        self._add(
            stream, 3 + number, OrderFilled, order_id=order_id,
            execution_id=f"SIM-X-{self.orders:07d}-{number}", quantity=part, price=price,
            currency="USD", commission=commission, fees=fees,
            net_amount=exact.quantize(CENT, ROUND_HALF_EVEN),
            settles_on=self.day + timedelta(days=3), cumulative_quantity=done, **terms,
        )  # fmt: skip
        if self.draw.random() < 0.95:
            count = self.draw.choice((1, 1, 1, 2, 3))
            self._mark("interval", self.draw.sample(self.securities, count))

    # -- what happens around them ------------------------------------------------------------

    def _decide(self, security: Position, decision_id: str, order_id: str | None) -> None:
        self._session(
            Decided, decision_id=decision_id, strategy="OPEN", symbol=security.symbol,
            kind="entry", outcome="taken" if order_id else "refused",
            reason="close above the opening range", inputs=_inputs(), order_id=order_id,
            verdicts=_verdicts(order_id is not None),
        )  # fmt: skip

    def _mark(self, occasion: str, securities: list[Position]) -> None:
        marks = tuple(
            Mark(instrument_id=s.instrument_id, symbol=s.symbol, price=s.price, at=self._now)
            for s in securities
        )
        self._session(PricesMarked, occasion=occasion, marks=marks)

    def _capital(self) -> None:
        """Money that moves without a trade, each kind about once a month."""
        entries: dict[type[Event], dict[str, Any]] = {
            DividendReceived: {"symbol": "S07", "withheld": Decimal("12.34")},
            InterestReceived: {},
            FeeCharged: {},
            CapitalWithdrawn: {"purse": "float", "purpose": "draw", "confirmed": ""},
            CapitalEarmarked: {
                "purse_from": "float",
                "purse_to": "tax_reserve",
                "context": "tax-reserve",
            },
        }
        for kind, more in entries.items():
            if self.draw.random() < 0.05:
                reference = f"{self.day}-{kind.topic}"
                self._add(
                    capital_stream(reference), 1, kind, reference=reference, currency="USD",
                    amount=Decimal(self.draw.randrange(2_000, 90_000)) / 100,
                    reason="statement of the broker", **more,
                )  # fmt: skip

    def _session(self, kind: type[Event], /, **fields: Any) -> None:
        self._version += 1
        self._add(self._stream, self._version, kind, **fields)

    def _add(self, stream: str, version: int, kind: type[Event], /, **fields: Any) -> None:
        event = kind(occurred_at=self._now, effective_date=self.day, **fields)
        self.events.append(NewEvent(stream, version, event))


@cache
def _inputs() -> dict[str, str]:
    """Twenty inputs, as many bytes as those of a real decision."""
    return {f"input_{n:02d}": f"{10_000 + 7919 * n}.{n:04d}" for n in range(20)}


@cache
def _verdicts(passed: bool) -> tuple[Verdict, ...]:
    """Ten verdicts, as many bytes as those of a real decision; the last one decides."""
    return tuple(
        Verdict(rule=f"RULE_{n}", passed=passed or n < 9, value="0.125", limit="0.5", unit="")
        for n in range(10)
    )
