"""OPEN's trades on five real days, one by one, against the plain reference beside this file."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.paths import DataFolder
from runtime.queries import Queries

ROOT = Path(__file__).resolve().parent.parent.parent


def beside(name: str) -> Any:
    """A helper of this folder, which is no package, by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


plain = beside("opening_range_reference")
RULES, DAYS, SYMBOLS = plain.RULES, plain.DAYS, plain.SYMBOLS

# What is compared


class Row(NamedTuple):
    day: str
    symbol: str
    entry: str
    exit: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    costs: Decimal
    pnl: Decimal
    reason: str


def number(value: Fraction) -> Decimal:
    """The fraction as a decimal; everything compared here has at most 28 digits."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def trade(p: Any) -> Row:
    """A trade as a report states it: averages to 6 decimals, costs as booked.

    Booked means to the cent, half to even, commission and fees of each fill apart.
    """
    units, entry, exit_ = (
        sum(f[2] for f in p.fills if f[0] > 0),
        *(sum(f[2] * f[3] for f in p.fills if f[0] == side) for side in (1, -1)),
    )
    costs = sum(round(f[4], 2) + round(f[5], 2) for f in p.fills)
    return Row(
        *(p.day, p.symbol, clock(p.fills[0][1]), clock(p.fills[-1][1]), number(units)),
        *(number(round(entry / units, 6)), number(round(exit_ / units, 6)), number(costs)),
        *(number(sum(f[6] for f in p.fills)), p.exit),
    )


def trades(days: list[Any]) -> list[Row]:
    return sorted(trade(p) for day in days for p in day.positions.values() if p.fills)


def product_trades(queries: Queries) -> list[Row]:
    reports = (queries.day(date.fromisoformat(day)) for day in DAYS)
    return sorted(
        Row(
            *(str(t.day), t.symbol, t.entry_at[11:16], t.exit_at[11:16], t.quantity),
            *(t.entry_price, t.exit_price, t.costs, t.pnl, t.exit_reason),
        )
        for report in reports
        if report is not None
        for t in report.trades
    )


# The product

# A demo takes no settings, so for other ones their defaults are changed before it starts.
WITH_SETTINGS = """
import json, sys
from config.settings import Settings, demo_settings
Settings.__init__.__kwdefaults__.update(vars(demo_settings(json.loads(sys.argv.pop(1)))))
from runtime.cli import main
main()
"""
PLAYED: dict[str, dict[str, str]] = {
    "as a demo starts": {},
    # whole shares, sizes by cash, too large for one bar; initial stops; refused: spread, positions
    "large": {
        "OPEN_ANALYSIS_TIME": "5", "OPEN_BREAKOUT_TIME": "120", "OPEN_MONITORING_TIME": "120",
        "STRAT_OPEN_BUFFER": "0", "TRADING_TRAILING_STOP_PCT": "0.02", "TOTAL_ALLOCATION": "1",
        "MAX_OPEN_POSITIONS": "2", "MAX_SPREAD_PCT": "0.0005", "FRACTIONAL": "false",
    },
    # sizes by risk; refused: the number of trades
    "tight": {
        "OPEN_ANALYSIS_TIME": "10", "OPEN_BREAKOUT_TIME": "120", "OPEN_MONITORING_TIME": "100",
        "STRAT_OPEN_BUFFER": "0.0001", "TRADING_TRAILING_STOP_PCT": "0.003",
        "MAX_RISK_PER_TRADE": "0.0006", "MAX_TRADES": "2",
    },
    # the first day's loss pulls the kill switch: all is sold, and the rest of the week not traded
    "killed": {"MAX_RISK_PER_TRADE": "0.001", "DAILY_LOSS_LIMIT": "0.001"},
}  # fmt: skip


class Played(NamedTuple):
    days: list[Any]
    queries: Queries


@pytest.fixture(scope="module", params=PLAYED)
def played(
    request: pytest.FixtureRequest, marketdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    """The same five days by the reference and, in a process of its own, by the product."""
    changed = PLAYED[request.param]
    folder = tmp_path_factory.mktemp("oracle")
    program = ["-c", WITH_SETTINGS, json.dumps(changed)] if changed else ["-m", "runtime.cli"]
    demo = ["demo", "--data-dir", str(folder), "--bars", str(marketdata)]
    span = ["--symbols", ",".join(SYMBOLS), "--from", DAYS[0], "--to", DAYS[-1]]
    run = subprocess.run(
        [sys.executable, *program, *demo, *span], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    text = {"true": True, "false": False}
    rules = {k: text[v] if v in text else type(RULES[k])(v) for k, v in changed.items()}
    queries = Queries(DataFolder(folder))
    yield Played(plain.reference(marketdata, rules), queries)
    queries.close()


def test_every_trade_is_the_references(played: Played) -> None:
    expected = trades(played.days)
    assert len(expected) >= 2
    assert product_trades(played.queries) == expected


def test_every_fill_is_the_references_before_any_rounding_of_the_books(played: Played) -> None:
    expected = [
        (p.day, p.symbol, {1: "buy", -1: "sell"}[side], clock(minute), *map(number, rest))
        for day in played.days
        for p in day.positions.values()
        for side, minute, *rest in p.fills
    ]
    filled = [e.payload for e in played.queries.events(limit=1000, topics=("Order.Filled",))]
    names = ("quantity", "price", "commission", "fees", "net_amount")
    assert sorted(expected) == sorted(
        (
            *(f["effective_date"], f["symbol"], f["side"], f["occurred_at"][11:16]),
            *(Decimal(f[name]) for name in names),
        )
        for f in filled
    )


def test_every_signal_is_the_references_taken_refused_or_without_instrument(played: Played) -> None:
    reports = [played.queries.day(date.fromisoformat(day)) for day in DAYS]
    decided = sorted(
        (str(d.day), d.symbol, d.at[11:16], d.outcome)
        for report in reports
        if report is not None
        for d in report.decisions
        if d.kind in ("entry", "bearish")
    )
    signals = [signal for day in played.days for signal in day.signals.values()]
    assert decided == sorted((d, s, clock(minute), outcome) for d, s, minute, outcome in signals)


def test_each_close_is_flat_and_its_equity_is_the_references_cash(played: Played) -> None:
    queries = played.queries
    first_fill = queries.events(limit=1, topics=("Order.Filled",))[0]
    assert queries.positions(queries.moment("", str(first_fill.position)))
    for day in played.days:
        assert not any(p.held for p in day.positions.values())
        report, close = queries.day(date.fromisoformat(day.day)), queries.moment(day.day, "")
        assert report is not None
        assert (report.positions, report.differences) == ((), ())
        assert queries.positions(close) == []
        assert report.summary.equity == number(day.cash)
        cash = [b.amount for b in queries.balances(close) if b.code == "1010"]
        assert cash == [number(day.cash)]
        assert report.summary.pnl == number(day.cash - day.start)


@pytest.fixture(scope="module")
def usual(marketdata: Path) -> list[Row]:
    return trades(plain.reference(marketdata, {}))


@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ("OPEN_ANALYSIS_TIME", 29),
        ("OPEN_BREAKOUT_TIME", 30),
        ("OPEN_MONITORING_TIME", 59),
        ("STRAT_OPEN_BUFFER", 2 * RULES["STRAT_OPEN_BUFFER"]),
        ("TRADING_TRAILING_STOP_PCT", Fraction("0.0051")),
        ("TOTAL_ALLOCATION", Fraction("0.49")),
        ("WEIGHT_OPEN", Fraction("0.99")),
        ("MAX_RISK_PER_TRADE", Fraction("0.0002")),
        ("DAILY_LOSS_LIMIT", Fraction("0.0001")),
        ("MAX_OPEN_POSITIONS", 3),
        ("MAX_TRADES", 2),
        ("MAX_SPREAD_PCT", Fraction("0.0001")),
        ("MIN_VOLUME_THRESHOLD", 1_000_000),
        ("FRACTIONAL", False),
        ("part of cash", Fraction("0.1")),
        ("part of volume", Fraction("0.001")),
        ("part of spread", Fraction(0)),
        ("commission", Fraction("0.0049")),
        ("SEC fee", Fraction(0)),
        ("FINRA fee", Fraction(0)),
    ],
)
def test_the_reference_feels_each_rule(
    marketdata: Path, usual: list[Row], rule: str, other: Any
) -> None:
    assert trades(plain.reference(marketdata, {rule: other})) != usual
