"""Days on which nothing trades when something should be bought or sold (decision 0001)."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from config.paths import DataFolder
from runtime.demo import plan_of, play
from runtime.queries import DayReport, Queries

MONDAY, TUESDAY = date(2013, 10, 7), date(2013, 10, 8)
OPEN = 13 * 60 + 30  # minute of the day, UTC
FLAT = "100.0000,100.0000,99.9000,100.0000,50000"
UP = "101.0000,101.0000,101.0000,101.0000,50000"
QUOTE = "100.9900,100,101.0100,100"
RANGE = [(OPEN + i, FLAT) for i in range(30)]
QUOTES = [(minute, QUOTE) for minute in range(OPEN, 20 * 60)]
Market = dict[date, list[tuple[int, str]]]


@pytest.fixture
def played(tmp_path: Path) -> Callable[[Market], dict[date, DayReport]]:
    """Play these bars of one symbol, quoted every minute, and report each day."""

    def play_days(market: Market) -> dict[date, DayReport]:
        for day, bars in market.items():
            write(tmp_path / "csv" / "bars", day, "ts,open,high,low,close,volume", bars)
            write(tmp_path / "csv" / "quotes", day, "ts,bid,bid_size,ask,ask_size", QUOTES)
        folder = DataFolder(tmp_path / "demo")
        play(folder, plan_of(tmp_path / "csv", None, None, (), 1), lambda *_: None)
        queries = Queries(folder)
        reports = {day: queries.day(day) for day in market}
        queries.close()
        return {day: report for day, report in reports.items() if report is not None}

    return play_days


def write(folder: Path, day: date, head: str, rows: list[tuple[int, str]]) -> None:
    file = folder / "AAA" / f"{day}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{day}T{m // 60:02}:{m % 60:02}:00Z,{row}" for m, row in rows]
    file.write_text("\n".join([head, *lines]) + "\n")


def test_an_entry_that_nobody_filled_is_cancelled_at_the_end_of_monitoring(
    played: Callable[[Market], dict[date, DayReport]],
) -> None:
    # signal in the last minute of the breakout window; then nothing trades until 16:06
    late = [(16 * 60 + 6 + i, UP) for i in range(10)]
    report = played({MONDAY: [*RANGE, (15 * 60 - 1, UP), *late]})[MONDAY]
    assert [(o.state, o.reason) for o in report.orders] == [("cancelled", "end of monitoring")]
    assert not report.trades
    assert report.differences == ()


def test_what_could_not_be_sold_is_sold_from_the_next_open_on(
    played: Callable[[Market], dict[date, DayReport]],
) -> None:
    # bought at 14:01, nothing trades from 16:00 to the close; the next day trades from 13:30, and
    # the first quote of that day is known at 13:31
    up_all_day = [(OPEN + i, UP) for i in range(390)]
    reports = played(
        {MONDAY: [*RANGE, *((14 * 60 + i, UP) for i in range(120))], TUESDAY: up_all_day}
    )
    monday, tuesday = reports[MONDAY], reports[TUESDAY]
    assert [p.symbol for p in monday.positions] == ["AAA"]
    assert monday.phases[1].phase == "open"
    assert {o.state for o in monday.orders} == {"filled", "expired"}
    assert [(t.exit_reason, t.exit_at[11:16]) for t in tuesday.trades] == [
        ("carried over", "13:31")
    ]
    assert not tuesday.positions
    assert tuesday.differences == ()


def test_a_purchase_is_worth_what_was_paid_and_not_an_older_price(
    played: Callable[[Market], dict[date, DayReport]],
) -> None:
    # marked at 100 on Monday's close; on Tuesday the same symbol is bought above 110
    monday = [(OPEN + i, FLAT) for i in range(390)]
    high = FLAT.replace("100.0000", "110.0000").replace("99.9000", "109.9000")
    up = UP.replace("101.", "111.")
    tuesday = [*((OPEN + i, high) for i in range(30)), *((14 * 60 + i, up) for i in range(120))]
    report = played({MONDAY: monday, TUESDAY: tuesday})[TUESDAY]
    bought = next(p for p in report.equity if p.occasion == "fill")
    costs = abs(bought.equity - 100_000)
    assert costs < 1, f"the account is worth {bought.equity} right after the purchase"
