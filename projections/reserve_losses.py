"""What the tax reserve lost by the security that it is held in, beside what was put back (M32)."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from aggregates.capital import CapitalEarmarked
from aggregates.money import from_scaled
from projections.holdings_results import codes_of
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries

# The references of what was put back; the date's, "holdings-2026-03-02-vehicle-costs", are old.
PUT_BACK = "holdings-vehicle-{position}"
_PUT_BACK = "holdings-*vehicle*"


class Short(NamedTuple):
    """How far the reserve is below the highest that its security left it at. ``position`` is the
    last event that this follows from: it is another one once something was put back."""

    amount: Decimal
    position: int


def reserve_short(books: LedgerQueries) -> Short:
    """Over all time, cash and security at cost together: fills of the security with all their
    corrections, and what was put back. What is set aside, paid out or released changes nothing."""
    codes = LedgerBulk(books).role_codes()
    vehicles = codes_of(codes, ("tax_reserve_vehicle",))
    reserve = vehicles | codes_of(codes, ("tax_reserve",))
    level = highest = position = 0
    for moved_at, amount in _movements(books, vehicles, reserve):
        level += amount
        highest, position = max(highest, level), max(position, moved_at)
    return Short(from_scaled(highest - level, 10 ** books.books().exponent), position)


def _movements(
    books: LedgerQueries, vehicles: set[str], reserve: set[str]
) -> list[tuple[int, int]]:
    """Position and minor units of each entry, in the order of recording."""
    # all codes that begin with "1140.": the character after the point is the slash
    pools = " OR ".join("account_code BETWEEN ? AND ?" for _ in vehicles)
    ends = [end for code in sorted(vehicles) for end in (f"{code}.", f"{code}/")]
    marks = ", ".join("?" * len(reserve))
    rows = books._c.execute(
        f"WITH causes (position) AS (SELECT position FROM movements WHERE {pools} UNION"
        " SELECT position FROM entries WHERE description IS NOT NULL AND reference GLOB ? AND"
        " terms_id IN (SELECT terms_id FROM terms WHERE topic = ? AND context = 'tax-reserve'))"
        " SELECT p.position, SUM(p.amount) FROM causes c CROSS JOIN postings p ON p.about ="
        " c.position WHERE substr(p.account_code, 1, instr(p.account_code || '.', '.') - 1) IN"
        f" ({marks}) GROUP BY p.transaction_id ORDER BY p.transaction_id",
        (*ends, _PUT_BACK, CapitalEarmarked.topic, *sorted(reserve)),
    )
    return list(rows)
