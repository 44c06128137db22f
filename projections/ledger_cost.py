"""Cost pools kept in the ledger's tables, and the re-cost rows that late events and reversals post.

Costs follow (effective date, position). An event that comes late changes the cost of sales after
it; what changes is posted as rows of the late event, about the affected sale.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime

from eventstore.envelope import Envelope
from projections.cost_pools import Lot, LotChange, Movement, Outcome, Pool, recompute
from projections.ledger_rows import LedgerRows
from projections.posting_rules import Line, gain_lines


class CostBook:
    """The pools of all securities, loaded from the tables when first needed."""

    def __init__(self, connection: sqlite3.Connection, rows: LedgerRows) -> None:
        self._connection = connection
        self._rows = rows
        self._pools: dict[str, Pool] = {}
        self._all_pools = False  # whether an account without a pool has no rows either
        self.method = "average"
        self.mapping: Mapping[str, str] = {}

    def forget(self) -> None:
        self._pools.clear()
        found = self._connection.execute("SELECT cost_method FROM books").fetchone()
        self.method = found[0] if found else "average"
        moved = self._connection.execute("SELECT 1 FROM movements LIMIT 1").fetchone()
        self._all_pools = moved is None  # all that will ever move is seen from here on

    def accounts_of(self, suffix: str) -> list[str]:
        """Accounts of one security that ever had a movement, in order."""
        self._rows.flush()
        rows = self._connection.execute(
            "SELECT DISTINCT account_code FROM movements"
            " WHERE substr(account_code, instr(account_code, '.') + 1) = ? ORDER BY account_code",
            (suffix,),
        )
        return [account for (account,) in rows]

    def move(
        self, row: Envelope, occurred_at: datetime, account: str, movement: Movement
    ) -> Outcome:
        """Fold a movement into its pool, in its place; post re-cost rows for what it changes."""
        pool = self._pool(account)
        effective, position, *rest = movement
        if (effective, position) < pool.last:
            outcome = self._insert_late(row, occurred_at, account, movement)
        else:
            outcome = pool.apply(movement)
            self._post_lots(row.position, movement, account, outcome.lots)
        self._rows.pending["movements"].append((position, position, account, effective, *rest))
        return outcome

    def moved(self, position: int) -> list[str]:
        """The pools that the event at ``position`` moved, or that its split applies to."""
        self._rows.flush()
        rows = self._connection.execute(
            "SELECT account_code FROM movements WHERE position = ? AND kind <> 'void'", (position,)
        )
        return [account for (account,) in rows]

    def void(self, row: Envelope, occurred_at: datetime, position: int) -> None:
        """Take every movement of a reversed event out again and re-cost what followed it."""
        for account in self.moved(position):
            history = self._history(account)
            _, before = recompute(self.method, history)
            left = [m for m in history if m.position != position]
            gone = next(m for m in history if m.position == position)
            self._rows.pending["movements"].append(
                (row.position, position, account, gone.effective_date, "void", 0, 0, 1, 1)
            )
            back = (c._replace(units=-c.units, cost=-c.cost) for c in before[position].lots)
            self._post_lots(row.position, gone, account, back)
            self._pools[account], after = recompute(self.method, left)
            self._recost(row, occurred_at, account, left, before, after)

    # -- late events -----------------------------------------------------------------------

    def _insert_late(
        self, row: Envelope, occurred_at: datetime, account: str, movement: Movement
    ) -> Outcome:
        self._rows.flush()
        history = self._history(account)
        _, before = recompute(self.method, history)
        self._pools[account], after = recompute(self.method, [*history, movement])
        outcome = after[movement.position]
        self._post_lots(row.position, movement, account, outcome.lots)
        self._recost(row, occurred_at, account, history, before, after)
        return outcome

    def _recost(
        self,
        row: Envelope,
        occurred_at: datetime,
        account: str,
        history: list[Movement],
        before: dict[int, Outcome],
        after: dict[int, Outcome],
    ) -> None:
        """Post the difference between what each movement did and what it does now."""
        for movement in history:
            about = movement.position
            old, new = before[about], after[about]
            short, long = new.gain_short - old.gain_short, new.gain_long - old.gain_long
            lines = [Line(account, new.cost - old.cost, new.units - old.units)]
            lines += gain_lines(self.mapping, short, long)
            lines = [line for line in lines if line.amount or line.quantity]
            if lines:
                self._rows.transaction(
                    row,
                    movement.effective_date,
                    occurred_at,
                    f"Re-cost of event {about} after event {row.position}",
                    lines,
                    about=about,
                    pnl=short + long,
                    ticker=account.partition(".")[2],
                    context="correction",
                )
            if old.lots != new.lots:
                self._post_lots(row.position, movement, account, _difference(old.lots, new.lots))

    # -- tables ----------------------------------------------------------------------------

    def _pool(self, account: str) -> Pool:
        pool = self._pools.get(account)
        if pool is None:
            pool = Pool(self.method) if self._all_pools else self._load(account)
            self._pools[account] = pool
        return pool

    def _load(self, account: str) -> Pool:
        """Units and cost as the postings add up, open lots as the lot rows add up."""
        c = self._connection
        units, cost = c.execute(
            "SELECT COALESCE(SUM(quantity), 0), COALESCE(SUM(amount), 0) FROM postings"
            " WHERE account_code = ?",
            (account,),
        ).fetchone()
        pool = Pool(self.method, units, cost)
        lots = c.execute(
            "SELECT lot, MIN(acquired_on), SUM(quantity), SUM(cost) FROM lots"
            " WHERE account_code = ? GROUP BY lot HAVING SUM(quantity) <> 0 OR SUM(cost) <> 0"
            " ORDER BY MIN(acquired_on), lot",
            (account,),
        )
        pool.lots.extend(Lot(*lot) for lot in lots)
        last = c.execute(
            "SELECT effective_date, position FROM movements WHERE account_code = ?"
            " AND kind <> 'void' ORDER BY effective_date DESC, position DESC LIMIT 1",
            (account,),
        ).fetchone()
        pool.last = last or ("", 0)
        return pool

    def _history(self, account: str) -> list[Movement]:
        """Every movement that stands, in the order that costs follow."""
        rows = self._connection.execute(
            "SELECT effective_date, position, kind, units, amount, new_units, old_units"
            " FROM movements WHERE account_code = ? AND kind <> 'void' AND position NOT IN"
            " (SELECT about FROM movements WHERE account_code = ? AND kind = 'void')"
            " ORDER BY effective_date, position",
            (account, account),
        )
        return [Movement(*row) for row in rows]

    def _post_lots(
        self, cause: int, movement: Movement, account: str, changes: Iterable[LotChange]
    ) -> None:
        posted_on, about = self._rows.posting_date(movement.effective_date), movement.position
        self._rows.pending["lots"] += [
            (cause, about, account, lot, acquired_on, posted_on, units, cost)
            for lot, acquired_on, units, cost in changes
        ]


def _difference(old: Iterable[LotChange], new: Iterable[LotChange]) -> list[LotChange]:
    """What turns the old changes into the new ones, lot by lot."""
    found = {(c.lot, c.acquired_on): (c.units, c.cost) for c in new}
    for c in old:
        units, cost = found.get((c.lot, c.acquired_on), (0, 0))
        found[c.lot, c.acquired_on] = (units - c.units, cost - c.cost)
    return [LotChange(*lot, *change) for lot, change in found.items() if any(change)]
