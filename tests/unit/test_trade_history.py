"""The day's files: right figures, whole or not at all, for nobody else's eyes."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from exporters.errors import ExportError
from exporters.files import write_atomically
from exporters.trade_history import write_day
from projections.ledger_records import NOW, AsOf
from projections.performance import SCHEMA
from projections.performance_queries import PerformanceQueries

DAY = date(2024, 1, 3)
TEXTS = {
    "timestamp", "strategy_name", "ticker", "side", "broker", "error_code", "entry_timestamp",
    "exit_reason",
}  # fmt: skip
SPEC = "timestamp strategy_name ticker side size entry_price exit_price PnL broker error_code"


@pytest.fixture
def performance() -> Iterator[PerformanceQueries]:
    c = sqlite3.connect(":memory:")
    c.executescript(SCHEMA)
    at = "2024-01-03T15:00:00.000000Z"
    c.executemany(
        "INSERT INTO trades VALUES (?, ?, 'OPEN', 'SPY', ?, ?, ?, ?, ?, ?, ?, 2, ?, 1)",
        [
            (8, "2024-01-03", at, at, 10_500_000_000, "100.5", "101.25", 136, 652, "trailing stop"),
            (9, "2024-01-03", at, at, 1_000_000_000, "99", "98.5", 0, -50, 'stop, "hard"'),
            (12, "2024-01-04", at, at, 1_000_000_000, "99", "98.5", 0, -50, "time"),
        ],
    )
    c.execute("INSERT INTO equity VALUES (10, '2024-01-03', ?, 'close', 1000602, 1000602)", (at,))
    c.execute("INSERT INTO phases VALUES (11, '2024-01-03', ?, 'session', 'closed')", (at,))
    c.execute("INSERT INTO reconciliations VALUES (7, '2024-01-03', ?, '1', 'SPY: 1')", (at,))
    yield PerformanceQueries(c, 2)
    c.close()


def write(folder: Path, performance: PerformanceQueries, as_of: AsOf = NOW) -> list[Path]:
    return write_day(
        folder / "trades", folder / "summaries", "DEMO_US_SIM_B1", DAY, performance, as_of, "SIM"
    )


def test_both_formats_hold_the_days_trades_with_the_specifications_fields(
    tmp_path: Path, performance: PerformanceQueries
) -> None:
    table, records, _ = write(tmp_path, performance)
    assert table.name == "DEMO_US_SIM_B1_BOT_trade_history_2024-01-03.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == json.loads(records.read_text())
    assert list(rows[0])[:10] == SPEC.split()
    first = {"size": "10.5", "PnL": "6.52", "costs": "1.36", "position": "8", "side": "long"}
    assert first.items() <= rows[0].items()
    assert (rows[1]["PnL"], rows[1]["exit_reason"]) == ("-0.50", 'stop, "hard"')


def test_a_result_follows_from_what_stands_beside_it_also_of_a_put(
    tmp_path: Path, performance: PerformanceQueries
) -> None:
    """A contract is of a hundred shares and its price is for one of them."""
    performance._c.execute(
        "INSERT INTO trades VALUES (13, '2024-01-03', 'MID', 'SPY240119P00470000', '', '',"
        " 3000000000, '1.66', '1.52', 306, -4506, 2, 'stop', 100)"
    )
    with write(tmp_path, performance)[0].open(newline="") as file:
        put = next(row for row in csv.DictReader(file) if row["position"] == "13")
    of = {name: Decimal(text) for name, text in put.items() if name not in TEXTS}
    moved = (of["exit_price"] - of["entry_price"]) * of["size"] * of["multiplier"]
    assert moved - of["costs"] == of["PnL"] == Decimal("-45.06")


def test_the_summary_adds_up(tmp_path: Path, performance: PerformanceQueries) -> None:
    summary = json.loads(write(tmp_path, performance)[2].read_text())
    expected = {"day": "2024-01-03", "trades": 2, "wins": 1, "PnL": "6.02", "costs": "1.36",
                "equity": "10006.02", "closed": True, "differences": ["SPY: 1"]}  # fmt: skip
    assert expected.items() <= summary.items()
    early = json.loads(write(tmp_path, performance, AsOf(position=6))[2].read_text())
    assert (early["trades"], early["equity"], early["differences"]) == (0, None, None)


def test_files_are_private_replaced_whole_and_the_same_each_time(
    tmp_path: Path, performance: PerformanceQueries
) -> None:
    paths = write(tmp_path, performance)
    before = [path.read_bytes() for path in paths]
    paths[0].chmod(0o644)
    assert [path.read_bytes() for path in write(tmp_path, performance)] == before
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert sorted(tmp_path.rglob("*.tmp")) == []


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(ExportError, match=r"folder could not be written.*export again"):
        write_atomically(target, b"x")
    assert sorted(tmp_path.iterdir()) == [target]
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ExportError, match="could not be written"):
        write_atomically(tmp_path / "file" / "below", b"x")
    assert (tmp_path / "file").read_bytes() == b"old"
