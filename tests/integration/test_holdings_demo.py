"""A demo of the long-term holdings: the same seed gives the same years, told and drawn."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from aggregates.errors import DomainError
from config.paths import DataFolder
from projections.ledger_records import AsOf
from runtime.cli import main
from runtime.cli_demo import daily_prices
from runtime.demo import plan_of, remove_demo
from runtime.demo import play as play_week
from runtime.holdings_demo import HoldingsDemo, demo_of, play
from runtime.holdings_demo_picture import picture
from runtime.holdings_demo_report import Figures, figures, report
from runtime.queries import Queries

D = Decimal
FIRST, LAST = date(2024, 1, 2), date(2024, 2, 6)


class Played(NamedTuple):
    folder: DataFolder
    demo: HoldingsDemo
    queries: Queries
    found: Figures
    text: str


def played(root: Path, seed: int = 1, prices: Path | None = None, last: date = LAST) -> Played:
    folder, demo = DataFolder(root), demo_of(seed, prices, None if prices else FIRST, last)
    play(folder, demo, lambda *_: None)
    queries = Queries(folder)
    found = figures(queries, demo)
    return Played(folder, demo, queries, found, report(queries, demo, found))


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    done = played(tmp_path_factory.mktemp("holdings") / "demo")
    yield done
    done.queries.close()


def test_the_same_seed_gives_the_same_bytes(weeks: Played, tmp_path: Path) -> None:
    again = played(tmp_path / "again")
    try:
        assert again.text == weeks.text
        assert again.queries.status().head_hash == weeks.queries.status().head_hash
        assert picture(again.found.months, "t") == picture(weeks.found.months, "t")
    finally:
        again.queries.close()


def test_another_seed_gives_other_weeks(weeks: Played, tmp_path: Path) -> None:
    other = played(tmp_path / "other", seed=2, last=date(2024, 1, 8))
    assert other.queries.status().head_hash not in weeks.text
    assert other.found.months[0].account != weeks.found.months[0].account
    other.queries.close()


def test_the_money_is_where_the_rules_want_it(weeks: Played) -> None:
    """The float at its target after each sweep, reserves that never fall, nothing lost."""
    steps = weeks.queries.events(topics=("HoldingsDay.StepDone",), limit=10_000)
    reserved = [
        (D(e.payload["balances"]["payroll"]),
         D(e.payload["balances"]["tax_cash"]) + D(e.payload["balances"]["tax_vehicle"]))
        for e in steps
    ]  # fmt: skip
    assert reserved == sorted(reserved)
    assert reserved[-1][1] > 100
    swept = [e for e in steps if "sweep: bought" in e.payload["outcome"]]
    assert len(swept) > 5
    for month in weeks.found.months:
        assert D("0.08") < month.float / month.account < D("0.13")
    gains, trial = weeks.found.set_aside, weeks.queries.trial_balance()
    assert gains["tax"] + gains["payroll"] + gains["reinvested"] <= sum(
        max(D(e.payload[name]), D(0))
        for e in weeks.queries.events(topics=("Holdings.GainsAllocated",), limit=1000)
        for name in ("trading", "holdings")
    )
    assert trial.debits == trial.credits


def test_the_report_says_what_happened(weeks: Played) -> None:
    assert "made-up prices, trading made up by seed 1" in weeks.text
    assert "2024-01-31" in weeks.text
    assert [line for line in weeks.text.splitlines() if line.startswith("Holdings ")]
    for reason in ("reinvestment", "sweep", "tax-reserve", "top-up", "trading"):
        assert any(line.startswith(reason) for line in weeks.text.splitlines()), reason
    through = weeks.queries.events(topics=("Holdings.GainsAllocated",), limit=1000)[-1]
    assert f"Realized, allocated up to {through.payload['through']}: " in weeks.text
    assert "a day with a loss takes nothing back" in weeks.text
    assert "none was due" in weeks.text  # the first one is due after six months


def test_orders_are_worth_what_they_were_filled_for(weeks: Played) -> None:
    """Each order is rounded once: no cent is lost by one that was filled in parts."""
    values: defaultdict[str, Fraction] = defaultdict(Fraction)
    for entry in weeks.queries.journal():
        if entry.topic == "Order.Filled" and entry.context == "sweep":
            price = entry.entry_price
            assert price is not None
            values[entry.reference] += Fraction(entry.size) * Fraction(price)
    cents = sum(round(value * 100) for value in values.values())
    assert weeks.found.orders["sweep", "buy"] == (len(values), D(cents) / 100)


def test_the_picture_is_drawn_to_scale(weeks: Played) -> None:
    """The top of the stack is the account's value, on a scale from 0."""
    root = ElementTree.fromstring(picture(weeks.found.months, "Long-term holdings"))  # noqa: S314
    areas = {e.get("class"): e.get("points", "") for e in root if e.tag.endswith("polygon")}
    assert list(areas) == ["holdings", "tax", "payroll", "float"]
    tops = [int(p.partition(",")[2]) for p in areas["float"].split()[: len(weeks.found.months)]]
    most = max(m.account for m in weeks.found.months)
    expected = [380 - int(m.account * 320 / most) for m in weeks.found.months]
    assert tops == expected


def test_a_price_that_is_missing_is_left_out(weeks: Played) -> None:
    before = weeks.queries.holdings(AsOf(date=date(2024, 1, 1)), weeks.demo.plan)
    assert before.account_value == D("100000.00")  # nothing is held yet, so nothing lacks a price
    assert weeks.found.without_price == ()


def test_it_is_a_demo_and_is_never_mixed_up_with_another(weeks: Played, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="is not empty"):
        play(weeks.folder, weeks.demo, lambda *_: None)
    with pytest.raises(DomainError, match="holds a demo with other options"):
        play_week(weeks.folder, plan_of(None, None, None, (), 1), lambda *_: None)
    with pytest.raises(DomainError, match="There is no session"):
        demo_of(1, None, date(2024, 1, 6), date(2024, 1, 7))
    remove_demo(played(tmp_path / "gone", last=FIRST).folder)
    assert not (tmp_path / "gone").exists()


def test_real_prices(marketdata: Path, tmp_path: Path) -> None:
    prices = daily_prices({"TRADEBOT_MARKETDATA": str(marketdata)})
    assert prices is not None
    done = played(tmp_path / "real", prices=prices, last=date(2015, 4, 1))
    assert f"daily prices of {prices.name}" in done.text
    assert done.demo.symbols == ("QQQ", "VXUS", "BNDX", "VCIT")
    assert str(tmp_path) not in done.text
    done.queries.close()


def test_the_command(tmp_path: Path) -> None:
    def run(*more: str) -> Any:
        return CliRunner().invoke(main, ["demo", "--holdings", *more])

    done = run("--data-dir", str(tmp_path / "d"), "--from", "2024-01-30", "--to", "2024-02-01")
    assert done.exit_code == 0, done.output
    assert "Month by month" in done.output
    assert f"tbot holdings --data-dir {tmp_path / 'd'}" in done.output
    assert "make demo" not in done.output  # that would make another demo
    assert (tmp_path / "d/output/DEMO_USA_SIM_01/holdings.svg").is_file()
    assert run("--symbols", "ALFA").exit_code == 2
    assert CliRunner().invoke(main, ["demo", "--prices", __file__]).exit_code == 2
    assert daily_prices({}) is None
