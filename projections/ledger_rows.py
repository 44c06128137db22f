"""The rows that a ledger fold gathers and writes, each entry checked as it is posted."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from aggregates.errors import DomainError
from projections.ledger_points import lines_of, results_sql
from projections.posting_rules import Line

LARGEST = 2**63 - 1  # what SQLite holds in an integer
LINES = 256  # posting ids an entry has
POINT_EVERY = 250  # entries between two balance points, or more: they come where a day begins
_STATEMENT = 50  # rows in one INSERT: a quarter faster than one by one
WIDTHS = {
    "terms": 10, "entries": 12, "entry_lines": 4, "late_entries": 1, "movements": 6, "splits": 5,
    "voids": 3, "lot_changes": 6, "balance_points": 4, "balances": 6,
}  # fmt: skip


class Cause(NamedTuple):
    """The event that rows come from. ``timestamp`` is when it happened, UTC, as text."""

    position: int
    topic: str
    timestamp: str


class LedgerRows:
    """Rows waiting for the end of the batch, and what every row is stamped with.

    Waiting rows are flat lists of values (``entries``, ``lines``, …), a row after the other.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.broker = ""
        self.coa_version = 0
        self.rules_version = 0
        self.active: set[str] = set()
        self.result_codes: set[str] = set()  # gains, commissions and fees, of every chart so far
        self.closed_through = ""
        self.next, self.position, self.through = 1, 0, ""
        self._point, self._point_after = 0, 0
        self._clear()

    def _clear(self) -> None:
        self.waiting: dict[str, list[Any]] = {table: [] for table in WIDTHS}
        self.entries, self.lines = self.waiting["entries"], self.waiting["entry_lines"]
        self.movements, self.lots = self.waiting["movements"], self.waiting["lot_changes"]
        self.results: list[tuple[int, str, int]] = []  # entry, security's account, minor units

    def forget(self) -> None:
        """Read where the rows in the tables end."""
        self._clear()
        c = self._connection
        closed = c.execute("SELECT MAX(through) FROM period_closes").fetchone()[0]
        self.closed_through = closed or ""
        self._terms: dict[tuple[Any, ...], int] = {
            tuple(found): number for number, *found in c.execute("SELECT * FROM terms")
        }
        last = "SELECT transaction_id, position FROM entries ORDER BY transaction_id DESC LIMIT 1"
        number, self.position = c.execute(last).fetchone() or (0, 0)
        self.next = number + 1
        point = "SELECT point, transaction_id, through FROM balance_points ORDER BY point DESC"
        self._point, self._point_after, self.through = c.execute(point).fetchone() or (0, 0, "")
        later = "SELECT MAX(effective_date) FROM entries WHERE transaction_id > ?"
        latest = c.execute(later, (self._point_after,)).fetchone()[0]
        self.through = max(self.through, latest or "")
        self._load_totals()

    def _load_totals(self) -> None:
        c = self._connection
        self.totals: dict[str, list[int]] = {
            code: list(sums)
            for code, _, *sums in c.execute(
                "SELECT account_code, MAX(point), amount, quantity, postings, result FROM balances"
                " GROUP BY account_code"
            )
        }
        self._moved: set[str] = set()
        later = c.execute(
            "SELECT account_code, amount, quantity FROM entry_lines WHERE posting_id >= ?",
            ((self._point_after + 1) * LINES,),
        )
        self._add(later)
        self._add_results(self._later_results())

    def _later_results(self) -> list[tuple[int, str, int]]:
        sql = results_sql(
            self.result_codes, f"FROM entries e {lines_of('e')}", "e.transaction_id > ?"
        )
        return self._connection.execute(sql, (self._point_after,)).fetchall()

    # -- writing ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything gathered, in order, and what the balance points among it hold."""
        waiting = self.waiting
        if self.lines or waiting["balance_points"]:  # a reversal of what was undone has no lines
            self._total()
        for table, width in WIDTHS.items():
            if waiting[table]:
                insert(self._connection, table, width, waiting[table])
        self._clear()

    def _total(self) -> None:
        """Add the waiting postings to the totals of their accounts, up to each point and on."""
        ids, begin = self.lines[::4], 0
        rows = list(zip(self.lines[1::4], self.lines[2::4], self.lines[3::4], strict=True))
        points = self.waiting["balance_points"]
        for at in range(0, len(points), 4):
            end = bisect_left(ids, (points[at + 1] + 1) * LINES)
            self._add(rows[begin:end])
            begin = end
            due = bisect_right(self.results, points[at + 1], key=itemgetter(0))
            self._add_results(self.results[:due])
            del self.results[:due]
            for code in sorted(self._moved):
                self.waiting["balances"] += (code, points[at], *self.totals[code])
            self._moved.clear()
        self._add(rows[begin:])
        self._add_results(self.results)

    def _add(self, rows: Iterable[tuple[str, int, int]]) -> None:
        totals, moved = self.totals, self._moved
        for code, amount, quantity in rows:
            total = totals.get(code)
            if total is None:
                total = totals[code] = [0, 0, 0, 0]
            total[0] += amount
            total[1] += quantity
            total[2] += 1
            moved.add(code)

    def _add_results(self, results: Iterable[tuple[int, str, int]]) -> None:
        for _, account, result in results:
            self.totals.setdefault(account, [0, 0, 0, 0])[3] += result

    # -- posting ---------------------------------------------------------------------------

    def terms(
        self, topic: str, strategy: str, ticker: str, side: str, sleeve: str, context: str
    ) -> int:
        """The number of these terms under the chart and the rules in force."""
        key = (
            topic, strategy, ticker, side, self.broker, sleeve, context, self.coa_version,
            self.rules_version,
        )  # fmt: skip
        number = self._terms.get(key)
        if number is None:
            number = self._terms[key] = len(self._terms) + 1
            self.waiting["terms"] += (number, *key)
        return number

    def posting_date(self, effective: str) -> str:
        """The date itself, or the first open day when its period is closed."""
        if effective > self.closed_through:
            return effective
        return (date.fromisoformat(self.closed_through) + timedelta(days=1)).isoformat()

    def place(self, position: int, posted_on: str) -> int:
        """The number of the next entry; notes when a day begins, and an entry that is late."""
        number = self.next
        if posted_on < self.through:
            self.waiting["late_entries"].append(number)
        elif posted_on > self.through:
            # an event's entries stay together, whatever their dates
            if number - 1 - self._point_after >= POINT_EVERY and position != self.position:
                self._point, self._point_after = self._point + 1, number - 1
                self.waiting["balance_points"] += (
                    self._point, self._point_after, self.position, self.through,
                )  # fmt: skip
            self.through = posted_on
        self.next, self.position = number + 1, position
        return number

    def transaction(
        self,
        cause: Cause,
        effective: str,
        description: str,
        lines: list[Line],
        *,
        about: int | None = None,
        strategy: str = "",
        ticker: str = "",
        side: str = "",
        size: str = "",
        pnl: int | None = None,
        sleeve: str = "",
        context: str = "",
        reference: str = "",
        follows: bool = False,
    ) -> None:
        """Post one entry. Raises DomainError when it does not balance or names a wrong account.

        ``follows``: it goes where its units are, as a split that comes late does.
        """
        self.check(lines, corrects=follows or about is not None)
        posted_on = self.posting_date(effective)
        number = self.place(cause.position, posted_on)
        self.entries += (
            number, cause.position, cause.position if about is None else about, posted_on,
            cause.timestamp, self.terms(cause.topic, strategy, ticker, side, sleeve, context),
            size, None, pnl, reference, "", description,
        )  # fmt: skip
        for posting, line in enumerate(lines, number * LINES):
            self.lines += (posting, *line)
        securities = [line.account for line in lines if "." in line.account]
        if securities:
            result = -sum(line.amount for line in lines if line.account in self.result_codes)
            self.gained(number, max(securities), result)

    def gained(self, number: int, account: str, result: int) -> None:
        """What an entry of this security's account gained less its commissions and fees."""
        if result:
            self.results.append((number, account, result))

    def check(self, lines: Sequence[tuple[str, int, int]], corrects: bool = False) -> None:
        """Double entry, and every account against the chart in force, as it is posted (M02).

        What ``corrects`` earlier entries goes where they went, if the account is closed since.
        """
        if not self.rules_version:
            raise DomainError("no posting rules are in force; adopt them before the first entry.")
        total = 0
        for account, amount, quantity in lines:
            if not corrects and account.partition(".")[0] not in self.active:
                raise DomainError(f"account {account} is not active in chart {self.coa_version}.")
            if not -LARGEST <= amount <= LARGEST:
                raise DomainError(f"an amount of {amount} minor units is more than can be kept.")
            if not -LARGEST <= quantity <= LARGEST:
                raise DomainError(f"{quantity / 1e9:g} units are more than can be kept.")
            total += amount
        if total:
            raise DomainError(f"the entry does not balance: debits exceed credits by {total}.")
        if len(lines) > LINES:
            raise DomainError(f"an entry of {len(lines)} lines is more than can be kept ({LINES}).")


def insert(connection: sqlite3.Connection, table: str, width: int, values: list[Any]) -> None:
    """Append rows of ``width`` values each, given one after the other."""
    row = f"({', '.join('?' * width)})"
    step = _STATEMENT * width
    whole = len(values) // step * step
    many = f"INSERT INTO {table} VALUES {', '.join([row] * _STATEMENT)}"
    connection.executemany(many, (values[at : at + step] for at in range(0, whole, step)))
    one = f"INSERT INTO {table} VALUES {row}"
    rest = range(whole, len(values), width)
    connection.executemany(one, (values[at : at + width] for at in rest))
