"""The ledger's rows in bulk: one ordered pass for exporters, as of both clocks.

Amounts stay what the tables hold (minor units, quantities in 1e-9 units), so that a million entries
go by without a Decimal each. Single questions are answered by projections.ledger_queries.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from aggregates.chart_of_accounts import Account, Chart
from projections.ledger_points import LedgerPoints
from projections.ledger_queries import LedgerQueries, chart_of
from projections.ledger_records import NOW, AsOf, Listing

_HEAD = (
    "t.transaction_id, t.position, t.about, t.effective_date, t.timestamp, t.topic, t.description,"
    " t.strategy_name, t.ticker, t.side, COALESCE(t.entry_price, t.exit_price), t.context,"
    " t.reference, t.settles_on"
)
_HEAD_COLUMNS = 14


class BulkPosting(NamedTuple):
    """``amount`` in minor units, debit positive; ``quantity`` in 1e-9 units."""

    code: str
    amount: int
    quantity: int


class BulkEntry(NamedTuple):
    """One transaction. ``price`` is the fill's price as decimal text, None where there is none.

    ``effective_date`` (ISO) and ``timestamp`` (UTC, with Z) are text as stored.
    """

    transaction_id: int
    position: int
    about: int
    effective_date: str
    timestamp: str
    topic: str
    description: str
    strategy: str
    ticker: str
    side: str
    price: str | None
    context: str
    reference: str
    settles_on: str
    postings: tuple[BulkPosting, ...]


class LedgerBulk:
    """Reads the connection of one LedgerQueries; never writes."""

    def __init__(self, ledger: LedgerQueries) -> None:
        self._ledger = ledger
        self._c: sqlite3.Connection = ledger._c

    # -- entries ---------------------------------------------------------------------------

    def entries(
        self, as_of: AsOf = NOW, *, since: date | None = None, after: int = 0
    ) -> Iterator[BulkEntry]:
        """Every entry by effective date, then in the order of recording, with its postings;
        those recorded ``after`` a position."""
        rows = (
            f"SELECT {_HEAD}, p.account_code, p.amount, p.quantity FROM transactions t"
            " CROSS JOIN postings p ON p.transaction_id = t.transaction_id"
            # the plus: found by date, not by position, so that nothing has to be sorted
            f" WHERE {as_of.where('t.')} AND t.effective_date >= ? AND +t.position > ? {{}}"
            " ORDER BY {}t.transaction_id, p.posting_id"
        )
        parameters = (*as_of.parameters, since.isoformat() if since else "", after)
        late = "SELECT transaction_id FROM late_entries"
        # entries on time stand in the order of their dates, so that SQLite sorts only late ones
        on_time = self._c.execute(
            rows.format(f"AND t.transaction_id NOT IN ({late})", ""), parameters
        )
        others = self._c.cursor().execute(
            rows.format(f"AND t.transaction_id IN ({late})", "t.effective_date, "), parameters
        )
        return heapq.merge(
            _grouped(on_time),
            _grouped(others),
            key=attrgetter("effective_date", "transaction_id"),
        )

    def entries_of(self, position: int) -> list[BulkEntry]:
        """What the event at ``position`` posted about itself: a fill one entry, a split one for
        each account that it moves."""
        rows = self._c.execute(
            f"SELECT {_HEAD}, p.account_code, p.amount, p.quantity FROM transactions t"
            " CROSS JOIN postings p ON p.transaction_id = t.transaction_id"
            " WHERE t.about = ? AND t.position = ? ORDER BY p.posting_id",
            (position, position),
        )
        return list(_grouped(rows))

    def reversals(self, as_of: AsOf = NOW) -> frozenset[int]:
        """Transaction ids of reversals themselves; re-cost rows of the same event come after."""
        rows = self._c.execute(
            "SELECT MIN(transaction_id) FROM transactions WHERE topic = 'Books.EntryReversed'"
            " AND position <= ? GROUP BY position",
            as_of.parameters[1:],
        )
        return frozenset(number for (number,) in rows)

    def last_timestamp(self, as_of: AsOf = NOW) -> str | None:
        """When the newest event happened that has an entry; None when there is none."""
        sql = f"SELECT MAX(timestamp) FROM transactions WHERE {as_of.where()}"
        found: str | None = self._c.execute(sql, as_of.parameters).fetchone()[0]
        return found

    # -- accounts --------------------------------------------------------------------------

    def first_uses(self, as_of: AsOf = NOW) -> list[tuple[str, str]]:
        """(account code, date of its first posting) of every account posted to, by code."""
        return self._c.execute(
            f"SELECT account_code, MIN(effective_date) FROM postings WHERE {as_of.where()}"
            " GROUP BY account_code ORDER BY account_code",
            as_of.parameters,
        ).fetchall()

    def sums(self, as_of: AsOf = NOW) -> dict[str, tuple[int, int]]:
        """(minor units, 1e-9 units) of every account posted to."""
        return dict(LedgerPoints(self._c).sums(as_of))

    def charts(self, as_of: AsOf = NOW) -> list[Chart]:
        """Every version of the chart that was known at the position, oldest first."""
        rows = self._c.execute(
            "SELECT coa_json FROM coa_metadata WHERE position <= ? ORDER BY coa_version",
            as_of.parameters[1:],
        )
        return [chart_of(text) for (text,) in rows]

    def accounts(self, as_of: AsOf = NOW) -> dict[str, Account]:
        """Each main account by code (see LedgerQueries.accounts)."""
        return self._ledger.accounts(as_of)

    def role_codes(self, as_of: AsOf = NOW) -> dict[str, frozenset[str]]:
        """Every code that a role was ever mapped to: old entries stay where they were posted."""
        found: dict[str, set[str]] = {}
        for chart in self.charts(as_of):
            for role, code in chart.mapping.items():
                found.setdefault(role, set()).add(code)
        return {role: frozenset(codes) for role, codes in found.items()}

    # -- securities ------------------------------------------------------------------------

    def listings(self, as_of: AsOf = NOW) -> list[Listing]:
        """Registrations and renames in order: the last of a suffix is its newest symbol."""
        rows = self._c.execute(
            "SELECT position, account_suffix, instrument_id, symbol, name, kind, multiplier"
            " FROM instruments WHERE position <= ? ORDER BY position",
            as_of.parameters[1:],
        )
        return [Listing(*row) for row in rows]

    def split_ratio(self, position: int) -> tuple[int, int]:
        """(new units, old units) of the split at ``position``."""
        row = self._c.execute(
            "SELECT new_units, old_units FROM splits WHERE position = ?",
            (position,),
        ).fetchone()
        return row[0], row[1]

    def last_split(self, suffix: str, as_of: AsOf = NOW) -> str | None:
        """Effective date (ISO) of a security's last split; None when it never split."""
        found: str | None = self._c.execute(
            "SELECT MAX(effective_date) FROM splits"
            f" WHERE substr(account_code, instr(account_code, '.') + 1) = ? AND {as_of.where()}"
            " AND position NOT IN (SELECT about FROM voids WHERE position <= ?)",
            (suffix, *as_of.parameters, as_of.parameters[1]),
        ).fetchone()[0]
        return found

    def units_before(self, code: str, position: int, day: str) -> int:
        """1e-9 units in one account on ``day`` as known just before ``position``."""
        as_of = AsOf(date=date.fromisoformat(day), position=position - 1)
        return self.sums(as_of).get(code, (0, 0))[1]


def _grouped(rows: Iterator[Any]) -> Iterator[BulkEntry]:
    for _, group in groupby(rows, key=itemgetter(0)):
        lines = list(group)
        postings = tuple(BulkPosting._make(line[_HEAD_COLUMNS:]) for line in lines)
        yield BulkEntry._make((*lines[0][:_HEAD_COLUMNS], postings))
