"""The last price known then, marked or traded, per unit as units were counted then.

A price from before a split is divided by its ratio. Nothing is guessed: what was never marked or
traded has no price.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from projections.holdings_records import PriceThen
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from projections.performance_queries import PerformanceQueries

# A fill that was reversed tells no price, and a split that was reversed adjusts none.
_STANDS = "NOT EXISTS (SELECT 1 FROM voids v WHERE v.about = {0}.position AND v.position <= :known)"


class _Seen(NamedTuple):
    """A price; the newest is the greatest. ``day`` is the session that it belongs to."""

    at: str
    position: int
    day: str
    price: str


class _Split(NamedTuple):
    day: str
    new_units: int
    old_units: int


class Prices:
    """As of one moment. Reads the connections of the two queries; never writes."""

    def __init__(self, books: LedgerQueries, trading: PerformanceQueries, as_of: AsOf) -> None:
        self._c: sqlite3.Connection = books._c
        self._marked = trading.newest_marks(as_of)
        day, known = as_of.parameters
        self._clocks = {"day": day, "known": known}
        self._splits = self._read_splits()

    def of(self, instrument_id: str, suffix: str, accounts: Iterable[str]) -> PriceThen | None:
        """The newest by the market's time, whichever sleeve it was traded in. ``accounts`` are the
        security's own, which the suffix ends."""
        traded = map(self._traded, accounts)
        marked = self._marked(instrument_id)
        seen = [_Seen(*found) for found in (*traded, marked) if found]
        if not seen:
            return None
        newest = max(seen)
        price = Fraction(newest.price)
        for split in self._splits[suffix]:
            if newest.day < split.day:
                price = price * split.old_units / split.new_units
        return PriceThen(price=price, at=datetime.fromisoformat(newest.at))

    def _traded(self, account: str) -> tuple[str, int, str, str] | None:
        """The last fill of the account's last day with fills."""
        clocks = self._clocks | {"account": account}
        # one step from the end for each of the account's terms, however many fills they have
        (last,) = self._c.execute(
            "SELECT MAX((SELECT m.effective_date FROM movements m WHERE m.terms_id = t.terms_id"
            " AND m.effective_date <= :day AND m.position <= :known AND"
            f" {_STANDS.format('m')} ORDER BY m.effective_date DESC LIMIT 1))"
            " FROM terms t WHERE t.security = :account",
            clocks,
        ).fetchone()
        if last is None:
            return None
        found: tuple[str, int, str, str] | None = self._c.execute(
            "SELECT e.timestamp, m.position, m.effective_date, e.price FROM movements m"
            " CROSS JOIN entries e ON e.about = m.position AND e.position = m.position"
            " WHERE m.account_code = :account AND m.effective_date = :last AND"
            f" m.position <= :known AND {_STANDS.format('m')}"
            " ORDER BY e.timestamp DESC, m.position DESC LIMIT 1",
            clocks | {"last": last},
        ).fetchone()
        return found

    def _read_splits(self) -> defaultdict[str, list[_Split]]:
        """By suffix; a split has a row for each account of its security."""
        rows = self._c.execute(
            "SELECT DISTINCT substr(s.account_code, instr(s.account_code, '.') + 1), s.position,"
            " s.effective_date, s.new_units, s.old_units FROM splits s"
            " WHERE s.effective_date <= :day AND s.position <= :known AND"
            f" {_STANDS.format('s')}",
            self._clocks,
        )
        found = defaultdict[str, list[_Split]](list)
        for suffix, _, day, new, old in rows:
            found[suffix].append(_Split(day, new, old))
        return found
