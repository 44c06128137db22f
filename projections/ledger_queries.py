"""Questions to the ledger, each as of an effective date and as known at a position."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from aggregates.books import UnitMovement
from aggregates.chart_of_accounts import Chart
from aggregates.errors import DomainError
from aggregates.money import QUANTITY_SCALE, from_scaled, plain
from projections.ledger_records import (
    NOW,
    AsOf,
    Balance,
    Books,
    Entry,
    OpenLot,
    Position,
    Posting,
    RegisterLine,
    TrialBalance,
)


class LedgerQueries:
    """Reads one ledger connection; never writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._c = connection
        self._books: Books | None = None

    # -- the books -------------------------------------------------------------------------

    def books(self) -> Books:
        """Raises DomainError when no books are open yet."""
        if self._books is None:
            row = self._c.execute(
                "SELECT identity, b.entity_code, b.jurisdiction_code, b.currency_code, exponent,"
                " broker_code, timezone, cost_method, demo, coa_version, created_at_utc,"
                " last_updated_utc FROM books b, coa_metadata ORDER BY coa_version DESC"
            ).fetchone()
            if row is None:
                raise DomainError("No books are open here yet; run `tbot demo` first.")
            names = Books.__struct_fields__
            self._books = Books(**dict(zip(names, row, strict=True)) | {"demo": bool(row[8])})
        return self._books

    def chart(self, as_of: AsOf = NOW) -> Chart:
        """The chart in force as known at the position."""
        row = self._c.execute(
            "SELECT coa_json FROM coa_metadata WHERE position <= ? ORDER BY coa_version DESC",
            as_of.parameters[1:],
        ).fetchone()
        if row is None:
            raise DomainError("No chart of accounts was in force at that time.")
        return msgspec.json.decode(row[0], type=Chart)

    def account_name(self, code: str) -> str:
        """Name of an account; a security's sub-account also says which security."""
        main, _, suffix = code.partition(".")
        account = self.chart().account(main)
        name = account.name if account else main
        return f"{name}: {suffix}" if suffix else name

    # -- balances --------------------------------------------------------------------------

    def balances(self, as_of: AsOf = NOW) -> list[Balance]:
        """Every account that has a balance or units, by code."""
        rows = self._c.execute(
            "SELECT account_code, SUM(amount), SUM(quantity) FROM postings WHERE"
            f" {as_of.where()} GROUP BY account_code"
            " HAVING SUM(amount) <> 0 OR SUM(quantity) <> 0 ORDER BY account_code",
            as_of.parameters,
        ).fetchall()
        if not rows:
            return []
        chart, currency = self.chart(), self.books().currency
        return [
            Balance(
                code=code,
                account=self.account_name(code),
                type=chart.type_of(code),
                currency=currency,
                amount=self._money(amount),
                quantity=_units(quantity) if "." in code else None,
            )
            for code, amount, quantity in rows
        ]

    def trial_balance(self, as_of: AsOf = NOW) -> TrialBalance:
        balances = tuple(self.balances(as_of))
        counted = [b.amount for b in balances if b.type != "memo"]
        zero = Decimal(0)
        return TrialBalance(
            balances=balances,
            debits=sum((a for a in counted if a > 0), zero),
            credits=-sum((a for a in counted if a < 0), zero),
        )

    def balance_of(self, code: str, as_of: AsOf = NOW) -> Decimal:
        """Balance of one account, its securities' sub-accounts included."""
        row = self._c.execute(
            "SELECT COALESCE(SUM(amount), 0) FROM postings WHERE (account_code = ? OR"
            f" account_code LIKE ? || '.%') AND {as_of.where()}",
            (code, code, *as_of.parameters),
        ).fetchone()
        return self._money(row[0])

    def broker_cash(self, as_of: AsOf = NOW) -> Decimal:
        """What the broker's cash must be: float + reserves + pool (decision 0006)."""
        mapping = self.chart().mapping
        roles = ("cash_float", "tax_reserve", "payroll_reserve", "reinvestment_pool")
        return sum((self.balance_of(mapping[role], as_of) for role in roles), Decimal(0))

    # -- entries ---------------------------------------------------------------------------

    def journal(
        self,
        as_of: AsOf = NOW,
        *,
        since: date | None = None,
        account: str | None = None,
        position: int | None = None,
        newest_first: bool = False,
        limit: int = -1,
        offset: int = 0,
    ) -> Iterator[Entry]:
        """Entries by effective date, then in the order of recording; filters narrow them."""
        where, parameters = [as_of.where("t.")], list[Any](as_of.parameters)
        if since is not None:
            where.append("t.effective_date >= ?")
            parameters.append(since.isoformat())
        if account is not None:
            where.append(
                "EXISTS (SELECT 1 FROM postings p WHERE p.transaction_id = t.transaction_id AND"
                " (p.account_code = ? OR p.account_code LIKE ? || '.%'))"
            )
            parameters += [account, account]
        if position is not None:
            where.append("(t.position = ? OR t.about = ?)")
            parameters += [position, position]
        order = "DESC" if newest_first else "ASC"
        rows = self._c.execute(
            f"SELECT t.* FROM transactions t WHERE {' AND '.join(where)} ORDER BY"
            f" t.effective_date {order}, t.transaction_id {order} LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        for row in rows:
            yield self._entry(row)

    def count_entries(self, as_of: AsOf = NOW) -> int:
        sql = f"SELECT count(*) FROM transactions WHERE {as_of.where()}"
        return int(self._c.execute(sql, as_of.parameters).fetchone()[0])

    def register(
        self,
        account: str,
        as_of: AsOf = NOW,
        *,
        limit: int = -1,
        offset: int = 0,
    ) -> list[RegisterLine]:
        """Postings of one account in date order, each with the balance after it."""
        rows = self._c.execute(
            "SELECT * FROM (SELECT p.transaction_id, p.position, p.effective_date, t.timestamp,"
            " t.description, p.amount, p.quantity, SUM(p.amount) OVER"
            " (ORDER BY p.effective_date, p.posting_id) FROM postings p JOIN transactions t"
            f" USING (transaction_id) WHERE p.account_code = ? AND {as_of.where('p.')}"
            " ORDER BY p.effective_date, p.posting_id) LIMIT ? OFFSET ?",
            (account, *as_of.parameters, limit, offset),
        )
        return [
            RegisterLine(
                transaction_id=number,
                position=position,
                effective_date=date.fromisoformat(day),
                timestamp=timestamp,
                description=description,
                amount=self._money(amount),
                quantity=_units(quantity) if "." in account else None,
                balance=self._money(balance),
            )
            for number, position, day, timestamp, description, amount, quantity, balance in rows
        ]

    # -- securities ------------------------------------------------------------------------

    def positions(self, as_of: AsOf = NOW) -> list[Position]:
        """Securities held, per account: units and book cost; sold-out ones are left out."""
        rows = self._c.execute(
            "SELECT p.account_code, i.symbol, i.instrument_id, i.name, i.kind, i.multiplier,"
            " SUM(p.quantity), SUM(p.amount) FROM postings p JOIN instruments i ON"
            " i.account_suffix = substr(p.account_code, instr(p.account_code, '.') + 1)"
            " AND i.position = (SELECT MAX(n.position) FROM instruments n WHERE"
            " n.account_suffix = i.account_suffix AND n.position <= ?)"
            f" WHERE instr(p.account_code, '.') > 0 AND {as_of.where('p.')}"
            " GROUP BY p.account_code HAVING SUM(p.quantity) <> 0 ORDER BY p.account_code",
            (as_of.parameters[1], *as_of.parameters),
        )
        return [
            Position(
                code=code,
                symbol=symbol,
                instrument_id=instrument_id,
                name=name,
                kind=kind,
                multiplier=multiplier,
                quantity=_units(quantity),
                cost=self._money(cost),
            )
            for code, symbol, instrument_id, name, kind, multiplier, quantity, cost in rows
        ]

    def lots(self, as_of: AsOf = NOW) -> list[OpenLot]:
        """Open lots at their own cost, oldest first."""
        rows = self._c.execute(
            "SELECT account_code, lot, MIN(acquired_on), SUM(quantity), SUM(cost) FROM lots WHERE"
            f" {as_of.where()} GROUP BY account_code, lot HAVING SUM(quantity) <> 0"
            " ORDER BY account_code, MIN(acquired_on), lot",
            as_of.parameters,
        )
        return [
            OpenLot(
                code=code,
                lot=lot,
                acquired_on=date.fromisoformat(acquired),
                quantity=_units(quantity),
                cost=self._money(cost),
            )
            for code, lot, acquired, quantity, cost in rows
        ]

    def unit_movements(self, position: int) -> list[UnitMovement]:
        """Everything that moved units in the pools that the event at ``position`` moved."""
        rows = self._c.execute(
            "SELECT effective_date, position, kind, units, account_code, new_units, old_units"
            " FROM movements m WHERE kind <> 'void' AND account_code IN"
            " (SELECT account_code FROM movements WHERE position = ?) AND NOT EXISTS (SELECT 1"
            " FROM movements v WHERE v.kind = 'void' AND v.about = m.position"
            " AND v.account_code = m.account_code)",
            (position,),
        )
        return [
            UnitMovement(date.fromisoformat(day), at, -units if kind == "sell" else units, *rest)
            for day, at, kind, units, *rest in rows
        ]

    # -- helpers ---------------------------------------------------------------------------

    def _money(self, minor: int) -> Decimal:
        return from_scaled(minor, 10 ** self.books().exponent)

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        fields = dict(zip(Entry.__struct_fields__, row, strict=False))
        postings = self._c.execute(
            "SELECT account_code, amount, quantity FROM postings WHERE transaction_id = ?"
            " ORDER BY posting_id",
            (row[0],),
        )
        fields["effective_date"] = date.fromisoformat(fields["effective_date"])
        fields["pnl"] = None if fields["pnl"] is None else self._money(fields["pnl"])
        fields["postings"] = tuple(
            Posting(
                code=code,
                account=self.account_name(code),
                amount=self._money(amount),
                quantity=_units(quantity) if "." in code else None,
            )
            for code, amount, quantity in postings
        )
        return Entry(**fields)


def _units(quantity: int) -> Decimal:
    return plain(from_scaled(quantity, QUANTITY_SCALE))
