"""The rows that a ledger fold gathers and writes, each entry checked as it is posted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from aggregates.errors import DomainError
from projections.ledger_points import counted_sql, results_sql
from projections.posting_rules import Line

LARGEST = 2**63 - 1  # what SQLite holds in an integer
LINES = 256  # posting ids an entry has
POINT_EVERY = 250  # entries between two balance points, or more: they come where a day begins
_STATEMENT = 20  # rows in one INSERT: a quarter faster than one by one
# rows that wait, in the order in which they are written; a fill is an entry with columns of its own
FILLS = (
    "entries (transaction_id, position, about, effective_date, timestamp, terms_id, size, price,"
    " reference, settles_on, traded_on, units, gross, short_gain, long_gain, commission, fees,"
    " cash, residue)"
)
WIDTHS = {
    "terms": 17, FILLS: 19, "entries": 21, "entry_lines": 4, "late_entries": 1, "splits": 5,
    "voids": 3, "lot_changes": 6, "balance_points": 4, "balances": 6,
}  # fmt: skip
_NO_FILL = (None,) * 9  # what other entries have in the columns of fills
_NO_ACCOUNTS = (None,) * 7  # what the terms of other entries have in the columns of fills


class Cause(NamedTuple):
    """The event that rows come from. ``timestamp`` is when it happened, UTC, as text."""

    position: int
    topic: str
    timestamp: str


class Total:
    """What an account adds up to: minor units, 1e-9 units, postings; and what the entries of a
    security's account gained less their commissions and fees. ``since`` is the balance point since
    which it last moved."""

    __slots__ = ("amount", "postings", "quantity", "result", "since")

    def __init__(self, amount: int, quantity: int, postings: int, result: int) -> None:
        self.amount, self.quantity, self.postings, self.result = amount, quantity, postings, result
        self.since = -1

    def add(self, amount: int, point: int) -> None:
        """A posting without units."""
        self.amount += amount
        self.postings += 1
        self.since = point

    def move(self, amount: int, quantity: int, result: int, point: int) -> None:
        """A posting with units, of an entry with that result."""
        self.amount += amount
        self.quantity += quantity
        self.result += result
        self.postings += 1
        self.since = point


class LedgerRows:
    """Rows waiting for the end of the batch, and what every row is stamped with.

    Waiting rows are flat lists of values (``fills``, ``lines``, …), a row after the other.
    ``totals`` have what waits counted in. ``point`` is the number of the last balance point.
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
        self.point, self._point_after = 0, 0
        self.totals: dict[str, Total] = {}
        self._clear()

    def _clear(self) -> None:
        self.waiting: dict[str, list[Any]] = {table: [] for table in WIDTHS}
        self.fills, self.entries = self.waiting[FILLS], self.waiting["entries"]
        self.lines, self.lots = self.waiting["entry_lines"], self.waiting["lot_changes"]

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
        self.point, self._point_after, self.through = c.execute(point).fetchone() or (0, 0, "")
        later = "SELECT MAX(effective_date) FROM entries WHERE transaction_id > ?"
        latest = c.execute(later, (self._point_after,)).fetchone()[0]
        self.through = max(self.through, latest or "")
        self._load_totals()

    def _load_totals(self) -> None:
        c = self._connection
        self.totals = {
            code: Total(*sums)
            for code, _, *sums in c.execute(
                "SELECT account_code, MAX(point), amount, quantity, postings, result FROM balances"
                " GROUP BY account_code"
            )
        }
        later = c.execute(
            "SELECT account_code, amount, quantity FROM postings WHERE transaction_id > ?",
            (self._point_after,),
        )
        for code, amount, quantity in later:
            self.total(code).move(amount, quantity, 0, self.point)
        sql = results_sql(counted_sql(c), "FROM postings e", "e.transaction_id > ?")
        for _, account, result in c.execute(sql, (self._point_after,)):
            self.total(account).result += result

    # -- writing ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything gathered, in order."""
        for table, width in WIDTHS.items():
            if values := self.waiting[table]:
                insert(self._connection, table, width, values)
        self._clear()

    def total(self, account: str) -> Total:
        """The totals of an account, to be added to."""
        total = self.totals.get(account)
        if total is None:
            total = self.totals[account] = Total(0, 0, 0, 0)
        return total

    def _balance_point(self) -> None:
        """A point after the newest entry, with the totals of every account that moved since the
        last one."""
        moved = [(code, t) for code, t in self.totals.items() if t.since == self.point]
        self.point, self._point_after = self.point + 1, self.next - 1
        self.waiting["balance_points"] += (
            self.point, self._point_after, self.position, self.through,
        )  # fmt: skip
        for code, t in sorted(moved, key=itemgetter(0)):
            self.waiting["balances"] += (
                code, self.point, t.amount, t.quantity, t.postings, t.result,
            )  # fmt: skip

    # -- posting ---------------------------------------------------------------------------

    def terms(
        self, topic: str, strategy: str, ticker: str, side: str, sleeve: str, context: str,
        accounts: Sequence[str | None] = _NO_ACCOUNTS,
    ) -> int:  # fmt: skip
        """The number of these terms under the chart and the rules in force. ``accounts`` of a fill:
        security, cash, short and long-term gain, commissions, fees, rounding."""
        key = (
            topic, strategy, ticker, side, self.broker, sleeve, context, self.coa_version,
            self.rules_version, *accounts,
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
                self._balance_point()
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
            size, None, pnl, reference, "", description, *_NO_FILL,
        )  # fmt: skip
        for posting, line in enumerate(lines, number * LINES):
            self.line(posting, line)
        securities = [line.account for line in lines if "." in line.account]
        if securities:
            result = -sum(line.amount for line in lines if line.account in self.result_codes)
            self.total(max(securities)).result += result

    def line(self, posting: int, line: Line) -> None:
        """One line of an entry, as ``entry_lines`` has it."""
        self.lines += (posting, *line)
        self.total(line.account).move(line.amount, line.quantity, 0, self.point)

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
