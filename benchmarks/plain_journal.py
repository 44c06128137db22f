"""Book values in one currency and nothing else: the least that a journal can say.

The exported journal also has units, costs and tags. This one asks no more of a program than to add
up, which is the hardest comparison for us, and the only one that ledger-cli does in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries


def write_plain_journal(ledger: LedgerQueries, path: Path) -> None:
    """hledger and ledger-cli read it. Accounts are named by their codes."""
    currency, scale = ledger.books().currency, 10 ** ledger.books().exponent
    with path.open("w", encoding="utf-8") as out:
        out.writelines(_lines(ledger, currency, scale))


def _lines(ledger: LedgerQueries, currency: str, scale: int) -> Iterator[str]:
    for _, entries in groupby(LedgerBulk(ledger).entries(), attrgetter("effective_date")):
        for entry in entries:
            yield f"\n{entry.effective_date} {entry.description}\n"
            for code, amount, _ in entry.postings:
                whole, part = divmod(abs(amount), scale)
                sign = "-" if amount < 0 else ""
                yield f"    {code}  {sign}{whole}.{part:02d} {currency}\n"
