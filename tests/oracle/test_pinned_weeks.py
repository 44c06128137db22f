"""The statistics of two weeks, as VERSION.md states them: a change must be explained there.

The synthetic week is played everywhere; the real one where its prices are.
"""

import csv
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from brokers.market_data import CsvMarketData, MarketData
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours, TradingCalendar
from config.paths import DataFolder
from config.settings import Settings, demo_settings
from runtime.cli import main
from runtime.queries import Queries

VERSION = Path(__file__).resolve().parent.parent.parent / "VERSION.md"
SYNTHETIC = (date(2026, 3, 2), date(2026, 3, 6))
REAL = (date(2013, 10, 7), date(2013, 10, 11))


def stated(week: str) -> dict[str, str]:
    """The column of VERSION.md's table of statistics."""
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in VERSION.read_text().splitlines()
        if line.startswith("|")
    ]
    head = next(n for n, row in enumerate(rows) if row[:1] == ["statistic"])
    column = rows[head].index(week)
    return {row[0]: row[column] for row in rows[head + 2 :] if len(row) == len(rows[head])}


def minutes(trade: object) -> int:
    """From the first entry fill to the last exit fill."""
    times = [
        re.findall(r"T(\d\d):(\d\d)", str(getattr(trade, n)))[0] for n in ("entry_at", "exit_at")
    ]
    first, last = (int(hour) * 60 + int(minute) for hour, minute in times)
    return last - first


def statistics(queries: Queries, days: list[SessionHours], market: MarketData) -> dict[str, str]:
    reports = [queries.day(hours.day) for hours in days]
    trades = [trade for report in reports if report is not None for trade in report.trades]
    decisions = [d for report in reports if report is not None for d in report.decisions]
    won = sum(trade.pnl > 0 for trade in trades)
    bars = [
        bar
        for hours in days
        for symbol in market.symbols()
        for bar in market.bars(symbol, hours.day)
        if hours.open <= bar.start < hours.close
    ]
    return {
        "sessions": str(len(days)),
        "data points (bars in sessions)": f"{len(bars):,}",
        "decisions": str(len(decisions)),
        "trades": str(len(trades)),
        "win rate": f"{Decimal(100 * won) / len(trades):.1f} %",
        "P/L": f"{sum((t.pnl for t in trades), Decimal(0)):,.2f} USD",
        "costs": f"{sum((t.costs for t in trades), Decimal(0)):,.2f} USD",
        "invested at entry": f"{sum(t.quantity * t.entry_price for t in trades):,.2f} USD",
        "exposure (minutes in a position)": f"{sum(map(minutes, trades)):,}",
    }


def check(week: str, folder: Path, days: tuple[date, date], market: MarketData, *how: str) -> None:
    run = CliRunner().invoke(main, ["demo", "--data-dir", str(folder), *how])
    assert run.exit_code == 0, run.output
    sessions = TradingCalendar("XNYS", *days).sessions(*days)
    queries = Queries(DataFolder(folder))
    found = statistics(queries, sessions, market)
    queries.close()
    assert found == stated(week), (
        "explain the change in VERSION.md, and state the new figures there"
    )


def test_the_synthetic_week(tmp_path: Path) -> None:
    sessions = TradingCalendar("XNYS", *SYNTHETIC).sessions(*SYNTHETIC)
    check("synthetic week", tmp_path / "demo", SYNTHETIC, SyntheticMarketData(1, sessions))


def test_the_real_week(tmp_path: Path, marketdata: Path) -> None:
    first, last = map(str, REAL)
    how = ("--bars", str(marketdata), "--from", first, "--to", last)
    check("real week", tmp_path / "demo", REAL, CsvMarketData(marketdata), *how)


@pytest.mark.parametrize("name", ["MID", "CLOSE"])
def test_the_real_week_of_one_strategy_alone(
    name: str, tmp_path: Path, marketdata: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real closes of VIX, and a gate that some of these days pass."""
    alone = {
        "STRATEGY_OVERRIDE": name, f"STRAT_{name}_ENABLED": "true", f"WEIGHT_{name}": "1",
        "WEIGHT_OPEN": "0", "STRAT_CLOSE_VIX_THRESHOLD": "17",
    }  # fmt: skip
    for key, value in vars(demo_settings(alone)).items():
        monkeypatch.setitem(Settings.__init__.__kwdefaults__, key, value)  # type: ignore[misc]
    data = DataFolder(tmp_path / "demo")
    data.market_data.mkdir(parents=True)
    with (marketdata / "vix-daily.csv").open(newline="") as real:
        closes = [f"{row['DATE']},{row['CLOSE']}\n" for row in csv.DictReader(real)]
    data.vix.write_text("".join(["at,level\n", *closes]))
    how = ("--bars", str(marketdata), "--from", str(REAL[0]), "--to", str(REAL[1]))
    check(f"real week, {name} alone", data.root, REAL, CsvMarketData(marketdata), *how)
