"""MID and CLOSE against the plain references beside this file: generated days, and the real week.

On generated days the strategies are driven alone, and whatever they want is bought. In the real
week the whole bot trades: a signal must be the reference's, and so must the exit of what it bought.
"""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates.market import Bar
from brokers.market_data import CsvMarketData
from config.calendar import SessionHours
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.queries import Queries
from strategies.installed import install
from strategies.protocol import Holding

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCES = {
    "MID": beside("oracle/vwap_reversion_reference"),
    "CLOSE": beside("oracle/closing_reference"),
}
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAYS = [date(2013, 10, day) for day in range(7, 12)]
ENTRIES = {"entry": "long", "bearish": "bearish"}


def hours(day: date) -> SessionHours:
    opened = datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC)
    return SessionHours(day, opened, opened + 390 * MINUTE)


def plain(bars: list[Bar], opened: datetime) -> dict[int, Any]:
    """As the references take them."""
    return {
        (bar.start - opened) // MINUTE: (
            *(Fraction(price) for price in (bar.open, bar.high, bar.low, bar.close)),
            bar.volume,
        )
        for bar in bars
    }


# Generated days


@st.composite
def made_days(draw: st.DrawFn, around: int) -> list[Bar]:
    """A walk in ticks with holes, quiet but in the minutes in which a strategy looks."""
    walk, bars = 10_000, []
    steps = draw(st.lists(st.integers(-40, 40), min_size=80, max_size=80))
    holes = draw(st.sets(st.integers(0, 79), max_size=15))
    busy = draw(st.sampled_from([1, 2, 4, 10, 40]))
    for n, step in enumerate(steps):
        minute = around + n
        if n in holes and n:
            continue
        opened, walk = walk, walk + step * busy // 10
        wick = abs(step) % 7 * busy // 10
        prices = (opened, max(opened, walk) + wick, min(opened, walk) - wick, walk)
        start, cents = OPEN + minute * MINUTE, [Decimal(p).scaleb(-2) for p in prices]
        bars.append(
            Bar(
                symbol="SPY", start=start, open=cents[0], high=cents[1], low=cents[2],
                close=cents[3], volume=(step + 40) * 10,
            )
        )  # fmt: skip
    return bars


TIGHT = {
    "MID": {
        "MID_ANALYSIS_TIME": "10", "MID_BREAKOUT_TIME": "20", "MID_MONITORING_TIME": "3",
        "STRAT_MID_VWAP_THRESHOLD": "0.004", "SHORT_TYPE_MID": "LongPut",
        "TRADING_TRAILING_STOP_PCT": "0.006",
    },
    "CLOSE": {
        "CLOSE_ANALYSIS_TIME": "10", "CLOSE_BREAKOUT_TIME": "20", "CLOSE_MONITORING_TIME": "3",
        "SHORT_TYPE_CLOSE": "LongPut", "TRADING_TRAILING_STOP_PCT": "0.006",
    },
}  # fmt: skip
SHORT = {"analysis": 10, "breakout": 20, "monitoring": 3, "threshold": Fraction("0.004"),
         "trailing": Fraction("0.006")}  # fmt: skip


def driven(name: str, bars: list[Bar]) -> tuple[Any, Any]:
    """Signal and exit as the references give them, with everything bought in the next bar."""
    config = demo_settings(TIGHT[name])
    strategy = install(name, config, hours(OPEN.date()), ("SPY",), OPEN)
    by_end, found, held, first = {bar.end: bar for bar in bars}, None, {}, None
    for minute in range(1, 391):
        now = OPEN + minute * MINUTE
        if (bar := by_end.get(now)) is not None:
            strategy.on_bar(bar)
            if (
                found is not None
                and found[1] in ENTRIES.values()
                and first is None
                and bar.start < strategy.window.monitoring_end
            ):
                first = bar.start
                weak = found[1] == "bearish"
                held = holding("SH" if weak else "SPY", first, "SPY" if weak else "")
        for signal in strategy.exits(now, held):
            fresh = install(name, config, hours(OPEN.date()), ("SPY",), OPEN)
            for bar in bars:
                if bar.end <= now:
                    fresh.on_bar(bar)
            assert fresh.exits(now, held) == [signal], "a restart changes nothing"
            return found, (minute, signal.reason)
        for signal in strategy.entries(now, {"SPY"} if found else set()):
            found = (minute, ENTRIES.get(signal.kind, signal.reason), *prices(signal))
    return found, None


def prices(signal: Any) -> tuple[Fraction | None, Fraction | None]:
    if signal.kind == "no_range":
        return None, None
    return Fraction(signal.price), Fraction(signal.stop)


def holding(symbol: str, first: datetime, underlying: str) -> dict[str, Holding]:
    one = Holding(
        symbol=symbol, quantity=Decimal(1), average_price=Decimal(1), first_fill_at=first,
        underlying=underlying,
    )  # fmt: skip
    return {symbol: one}


@pytest.mark.parametrize(("name", "around"), [("MID", 40), ("CLOSE", 290)])
def test_signal_and_exit_of_a_generated_day_are_the_references(name: str, around: int) -> None:
    found: set[str] = set()

    @settings(max_examples=150)
    @given(made_days(around))
    def check(bars: list[Bar]) -> None:
        expected = REFERENCES[name].play(plain(bars, OPEN), REFERENCES[name].RULES | SHORT)
        signal, exit_ = driven(name, bars)
        assert (signal, exit_) == expected
        found.update(text for text in (signal and signal[1], exit_ and exit_[1]) if text)

    check()
    own = {"MID": {"VWAP reached"}, "CLOSE": set[str]()}[name]
    assert found >= {"long", "bearish", "stop", "trailing stop", "end of monitoring"} | own


# The real week, by the whole bot

# A demo takes no settings, so their defaults are changed before it starts.
WITH_SETTINGS = """
import json, sys
from config.settings import Settings, demo_settings
Settings.__init__.__kwdefaults__.update(vars(demo_settings(json.loads(sys.argv.pop(1)))))
from runtime.cli import main
main()
"""


@pytest.fixture(scope="module", params=REFERENCES)
def week(
    request: pytest.FixtureRequest, marketdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Any]]:
    """The strategy's name, and what it decided in five real days on which it alone traded."""
    name, folder = request.param, tmp_path_factory.mktemp("alone")
    changed = {
        "STRATEGY_OVERRIDE": name, f"STRAT_{name}_ENABLED": "true", f"WEIGHT_{name}": "1",
        "WEIGHT_OPEN": "0", "STRAT_CLOSE_VIX_THRESHOLD": "10", "MAX_OPEN_POSITIONS": "5",
    }  # fmt: skip
    data = DataFolder(folder)
    data.market_data.mkdir()
    data.vix.write_text("at,level\n" + "".join(f"2013-10-{d:02},19\n" for d in (4, 7, 8, 9, 10)))
    demo = ["demo", "--data-dir", str(folder), "--bars", str(marketdata)]
    span = ["--from", str(DAYS[0]), "--to", str(DAYS[-1])]
    run = subprocess.run(
        [sys.executable, "-c", WITH_SETTINGS, json.dumps(changed), *demo, *span],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    queries = Queries(data)
    decided = [e.payload for e in queries.events(limit=1000, topics=("Session.Decided",))]
    queries.close()
    return name, decided


def test_every_decision_of_the_real_week_is_the_references(
    week: tuple[str, list[Any]], marketdata: Path
) -> None:
    name, decided = week
    market, reference = CsvMarketData(marketdata), REFERENCES[name]
    expected = []
    for day in DAYS:
        for symbol in market.symbols():
            session, bars = hours(day), regular(market, symbol, day)
            signal, exit_ = reference.play(plain(bars, session.open), reference.RULES)
            if signal is not None:
                expected.append((str(day), symbol, clock(session, signal[0]), signal[1]))
                if signal[1] == "long":  # what is bought on weakness is switched off here
                    expected.append((str(day), symbol, clock(session, exit_[0]), exit_[1]))
    assert len(expected) >= 15
    assert sorted(map(row, decided)) == sorted(expected)
    assert all(d["outcome"] != "refused" for d in decided)


def regular(market: CsvMarketData, symbol: str, day: date) -> list[Bar]:
    session = hours(day)
    return [b for b in market.bars(symbol, day) if session.open <= b.start < session.close]


def clock(session: SessionHours, minute: int) -> str:
    return f"{session.open + minute * MINUTE:%H:%M}"


def row(decided: Any) -> tuple[str, str, str, str]:
    what = ENTRIES.get(decided["kind"], decided["reason"])
    return decided["effective_date"], decided["symbol"], decided["occurred_at"][11:16], what


@pytest.mark.parametrize(
    ("name", "rule", "other"),
    [
        ("MID", "start", 59),
        ("MID", "analysis", 40),
        ("MID", "breakout", 1),
        ("MID", "monitoring", 59),
        ("MID", "threshold", Fraction("0.0031")),
        ("MID", "trailing", Fraction("0.001")),
        ("CLOSE", "start", 301),
        ("CLOSE", "analysis", 14),
        ("CLOSE", "breakout", 5),
        ("CLOSE", "monitoring", 29),
        ("CLOSE", "trailing", Fraction("0.001")),
    ],
)
def test_the_references_feel_each_rule(
    marketdata: Path, name: str, rule: str, other: object
) -> None:
    market, reference = CsvMarketData(marketdata), REFERENCES[name]

    def played(rules: dict[str, object]) -> list[Any]:
        return [
            reference.play(plain(regular(market, symbol, day), hours(day).open), rules)
            for day in DAYS
            for symbol in ("AIG", "SPY")
        ]

    assert played(reference.RULES | {rule: other}) != played(reference.RULES)
