"""The level of VIX for the gate of CLOSE: the broker's, else the file's; too old is not known."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates.market import IndexLevel
from brokers.port import BrokerUnavailable
from config.calendar import TradingCalendar
from config.paths import DataFolder
from runtime.vix import VixUnreadable, levels, vix_level

CALENDAR = TradingCalendar("XNYS", date(2013, 10, 4), date(2013, 11, 30))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def bot(tmp_path: Path) -> Callable[..., Any]:
    """`bot("2013-10-07,19.41", …)`: one with that file, and a broker that has no index."""

    def make(*lines: str, broker: Callable[[str], IndexLevel | None] = lambda _: None) -> Any:
        folder = DataFolder(tmp_path)
        folder.market_data.mkdir(exist_ok=True)
        if lines:
            folder.vix.write_text("\n".join(("at,level", *lines, "")))
        return SimpleNamespace(
            folder=folder, calendar=CALENDAR, broker=SimpleNamespace(index=broker)
        )

    return make


def known(bot: Any, now: str) -> str | None:
    found = vix_level(bot, at(now))
    return None if found is None else f"{found.level} {found.at:%d %H:%M}"


CLOSES = ("2013-10-04,16.74", "2013-10-07,19.41", "2013-10-08,20.34")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # a close is known from its session's close on, and never before it
        ("2013-10-08 13:30", "19.41 07 20:00"),
        ("2013-10-08 19:59", "19.41 07 20:00"),
        ("2013-10-08 20:00", "20.34 08 20:00"),
        # the next session may go by it, to its end; the one after that may not
        ("2013-10-09 19:59", "20.34 08 20:00"),
        ("2013-10-10 13:29", "20.34 08 20:00"),
        ("2013-10-10 13:30", None),
        # over a weekend it is the session before that counts, not hours
        ("2013-10-07 18:45", "16.74 04 20:00"),
    ],
)
def test_a_daily_close_counts_from_its_close_to_the_end_of_the_next_session(
    bot: Callable[..., Any], now: str, expected: str | None
) -> None:
    assert known(bot(*CLOSES), now) == expected


def test_a_minute_counts_from_that_minute_on(bot: Callable[..., Any]) -> None:
    here = bot("2013-10-07,19.41", "2013-10-08T18:00:00Z,20.90", "2013-10-08,20.34")
    assert known(here, "2013-10-08 17:59") == "19.41 07 20:00"
    assert known(here, "2013-10-08 18:00") == "20.90 08 18:00"


def test_a_day_on_which_the_exchange_is_closed_has_no_close(bot: Callable[..., Any]) -> None:
    assert known(bot("2013-10-04,16.74", "2013-10-05,99"), "2013-10-07 18:45") == "16.74 04 20:00"


def test_without_a_file_it_is_not_known(bot: Callable[..., Any]) -> None:
    assert known(bot(), "2013-10-08 18:45") is None


def test_the_brokers_level_comes_first_and_may_be_no_older(bot: Callable[..., Any]) -> None:
    def told(moment: str) -> Callable[[str], IndexLevel | None]:
        return lambda symbol: IndexLevel(symbol=symbol, level=Decimal("21.5"), at=at(moment))

    assert known(bot(*CLOSES, broker=told("2013-10-08 18:44")), "2013-10-08 18:45") == (
        "21.5 08 18:44"
    )
    assert known(bot(*CLOSES, broker=told("2013-10-07 19:59")), "2013-10-08 18:45") is None
    assert known(bot(*CLOSES, broker=told("2013-10-08 18:46")), "2013-10-08 18:45") is None


def test_a_broker_that_is_silent_is_not_replaced_by_a_file(bot: Callable[..., Any]) -> None:
    def silent(_symbol: str) -> None:
        raise BrokerUnavailable("market data: no answer.")

    here = bot(*CLOSES, broker=silent)
    assert known(here, "2013-10-08 18:45") is None
    assert "no answer" in (here.folder.global_logs / "main_bot.log").read_text()


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (("2013-10-07,19.41", "2013-10-08,"), 3),
        (("2013-10-07,-1",), 2),
        (("2013-10-07,0",), 2),
        (("2013-10-07,nan",), 2),
        (("2013-10-07,19.41,20",), 2),
        (("2013-10-32,19.41",), 2),
        (("10/07/2013,19.41",), 2),
        (("2013-10-07T18:00:30Z,19.41",), 2),
        (("2013-10-07T18:00,19.41",), 2),
        (("2013-10-08,19.41", "2013-10-07,19.41"), 3),
        (("2013-10-07,19.41", "2013-10-07,19.42"), 3),
        (("2013-10-07T18:01:00Z,1", "2013-10-07T18:00:00Z,1"), 3),
        (("2013-10-07,1", "2013-10-07T18:00:00Z,1"), 3),
        (("", "2013-10-07,19.41"), 2),
    ],
    ids=str,
)
def test_a_bad_line_is_named_and_nothing_of_the_file_is_used(
    bot: Callable[..., Any], lines: tuple[str, ...], number: int
) -> None:
    here = bot(*lines)
    with pytest.raises(VixUnreadable, match=rf"vix\.csv, line {number}: .* No line of it was used"):
        levels(here.folder.vix)
    assert known(here, "2013-10-08 18:45") is None
    assert "CLOSE buys nothing" in (here.folder.global_logs / "main_bot.log").read_text()


@pytest.mark.parametrize(
    "text", ["", "date,close\n2013-10-07,19.41\n", "at,level\n2013-10-0７,1\n"]
)
def test_another_form_is_refused(bot: Callable[..., Any], text: str) -> None:
    here = bot()
    here.folder.vix.write_text(text)
    with pytest.raises(VixUnreadable, match="write at,level"):
        levels(here.folder.vix)


def test_a_file_that_was_written_anew_is_read_again(bot: Callable[..., Any]) -> None:
    assert known(bot("2013-10-07,19.41"), "2013-10-08 18:45") == "19.41 07 20:00"
    assert known(bot("2013-10-07,9.5"), "2013-10-08 18:45") == "9.5 07 20:00"


def test_real_closes_since_1990(bot: Callable[..., Any], marketdata: Path) -> None:
    with (marketdata / "vix-daily.csv").open() as real:
        lines = [f"{row['DATE']},{row['CLOSE']}" for row in csv.DictReader(real)]
    here = bot(*lines)
    assert len(levels(here.folder.vix)) == len(lines) > 5000
    days = ("07", "08", "09", "10", "11")
    found = [known(here, f"2013-10-{day} 18:45") for day in days]
    assert found == [
        "16.740000 04 20:00", "19.410000 07 20:00", "20.340000 08 20:00", "19.600000 09 20:00",
        "16.480000 10 20:00",
    ]  # fmt: skip
