"""What the simulated broker keeps: orders, executions, cash, positions, the last minute processed.

It is the other side, never rebuilt from our events. Units are those of ``simulated_schema``.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, Money, from_scaled
from brokers.port import Activity, BrokerError, BrokerOrder, BrokerPosition, Execution
from brokers.simulated_fills import Costs, Fill, RestingOrder, plain
from brokers.simulated_schema import OPEN, PROOFS, open_file
from config.clock import from_micros, to_micros
from config.failpoints import reach


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that passed every check, in the file's units."""

    client_order_id: str
    symbol: str
    side: str
    order_type: str
    quantity_units: int
    limit_units: int | None
    stop_units: int | None
    submitted_at: datetime
    expires_at: datetime
    settles_on: date


class SimulatedStore:
    """One open file; see ``open_file`` for what it is opened with and refuses."""

    def __init__(self, file: Path, starting_cash: Money) -> None:
        self._file, self._currency = file, starting_cash.currency
        self._db = open_file(file, starting_cash)
        self._executions: list[Execution] = []  # as read so far

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. A fault of the file raises BrokerError after everything is undone."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            reach("broker.begun")
            yield
            reach("broker.written")
            self._db.execute("COMMIT")
            reach("broker.committed")
        except BaseException as e:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(e, sqlite3.Error):
                raise BrokerError(
                    f"{self._file}: {e}. Nothing of this step was written; free the file or its "
                    "disk and ask again by client order id."
                ) from e
            raise

    # --- written inside a transaction -------------------------------------------------------

    def add_order(self, order: NewOrder) -> BrokerOrder:
        at = to_micros(order.submitted_at)
        self._db.execute(
            "INSERT INTO orders (client_order_id, symbol, side, order_type, quantity, limit_price,"
            " stop_price, submitted_at, updated_at, expires_at, settles_on)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (order.client_order_id, order.symbol, order.side, order.order_type,
             order.quantity_units, order.limit_units, order.stop_units, at, at,
             to_micros(order.expires_at), order.settles_on.isoformat()),
        )  # fmt: skip
        reach("broker.order_written")
        return self._orders("client_order_id = ?", order.client_order_id)[0]

    def add_execution(self, fill: Fill, costs: Costs, executed_at: datetime, at: datetime) -> None:
        """Book one fill, known from ``at`` on: execution, order, cash and position together."""
        order, units = fill.order, fill.quantity_units
        self._db.execute(
            "INSERT INTO executions SELECT coalesce(max(sequence), 0) + 1, ?, ?, ?, ?, ?, ?, ?"
            " FROM executions",
            (order.number, units, fill.price_units, f"{costs.commission:f}", f"{costs.fees:f}",
             costs.net_minor, to_micros(executed_at)),
        )  # fmt: skip
        reach("broker.execution_written")
        self._db.execute(
            "UPDATE orders SET filled = filled + ?1, updated_at = ?2, state ="
            " CASE filled + ?1 WHEN quantity THEN 'filled' ELSE 'partially_filled' END"
            " WHERE number = ?3",
            (units, to_micros(at), order.number),
        )
        self._db.execute("UPDATE account SET cash = cash + ?", (costs.net_minor,))
        reach("broker.cash_written")
        self._db.execute("INSERT OR IGNORE INTO positions VALUES (?, 0)", (order.symbol,))
        self._db.execute(
            "UPDATE positions SET quantity = quantity + ? WHERE symbol = ?",
            (units if order.side == "buy" else -units, order.symbol),
        )

    def cancel(self, client_order_id: str, at: datetime) -> None:
        self._db.execute(
            "UPDATE orders SET state = 'cancelled', updated_at = ?"
            f" WHERE client_order_id = ? AND {OPEN}",
            (to_micros(at), client_order_id),
        )
        reach("broker.cancel_written")

    def expire_position(self, symbol: str, day: date, paid_minor: int) -> None:
        """All contracts are gone as of ``day``, for so much cash; nothing where none are held, for
        another process was faster."""
        self._db.execute(
            "INSERT INTO expiries (symbol, quantity, day, net_amount) SELECT symbol, quantity, ?, ?"
            " FROM positions WHERE symbol = ? AND quantity > 0",
            (day.isoformat(), paid_minor, symbol),
        )
        if self._one("SELECT changes()"):
            self._db.execute("UPDATE positions SET quantity = 0 WHERE symbol = ?", (symbol,))
            self._db.execute("UPDATE account SET cash = cash + ?", (paid_minor,))

    def expire(self, until: datetime) -> int:
        """Day orders whose session closed at or before ``until``; returns how many."""
        return self._db.execute(
            f"UPDATE orders SET state = 'expired', updated_at = expires_at"
            f" WHERE {OPEN} AND expires_at <= ?",
            (to_micros(until),),
        ).rowcount

    def set_processed_until(self, moment: datetime) -> None:
        self._db.execute(
            "UPDATE account SET processed_until = max(processed_until, ?)", (to_micros(moment),)
        )

    # --- read -------------------------------------------------------------------------------

    def processed_until(self) -> datetime:
        """Every minute that ended at or before this is decided for good; later ones may be."""
        return from_micros(self._one("SELECT processed_until FROM account"))

    def pending_minute(self) -> datetime | None:
        """The first minute not yet processed, or None while no order is open."""
        micros = self._one(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM orders INDEXED BY open_orders"
            f" WHERE {OPEN}) THEN processed_until END FROM account"
        )
        return None if micros is None else from_micros(micros)

    def resting_orders(self) -> list[RestingOrder]:
        """Open orders in order of arrival."""
        rows = self._db.execute(
            "SELECT number, symbol, side, order_type, quantity - filled, limit_price, stop_price,"
            f" submitted_at FROM orders WHERE {OPEN} ORDER BY number"
        )
        return [
            RestingOrder(
                number=number, symbol=symbol, side=side, order_type=order_type, open_units=units,
                limit_units=limit, stop_units=stop, arrived_at=from_micros(arrived),
            )
            for number, symbol, side, order_type, units, limit, stop, arrived in rows
        ]  # fmt: skip

    def cash(self) -> Money:
        return Money(self._one("SELECT cash FROM account"), self._currency)

    def position_units(self, symbol: str) -> int:
        return self._one("SELECT quantity FROM positions WHERE symbol = ?", symbol) or 0

    def positions(self) -> list[BrokerPosition]:
        rows = self._db.execute("SELECT * FROM positions WHERE quantity > 0 ORDER BY symbol")
        return [BrokerPosition(symbol=symbol, quantity=_quantity(n)) for symbol, n in rows]

    def order(self, client_order_id: str) -> BrokerOrder | None:
        found = self._orders("client_order_id = ?", client_order_id)
        return found[0] if found else None

    def open_orders(self) -> list[BrokerOrder]:
        return self._orders(OPEN)

    def _orders(self, where: str, *values: str) -> list[BrokerOrder]:
        rows = self._db.execute(
            "SELECT number, client_order_id, symbol, side, order_type, quantity, filled, state,"
            f" submitted_at, updated_at FROM orders WHERE {where} ORDER BY number",
            values,
        )
        return [
            BrokerOrder(
                client_order_id=client_order_id, broker_order_id=_order_id(number), symbol=symbol,
                side=side, order_type=order_type, quantity=_quantity(quantity),
                filled_quantity=_quantity(filled), state=state, error_code="", reason="",
                submitted_at=from_micros(submitted), updated_at=from_micros(updated),
            )
            for number, client_order_id, symbol, side, order_type, quantity, filled, state,
            submitted, updated in rows
        ]  # fmt: skip

    def activities(self, first: date) -> list[Activity]:
        """Contracts that expired for nothing, and those that exercising paid for."""
        rows = self._db.execute(
            "SELECT number, symbol, quantity, day, net_amount FROM expiries WHERE day >= ?"
            " ORDER BY day, number",
            (first.isoformat(),),
        )
        return [
            Activity(
                activity_id=f"SIM-E-{number:06d}",
                kind="option_exercise" if net else "option_expiry",
                code="OPEXC" if net else "OPEXP", day=date.fromisoformat(day), symbol=symbol,
                quantity=-_quantity(units),
                net_amount=Money(net, self._currency).decimal if net else None,
                description="exercised in the money, paid in cash" if net else "expired worthless",
                cancelled=False,
            )
            for number, symbol, units, day, net in rows
        ]  # fmt: skip

    def executions_since(self, sequence: int) -> list[Execution]:
        """Executions are never changed, so each is read once however often all are asked for."""
        known = self._executions
        known += self._read_executions(known[-1].sequence if known else 0)
        return known[bisect_right(known, sequence, key=attrgetter("sequence")) :]

    def _read_executions(self, sequence: int) -> list[Execution]:
        rows = self._db.execute(
            "SELECT sequence, order_number, client_order_id, symbol, side, e.quantity, price,"
            " commission, fees, net_amount, executed_at, settles_on FROM executions AS e"
            " JOIN orders ON number = order_number WHERE sequence > ? ORDER BY sequence",
            (sequence,),
        )
        return [
            Execution(
                sequence=n, execution_id=f"SIM-X-{n:06d}", client_order_id=client_order_id,
                broker_order_id=_order_id(number), symbol=symbol, side=side,
                quantity=_quantity(quantity), price=plain(from_scaled(price, PRICE_SCALE)),
                currency=self._currency, commission=Decimal(commission), fees=Decimal(fees),
                net_amount=Money(net, self._currency).decimal,
                executed_at=from_micros(executed), settles_on=date.fromisoformat(settles),
            )
            for n, number, client_order_id, symbol, side, quantity, price, commission, fees, net,
            executed, settles in rows
        ]  # fmt: skip

    def faults(self) -> list[str]:
        """What in the file contradicts itself, in words; empty when all is well."""
        try:
            found = [text for (text,) in self._db.execute("PRAGMA quick_check") if text != "ok"]
            found += [text for text, sql in PROOFS if self._one(sql)]
        except sqlite3.DatabaseError as e:
            found = [str(e)]
        return [f"{self._file}: {text}. Restore it from a backup." for text in found]

    def _one(self, sql: str, *values: str) -> Any:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else row[0]


def _quantity(units: int) -> Decimal:
    return plain(from_scaled(units, QUANTITY_SCALE))


def _order_id(number: int) -> str:
    return f"SIM-{number:06d}"
