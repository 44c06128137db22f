"""Balances and ordered pages from balance points, so that their cost does not grow with history.

A point sums up all entries before it, and all on-time entries after it are dated later. So the
books as of any date, as known at any position, are the last point that both clocks allow, the few
entries up to the next point, and the late entries after that one.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from projections.ledger_records import FOREVER, AsOf
from projections.posting_rules import RESULT_ROLES


def results_sql(counted: str, source: str, where: str) -> str:
    """The SQL for (transaction id, account of the security, result) of the postings ``e``: what
    each entry gained less its commissions and fees, of ``counted_sql``. Those that move no
    security, or gained nothing, are left out."""
    return (
        "SELECT e.transaction_id, MAX(CASE WHEN instr(e.account_code, '.') THEN e.account_code END)"
        f" AS account, -SUM(CASE WHEN {counted} THEN e.amount ELSE 0 END) AS result"
        f" {source} WHERE {where} GROUP BY e.transaction_id"
        " HAVING account IS NOT NULL AND result <> 0"
    )


def counted_sql(connection: sqlite3.Connection) -> str:
    """Whether a posting ``e`` is of a gain, a commission or a fee, as SQL: whether its account is
    for those in the charts up to that of its entry."""
    roles = ", ".join(f"'{role}'" for role in RESULT_ROLES)
    rows = connection.execute(
        "SELECT since, group_concat(quote(code), ', ') FROM (SELECT r.value AS code,"
        " MIN(m.coa_version) AS since FROM coa_metadata m, json_each(m.coa_json, '$.mapping') r"
        f" WHERE r.key IN ({roles}) GROUP BY r.value) GROUP BY since ORDER BY since"
    ).fetchall()
    first, later = rows[:1], rows[1:]
    tests = [f"e.account_code IN ({codes})" for _, codes in first]
    tests += [
        f"e.account_code IN ({codes}) AND {since} <= (SELECT coa_version FROM entries JOIN terms"
        " USING (terms_id) WHERE transaction_id = e.transaction_id)"
        for since, codes in later
    ]
    return " OR ".join(tests) or "0"


MOMENTS_KEPT = 8  # of which the sums are kept while the ledger stands still

# entries or postings of a stretch, then of late entries after it; both clocks on each
_STRETCH = "FROM {} e WHERE e.transaction_id > :after AND e.transaction_id <= :until"
_LATER = (
    "FROM late_entries n CROSS JOIN {} e USING (transaction_id) WHERE n.transaction_id > :until"
)
# entries with a posting to an account: fills by their terms, others by their lines
_TOUCHED = (
    "(SELECT transaction_id FROM entries WHERE {0}terms_id IN (SELECT terms_id FROM terms WHERE"
    " {2} IN (security, cash, gain_short, gain_long, commissions, fees, rounding))"
    " UNION SELECT posting_id >> 8 FROM entry_lines WHERE {1}account_code = {2})"
)
ALL_TOUCHED = _TOUCHED.format("", "", "?")  # takes the account twice
_TOUCHED_IN_STRETCH = _TOUCHED.format(
    "transaction_id BETWEEN :first AND :last AND +",  # the plus: found by number, not by terms
    "posting_id BETWEEN 256 * :first AND 256 * :last + 255 AND ",
    ":account",
)
_CLOCKS = "AND e.effective_date <= :date AND e.position <= :position"
_ON_TIME = "AND e.transaction_id NOT IN (SELECT transaction_id FROM late_entries)"


class Point(NamedTuple):
    """A balance point. ``transaction_id`` is the last entry before it, ``through`` its date."""

    point: int
    transaction_id: int
    through: str


class Sums(NamedTuple):
    """Minor units, debit positive, and 1e-9 units."""

    amount: int
    quantity: int


class RegisterRow(NamedTuple):
    """One posting of an account in date order; ``balance`` is the account's after it."""

    effective_date: str
    posting_id: int
    position: int
    timestamp: str
    description: str
    amount: int
    quantity: int
    balance: int = 0


class LedgerPoints:
    """Reads one ledger connection; never writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._c = connection
        self._state: tuple[int, int | None] | None = None
        self._known: dict[tuple[str, int], dict[str, Sums]] = {}

    def _around(self, as_of: AsOf) -> tuple[Point, int]:
        """The last point that both clocks allow, and the entry that the next one comes after."""
        day, position = as_of.parameters
        found = self._c.execute(
            "SELECT point, transaction_id, through FROM balance_points"
            " WHERE position <= ? AND through <= ? ORDER BY point DESC LIMIT 1",
            (position, day),
        ).fetchone()
        start = Point(*found) if found else Point(0, 0, "")
        return start, self._entry_of(start.point + 1)

    def _entry_of(self, point: int) -> int:
        found = self._c.execute(
            "SELECT transaction_id FROM balance_points WHERE point = ?", (point,)
        ).fetchone()
        return int(found[0]) if found else FOREVER

    # -- balances --------------------------------------------------------------------------

    def sums(self, as_of: AsOf) -> dict[str, Sums]:
        """What every account adds up to, by code; accounts never posted to are left out.

        Kept until another connection changes the file or this one has a newer entry; not to be
        changed.
        """
        if self._c.in_transaction:
            return self._add_up(as_of)  # what is written here may yet be taken back
        (version,) = self._c.execute("PRAGMA data_version").fetchone()
        (newest,) = self._c.execute("SELECT MAX(transaction_id) FROM entries").fetchone()
        if self._state != (version, newest):
            self._state = version, newest
            self._known.clear()
        if as_of.parameters not in self._known:
            if len(self._known) >= MOMENTS_KEPT:
                self._known.clear()
            self._known[as_of.parameters] = self._add_up(as_of)
        return self._known[as_of.parameters]

    def _add_up(self, as_of: AsOf) -> dict[str, Sums]:
        start, until = self._around(as_of)
        found = self._at(start.point)
        clocks = _clocks(as_of, start, until)
        columns = "SELECT e.account_code, e.amount, e.quantity"
        rows = self._c.execute(
            "SELECT account_code, SUM(amount), SUM(quantity) FROM ("
            f"{columns} {_STRETCH.format('postings')} {_CLOCKS} UNION ALL"
            f" {columns} {_LATER.format('postings')} {_CLOCKS}) GROUP BY account_code",
            clocks,
        )
        for code, amount, quantity in rows:
            before = found.get(code, Sums(0, 0))
            found[code] = Sums(before.amount + amount, before.quantity + quantity)
        return dict(sorted(found.items()))

    def _at(self, point: int) -> dict[str, Sums]:
        """Totals at a point: of each account the newest row up to it, one index step each."""
        rows = self._c.execute(
            "WITH RECURSIVE codes (code) AS (SELECT MIN(account_code) FROM balances UNION ALL"
            " SELECT (SELECT MIN(account_code) FROM balances WHERE account_code > code)"
            " FROM codes WHERE code IS NOT NULL)"
            " SELECT code, amount, quantity FROM codes JOIN balances ON account_code = code AND"
            " point = (SELECT MAX(point) FROM balances WHERE account_code = code AND point <= ?)",
            (point,),
        )
        return {code: Sums(amount, quantity) for code, amount, quantity in rows}

    def results(self, accounts: Iterable[str], as_of: AsOf) -> Counter[str]:
        """Minor units that each of these accounts of securities gained less commissions and
        fees."""
        start, until = self._around(as_of)
        found, asked = Counter[str](), set(accounts)
        for account in sorted(asked):
            row = self._c.execute(
                "SELECT result FROM balances WHERE account_code = ? AND point <= ?"
                " ORDER BY point DESC LIMIT 1",
                (account, start.point),
            ).fetchone()
            found[account] = row[0] if row else 0
        counted = counted_sql(self._c)
        for part in (_STRETCH, _LATER):
            source, _, where = part.format("postings").partition(" WHERE ")
            rows = self._c.execute(
                results_sql(counted, source, f"{where} {_CLOCKS}"), _clocks(as_of, start, until)
            )
            for _, account, result in rows:
                if account in asked:
                    found[account] += result
        return found

    # -- entries ---------------------------------------------------------------------------

    def count_entries(self, as_of: AsOf) -> int:
        """Entries dated and known in time."""
        start, until = self._around(as_of)
        (more,) = self._c.execute(
            f"SELECT (SELECT COUNT(*) {_STRETCH.format('entries')} {_CLOCKS})"
            f" + (SELECT COUNT(*) {_LATER.format('entries')} {_CLOCKS})",
            _clocks(as_of, start, until),
        ).fetchone()
        return start.transaction_id + int(more)

    def entries(self, as_of: AsOf, offset: int, limit: int) -> list[int]:
        """Transaction ids of one page, by effective date, then in the order of recording."""
        late = self._c.execute(
            f"SELECT e.effective_date, e.transaction_id FROM late_entries n CROSS JOIN entries e"
            f" USING (transaction_id) WHERE {as_of.where('e.')} ORDER BY 1, 2",
            as_of.parameters,
        ).fetchall()
        last, until = self._around(as_of)
        starts = self._c.execute(
            "SELECT point, transaction_id, through FROM balance_points WHERE point <= ?"
            " AND transaction_id <= ? ORDER BY point DESC",
            (last.point, offset),
        )
        start, before = Point(0, 0, ""), 0
        for found in map(Point._make, starts):
            earlier = found.transaction_id + len(_settled(late, found))
            if earlier <= offset:
                start, before = found, earlier
                break
        on_time = self._c.execute(
            f"SELECT e.effective_date, e.transaction_id {_STRETCH.format('entries')} {_CLOCKS}"
            f" {_ON_TIME} ORDER BY e.transaction_id",
            _clocks(as_of, start, until),
        )
        later = (e for e in late if e[1] > start.transaction_id and e[0] > start.through)
        stop = None if limit < 0 else offset - before + limit
        return [number for _, number in islice(heapq.merge(on_time, later), offset - before, stop)]

    def caused_by(self, position: int) -> list[int]:
        """Transaction ids of what the event at ``position`` posted: between two points."""
        rows = self._c.execute(
            "SELECT transaction_id FROM entries WHERE position = ?1 AND transaction_id >"
            " (SELECT COALESCE(MAX(transaction_id), 0) FROM balance_points WHERE position < ?1)"
            " AND transaction_id <= (SELECT COALESCE(MIN(transaction_id), ?2) FROM balance_points"
            " WHERE position >= ?1)",
            (position, FOREVER),
        )
        return [number for (number,) in rows]

    # -- one account -----------------------------------------------------------------------

    def register(self, account: str, as_of: AsOf, offset: int, limit: int) -> list[RegisterRow]:
        """One page of an account's postings in date order, each with the balance after it."""
        late = self._late_lines(account, as_of)
        last, end = self._around(as_of)
        start, before, balance = self._register_start(account, last, offset, late)
        later = (r for r in late if r.posting_id >> 8 > start.transaction_id
                 and r.effective_date > start.through)  # fmt: skip
        lines = heapq.merge(
            self._on_time_lines(account, as_of, start, last, end), later, key=itemgetter(0, 1)
        )
        page = []
        stop = None if limit < 0 else offset - before + limit
        for number, line in enumerate(islice(lines, stop)):
            balance += line.amount
            if number >= offset - before:
                page.append(line._replace(balance=balance))
        return page

    def _register_start(
        self, account: str, last: Point, offset: int, late: list[RegisterRow]
    ) -> tuple[Point, int, int]:
        """The last point with at most ``offset`` postings before it: how many, what balance."""
        rows = self._c.execute(
            "SELECT point, p.transaction_id, p.through, postings, amount FROM balances b"
            " JOIN balance_points p USING (point) WHERE account_code = ? AND point <= ?"
            " AND postings <= ? ORDER BY point DESC",
            (account, last.point, offset),
        )
        for *point, postings, amount in rows:
            start = Point._make(point)
            settled = [
                r for r in late
                if r.posting_id >> 8 > start.transaction_id and r.effective_date <= start.through
            ]  # fmt: skip
            if postings + len(settled) <= offset:
                return start, postings + len(settled), amount + sum(r.amount for r in settled)
        return Point(0, 0, ""), 0, 0

    def _on_time_lines(
        self, account: str, as_of: AsOf, start: Point, last: Point, end: int
    ) -> Iterator[RegisterRow]:
        """Stretch by stretch, and only those in which the account moved."""
        moved = self._c.execute(
            "SELECT point FROM balances WHERE account_code = ? AND point > ? AND point <= ?"
            " ORDER BY point",
            (account, start.point, last.point + 1),
        ).fetchall()
        if end == FOREVER:
            moved.append((last.point + 1,))
        for (point,) in moved:
            first = self._entry_of(point - 1) + 1 if point > 1 else 1
            last_entry = min(self._entry_of(point), FOREVER >> 9)
            touched = (
                f"{_TOUCHED_IN_STRETCH} n CROSS JOIN postings e USING (transaction_id)"
                f" WHERE 1 {_ON_TIME}"
            )
            yield from self._lines(account, as_of, touched, first=first, last=last_entry)

    def _late_lines(self, account: str, as_of: AsOf) -> list[RegisterRow]:
        late = "late_entries n CROSS JOIN postings e USING (transaction_id) WHERE 1"
        return sorted(self._lines(account, as_of, late))

    def _lines(
        self, account: str, as_of: AsOf, source: str, **parameters: int
    ) -> Iterator[RegisterRow]:
        day, position = as_of.parameters
        rows = self._c.execute(
            "SELECT e.effective_date, e.posting_id, e.position, (SELECT timestamp FROM entries t"
            " WHERE t.transaction_id = e.transaction_id), (SELECT description FROM transactions t"
            " WHERE t.transaction_id = e.transaction_id), e.amount, e.quantity, 0 FROM"
            f" {source} AND e.account_code = :account {_CLOCKS} ORDER BY e.posting_id",
            parameters | {"account": account, "date": day, "position": position},
        )
        return map(RegisterRow._make, rows)


def _clocks(as_of: AsOf, start: Point, until: int) -> dict[str, Any]:
    """The values of a stretch and of both clocks."""
    day, position = as_of.parameters
    return {"after": start.transaction_id, "until": until, "date": day, "position": position}


def _settled(late: list[tuple[str, int]], point: Point) -> list[tuple[str, int]]:
    """Late entries recorded after a point that come before it by date."""
    return [e for e in late if e[1] > point.transaction_id and e[0] <= point.through]
