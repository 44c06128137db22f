"""How trading went: sessions, decisions, round trips, the equity curve (M24's trade records)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from aggregates import capital
from aggregates.base import Event
from aggregates.books import BooksOpened
from aggregates.chart_of_accounts import ROLES
from aggregates.chart_rules import PURSE_ROLES
from aggregates.instrument import InstrumentRegistered, InstrumentSplit
from aggregates.money import QUANTITY_SCALE, divide_half_even, exponent, minor_units
from aggregates.order_messages import EXPIRED, OrderFilled
from aggregates.session import (
    Decided,
    PhaseEnded,
    PhaseStarted,
    PricesMarked,
    SessionClosed,
    SessionOpened,
    SessionReconciled,
)
from eventstore.envelope import Envelope
from projections.base import Projection
from projections.fill_facts import utc_text
from projections.posting_rules import capital_lines, fill_amounts

SCHEMA = (Path(__file__).parent / "performance_schema.sql").read_text(encoding="utf-8")
_ROLES = {role: role for role in ROLES}  # capital postings by role: the chart does not matter here
_CAPITAL = (
    capital.CapitalDeposited,
    capital.CapitalWithdrawn,
    capital.DividendReceived,
    capital.TaxWithheld,
    capital.InterestReceived,
    capital.FeeCharged,
    capital.MarginInterestCharged,
    capital.RoundingSettled,
)


class OpenTrade(msgspec.Struct):
    """A round trip under way: units bought and sold (1e-9), their value, cash and costs so far."""

    strategy: str
    symbol: str
    entry_at: str
    bought: int = 0
    sold: int = 0
    bought_value: Decimal = Decimal(0)
    sold_value: Decimal = Decimal(0)
    cash: int = 0
    costs: int = 0
    fills: int = 0


class State(msgspec.Struct):
    """What the fold carries from event to event. Units and marks by instrument id."""

    exponent: int = 2
    cash: int = 0
    units: dict[str, int] = {}
    marks: dict[str, Decimal] = {}
    marked_at: dict[str, str] = {}
    multipliers: dict[str, int] = {}
    trades: dict[str, OpenTrade] = {}
    exit_reasons: dict[str, str] = {}


class Performance(Projection):
    """Folds sessions and fills. Market values use the last price that was marked or traded."""

    name: ClassVar[str] = "performance view"
    schema: ClassVar[str] = SCHEMA

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._state = State()
        self._handlers: dict[type[Event], Callable[[Envelope, Any], None]] = {
            BooksOpened: self._opened,
            InstrumentRegistered: self._registered,
            InstrumentSplit: self._split,
            SessionOpened: lambda row, e: self._phase(row, e, "session", "opened"),
            PhaseStarted: lambda row, e: self._phase(row, e, e.phase, "started"),
            PhaseEnded: lambda row, e: self._phase(row, e, e.phase, f"ended: {e.outcome}"),
            SessionClosed: lambda row, e: self._phase(row, e, "session", "closed"),
            Decided: self._decided,
            OrderFilled: self._filled,
            PricesMarked: self._marked,
            SessionReconciled: self._reconciled,
            **dict.fromkeys(_CAPITAL, self._capital),
        }

    def forget(self) -> None:
        row = self.connection.execute("SELECT json FROM state").fetchone()
        self._state = msgspec.json.decode(row[0], type=State) if row else State()

    def fold(self, row: Envelope, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(row, event)

    def flush(self) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO state VALUES (1, ?)",
            (msgspec.json.encode(self._state, order="sorted").decode(),),
        )

    def _insert(self, table: str, row: Envelope, event: Event, *values: object) -> None:
        marks = ", ".join("?" * (2 + len(values)))
        self.connection.execute(
            f"INSERT INTO {table} VALUES ({marks})",
            (row.position, event.effective_date.isoformat(), *values),
        )

    # -- money and units -------------------------------------------------------------------

    def _opened(self, _row: Envelope, e: BooksOpened) -> None:
        self._state.exponent = exponent(e.currency)

    def _registered(self, _row: Envelope, e: InstrumentRegistered) -> None:
        self._state.multipliers[e.instrument_id] = e.multiplier

    def _split(self, _row: Envelope, e: InstrumentSplit) -> None:
        held = self._state.units.get(e.instrument_id, 0)
        if held:
            self._state.units[e.instrument_id] = divide_half_even(held * e.new_units, e.old_units)
        if e.instrument_id in self._state.marks:  # worth the same until the next price
            self._state.marks[e.instrument_id] *= Decimal(e.old_units) / Decimal(e.new_units)

    def _capital(self, row: Envelope, e: Any) -> None:
        lines = capital_lines(e, _ROLES, self._state.exponent)
        self._state.cash += sum(line.amount for line in lines if line.account in PURSE_ROLES)
        self._point(row, e, e.topic.partition(".")[2])

    def _filled(self, row: Envelope, e: OrderFilled) -> None:
        state = self._state
        amounts = fill_amounts(e, state.multipliers[e.instrument_id], state.exponent)
        sign = 1 if e.side == "buy" else -1
        held = state.units.get(e.instrument_id, 0) + sign * amounts.units
        state.units[e.instrument_id] = held
        self._mark(e.instrument_id, e.price, utc_text(e.occurred_at))
        state.cash += amounts.cash
        if not held:
            del state.units[e.instrument_id]
        if e.sleeve == "trading":  # long-term holdings are not round trips
            self._trade(row, e, amounts.units, amounts.cash, amounts.commission + amounts.fees)
        self._point(row, e, "fill")

    def _trade(self, row: Envelope, e: OrderFilled, units: int, cash: int, costs: int) -> None:
        key = f"{e.strategy}/{e.instrument_id}"
        now = utc_text(e.occurred_at)
        trade = self._state.trades.setdefault(key, OpenTrade(e.strategy, e.symbol, now))
        trade.cash, trade.costs, trade.fills = (
            trade.cash + cash,
            trade.costs + costs,
            trade.fills + 1,
        )
        if e.side == "buy":
            trade.bought, trade.bought_value = (
                trade.bought + units, trade.bought_value + e.quantity * e.price,
            )  # fmt: skip
        else:
            trade.sold, trade.sold_value = (
                trade.sold + units, trade.sold_value + e.quantity * e.price,
            )  # fmt: skip
        if trade.sold != trade.bought:
            return
        del self._state.trades[key]
        expired = "expired worthless" if e.context == EXPIRED else ""  # nobody decided that
        self._insert(
            "trades", row, e, e.strategy, e.symbol, trade.entry_at, now, trade.bought,
            _average(trade.bought_value, trade.bought), _average(trade.sold_value, trade.sold),
            trade.costs, trade.cash, trade.fills,
            self._state.exit_reasons.pop(f"{e.strategy}/{e.symbol}", expired),
            self._state.multipliers[e.instrument_id],
        )  # fmt: skip

    # -- the day ---------------------------------------------------------------------------

    def _phase(self, row: Envelope, e: Event, phase: str, change: str) -> None:
        self._insert("phases", row, e, utc_text(e.occurred_at), phase, change)

    def _decided(self, row: Envelope, e: Decided) -> None:
        if e.kind == "exit" and e.outcome == "taken":
            self._state.exit_reasons[f"{e.strategy}/{e.symbol}"] = e.reason
        refused = ", ".join(v.rule for v in e.verdicts if not v.passed)
        self._insert(
            "decisions", row, e, utc_text(e.occurred_at), e.strategy, e.symbol, e.kind, e.outcome,
            e.reason, refused, e.order_id or "",
        )  # fmt: skip

    def _marked(self, row: Envelope, e: PricesMarked) -> None:
        for mark in e.marks:
            self._mark(mark.instrument_id, mark.price, utc_text(mark.at))
            self._insert(
                "marks", row, e, mark.instrument_id, mark.symbol, format(mark.price, "f"),
                utc_text(mark.at),
            )  # fmt: skip
        self._point(row, e, e.occasion)

    def _mark(self, instrument_id: str, price: Decimal, at: str) -> None:
        """The newest price counts, traded or marked; a report that comes late does not."""
        state = self._state
        if at >= state.marked_at.get(instrument_id, ""):
            state.marks[instrument_id], state.marked_at[instrument_id] = price, at

    def _reconciled(self, row: Envelope, e: SessionReconciled) -> None:
        self._insert(
            "reconciliations", row, e, utc_text(e.occurred_at), format(e.broker_cash, "f"),
            "\n".join(e.differences),
        )  # fmt: skip

    def _point(self, row: Envelope, e: Event, occasion: str) -> None:
        state = self._state
        value = state.cash
        for instrument_id, units in state.units.items():
            quantity = Decimal(units) / QUANTITY_SCALE * state.multipliers[instrument_id]
            value += minor_units(quantity * state.marks[instrument_id], state.exponent)
        self._insert("equity", row, e, utc_text(e.occurred_at), occasion, value, state.cash)


def _average(value: Decimal, units: int) -> str:
    """Average price to six decimals; exact amounts are in the ledger."""
    return format((value * QUANTITY_SCALE / units).quantize(Decimal("0.000001")), "f")
