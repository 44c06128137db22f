"""Cost pools kept in the ledger's tables, and the re-cost rows that late events and reversals post.

Costs follow (effective date, position). An event that comes late changes the cost of sales after
it; what changes is posted as rows of the late event, about the affected sale.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping

from projections.cost_pools import Lot, LotChange, Movement, Outcome, Pool, recompute
from projections.ledger_rows import Cause, LedgerRows
from projections.posting_rules import Line, gain_lines


class CostBook:
    """The pools of all securities, loaded from the tables when first needed.

    ``searched`` is called before the tables are searched, so that they have their indexes.
    """

    def __init__(
        self, connection: sqlite3.Connection, rows: LedgerRows, searched: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._rows = rows
        self._searched = searched
        self._pools: dict[str, Pool] = {}
        self._all_pools = False  # whether an account without a pool has no rows either
        self.method = "average"
        self.mapping: Mapping[str, str] = {}

    def forget(self) -> None:
        self._pools.clear()
        found = self._connection.execute("SELECT cost_method FROM books").fetchone()
        self.method = found[0] if found else "average"
        moved = self._connection.execute(
            "SELECT 1 FROM terms WHERE security IS NOT NULL UNION ALL SELECT 1 FROM splits LIMIT 1"
        ).fetchone()
        self._all_pools = moved is None  # all that will ever move is seen from here on

    def accounts_of(self, suffix: str) -> list[str]:
        """Accounts of one security that ever had a movement, in order."""
        self._rows.flush()
        rows = self._connection.execute(
            "SELECT security FROM terms WHERE substr(security, instr(security, '.') + 1) = ?1 UNION"
            " SELECT account_code FROM splits"
            " WHERE substr(account_code, instr(account_code, '.') + 1) = ?1 ORDER BY 1",
            (suffix,),
        )
        return [account for (account,) in rows]

    def pool(self, account: str) -> Pool:
        """The pool of one account as it stands now."""
        pool = self._pools.get(account)
        if pool is None:
            pool = Pool(self.method) if self._all_pools else self._load(account)
            self._pools[account] = pool
        return pool

    def split(self, cause: Cause, account: str, movement: Movement) -> Outcome:
        """Fold a split into a pool, in its place; post re-cost rows for what it changes."""
        pool = self.pool(account)
        if (movement.effective_date, movement.position) < pool.last:
            outcome = self.insert_late(cause, account, movement)
        else:
            outcome = pool.apply(movement)
            self.post_lots(cause.position, movement, outcome.lots)
        ratio = (movement.new_units, movement.old_units)
        self._rows.waiting["splits"] += (cause.position, account, movement.effective_date, *ratio)
        return outcome

    def moved(self, position: int) -> list[str]:
        """The pools that the event at ``position`` moved, or that its split applies to."""
        self._rows.flush()
        rows = self._connection.execute(
            "SELECT account_code FROM movements WHERE position = ?1 UNION ALL"
            " SELECT account_code FROM splits WHERE position = ?1",
            (position,),
        )
        return [account for (account,) in rows]

    def void(self, cause: Cause, position: int) -> None:
        """Take every movement of a reversed event out again and re-cost what followed it."""
        for account in self.moved(position):
            history = self._history(account)
            _, before = recompute(self.method, history)
            left = [m for m in history if m.position != position]
            gone = next(m for m in history if m.position == position)
            self._rows.waiting["voids"] += (cause.position, position, account)
            back = (c._replace(units=-c.units, cost=-c.cost) for c in before[position].lots)
            self.post_lots(cause.position, gone, back)
            self._pools[account], after = recompute(self.method, left)
            self._recost(cause, account, left, before, after)

    # -- late events -----------------------------------------------------------------------

    def insert_late(self, cause: Cause, account: str, movement: Movement) -> Outcome:
        """Fold a movement in its place among earlier ones; post what it changes for later ones.

        The movement's own row is the caller's to write.
        """
        self._rows.flush()
        history = self._history(account)
        _, before = recompute(self.method, history)
        self._pools[account], after = recompute(self.method, [*history, movement])
        outcome = after[movement.position]
        if movement.kind != "buy":  # a purchase opens its lot by its own movement
            self.post_lots(cause.position, movement, outcome.lots)
        self._recost(cause, account, history, before, after)
        return outcome

    def _recost(
        self,
        cause: Cause,
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
                    cause,
                    movement.effective_date,
                    f"Re-cost of event {about} after event {cause.position}",
                    lines,
                    about=about,
                    pnl=short + long,
                    ticker=account.partition(".")[2],
                    context="correction",
                )
            if old.lots != new.lots:
                self.post_lots(cause.position, movement, _difference(old.lots, new.lots))

    # -- tables ----------------------------------------------------------------------------

    def _load(self, account: str) -> Pool:
        """Units and cost as the postings add up, open lots as the lot rows add up."""
        c = self._connection
        total = self._rows.total(account)
        pool = Pool(self.method, total.quantity, total.amount)
        lots = c.execute(
            "SELECT m.position, m.effective_date, m.units + COALESCE(SUM(c.quantity), 0) AS held,"
            " m.amount + COALESCE(SUM(c.cost), 0) AS worth FROM movements m"
            " LEFT JOIN lot_changes c ON c.lot = m.position WHERE m.account_code = ?"
            " AND m.units > 0 GROUP BY m.position HAVING held <> 0 OR worth <> 0"
            " ORDER BY m.effective_date, m.position",
            (account,),
        )
        pool.lots.extend(Lot(*lot) for lot in lots)
        last = c.execute(
            "SELECT effective_date, position FROM movements WHERE account_code = ?1 UNION ALL"
            " SELECT effective_date, position FROM splits WHERE account_code = ?1"
            " ORDER BY effective_date DESC, position DESC LIMIT 1",
            (account,),
        ).fetchone()
        pool.last = last or ("", 0)
        return pool

    def _history(self, account: str) -> list[Movement]:
        """Every movement that stands, in the order that costs follow."""
        self._searched()
        rows = self._connection.execute(
            "SELECT * FROM (SELECT effective_date, position,"
            " CASE WHEN units > 0 THEN 'buy' ELSE 'sell' END, abs(units), amount, 1, 1"
            " FROM movements WHERE account_code = ?1 UNION ALL"
            " SELECT effective_date, position, 'split', 0, 0, new_units, old_units"
            " FROM splits WHERE account_code = ?1)"
            " WHERE position NOT IN (SELECT about FROM voids WHERE account_code = ?1)"
            " ORDER BY effective_date, position",
            (account,),
        )
        return [Movement(*row) for row in rows]

    def post_lots(self, cause: int, movement: Movement, changes: Iterable[LotChange]) -> None:
        """Rows for what ``movement`` did to lots that other events opened."""
        posted_on, about = self._rows.posting_date(movement.effective_date), movement.position
        for lot, _, units, cost in changes:
            self._rows.lots += (cause, about, lot, posted_on, units, cost)


def _difference(old: Iterable[LotChange], new: Iterable[LotChange]) -> list[LotChange]:
    """What turns the old changes into the new ones, lot by lot."""
    found = {(c.lot, c.acquired_on): (c.units, c.cost) for c in new}
    for c in old:
        units, cost = found.get((c.lot, c.acquired_on), (0, 0))
        found[c.lot, c.acquired_on] = (units - c.units, cost - c.cost)
    return [LotChange(*lot, *change) for lot, change in found.items() if any(change)]
