"""Cost pools kept in the ledger's tables, and the re-cost rows that late events and reversals post.

Costs follow (effective date, position). An event that comes late changes the cost of sales after
it; what changes is posted as rows of the late event, about the affected sale.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from eventstore.envelope import Envelope
from projections.cost_pools import Lot, LotChange, Movement, Outcome, Pool, recompute
from projections.ledger_rows import LedgerRows
from projections.posting_rules import Line


class CostBook:
    """The pools of all securities, loaded from the tables when first needed."""

    def __init__(self, connection: sqlite3.Connection, rows: LedgerRows) -> None:
        self._connection = connection
        self._rows = rows
        self._pools: dict[str, Pool] = {}
        self.method = "average"
        self.mapping: Mapping[str, str] = {}

    def forget(self) -> None:
        self._pools.clear()
        found = self._connection.execute("SELECT cost_method FROM books").fetchone()
        self.method = found[0] if found else "average"

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
        late = (movement.effective_date, movement.position) < pool.last
        if late:
            outcome = self._insert_late(row, occurred_at, account, movement)
        else:
            outcome = pool.apply(movement)
            self._post_lots(row.position, movement, account, outcome.lots)
        self._rows.pending["movements"].append(
            (
                movement.position, movement.position, account, movement.effective_date,
                movement.kind, movement.units, movement.amount, movement.new_units,
                movement.old_units,
            )
        )  # fmt: skip
        return outcome

    def void(self, row: Envelope, occurred_at: datetime, position: int) -> None:
        """Take every movement of a reversed event out again and re-cost what followed it."""
        self._rows.flush()
        moved = self._connection.execute(
            "SELECT account_code, effective_date FROM movements WHERE position = ?"
            " AND kind <> 'void'",
            (position,),
        ).fetchall()
        for account, effective in moved:
            self._rows.pending["movements"].append(
                (row.position, position, account, effective, "void", 0, 0, 1, 1)
            )
            for lot, acquired, quantity, cost in self._lots_about(account, position):
                self._post_lot(row.position, position, account, effective,
                               LotChange(lot, acquired, -quantity, -cost))  # fmt: skip
            self._rows.flush()
            history = self._history(account)
            self._pools[account], outcomes = recompute(self.method, history)
            self._recost(row, occurred_at, account, history, outcomes)

    # -- late events -----------------------------------------------------------------------

    def _insert_late(
        self, row: Envelope, occurred_at: datetime, account: str, movement: Movement
    ) -> Outcome:
        self._rows.flush()
        history = self._history(account)
        self._pools[account], outcomes = recompute(self.method, [*history, movement])
        outcome = outcomes[movement.position]
        self._post_lots(row.position, movement, account, outcome.lots)
        self._recost(row, occurred_at, account, history, outcomes)
        return outcome

    def _recost(
        self,
        row: Envelope,
        occurred_at: datetime,
        account: str,
        history: list[Movement],
        outcomes: dict[int, Outcome],
    ) -> None:
        """Post the difference between what each movement's rows say and what they should say."""
        short, long = self.mapping["gain_short_term"], self.mapping["gain_long_term"]
        for movement in history:
            about, new = movement.position, outcomes[movement.position]
            booked = self._booked(about)
            units = new.units - booked.get(account, (0, 0))[1]
            cost = new.cost - booked.get(account, (0, 0))[0]
            gain_short = new.gain_short + booked.get(short, (0, 0))[0]
            gain_long = new.gain_long + booked.get(long, (0, 0))[0]
            lines = [Line(account, cost, units), Line(short, -gain_short), Line(long, -gain_long)]
            lines = [line for line in lines if line.amount or line.quantity]
            if lines:
                self._rows.transaction(
                    row,
                    movement.effective_date,
                    occurred_at,
                    f"Re-cost of event {about} after event {row.position}",
                    lines,
                    about=about,
                    pnl=gain_short + gain_long,
                    ticker=account.partition(".")[2],
                    context="correction",
                )
            self._relot(row.position, movement, account, new)

    def _relot(self, cause: int, movement: Movement, account: str, new: Outcome) -> None:
        change: dict[tuple[int, str], tuple[int, int]] = {
            (c.lot, c.acquired_on): (c.units, c.cost) for c in new.lots
        }
        for lot, acquired, quantity, cost in self._lots_about(account, movement.position):
            units, old = change.get((lot, acquired), (0, 0))
            change[lot, acquired] = (units - quantity, old - cost)
        for (lot, acquired), (units, cost) in change.items():
            if units or cost:
                self._post_lot(cause, movement.position, account, movement.effective_date,
                               LotChange(lot, acquired, units, cost))  # fmt: skip

    # -- tables ----------------------------------------------------------------------------

    def _pool(self, account: str) -> Pool:
        pool = self._pools.get(account)
        if pool is None:
            pool = self._pools[account] = self._load(account)
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
            " WHERE account_code = ? GROUP BY lot HAVING SUM(quantity) <> 0"
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

    def _booked(self, about: int) -> dict[str, tuple[int, int]]:
        rows = self._connection.execute(
            "SELECT account_code, SUM(amount), SUM(quantity) FROM postings WHERE about = ?"
            " GROUP BY account_code",
            (about,),
        )
        return {account: (amount, quantity) for account, amount, quantity in rows}

    def _lots_about(self, account: str, about: int) -> list[tuple[int, str, int, int]]:
        return self._connection.execute(
            "SELECT lot, acquired_on, SUM(quantity), SUM(cost) FROM lots"
            " WHERE account_code = ? AND about = ? GROUP BY lot, acquired_on",
            (account, about),
        ).fetchall()

    def _post_lots(
        self, cause: int, movement: Movement, account: str, changes: tuple[LotChange, ...]
    ) -> None:
        for change in changes:
            self._post_lot(cause, movement.position, account, movement.effective_date, change)

    def _post_lot(
        self, cause: int, about: int, account: str, effective: str, change: LotChange
    ) -> None:
        self._rows.pending["lots"].append(
            (
                cause, about, account, change.lot, change.acquired_on,
                self._rows.posting_date(effective), change.units, change.cost,
            )
        )  # fmt: skip
