"""Questions to the ledger, each as of an effective date and as known at a position."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from aggregates.books import UnitMovement
from aggregates.chart_of_accounts import Account, Chart
from aggregates.chart_rules import PURSE_ROLES
from aggregates.errors import DomainError
from aggregates.money import QUANTITY_SCALE, from_scaled, plain
from projections.ledger_points import ALL_TOUCHED, LedgerPoints, Sums
from projections.ledger_records import (
    NOW,
    AsOf,
    Balance,
    Books,
    Entry,
    Listing,
    OpenLot,
    Position,
    Posting,
    RegisterLine,
    TrialBalance,
)
from projections.running_totals import RunningTotals


class LedgerQueries:
    """Reads one ledger connection; never writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._c = connection
        self._points = LedgerPoints(connection)
        self._exponent: int | None = None
        self._listed_now: tuple[int | None, dict[str, Listing]] = (None, {})  # up to that position

    # -- the books -------------------------------------------------------------------------

    def books(self) -> Books:
        """Raises DomainError when no books are open yet."""
        row = self._c.execute(
            "SELECT identity, b.entity_code, b.jurisdiction_code, b.currency_code, exponent,"
            " broker_code, timezone, cost_method, demo, coa_version, created_at_utc,"
            " last_updated_utc FROM books b, coa_metadata ORDER BY coa_version DESC"
        ).fetchone()
        if row is None:
            raise DomainError("No books are open here yet; run `tbot demo` first.")
        names = Books.__struct_fields__
        return Books(**dict(zip(names, row, strict=True)) | {"demo": bool(row[8])})

    def chart(self, as_of: AsOf = NOW) -> Chart:
        """The chart in force on the date, as known at the position."""
        row = self._c.execute(
            f"SELECT coa_json FROM coa_metadata WHERE {as_of.where()} ORDER BY coa_version DESC",
            as_of.parameters,
        ).fetchone()
        if row is None:
            raise DomainError("No chart of accounts was in force at that time.")
        return chart_of(row[0])

    def accounts(self, as_of: AsOf = NOW) -> dict[str, Account]:
        """Accounts by code, each as the chart in force has it; one that this chart does not have,
        as the last chart before it, or else the first after it, does."""
        day, position = as_of.parameters
        rows = self._c.execute(
            "SELECT coa_json FROM coa_metadata WHERE position <= ?1 ORDER BY effective_date <= ?2,"
            " CASE WHEN effective_date <= ?2 THEN coa_version ELSE -coa_version END",
            (position, day),
        )
        return {a.code: a for (text,) in rows for a in chart_of(text).accounts}

    def account_name(self, code: str, as_of: AsOf = NOW) -> str:
        """See ``title_of``."""
        return title_of(self.accounts(as_of), code)

    # -- balances --------------------------------------------------------------------------

    def balances(self, as_of: AsOf = NOW) -> list[Balance]:
        """Every account that has a balance or units, by code."""
        accounts, currency = self.accounts(as_of), self.books().currency
        return [
            Balance(
                code=code,
                account=title_of(accounts, code),
                type=accounts[code.partition(".")[0]].type,
                currency=currency,
                amount=self._money(amount),
                quantity=_units(quantity) if "." in code else None,
            )
            for code, (amount, quantity) in self._points.sums(as_of).items()
            if amount or quantity
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
        return self._total({code}, as_of)

    def running(self, *dates: date | None) -> RunningTotals:
        """``balance_of`` as of each of the dates (None: no limit), kept up with the ledger."""
        return RunningTotals(self._c, 10 ** self.books().exponent, dates)

    def broker_cash(self, as_of: AsOf = NOW) -> Decimal:
        """What the broker's cash must be: float + reserves + pool (decision 0006)."""
        mapping = self.chart().mapping
        return self._total({mapping[role] for role in PURSE_ROLES}, as_of)

    def _total(self, codes: set[str], as_of: AsOf) -> Decimal:
        sums = self._points.sums(as_of).items()
        return self._money(sum(s.amount for code, s in sums if code.partition(".")[0] in codes))

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
        if account is None and position is None:
            numbers = self._page(as_of, since, newest_first, limit, offset)
            found: Iterator[Any] = map(self._transaction, numbers)
        else:
            found = self._filtered(as_of, since, account, position, newest_first, limit, offset)
        accounts = self.accounts(as_of)
        for row in found:
            yield self._entry(row, accounts)

    def _page(
        self, as_of: AsOf, since: date | None, newest_first: bool, limit: int, offset: int
    ) -> list[int]:
        """Transaction ids; pages are counted from either end of the entries since a date."""
        first = 0
        if since is not None and since > date.min:
            before = AsOf(date=since - timedelta(days=1), position=as_of.position)
            first = self._points.count_entries(before)
        if not newest_first:
            return self._points.entries(as_of, first + offset, limit)
        end = self._points.count_entries(as_of) - offset
        begin = first if limit < 0 else max(first, end - limit)
        return self._points.entries(as_of, begin, max(end - begin, 0))[::-1]

    def _transaction(self, number: int) -> Any:
        sql = "SELECT * FROM transactions WHERE transaction_id = ?"
        return self._c.execute(sql, (number,)).fetchone()

    def _filtered(
        self, as_of: AsOf, since: date | None, account: str | None, position: int | None,
        newest_first: bool, limit: int, offset: int,
    ) -> Iterator[Any]:  # fmt: skip
        where, parameters = [as_of.where("t.")], list[Any](as_of.parameters)
        if since is not None:
            where.append("t.effective_date >= ?")
            parameters.append(since.isoformat())
        if account is not None:
            here = "EXISTS (SELECT 1 FROM postings p WHERE p.transaction_id = t.transaction_id AND"
            if "." in account:  # few entries are of one security, most touch one of the others
                where.append(f"t.transaction_id IN {ALL_TOUCHED} AND {here} p.account_code = ?)")
                parameters += [account] * 3
            else:
                where.append(f"{here} (p.account_code = ? OR p.account_code LIKE ? || '.%'))")
                parameters += [account] * 2
        if position is not None:
            numbers = self._points.caused_by(position)
            marks = ", ".join("?" * len(numbers))
            where.append(f"(t.transaction_id IN ({marks}) OR t.about = ?)")
            parameters += [*numbers, position]
        order = "DESC" if newest_first else "ASC"
        return self._c.execute(
            f"SELECT t.* FROM transactions t WHERE {' AND '.join(where)} ORDER BY"
            f" t.effective_date {order}, t.transaction_id {order} LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )

    def entries(self, numbers: Iterable[int], as_of: AsOf = NOW) -> list[Entry]:
        """The entries with these transaction ids, by date and then in the order of recording."""
        accounts = self.accounts(as_of)
        found = [self._entry(self._transaction(number), accounts) for number in sorted(numbers)]
        return sorted(found, key=lambda entry: entry.effective_date)

    def count_entries(self, as_of: AsOf = NOW) -> int:
        return self._points.count_entries(as_of)

    def newest_entry(self) -> int:
        """The transaction id of the newest entry, 0 before there is one."""
        (found,) = self._c.execute("SELECT MAX(transaction_id) FROM entries").fetchone()
        return found or 0

    def register(
        self,
        account: str,
        as_of: AsOf = NOW,
        *,
        limit: int = -1,
        offset: int = 0,
    ) -> list[RegisterLine]:
        """Postings of one account in date order, each with the balance after it."""
        return [
            RegisterLine(
                transaction_id=row.posting_id >> 8,
                position=row.position,
                effective_date=date.fromisoformat(row.effective_date),
                timestamp=row.timestamp,
                description=row.description,
                amount=self._money(row.amount),
                quantity=_units(row.quantity) if "." in account else None,
                balance=self._money(row.balance),
            )
            for row in self._points.register(account, as_of, offset, limit)
        ]

    # -- securities ------------------------------------------------------------------------

    def positions(self, as_of: AsOf = NOW) -> list[Position]:
        """Securities held, per account: units and book cost; sold-out ones are left out."""
        sums = self._points.sums(as_of).items()
        held = {code: both for code, both in sums if both[1] and "." in code}
        listed = self.listed(as_of) if held else {}
        found = []
        for code, (cost, quantity) in held.items():
            instrument = listed[code.partition(".")[2]]
            found.append(
                Position(
                    code=code,
                    symbol=instrument.symbol,
                    instrument_id=instrument.instrument_id,
                    name=instrument.name,
                    kind=instrument.kind,
                    multiplier=instrument.multiplier,
                    quantity=_units(quantity),
                    cost=self._money(cost),
                )
            )
        return found

    def listed(self, as_of: AsOf = NOW) -> Mapping[str, Listing]:
        """Instruments by account suffix, each under its symbol of then; one that was not registered
        then under its first symbol. Not to be changed: those of now are kept, as each order and
        each price asks for them."""
        if as_of != NOW:
            return self._listed(as_of)
        (newest,) = self._c.execute("SELECT MAX(position) FROM instruments").fetchone()
        if newest != self._listed_now[0]:
            self._listed_now = newest, self._listed(NOW)
        return self._listed_now[1]

    def _listed(self, as_of: AsOf) -> dict[str, Listing]:
        rows = self._c.execute(
            "SELECT position, account_suffix, instrument_id, symbol, name, kind, multiplier"
            " FROM instruments WHERE position <= ?1 ORDER BY effective_date <= ?2,"
            " CASE WHEN effective_date <= ?2 THEN position ELSE -position END",
            as_of.parameters[::-1],
        )
        return {row[1]: Listing(*row) for row in rows}

    def sums(self, as_of: AsOf = NOW) -> Mapping[str, Sums]:
        """Minor units and 1e-9 units of every account posted to; not to be changed."""
        return self._points.sums(as_of)

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
            "WITH moved (code) AS (SELECT account_code FROM movements WHERE position = ?1"
            " UNION SELECT account_code FROM splits WHERE position = ?1)"
            " SELECT effective_date, position, units, account_code, 1, 1 FROM movements m"
            " WHERE account_code IN moved AND NOT EXISTS (SELECT 1 FROM voids v"
            " WHERE v.about = m.position AND v.account_code = m.account_code)"
            " UNION ALL SELECT effective_date, position, 0, account_code, new_units, old_units"
            " FROM splits s WHERE account_code IN moved AND NOT EXISTS (SELECT 1 FROM voids v"
            " WHERE v.about = s.position AND v.account_code = s.account_code)",
            (position,),
        )
        return [UnitMovement(date.fromisoformat(day), *rest) for day, *rest in rows]

    # -- helpers ---------------------------------------------------------------------------

    def _money(self, minor: int) -> Decimal:
        if self._exponent is None:
            self._exponent = self.books().exponent
        return from_scaled(minor, 10**self._exponent)

    def _entry(self, row: tuple[Any, ...], accounts: dict[str, Account]) -> Entry:
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
                account=title_of(accounts, code),
                amount=self._money(amount),
                quantity=_units(quantity) if "." in code else None,
            )
            for code, amount, quantity in postings
        )
        return Entry(**fields)


def title_of(accounts: Mapping[str, Account], code: str) -> str:
    """Name of an account; a security's sub-account also says which security."""
    main, _, suffix = code.partition(".")
    name = accounts[main].name if main in accounts else main
    return f"{name}: {suffix}" if suffix else name


@lru_cache(16)
def chart_of(text: str) -> Chart:
    """A version of the chart as the ledger keeps it; not to be changed."""
    return msgspec.json.decode(text, type=Chart)


def _units(quantity: int) -> Decimal:
    return plain(from_scaled(quantity, QUANTITY_SCALE))
