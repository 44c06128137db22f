"""Questions about trading days, each as of both clocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from aggregates.money import QUANTITY_SCALE, from_scaled, plain
from projections.ledger_records import NOW, AsOf

S = TypeVar("S", bound=msgspec.Struct)


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A closed round trip. ``pnl`` is after ``costs`` (commissions and fees); a unit is worth its
    price times ``multiplier``: 1 of a share, 100 of a usual option."""

    position: int
    day: date
    strategy: str
    symbol: str
    entry_at: str
    exit_at: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    costs: Decimal
    pnl: Decimal
    fills: int
    exit_reason: str
    multiplier: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in one line; its inputs and verdicts are in the event at ``position``."""

    position: int
    day: date
    at: str
    strategy: str
    symbol: str
    kind: str
    outcome: str
    reason: str
    refused_by: str
    order_id: str


class EquityPoint(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    day: date
    at: str
    occasion: str
    equity: Decimal
    cash: Decimal


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    day: date
    at: str
    phase: str
    change: str


class PriceMark(msgspec.Struct, frozen=True, kw_only=True):
    instrument_id: str
    symbol: str
    price: Decimal
    at: str


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day: closed trades, P/L after costs, equity at its last mark."""

    day: date
    trades: int
    wins: int
    pnl: Decimal
    costs: Decimal
    equity: Decimal | None
    closed: bool


class PerformanceQueries:
    """Reads one performance connection; ``exponent`` is the base currency's."""

    def __init__(self, connection: sqlite3.Connection, exponent: int) -> None:
        self._c = connection
        self._scale = 10**exponent

    def _money(self, minor: int) -> Decimal:
        return from_scaled(minor, self._scale)

    def _select(self, table: str, as_of: AsOf, day: date | None) -> list[tuple[Any, ...]]:
        where, parameters = as_of.where(), [*as_of.parameters]
        if day is not None:
            where, parameters = f"{where} AND effective_date = ?", [*parameters, day.isoformat()]
        return self._c.execute(
            f"SELECT * FROM {table} WHERE {where} ORDER BY position", parameters
        ).fetchall()

    def trades(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[Trade]:
        """Round trips in the order in which they closed."""
        found = []
        for row in self._select("trades", as_of, day):
            fields = dict(zip(Trade.__struct_fields__, row, strict=True))
            fields |= {
                "day": date.fromisoformat(row[1]),
                "quantity": plain(from_scaled(row[6], QUANTITY_SCALE)),
                "entry_price": Decimal(row[7]),
                "exit_price": Decimal(row[8]),
                "costs": self._money(row[9]),
                "pnl": self._money(row[10]),
            }
            found.append(Trade(**fields))
        return found

    def result(self, position: int) -> Decimal | None:
        """P/L after costs of the round trip that the fill at ``position`` closed, if it did."""
        row = self._c.execute("SELECT pnl FROM trades WHERE position = ?", (position,)).fetchone()
        return None if row is None else self._money(row[0])

    def decisions(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[Decision]:
        return [_struct(Decision, row) for row in self._select("decisions", as_of, day)]

    def phases(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[Phase]:
        return [_struct(Phase, row) for row in self._select("phases", as_of, day)]

    def equity(self, as_of: AsOf = NOW, *, day: date | None = None) -> list[EquityPoint]:
        """Account value at every fill, mark and movement of capital."""
        return [
            EquityPoint(
                position=position,
                day=date.fromisoformat(label),
                at=at,
                occasion=occasion,
                equity=self._money(equity),
                cash=self._money(cash),
            )
            for position, label, at, occasion, equity, cash in self._select("equity", as_of, day)
        ]

    def marks(self, as_of: AsOf = NOW) -> dict[str, PriceMark]:
        """The last price of each instrument id; an instrument never marked is absent."""
        rows = self._c.execute(  # the row with the greatest market time: SQLite's bare columns
            "SELECT instrument_id, symbol, price, MAX(at) FROM marks WHERE"
            f" {as_of.where()} GROUP BY instrument_id",
            as_of.parameters,
        )
        return {
            row[0]: PriceMark(instrument_id=row[0], symbol=row[1], price=Decimal(row[2]), at=row[3])
            for row in rows
        }

    def last_mark(self, instrument_id: str, as_of: AsOf = NOW) -> PriceMark | None:
        """The price that one instrument was last marked with; cheap however long the past is."""
        row = self._c.execute(
            f"SELECT instrument_id, symbol, price, at FROM marks WHERE {as_of.where()}"
            " AND instrument_id = ? ORDER BY effective_date DESC, position DESC LIMIT 1",
            (*as_of.parameters, instrument_id),
        ).fetchone()
        if row is None:
            return None
        return PriceMark(instrument_id=row[0], symbol=row[1], price=Decimal(row[2]), at=row[3])

    def newest_marks(self, as_of: AsOf = NOW) -> Callable[[str], tuple[str, int, str, str] | None]:
        """By instrument id, of its last marked session: the price that the market made last, as
        (when, position, effective date, price); None where nothing was marked."""
        day, known = as_of.parameters
        # nothing is marked before its session begins, so the index is entered where "known" is
        begun = "SELECT MAX(effective_date) FROM phases WHERE position <= ? AND phase = 'session'"
        (last,) = self._c.execute(begun, (known,)).fetchone()
        until = min(day, last or "")

        def newest(instrument_id: str) -> tuple[str, int, str, str] | None:
            found: tuple[str, int, str, str] | None = self._c.execute(
                "SELECT at, position, effective_date, price FROM marks WHERE instrument_id = ?1"
                " AND position <= ?3 AND effective_date = (SELECT effective_date FROM marks"
                " WHERE instrument_id = ?1 AND effective_date <= ?2 AND position <= ?3"
                " ORDER BY effective_date DESC LIMIT 1) ORDER BY at DESC, position DESC LIMIT 1",
                (instrument_id, until, known),
            ).fetchone()
            return found

        return newest

    def differences(self, day: date, as_of: AsOf = NOW) -> tuple[str, ...] | None:
        """What the day's reconciliation found; empty when equal, None when there was none."""
        rows = self._select("reconciliations", as_of, day)
        if not rows:
            return None
        text: str = rows[-1][4]
        return tuple(text.splitlines())

    def sessions(self, as_of: AsOf = NOW) -> list[SessionSummary]:
        """Every session that was opened, oldest first."""
        sums = self._trade_sums(as_of)
        days = self.session_days(as_of).items()
        return [self._summary(day, at, sums.get(day, (0, 0, 0, 0)), as_of) for day, at in days]

    def session(self, day: date, closed_at: int | None, as_of: AsOf = NOW) -> SessionSummary:
        """One of ``session_days``."""
        sums = self._trade_sums(as_of, day)
        return self._summary(day, closed_at, sums.get(day, (0, 0, 0, 0)), as_of)

    def session_days(self, as_of: AsOf = NOW) -> dict[date, int | None]:
        """Sessions in order, each with the position of its close; None while it is open."""
        rows = self._c.execute(
            "SELECT effective_date, MAX(CASE change WHEN 'closed' THEN position END) FROM phases"
            f" WHERE phase = 'session' AND {as_of.where()} GROUP BY 1 ORDER BY 1",
            as_of.parameters,
        )
        return {date.fromisoformat(day): closed_at for day, closed_at in rows}

    def _trade_sums(
        self, as_of: AsOf, day: date | None = None
    ) -> dict[date, tuple[int, int, int, int]]:
        """By day: trades, those won, P/L and costs in minor units."""
        where, parameters = as_of.where(), [*as_of.parameters]
        if day is not None:
            where, parameters = f"{where} AND effective_date = ?", [*parameters, day.isoformat()]
        rows = self._c.execute(
            "SELECT effective_date, COUNT(*), SUM(pnl > 0), SUM(pnl), SUM(costs) FROM trades"
            f" WHERE {where} GROUP BY effective_date",
            parameters,
        )
        return {date.fromisoformat(label): tuple(sums) for label, *sums in rows}

    def _summary(
        self, day: date, closed_at: int | None, sums: tuple[int, int, int, int], as_of: AsOf
    ) -> SessionSummary:
        trades, wins, pnl, costs = sums
        equity = self._last_equity(day, closed_at, as_of)
        return SessionSummary(
            day=day,
            trades=trades,
            wins=wins,
            pnl=self._money(pnl),
            costs=self._money(costs),
            equity=None if equity is None else self._money(equity),
            closed=closed_at is not None,
        )

    def _last_equity(self, day: date, closed_at: int | None, as_of: AsOf) -> int | None:
        _, known = as_of.parameters
        # a late event of that day values the account as it is known now, not as it closed
        until = known if closed_at is None else min(known, closed_at)
        row = self._c.execute(
            "SELECT equity FROM equity WHERE effective_date = ? AND position <= ?"
            " ORDER BY position DESC LIMIT 1",
            (day.isoformat(), until),
        ).fetchone()
        return None if row is None else int(row[0])


def _struct(kind: type[S], row: tuple[Any, ...]) -> S:
    fields = dict(zip(kind.__struct_fields__, row, strict=True))
    return kind(**fields | {"day": date.fromisoformat(row[1])})
