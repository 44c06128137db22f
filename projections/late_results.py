"""Which dates of the past a ledger learnt of late."""

from __future__ import annotations

from datetime import date

from projections.ledger_queries import LedgerQueries


def dates_changed_since(ledger: LedgerQueries, position: int, through: date) -> list[date]:
    """Dates up to ``through`` with an entry whose event came after ``position``, in order."""
    rows = ledger._c.execute(
        "SELECT DISTINCT effective_date FROM entries WHERE effective_date <= ? AND position > ?"
        " AND transaction_id > (SELECT COALESCE(MAX(transaction_id), 0) FROM balance_points"
        " WHERE position <= ?) ORDER BY effective_date",
        (through.isoformat(), position, position),
    )
    return [date.fromisoformat(day) for (day,) in rows]
