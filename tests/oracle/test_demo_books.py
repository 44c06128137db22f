"""The demo's books against hledger: every account and unit, at each day's close and at the end."""

import csv
import io
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from config.paths import DataFolder
from exporters.journal_names import code_of_hledger
from exporters.journals import hledger_journal
from projections.ledger_records import AsOf, Balance
from runtime.demo import DemoPlan, plan_of, play
from runtime.queries import Queries

NeedTool = Callable[[str, str], str]


def played(folder: Path, plan: DemoPlan) -> Queries:
    play(DataFolder(folder), plan, lambda *_: None)
    return Queries(DataFolder(folder))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queries]:
    found = played(tmp_path_factory.mktemp("synthetic") / "demo", plan_of(None, None, None, (), 1))
    yield found
    found.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, marketdata: Path) -> Iterator[Queries]:
    plan = plan_of(marketdata, None, None, (), 1)
    found = played(tmp_path_factory.mktemp("real") / "demo", plan)
    yield found
    found.close()


def by_hledger(program: str, journal: Path, *options: str) -> dict[str, str]:
    """Account code → balance as hledger prints it, with `options` for date and cost."""
    run = subprocess.run(
        [program, "-f", str(journal), "balance", "-N", "--flat", "-O", "csv", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    return {code_of_hledger(row["account"]): row["balance"] for row in rows}


def compare(queries: Queries, program: str, folder: Path) -> int:
    """Compare every account as of each close and at the end; returns how many were compared."""
    books, _ = queries.sources()
    journal = folder / "books.journal"
    journal.write_text(hledger_journal(books, as_of=AsOf()), encoding="utf-8")
    compared = 0
    for day in [*(s.day for s in queries.sessions()), None]:
        # hledger's end date is exclusive
        until = () if day is None else ("--end", _next(str(day)))
        ours = {b.code: b for b in queries.balances(AsOf(date=day))}
        costs = by_hledger(program, journal, "--cost", *until)
        assert {c: Decimal(a.split()[0]) for c, a in costs.items()} == amounts(ours)
        held = by_hledger(program, journal, "cur:[^U].*|U[^S].*", *until)
        assert {c: Decimal(a.split()[0]) for c, a in held.items()} == quantities(ours)
        compared += len(ours)
    return compared


def amounts(balances: dict[str, Balance]) -> dict[str, Decimal]:
    return {code: b.amount for code, b in balances.items() if b.amount}


def quantities(balances: dict[str, Balance]) -> dict[str, Decimal]:
    return {code: b.quantity for code, b in balances.items() if b.quantity}


def _next(day: str) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1))


def test_synthetic_week(synthetic: Queries, need_tool: NeedTool, tmp_path: Path) -> None:
    assert compare(synthetic, need_tool("hledger", "hledger"), tmp_path) >= 30


def test_a_week_of_all_strategies(need_tool: NeedTool, tmp_path: Path) -> None:
    """MID and CLOSE trade, too, and weakness buys puts."""
    plan = msgspec.structs.replace(plan_of(None, None, None, (), 1), all_strategies=True)
    week = played(tmp_path / "demo", plan)
    assert compare(week, need_tool("hledger", "hledger"), tmp_path) >= 30
    assert any("P0" in trade.symbol for trade in week.sources()[1].trades())
    week.close()


def test_real_days(real: Queries, need_tool: NeedTool, tmp_path: Path) -> None:
    assert compare(real, need_tool("hledger", "hledger"), tmp_path) >= 30


def test_in_the_middle_of_a_day_units_agree_too(
    synthetic: Queries, need_tool: NeedTool, tmp_path: Path
) -> None:
    """As known right after the first purchase: the journal of that moment has the units."""
    program = need_tool("hledger", "hledger")
    position = synthetic.events(topics=("Order.Filled",), limit=1)[0].position
    books, _ = synthetic.sources()
    journal = tmp_path / "then.journal"
    moment = AsOf(position=position)
    journal.write_text(hledger_journal(books, as_of=moment), encoding="utf-8")
    ours = {b.code: b for b in synthetic.balances(moment)}
    assert quantities(ours)
    found = by_hledger(program, journal, "cur:[^U].*|U[^S].*")
    assert {c: Decimal(a.split()[0]) for c, a in found.items()} == quantities(ours)
