"""hledger adds up a demo of the long-term holdings: every account, at every month's end."""

import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from time import process_time

from config.paths import DataFolder
from exporters import journal_names as names
from exporters.journals import hledger_journal
from projections.ledger_records import NOW, AsOf
from runtime.holdings_demo import demo_of, play
from runtime.queries import Queries

FULL = os.environ.get("PROGRAMME") == "full"  # both years; else the first weeks alone
LAST = None if FULL else date(2024, 2, 2)
LONGEST_S = 30  # of computing, for both years


def test_hledger_agrees_at_every_month_s_end(
    hledger: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path / "demo")
    begun = process_time()
    play(folder, demo_of(1, None, None, LAST), lambda *_: None)
    assert process_time() - begun < LONGEST_S
    queries = Queries(folder)
    books, _ = queries.sources()
    days = queries.session_days()
    ends = sorted({(d.year, d.month): d for d in sorted(days)}.values())
    assert len(ends) == (24 if FULL else 2)
    journal = hledger_journal(books, as_of=NOW)
    for day in ends:
        ours = {b.code: b.amount for b in queries.balances(AsOf(date=day)) if b.amount}
        assert _until(hledger, journal, day) == ours, day
    queries.close()


def _until(hledger: Callable[..., list[list[str]]], journal: str, day: date) -> dict[str, Decimal]:
    end = date.fromordinal(day.toordinal() + 1)
    rows = hledger(journal, "bal", "-B", "--flat", "-N", "--layout=bare", "-e", str(end))
    return {names.code_of_hledger(name): Decimal(number) for name, _, number in rows}
